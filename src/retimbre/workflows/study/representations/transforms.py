"""What the contestants generate: the representations of the comparison, each with settings for short and long clips.

A network that generates sound may generate samples, spectra in several coordinates, mel or constant-Q bands. Which of
them it learns best is the question of the study, so settings are chosen for the answers to be about representations
and not about numbers that happened to be given to one of them. All short-time transforms have the same frames. The
constant-Q ones have bins of their own, an octave evenly divided; their frames follow from the widest band. And every
bin of every representation is scaled by its own mean and deviation over the training clips, without cutting anything
off: a network then sees values of one size whatever they stand for. System C, whose comparison this repeats, scaled
nothing.

Not scaled are samples, which have one size by nature.

References:
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

from retimbre.core.errors import ConfigError, near_miss

Size = Literal["short", "long"]
"""Of clips: 4,096 or 16,384 samples at 16 kHz."""

Settings = Mapping[str, Any]

# Frames begin at the first sample, so that clips of a power of two have frames of a power of two; a Hamming window does
# not lose the first samples, and a packed spectrum has a power of two of bins and is exact.
_SHORT_FRAMES: Settings = {"hop_length": 128, "window": "hamming", "center": False}
_LONG_FRAMES: Settings = {"hop_length": 256, "window": "hamming", "center": False}
_SHORT_STFT: Settings = {"n_fft": 256, "edges": "packed", **_SHORT_FRAMES}
_LONG_STFT: Settings = {"n_fft": 1024, "edges": "packed", **_LONG_FRAMES}


@final
@dataclasses.dataclass(frozen=True)
class Transform:
    """A representation of the comparison.

    Attributes:
        name: In the catalog of representations.
        short: Settings for short clips; what is not named is the catalog's.
        long: The same for long clips.
        scaled: Whether bins are scaled by their statistics.
    """

    name: str
    short: Settings = dataclasses.field(default_factory=dict)
    long: Settings = dataclasses.field(default_factory=dict)
    scaled: bool = True

    def task(self, size: Size) -> dict[str, Any]:
        """The part of a run file's [task] that says what is generated."""
        return {
            "representation": self.name,
            "settings": dict(self.short if size == "short" else self.long),
            "standardize": "bin" if self.scaled else "",
            "clip": False,
        }


def _spectral(name: str) -> Transform:
    return Transform(name, _SHORT_STFT, _LONG_STFT)


_ALL = (
    Transform("waveform", scaled=False),
    _spectral("stft"),
    _spectral("mag-phase"),
    _spectral("mag-if"),
    _spectral("mag-if-gated"),
    Transform(
        "mel", {"n_fft": 512, "n_mels": 64, **_SHORT_FRAMES}, {"n_fft": 1024, "n_mels": 128, **_LONG_FRAMES}
    ),
    Transform(
        "mfcc",
        {"n_fft": 512, "n_mels": 64, "n_mfcc": 20, **_SHORT_FRAMES},
        {"n_fft": 1024, "n_mels": 128, "n_mfcc": 20, **_LONG_FRAMES},
    ),
    Transform(
        "cqt-mag-if",
        {"bins": 124, "bins_per_octave": 24, "f_min_hz": 208.0, "frames": 128},
        {"bins": 187, "bins_per_octave": 24, "frames": 512},
    ),
    Transform(
        "nsgt-mag-if",
        {"bins": 127, "f_min_hz": 200.0, "frames": 128},
        {"bins": 191, "f_min_hz": 30.0, "frames": 512},
    ),
)

TRANSFORMS: dict[str, Transform] = {each.name: each for each in _ALL}
"""In the order of the tables."""


def chosen_transforms(names: Sequence[str]) -> list[Transform]:
    """The representations of these names, each once; all of the study for none.

    Raises:
        ConfigError: One is not part of the study.
    """
    for name in names:
        if name not in TRANSFORMS:
            raise ConfigError(f"the study has no representation {name!r}; {near_miss(name, TRANSFORMS)}")
    return [TRANSFORMS[name] for name in dict.fromkeys(names or TRANSFORMS)]
