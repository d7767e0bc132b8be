"""Makes embedders.json: front ends by librosa and an Inception of torch-fidelity's blocks, nothing of retimbre.

torch-fidelity has the Inception that scores pictures, whose pooling differs from torchvision's in two places; its
blocks are put together here as torchvision does it, with one channel and system C's padding.

    python tests/golden/make_embedder_goldens.py  needs librosa, torch and torch-fidelity 0.4
"""

import importlib.metadata
import importlib.util
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import Tensor, nn

# The package itself imports much that is not needed for one of its modules.
fidelity = types.ModuleType("torch_fidelity")
fidelity.__path__ = list(importlib.util.find_spec("torch_fidelity").submodule_search_locations)
sys.modules["torch_fidelity"] = fidelity
sys.path.insert(0, str(Path(__file__).parents[1]))

from drawn_weights import drawn, shapes_of  # noqa: E402
from torch_fidelity import feature_extractor_inceptionv3 as blocks  # noqa: E402

NUM_CLASSES = 11


def sound(rate_hz: int, num_samples: int) -> np.ndarray:
    """A decaying tone with a second harmonic over a little noise, float32."""
    time_s = np.arange(num_samples) / rate_hz
    noise = np.random.default_rng(0).standard_normal(num_samples)
    tone = np.sin(2 * np.pi * 440 * time_s) + 0.3 * np.sin(2 * np.pi * 880 * time_s)
    return (0.5 * np.exp(-2 * time_s) * tone + 0.001 * noise).astype(np.float32)


def panns(rate_hz: int, n_fft: int, hop_length: int, highest_hz: float) -> list[list[float]]:
    """Decibels of three frames."""
    clip = sound(rate_hz, rate_hz).astype(np.float64)
    spectrum = librosa.stft(clip, n_fft=n_fft, hop_length=hop_length, pad_mode="reflect")
    bands = librosa.filters.mel(
        sr=rate_hz, n_fft=n_fft, n_mels=64, fmin=50, fmax=highest_hz, dtype=np.float64
    )
    decibels = 10 * np.log10(np.maximum(1e-10, bands @ np.abs(spectrum) ** 2))
    return decibels.T[[0, 50, 100]].round(5).tolist()


def picture(n_fft: int) -> Tensor:
    """System C's picture of 1.5 s."""
    clip = sound(16_000, 24_000)[:16_383].astype(np.float64)
    faded = int(0.3 * len(clip))
    clip[-faded:] *= (np.logspace(1, 0, faded) - 1) / 9
    spectrum = librosa.stft(clip, n_fft=n_fft, win_length=1024, hop_length=256, pad_mode="reflect")
    pixels = torch.from_numpy(np.log(np.abs(spectrum[1:]) + 1e-10)).float()
    return nn.functional.interpolate(pixels[None, None], (299, 299))


class Yardstick(nn.Module):
    """System C's Inception."""

    def __init__(self) -> None:
        super().__init__()
        conv = blocks.BasicConv2d
        self.Conv2d_1a_3x3 = conv(1, 32, kernel_size=3, stride=2, padding=1)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3, padding=1)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.Mixed_5b = blocks.InceptionA(192, pool_features=32)
        self.Mixed_5c = blocks.InceptionA(256, pool_features=64)
        self.Mixed_5d = blocks.InceptionA(288, pool_features=64)
        self.Mixed_6a = blocks.InceptionB(288)
        self.Mixed_6b = blocks.InceptionC(768, channels_7x7=128)
        self.Mixed_6c = blocks.InceptionC(768, channels_7x7=160)
        self.Mixed_6d = blocks.InceptionC(768, channels_7x7=160)
        self.Mixed_6e = blocks.InceptionC(768, channels_7x7=192)
        self.Mixed_7a = blocks.InceptionD(768)
        self.Mixed_7b = blocks.InceptionE_1(1280)
        self.Mixed_7c = blocks.InceptionE_1(2048)
        self.fc = nn.Linear(2048, NUM_CLASSES)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features and logits."""
        halve = nn.MaxPool2d(3, stride=2)
        parts: list[Callable[[Tensor], Tensor]] = list(self.children())[:-1]
        found = pixels
        for part in (*parts[:3], halve, *parts[3:5], halve, *parts[5:]):
            found = part(found)
        features = found.mean((2, 3))
        return features, self.fc(features)


class CountingPadding:
    """torch.nn.functional with means that count the padding, as torchvision's do."""

    def __getattr__(self, name: str) -> Callable[..., Tensor]:
        return getattr(nn.functional, name)

    def avg_pool2d(self, *given: Tensor, **options: int) -> Tensor:
        """Without `count_include_pad`."""
        return nn.functional.avg_pool2d(*given, **(options | {"count_include_pad": True}))


def inception() -> dict[str, list[float]]:
    """What drawn weights make of the picture."""
    blocks.F = CountingPadding()
    network = Yardstick().eval()
    network.load_state_dict(drawn(shapes_of(network)), strict=False)
    with torch.no_grad():
        features, logits = network(picture(2048))
    return {"features": features[0, ::64].tolist(), "logits": logits[0].tolist()}


def main() -> None:
    """Writes embedders.json beside this file."""
    goldens = {
        "librosa": librosa.__version__,
        "torch-fidelity": importlib.metadata.version("torch-fidelity"),
        "panns": {"32000": panns(32_000, 1024, 320, 14_000.0), "16000": panns(16_000, 512, 160, 8_000.0)},
        "picture": {
            str(n_fft): picture(n_fft)[0, 0, ::37, ::37].double().round(decimals=5).tolist()
            for n_fft in (1024, 2048)
        },
        "inception": inception(),
    }
    Path(__file__).with_name("embedders.json").write_text(json.dumps(goldens) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
