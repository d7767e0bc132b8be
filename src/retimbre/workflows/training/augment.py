"""What happens to a note between the instrument and the recording, so that a listener does not mind it.

Rendered notes begin at once, are in tune, end when the clip does and have no room around them. Recordings are not like
that, so a training clip is a note to which some of this is done, each by its own chance:

    start       it begins up to 50 ms late, or some of its attack is cut off
    tuning      it is up to 30 cents out of tune (read at another speed)
    release     the key comes up early, and it dies away within 15 to 250 ms
    spectrum    a tilt of up to 4 dB per octave, a low-pass from 1.5 kHz up, a high-pass up to 150 Hz
    room        an echo of exponentially decaying noise of 0.1 to 0.8 s, 8 to 30 dB below the sound
    noise       white or pink, 20 to 60 dB below the sound

Filters and rooms are factors of one spectrum. What is done to a clip is a function of the numbers that are handed in,
so a batch can be made in parts; it is done where the notes are, on the CPU or on a GPU.
"""

import dataclasses
import functools
import math
from typing import final

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from retimbre.core import random
from retimbre.dsp.level import rms

NUM_CHANCES = 20
"""How many even numbers in [0, 1) are drawn for each clip."""

_LATEST_S, _DEEPEST_S = 0.05, 0.3
_CENTS = 30.0
_SHORTEST_GATE_S = 0.15
_RELEASE_S = (0.005, 0.08)  # time constants: a ninth of the level after twice as long
_TILT_DB = 4.0
_TILT_MIDDLE_HZ = 1000.0
_LOW_PASS_HZ = (1500.0, 8000.0)
_HIGH_PASS_HZ = (20.0, 150.0)
_ROOM_DB = (-30.0, -8.0)
_ROOM_S = (0.1, 0.8)
_SNR_DB = (20.0, 60.0)

_NUM_ROOMS = 64
_ROOM_LENGTH_S = 0.5
_NOISE_SAMPLES = 1 << 19
_BANK_SEED = 0  # rooms and noise are the same in every run


