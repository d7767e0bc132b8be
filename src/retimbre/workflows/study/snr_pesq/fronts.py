"""What the study compares, by name.

    waveform             the samples: one channel, the noise is heard as it is
    waveform@8           the mean of 8 noisy copies, as a transform with 8 frames over each sample would make of them
    FAMILY@512-128       a linear spectrum of `spectra.py` with 512 points and a hop of 128 samples
    FAMILY@all           that family with each of the five settings
    NAME                 an entry of the catalog of representations, with its own settings

The families are `stft`, `mel-stft`, `mag`, `mel-mag`, `mag-phase` and `mag-if`. The settings count in samples, so that
at 8 kHz they last twice as long as at 16 kHz.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import final

import torch

from retimbre.core.errors import ConfigError, near_miss
from retimbre.dsp.stft import StftSettings
from retimbre.representation.aliases import resolve
from retimbre.representation.base import Representation
from retimbre.representation.catalog import REPRESENTATIONS, representation
from retimbre.workflows.study.snr_pesq.spectra import CHANNELS, Coordinates, LinearSpectrum

SETTINGS: dict[str, StftSettings] = {
    f"{n_fft}-{hop}": StftSettings(n_fft, hop, window="hamming")
    for n_fft, hop in ((512, 64), (512, 128), (512, 256), (256, 128), (1024, 128))
}
"""The transforms of the study: points and hop in samples."""

MIDDLE_SETTING = "512-128"
"""The setting that stands for the others where there is no room for all."""

FAMILIES: dict[str, tuple[Coordinates, bool]] = {
    "stft": ("complex", False),
    "mel-stft": ("complex", True),
    "mag": ("magnitude", False),
    "mel-mag": ("magnitude", True),
    "mag-phase": ("phase", False),
    "mag-if": ("frequency", False),
}
"""By family: the coordinates, and whether bins are gathered in mel bands."""

WAVEFORM = "waveform"

# What the channels of catalog entries hold; an entry that is not named here has its channels numbered.
_ENTRY_CHANNELS = {
    "waveform": ("samples",),
    "stft": CHANNELS["complex"],
    "stft-compressed": CHANNELS["complex"],
    "mag": CHANNELS["magnitude"],
    "mag-phase": CHANNELS["phase"],
    "mag-if": CHANNELS["frequency"],
    "mag-if-gated": CHANNELS["frequency"],
    "mdct": ("coefficients",),
    "nsgt": CHANNELS["complex"],
}

OURS = ("stft-compressed", "mag-phase", "mag", "mag-if-gated", "mdct", "nsgt")
"""The catalog's entries that the study compares where nothing else is asked for."""


@final
@dataclasses.dataclass(frozen=True)
class Front:
    """One representation of the study.

    Attributes:
        family: What stands before the `@`, or the name of a catalog entry.
        setting: What stands behind it; empty for a catalog entry.
    """

    family: str
    setting: str = ""

    @property
    def name(self) -> str:
        """As it is asked for."""
        return f"{self.family}@{self.setting}" if self.setting else self.family

    @property
    def averages(self) -> int:
        """How many noisy copies the mean is taken of."""
        return int(self.setting) if self.family == WAVEFORM and self.setting else 1

    @property
    def in_catalog(self) -> bool:
        """Whether it is an entry of the catalog of representations, the waveform apart."""
        return not self.setting and self.family != WAVEFORM

    def transform(self, sample_rate: int) -> Representation:
        """The representation itself, for audio at that rate in Hz."""
        if self.family == WAVEFORM or not self.setting:
            return representation(self.family, sample_rate)
        coordinates, mel = FAMILIES[self.family]
        return LinearSpectrum(SETTINGS[self.setting], coordinates, mel, sample_rate)

    def channels(self, sample_rate: int) -> tuple[str, ...]:
        """What each channel holds."""
        if self.setting and self.family in FAMILIES:
            return CHANNELS[FAMILIES[self.family][0]]
        count = _num_channels(self.family, sample_rate)
        names = _ENTRY_CHANNELS.get(self.family, ())
        return names if len(names) == count else tuple(str(index + 1) for index in range(count))


@functools.lru_cache(maxsize=64)
def _num_channels(name: str, sample_rate: int) -> int:
    """Channels of a catalog entry, found out by encoding a second of silence."""
    return representation(name, sample_rate).encode(torch.zeros(1, sample_rate)).shape[1]


def fronts(names: Sequence[str]) -> list[Front]:
    """The representations of that name, each once; without names all of the study.

    Raises:
        ConfigError: No such representation, or one that cannot be turned back into sound.
    """
    names = names or (WAVEFORM, *_averaged_names(), *(f"{family}@all" for family in FAMILIES), *_ours())
    return list(dict.fromkeys(front for name in names for front in _named(name)))


def few_fronts() -> list[Front]:
    """The same with one setting instead of five, for a quick look."""
    overlap = SETTINGS[MIDDLE_SETTING].n_fft // SETTINGS[MIDDLE_SETTING].hop_length
    few = [f"{family}@{MIDDLE_SETTING}" for family in FAMILIES]
    return fronts([WAVEFORM, f"{WAVEFORM}@{overlap}", *few, *_ours()])


def overlap_of(setting: str) -> int:
    """Over how many frames each sample is spread."""
    return SETTINGS[setting].n_fft // SETTINGS[setting].hop_length


def _averaged_names() -> list[str]:
    return [f"{WAVEFORM}@{overlap}" for overlap in sorted({overlap_of(setting) for setting in SETTINGS})]


def _ours() -> list[str]:
    return [name for name in OURS if name in REPRESENTATIONS]


def _named(name: str) -> list[Front]:
    family, at, setting = name.partition("@")
    if not at:
        return [_entry(name)]
    if family == WAVEFORM and setting.isdecimal() and int(setting) > 0:
        return [Front(WAVEFORM, str(int(setting)))]
    if family not in FAMILIES:
        raise ConfigError(f"there is no family {family!r} of spectra; {near_miss(family, FAMILIES)}")
    if setting != "all" and setting not in SETTINGS:
        known = near_miss(setting, [*SETTINGS, "all"])
        raise ConfigError(f"{name!r}: there is no setting {setting!r}; {known}")
    return [Front(family, each) for each in (SETTINGS if setting == "all" else [setting])]


def _entry(name: str) -> Front:
    name = resolve(name)
    if name not in REPRESENTATIONS:
        hint = f"; with a setting it is {name}@{MIDDLE_SETTING} or {name}@all" if name in FAMILIES else ""
        raise ConfigError(f"there is no representation {name!r}; {near_miss(name, REPRESENTATIONS)}{hint}")
    if not REPRESENTATIONS[name].invertible:
        raise ConfigError(f"the representation {name!r} cannot be turned back into sound")
    return Front(name)
