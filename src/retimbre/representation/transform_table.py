"""The table `transformConfig` of an earlier program, as an entry of the catalog with its settings.

Nistal, Lattner and Richard's program describes a transform and the clips it is for in one JSON table. It reads every
option, uses those that its transform knows, and has defaults of its own: no instantaneous frequency unless `ifreq` is
set, and hops of half a window. `translate_transform` reads such a table as that program would. What makes no difference
there is named in a warning; what does, and cannot be had here, is refused with the reason.

Two defaults disagree in that program: without `fft_size` it transforms 1,024 points and declares the bins of 2,048.
Here it is 1,024.

References:
    https://github.com/SonyCSLParis/Comparing-Representations-for-Audio-Synthesis-using-GANs
"""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Annotated, Any, final

from pydantic import Field

from retimbre.core.config import build
from retimbre.core.errors import ConfigError, near_miss
from retimbre.representation.aliases import ALIASES, AliasWarning
from retimbre.representation.base import Representation
from retimbre.representation.catalog import representation
from retimbre.representation.mel import Mel, Mfcc
from retimbre.representation.spectral import Spectral

# What a table may call its transform, and the entry that computes it. Names with a dash are its README's, which the
# program itself refuses.
TRANSFORMS = ALIASES | {
    "waveform": "waveform",
    "stft": "sony2020-stft",
    "mag-phase": "sony2020-mag-phase",
    "mag-if": "sony2020-mag-if",
    "mel": "sony2020-mel",
    "mfcc": "sony2020-mfcc",
    "cqt": "sony2020-cqt",
}
# The scales of the `nsgt` package and what they are called here.
SCALES = {"log": "log", "oct": "octave", "mel": "mel", "lin": "linear"}

# By entry: options of its own, with our name for the setting.
_OWN = {
    "sony2020-mel": {"n_mels": "n_mels", "gl_n_iter": "iterations"},
    "sony2020-mfcc": {"n_mel": "n_mels", "n_mfcc": "n_mfcc", "gl_n_iter": "iterations"},
    "sony2020-cqt": {"n_cqt": "bins", "bins_per_octave": "bins_per_octave"},
    "sony2020-cq-nsgt": {
        "n_bins": "bins",
        "fmin": "f_min_hz",
        "fmax": "f_max_hz",
        "fold_cqt": "fold",
    },
}
# Options of the last one that need more than another name.
_GABOR = {"nsgt_scale", "real", "matrix_form", "reduced_form"}
_SPECTRAL = {"sony2020-stft", "sony2020-mag-phase", "sony2020-mag-if"}
_BANDS = {"sony2020-mel", "sony2020-mfcc"}
# Entries with a magnitude, which that program takes the logarithm of unless `log_mag` is false.
_LOGARITHMIC = {"sony2020-mag-phase", "sony2020-mag-if", "sony2020-cqt", "sony2020-cq-nsgt"}
# Of the first program's raw phases, as in `sony2020-mag-phase`.
_RAW_PHASE = {"kind": "polar", "floor": 1e-10, "radians": True}

Count = Annotated[int, Field(gt=0)]
Hertz = Annotated[float, Field(gt=0)]


@final
@dataclasses.dataclass(frozen=True)
class Transform:
    """What a `transformConfig` asks for.

    Attributes:
        name: An entry of the catalog.
        settings: Its settings, as `catalog.representation` takes them.
        sample_rate: In Hz.
        num_samples: Length of the clips; with `n_frames`, that many frames exactly. Where windows overlap by half, that
            is less than the program's length: a frame more would be needed to get the end of the clip back.
        fade_out: Whether clips are faded out.
    """

    name: str
    settings: dict[str, Any]
    sample_rate: int
    num_samples: int
    fade_out: bool


@final
@dataclasses.dataclass(frozen=True)
class _Table:
    """The options by the program's names, with its defaults; None where the entry's own setting is that default."""

    transform: str = "waveform"
    sample_rate: Count = 16_000
    audio_length: Count = 16_000
    n_frames: Count | None = None
    fft_size: Count = 1024
    win_size: Count = 1024
    hop_size: Count | None = None
    log: bool = True
    log_mag: bool = True
    ifreq: bool = False
    rm_dc: bool = True
    fade_out: bool = False
    normalization: bool = False
    n_mels: Count | None = None
    n_mel: Count | None = None
    n_mfcc: Count | None = None
    gl_n_iter: Count | None = None
    n_cqt: Count | None = None
    bins_per_octave: Count | None = None
    nsgt_scale: str | None = None
    fmin: Hertz | None = None
    fmax: Hertz | None = None
    n_bins: Count | None = None
    real: bool | None = None
    matrix_form: bool | None = None
    reduced_form: bool | None = None
    fold_cqt: bool | None = None

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return self.hop_size or self.win_size // 2