@final
@dataclasses.dataclass(frozen=True)
class Augmenter:
    """Makes recordings of rendered notes at one sample rate, in Hz."""

    sample_rate: int

    def __call__(
        self,
        notes: Float[Tensor, "batch note"],
        chance: Float[Tensor, "batch chances"],
        num_samples: int,
    ) -> Float[Tensor, "batch {num_samples}"]:
        """Clips of so many samples.

        Args:
            notes: From their very beginning.
            chance: `NUM_CHANCES` even numbers in [0, 1) for each.
        """
        clips = self._cut(notes, chance[:, :3], num_samples)
        clips = self._released(clips, chance[:, 3:6])
        clips = self._coloured(clips, chance[:, 6:15])
        return self._in_noise(clips, chance[:, 15:])

    def _cut(
        self, notes: Float[Tensor, "batch note"], chance: Float[Tensor, "batch 3"], num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """From a little before the note or a little after it began, at another speed."""
        late = chance[:, 1] * _LATEST_S
        start_s = torch.where(chance[:, 0] < 0.6, -late, chance[:, 1] * _DEEPEST_S)
        speed = torch.exp2((2 * chance[:, 2] - 1) * _CENTS / 1200)
        place = (
            start_s[:, None] * self.sample_rate
            + torch.arange(num_samples, device=notes.device) * speed[:, None]
        )
        before = place.floor().long()
        part = (place - before).float()
        return _at(notes, before) * (1 - part) + _at(notes, before + 1) * part

    def _released(
        self, clips: Float[Tensor, "batch samples"], chance: Float[Tensor, "batch 3"]
    ) -> Float[Tensor, "batch samples"]:
        """Some die away before the clip ends."""
        seconds = clips.shape[1] / self.sample_rate
        gate_s = _SHORTEST_GATE_S + chance[:, 1] * max(0.0, seconds - _SHORTEST_GATE_S)
        gate_s = torch.where(chance[:, 0] < 0.3, gate_s, torch.inf)
        time_s = torch.arange(clips.shape[1], device=clips.device) / self.sample_rate
        after = (time_s - gate_s[:, None]).clamp_min(0)
        return clips * torch.exp(-after / _between(chance[:, 2], _RELEASE_S)[:, None]).float()

    def _coloured(
        self, clips: Float[Tensor, "batch samples"], chance: Float[Tensor, "batch 9"]
    ) -> Float[Tensor, "batch samples"]:
        """Through filters and a room."""
        length = _fast_length(clips.shape[1] + round(_ROOM_LENGTH_S * self.sample_rate))
        spectrum = torch.fft.rfft(clips, n=length) * self._filters(chance[:, :5], length)
        rooms = _rooms(self.sample_rate, length, clips.device)
        number = (chance[:, 5] * _NUM_ROOMS).long()
        wet = torch.where(chance[:, 6] < 0.4, 10 ** (_even(chance[:, 7], _ROOM_DB) / 20), 0.0)
        spectrum = spectrum * (1 + wet.float()[:, None] * rooms[number])
        return torch.fft.irfft(spectrum, n=length)[:, : clips.shape[1]]

    def _filters(self, chance: Float[Tensor, "batch 5"], length: int) -> Float[Tensor, "batch bins"]:
        """The gains of a tilt, a low-pass of the second order and a high-pass of the second order."""
        hz = torch.arange(length // 2 + 1, device=chance.device).float() * (self.sample_rate / length)
        octaves = torch.log2(hz.clamp_min(20.0) / _TILT_MIDDLE_HZ)
        tilt_db = (2 * chance[:, :1] - 1).float() * _TILT_DB
        low_hz = torch.where(chance[:, 1] < 0.5, _between(chance[:, 2], _LOW_PASS_HZ), torch.inf)
        high_hz = torch.where(chance[:, 3] < 0.3, _between(chance[:, 4], _HIGH_PASS_HZ), 0.0)
        low = 1 / (1 + (hz / low_hz.float()[:, None]).square())
        squared = hz.square()
        high = (squared + 1e-6) / (squared + high_hz.float()[:, None].square() + 1e-6)
        return 10 ** (tilt_db * octaves / 20) * low * high

    def _in_noise(
        self, clips: Float[Tensor, "batch samples"], chance: Float[Tensor, "batch 5"]
    ) -> Float[Tensor, "batch samples"]:
        """Noise from some place of a long stretch of it, white or pink."""
        colour = (chance[:, 0] < 0.5).long()
        first = (chance[:, 1] * (_NOISE_SAMPLES - clips.shape[1])).long()
        bank = _noise(clips.device)
        noise = torch.stack(
            [
                bank[which, start : start + clips.shape[1]]
                for which, start in zip(colour.tolist(), first.tolist(), strict=True)
            ]
        )
        level = rms(clips) * (10 ** (-_even(chance[:, 2], _SNR_DB) / 20)).float()
        return clips + level[:, None] * noise


def _at(
    notes: Float[Tensor, "batch note"], place: Int[Tensor, "batch samples"]
) -> Float[Tensor, "batch samples"]:
    """Samples of notes, 0 before their beginning and after their end."""
    inside = (place >= 0) & (place < notes.shape[1])
    return notes.gather(1, place.clamp(0, notes.shape[1] - 1)) * inside


def _even(chance: Float[Tensor, " batch"], limits: tuple[float, float]) -> Float[Tensor, " batch"]:
    """Between two limits."""
    return limits[0] + chance * (limits[1] - limits[0])


def _between(chance: Float[Tensor, " batch"], limits: tuple[float, float]) -> Float[Tensor, " batch"]:
    """Between two limits, evenly in octaves."""
    return torch.exp(_even(chance, (math.log(limits[0]), math.log(limits[1]))))


def _fast_length(least: int) -> int:
    """A length of three, four or five times a power of two, which transforms fast."""
    power = 1 << max(0, math.ceil(math.log2(least)) - 3)
    return next(times * power for times in (5, 6, 8, 16) if times * power >= least)


@functools.lru_cache(maxsize=2)
def _noise(device: torch.device) -> Float[Tensor, "2 samples"]:
    """White and pink noise of RMS 1; shared, never change it."""
    white = torch.randn(_NOISE_SAMPLES, generator=random.generator(_BANK_SEED, "white noise"))
    spectrum = torch.fft.rfft(white)
    pink = torch.fft.irfft(spectrum / torch.arange(1, len(spectrum) + 1).sqrt(), n=_NOISE_SAMPLES)
    return torch.stack([white / rms(white), pink / rms(pink)]).to(device)


@functools.lru_cache(maxsize=16)
def _rooms(sample_rate: int, length: int, device: torch.device) -> Complex[Tensor, "rooms bins"]:
    """The spectra of echoes, each of energy 1; shared, never change them."""
    generator = random.generator(_BANK_SEED, "rooms")
    time_s = torch.arange(round(_ROOM_LENGTH_S * sample_rate)) / sample_rate
    decay_s = _between(torch.rand(_NUM_ROOMS, generator=generator), _ROOM_S)
    noise = torch.randn(_NUM_ROOMS, len(time_s), generator=generator)
    # 60 dB after the decay time: exp(-6.9).
    echoes = noise * torch.exp(-6.9 * time_s / decay_s[:, None])
    return torch.fft.rfft(echoes / echoes.square().sum(dim=1, keepdim=True).sqrt(), n=length).to(device)
