"""The earlier spellings of representations, understood with a warning.

The program of Nistal, Lattner and Richard named its transforms in a JSON table `transformConfig`, in code one way and
in its README another (`specgrams` with `ifreq` is what the README calls `mag-if`), and had names of its own for the
settings (`fft_size`, `hop_size`). Where a spelling is not one of ours, it stands for the entry of the catalog with
that program's exact settings; `translate_transform` reads a whole table.

References:
    https://github.com/SonyCSLParis/Comparing-Representations-for-Audio-Synthesis-using-GANs
"""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from retimbre.core.errors import ConfigError, near_miss

# Spelling: entry of the catalog. `specgrams` without `ifreq` kept the phase as it was.
ALIASES = {
    "complex": "sony2020-stft",
    "specgrams": "sony2020-mag-phase",
    "mag_phase": "sony2020-mag-phase",
    "mag_if": "sony2020-mag-if",
    "cq_nsgt": "sony2020-cq-nsgt",
    "cq-nsgt": "sony2020-cq-nsgt",
}

# What a table may call its transform, and the entry that computes it.
TRANSFORMS = ALIASES | {
    "waveform": "waveform",
    "stft": "sony2020-stft",
    "mag-phase": "sony2020-mag-phase",
    "mag-if": "sony2020-mag-if",
    "mel": "sony2020-mel",
    "mfcc": "sony2020-mfcc",
    "cqt": "sony2020-cqt",
}

# Options of a table by our name for the setting; those of one kind of transform only count for that one.
SETTINGS = {"fft_size": "n_fft", "win_size": "win_length", "hop_size": "hop_length"}
_SPECTRAL = {"sony2020-stft", "sony2020-mag-phase", "sony2020-mag-if"}
_IFREQ = {"specgrams": "sony2020-mag-if"}
_AUDIO = ("sample_rate", "audio_length", "n_frames", "fade_out", "normalization")


class AliasWarning(UserWarning):
    """A spelling of an earlier program was understood; the message says what to write instead."""


@dataclasses.dataclass(frozen=True)
class Transform:
    """What a `transformConfig` asks for.

    Attributes:
        name: An entry of the catalog.
        settings: Its settings where they are not the entry's own.
        sample_rate: In Hz.
        num_samples: Length of the clips; with `n_frames`, that many frames exactly.
        fade_out: Whether clips are faded out.
    """

    name: str
    settings: dict[str, Any]
    sample_rate: int
    num_samples: int
    fade_out: bool


def resolve(name: str) -> str:
    """The catalog's name for a spelling; one that is no alias is returned as it is.

    Warns:
        AliasWarning: Says what the catalog calls it.
    """
    if name not in ALIASES:
        return name
    warnings.warn(
        f"{name!r} is the earlier program's name for the representation {ALIASES[name]!r}",
        AliasWarning,
        stacklevel=3,
    )
    return ALIASES[name]


def translate_transform(table: Mapping[str, Any]) -> Transform:
    """The entry, its settings and the clips that a `transformConfig` of the earlier program means.

    Its options `log` and `log_mag` are passed over: magnitudes were always logarithmic in its README's examples.

    Raises:
        ConfigError: The transform or an option is unknown.
    """
    spelled = table.get("transform", "waveform")
    if spelled not in TRANSFORMS:
        raise ConfigError(
            f"[transformConfig] has no transform {spelled!r}; {near_miss(str(spelled), TRANSFORMS)}"
        )
    known = {"transform", "log", "log_mag", "ifreq", "rm_dc", *SETTINGS, *_AUDIO}
    for option in table:
        if option not in known:
            raise ConfigError(f"[transformConfig] has no option {option!r}; {near_miss(option, known)}")
    name = _IFREQ.get(spelled, TRANSFORMS[spelled]) if table.get("ifreq") else TRANSFORMS[spelled]
    settings = {ours: table[theirs] for theirs, ours in SETTINGS.items() if theirs in table}
    if not table.get("rm_dc", True):
        settings["edges"] = "both"
    num_samples = table.get("audio_length", 16_000)
    if "n_frames" in table:
        # One sample less than so many hops: then so many centred frames, and no more.
        num_samples = table["n_frames"] * table.get("hop_size", 256) - 1
    return Transform(
        name,
        settings if name in _SPECTRAL else {},
        table.get("sample_rate", 16_000),
        num_samples,
        bool(table.get("fade_out", False)),
    )