def translate_transform(table: Mapping[str, Any]) -> Transform:
    """The entry, its settings and the clips that a `transformConfig` of the earlier program means.

    Its options `log`, which that program ignores, and `normalization`, which is about sounds that are generated, are
    passed over.

    Raises:
        ConfigError: The transform or an option is unknown, has a value of another type, or asks for what there is not;
            the settings together make no transform; no clip has so few frames.

    Warns:
        AliasWarning: Says what the catalog calls the transform, and which options make no difference to it.
    """
    read = build(_Table, table, "transformConfig")
    name = _entry(read, table)
    if read.transform != name:
        warnings.warn(
            f"{read.transform!r} in [transformConfig] is the representation {name!r}",
            AliasWarning,
            stacklevel=2,
        )
    idle = _idle(name, table)
    if idle:
        message = (
            f"[transformConfig] options that make no difference to {read.transform!r}: {', '.join(idle)}"
        )
        warnings.warn(message, AliasWarning, stacklevel=2)
    _refuse_what_is_not_here(name, read, table)
    settings = _settings(name, read)
    chosen = representation(name, read.sample_rate, settings)
    return Transform(name, settings, read.sample_rate, _num_samples(read, chosen), read.fade_out)


def _entry(read: _Table, table: Mapping[str, Any]) -> str:
    """The catalog's name for the transform; `ifreq` chooses between two, and may not contradict a name."""
    if read.transform not in TRANSFORMS:
        raise ConfigError(
            f"[transformConfig] has no transform {read.transform!r}; {near_miss(read.transform, TRANSFORMS)}"
        )
    name = TRANSFORMS[read.transform]
    if read.transform == "specgrams":
        return "sony2020-mag-if" if read.ifreq else name
    turns = {"sony2020-mag-if": True, "sony2020-mag-phase": False}.get(name, read.ifreq)
    if table.get("ifreq", turns) != turns:
        raise ConfigError(
            f"[transformConfig] ifreq is {str(read.ifreq).lower()}, which {read.transform!r} contradicts"
        )
    return name


def _refuse_what_is_not_here(name: str, read: _Table, table: Mapping[str, Any]) -> None:
    if name in _LOGARITHMIC and not read.log_mag:
        raise ConfigError(f"[transformConfig] log_mag is false, but magnitudes of {name!r} are logarithmic")
    if name in _BANDS and table.get("win_size", read.fft_size) != read.fft_size:
        raise ConfigError(
            f"[transformConfig] win_size is {read.win_size} and fft_size {read.fft_size}, but windows of {name!r} have "
            "as many samples as its transform has points"
        )


def _idle(name: str, table: Mapping[str, Any]) -> list[str]:
    """Options in the table that belong to other transforms."""
    own = set(_OWN.get(name, ())) | (_GABOR if name == "sony2020-cq-nsgt" else set())
    others = _GABOR.union(*_OWN.values()) - own
    return sorted(others & set(table))


def _settings(name: str, read: _Table) -> dict[str, Any]:
    """The entry's settings that the table determines."""
    given = {ours: getattr(read, theirs) for theirs, ours in _OWN.get(name, {}).items()}
    settings = {ours: value for ours, value in given.items() if value is not None}
    if name in _SPECTRAL:
        padded = {} if read.win_size == read.fft_size else {"win_length": read.win_size}
        edges = {} if read.rm_dc else {"edges": "both"}
        return {"n_fft": read.fft_size, "hop_length": read.hop_length, **padded, **edges}
    if name in _BANDS:
        return {"n_fft": read.fft_size, "hop_length": read.hop_length, **settings}
    if name == "sony2020-cqt":
        return {"hop_length": read.hop_length, **settings, **_phases(read)}
    if name == "sony2020-cq-nsgt":
        return settings | _gabor(read) | _phases(read)
    return {}


def _num_samples(read: _Table, chosen: Representation) -> int:
    """Length of a clip; with `n_frames` a sample less than so many hops: so many centred frames, no more."""
    if not read.n_frames:
        return read.audio_length
    within = read.n_frames * read.hop_length - 1
    if isinstance(chosen, Mfcc):
        chosen = chosen.mel
    spectral = chosen.spectral if isinstance(chosen, Mel) else chosen
    if not isinstance(spectral, Spectral):
        return within
    return min(within, spectral.frame_exact_samples(read.n_frames))


def _phases(read: _Table) -> dict[str, Any]:
    # These entries have instantaneous frequencies.
    return {} if read.ifreq else {"coordinates": dict(_RAW_PHASE)}


def _gabor(read: _Table) -> dict[str, Any]:
    """What the non-stationary Gabor transform calls otherwise."""
    if read.matrix_form is False or read.reduced_form:
        raise ConfigError(
            "[transformConfig] matrix_form must be true and reduced_form false: rows of equal length"
        )
    scale = read.nsgt_scale or "log"
    if scale not in SCALES:
        raise ConfigError(f"[transformConfig] has no nsgt_scale {scale!r}; {near_miss(scale, SCALES)}")
    return {"spacing": SCALES[scale], "mirrored": not read.real}
