"""placeholder"""

import dataclasses
import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.random import generator
from retimbre.gan.base import Form, Generator, GeneratorConfig, Labels
from retimbre.gan.networks.frame_backbone import FrameBackbone


@final
@dataclasses.dataclass(frozen=True)
class HarmonicGeneratorConfig(GeneratorConfig):
    kind: Literal["harmonic"] = "harmonic"
    sample_rate: int = 16_000
    hop_length: int = 128
    width: int = 192
    depth: int = 5
    expansion: int = 2
    kernel: int = 7
    bands: int = 40
    harmonics: int = 40
    partials: int = 64
    noise_bands: int = 24

    def build(self, form: Form) -> Generator:
        return HarmonicGenerator(form, self)


class HarmonicGenerator(Generator):
    def __init__(self, form: Form, config: HarmonicGeneratorConfig) -> None:
        super().__init__(form)
        self.config = config
        c = config
        num_samples = form.shape[1]
        self.num_samples = num_samples
        hops = -(-num_samples // c.hop_length)
        self.pairs = (hops + 2) // 2
        self.num_frames = 2 * self.pairs
        self.backbone = FrameBackbone(form, self.pairs, c.width, c.depth, c.expansion, c.kernel)
        self.sizes = (c.bands, c.harmonics + 2, c.partials, c.noise_bands)
        self.head = nn.Linear(c.width, 2 * sum(self.sizes))
        self.head.weight.data.mul_(0.5)
        self.motion = nn.Linear(c.width, 7)
        pitches = torch.tensor([float(p) for p in form.classes["pitch"]], dtype=torch.float64)
        f0 = 440 * 2 ** ((pitches - 69) / 12)
        self.K = int(c.sample_rate / 2 / float(f0.min()))
        self.L = 1 << math.ceil(math.log2(4 * self.K))
        k = torch.arange(1, self.K + 1).double()
        hz = f0[:, None] * k
        self.register_buffer("f0", f0.float(), persistent=False)
        self.register_buffer("mix", _mix(hz, c).float(), persistent=False)
        fall = -1.0 * k.log() 
        audible = (hz < 0.48 * c.sample_rate)
        self.register_buffer("bias", torch.where(audible, fall, -30.0).float(), persistent=False)
        sign = torch.polar(torch.ones(self.K), 2 * math.pi * torch.rand(self.K, generator=generator(0, "phases")))
        self.register_buffer("phases", torch.view_as_real(sign), persistent=False)
        ratio = 2 ** (torch.arange(1, c.partials + 1).double() * 48 / c.partials / 12)
        phz = f0[:, None] * ratio
        self.register_buffer("partial_hz", phz.float(), persistent=False)
        self.register_buffer("partial_bias", torch.where(phz < 0.48 * c.sample_rate, -6.0 - ratio.log() , -30.0).float(), persistent=False)
        nfft = 2 * c.hop_length
        self.register_buffer("noise", torch.randn(2048, c.hop_length + 1, 2, generator=generator(0, "noise")), persistent=False)
        centres = torch.linspace(0, 1, c.noise_bands).double()
        bins = _scale(torch.arange(c.hop_length + 1).double() * c.sample_rate / nfft, c)
        self.register_buffer("noise_mix", _hats(bins, c.noise_bands).float(), persistent=False)

    def forward(self, latent, labels):
        frames, told = self.backbone(latent, labels)
        pitch = labels["pitch"].to(latent.device)
        cells = self.head(frames).float().unflatten(2, (2, -1)).flatten(1, 2)
        motion = self.motion(told).float()
        device = "cpu" if cells.device.type == "cpu" else "cuda"
        with torch.autocast(device, enabled=False):
            return self._sound(latent.float(), cells, motion, pitch)

    def _sound(self, latent, cells, motion, pitch):
        c = self.config
        band, harm, part, noise = cells.split(self.sizes, dim=2)
        F = self.num_frames
        level = torch.cat([band, harm], 2) @ self.mix[pitch].mT * 2.0 + self.bias[pitch][:, None]
        amp = level.clamp(-30, 8).exp()
        spec = torch.view_as_complex(self.phases) * amp * (0.5 * self.L)
        tables = torch.fft.irfft(functional.pad(spec, (1, self.L // 2 - self.K)), n=self.L)
        n = torch.arange(self.num_samples, device=cells.device)
        time = n / c.sample_rate
        depth = 40 * torch.sigmoid(motion[:, 0:1] - 3)
        rate = 3.5 + 4 * torch.sigmoid(motion[:, 1:2])
        delay = 0.5 * torch.sigmoid(motion[:, 2:3])
        onset = torch.sigmoid((time - delay) * 20)
        swing = torch.sin(2 * math.pi * (rate * time + motion[:, 3:4] * 0.5))
        scoop = 80 * torch.tanh(motion[:, 4:5] * 0.3) * torch.exp(-time / (0.01 + 0.07 * torch.sigmoid(motion[:, 5:6])))
        cents = depth * onset * swing + scoop + 5 * torch.tanh(motion[:, 6:7] * 0.3)
        f0 = self.f0[pitch][:, None]
        dev = (f0 / c.sample_rate) * (cents * (math.log(2) / 1200))
        phase = n * (f0 / c.sample_rate) + dev.cumsum(1)
        place = (phase - phase.detach().floor()) * self.L
        left = place.detach().long().clamp(max=self.L - 1)
        frac = place - left
        right = torch.where(left + 1 < self.L, left + 1, 0)
        frame = n // c.hop_length
        blend = (n % c.hop_length) / c.hop_length
        flat = tables.flatten(1)
        def read(off):
            base = (frame + off) * self.L
            lo = flat.gather(1, base + left)
            hi = flat.gather(1, base + right)
            return lo + (hi - lo) * frac
        tone = read(0) * (1 - blend) + read(1) * blend
        tone = tone + self._partials(part, pitch)
        tone = tone + self._noise(noise, latent)
        peak = tone.abs().amax(1, keepdim=True).clamp_min(1e-4)
        return (tone / peak)[:, None]

    def _partials(self, part, pitch):
        c = self.config
        amp = (part * 2.0 + self.partial_bias[pitch][:, None]).clamp(-30, 8).exp()
        step = self.partial_hz[pitch] * (2 * math.pi / c.sample_rate)
        start = torch.arange(self.num_frames, device=part.device)[None, :, None] * c.hop_length * step[:, None] 
        offset = torch.arange(-c.hop_length, c.hop_length, device=part.device)
        window = 1 - offset.abs() / c.hop_length
        inner = step[:, :, None] * offset
        both = torch.cat([amp * start.sin(), amp * start.cos()], 2)
        basis = torch.cat([inner.cos(), inner.sin()], 1) * window
        return self._overlap(both @ basis)

    def _noise(self, noise, latent):
        c = self.config
        gain = ((noise * 2.0 - 6.0) @ self.noise_mix.T).clamp(-30, 8).exp()
        where = ((latent[:, 0] * 997.0) % 1.0 * (2048 - self.num_frames)).long()
        white = torch.view_as_complex(self.noise)[where[:, None] + torch.arange(self.num_frames, device=where.device)]
        size = 2 * c.hop_length
        pieces = torch.fft.irfft(white * gain, n=size) * (size ** 0.5)
        window = torch.sin(math.pi * (torch.arange(size, device=noise.device) + 0.5) / size)
        return self._overlap(pieces * window)

    def _overlap(self, pieces):
        hop = self.config.hop_length
        first, second = pieces[..., :hop], pieces[..., hop:]
        # piece t is centred on sample t*hop
        return (second[:, :-1] + first[:, 1:]).flatten(1)[:, : self.num_samples]


def _scale(hz, c):
    """0 to 1 along mel-like"""
    return torch.log1p(hz / 300.0) / math.log1p(c.sample_rate / 2 / 300.0)


def _hats(place, count):
    centres = torch.linspace(0, 1, count).double()
    return (1 - (place[..., None] - centres).abs() * (count - 1)).clamp_min(0)


def _mix(hz, c):
    env = _hats(_scale(hz, c).clamp(max=1), c.bands)
    K = hz.shape[1]
    own = torch.zeros(K, c.harmonics + 2, dtype=torch.float64)
    for k in range(K):
        own[k, k if k < c.harmonics else c.harmonics + k % 2] = 1
    return torch.cat([env, own.expand(len(hz), -1, -1)], 2)
