"""The representations by name. To add one: write it, add a line here, and every test of the catalog runs on it."""

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from retimbre.core.config import build, dump
from retimbre.core.errors import ConfigError, near_miss
from retimbre.representation.aliases import resolve
from retimbre.representation.base import Representation
from retimbre.representation.constantq import Cqt, Nsgt
from retimbre.representation.coordinates import (
    Cartesian,
    Compressed,
    Coordinates,
    InstantaneousFrequency,
    Polar,
)
from retimbre.representation.lapped import Mdct, Pqmf
from retimbre.representation.learned_basis import LearnedBasis
from retimbre.representation.magnitudes import Magnitude
from retimbre.representation.mel import Mel, Mfcc
from retimbre.representation.ragged import RaggedNsgt
from retimbre.representation.spectral import Spectral
from retimbre.representation.steps import DecibelSpectrogram, LogMel, Waveform
from retimbre.representation.warped import MelWarped
from retimbre.representation.wavelet_cqt import WaveletCqt

# The short-time transforms of two earlier programs, exactly: librosa's, centred, with mirrored ends and without DC; and
# TensorFlow's, which pads the end with silence, without the Nyquist bin. Clips of 16,383 samples give 512 x 64 cells in
# the first, clips of 16,384 samples 256 x 128 in the second.
_SONY2020 = Spectral(n_fft=1024, hop_length=256, pad_mode="reflect", edges="no-dc")
_INTERNS2020 = Spectral(n_fft=512, hop_length=128, window="hamming", center=False, edges="no-nyquist")

REPRESENTATIONS: dict[str, Representation] = {
    "waveform": Waveform(),
    "stft": Spectral(),
    "stft-compressed": Spectral(coordinates=Compressed()),
    "mag-phase": Spectral(coordinates=Polar()),
    "mag-if": Spectral(coordinates=InstantaneousFrequency()),
    "mag-if-gated": Spectral(coordinates=InstantaneousFrequency(gate_db=-43.4)),
    "sony2020-stft": _SONY2020,
    "sony2020-mag-phase": dataclasses.replace(_SONY2020, coordinates=Polar(1e-10, radians=True)),
    "sony2020-mag-if": dataclasses.replace(_SONY2020, coordinates=InstantaneousFrequency(1e-10)),
    "interns2020-stft": _INTERNS2020,
    "interns2020-mag-phase": dataclasses.replace(_INTERNS2020, coordinates=Polar(radians=True)),
    "interns2020-mag-if": dataclasses.replace(_INTERNS2020, coordinates=InstantaneousFrequency(radians=True)),
    "mag": Magnitude(),
    "mel": Mel(),
    "mfcc": Mfcc(),
    "interns2020-mag": Magnitude(
        512, 128, "hamming", center=False, edges="no-nyquist", phase="griffin-lim", iterations=16
    ),
    "sony2020-mel": Mel(pad_mode="reflect", log=False, phase="griffin-lim", iterations=100),
    "sony2020-mfcc": Mfcc(pad_mode="reflect", phase="griffin-lim", iterations=100),
    "db-spectrogram": DecibelSpectrogram(),
    "db-spectrogram-trainable": DecibelSpectrogram(trainable=True),
    "log-mel": LogMel(),
    "mel-stft": MelWarped(),
    "mel-if": MelWarped(n_fft=2048, hop_length=512, n_mels=1024, coordinates=InstantaneousFrequency()),
    "interns2020-mel-stft": MelWarped(
        n_fft=512, hop_length=128, window="hamming", center=False, n_mels=256, bands="tensorflow"
    ),
    "nsgt": Nsgt(),
    "nsgt-mag-phase": Nsgt(coordinates=Polar()),
    "nsgt-mag-if": Nsgt(coordinates=InstantaneousFrequency()),
    "nsgt-ragged": RaggedNsgt(),
    "cqt": Cqt(),
    "cqt-mag-if": Cqt(coordinates=InstantaneousFrequency()),
    "erb": Nsgt(spacing="erb", bins=64, convention="tight"),
    "sony2020-cqt": WaveletCqt(coordinates=InstantaneousFrequency(1e-10)),
    "sony2020-cq-nsgt": Nsgt(convention="nsgt", mirrored=True, coordinates=InstantaneousFrequency(1e-10)),
    "mdct": Mdct(),
    "pqmf": Pqmf(),
    "learned-basis": LearnedBasis(),
}

# What the setting `coordinates.kind` of an entry takes.
COORDINATES: dict[str, type[Coordinates]] = {
    "cartesian": Cartesian,
    "compressed": Compressed,
    "polar": Polar,
    "instantaneous-frequency": InstantaneousFrequency,
}


Configured = TypeVar("Configured")


def representation(
    name: str, sample_rate: int, settings: Mapping[str, Any] = MappingProxyType({})
) -> Representation:
    """The representation of that name, for audio at that sample rate in Hz.

    Args:
        name: In the catalog, or an earlier spelling (`aliases.ALIASES`), which warns.
        sample_rate: Of the audio it will be given.
        settings: Fields that differ from the entry's, as a table of a run file. `coordinates` is a table in turn, whose
            `kind`, a name in `COORDINATES`, takes other coordinates than the entry's, with their own defaults.

    Raises:
        ConfigError: There is none of that name, it has no such setting, or the settings make no sense.
    """
    name = resolve(name)
    if name not in REPRESENTATIONS:
        raise ConfigError(f"there is no representation {name!r}; {near_miss(name, REPRESENTATIONS)}")
    entry = REPRESENTATIONS[name]
    if not settings:
        return entry.at_rate(sample_rate)
    if not isinstance(settings, Mapping):
        raise ConfigError(f"[{name}] should be a table of settings, not {settings!r}")
    # All at once: an entry's own notes may not fit a rate at which those that are asked for do.
    return _with_settings(entry, entry.rate_settings(sample_rate) | dict(settings), name)


def settings_of(entry: Representation) -> dict[str, str]:
    """Every setting of a representation with its value, to be read; those of the coordinates as `coordinates.floor`."""
    return dict(_named_values(entry, ""))


def _named_values(thing: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(thing, Coordinates):
        yield f"{prefix}kind", next(kind for kind, known in COORDINATES.items() if type(thing) is known)
    for field in dataclasses.fields(thing):  # pyright: ignore[reportArgumentType]
        value = getattr(thing, field.name)
        if dataclasses.is_dataclass(value):
            yield from _named_values(value, f"{prefix}{field.name}.")
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            yield prefix + field.name, text.lower() if isinstance(value, bool) else text


def _with_settings(thing: Configured, settings: Any, where: str) -> Configured:
    """A copy of a dataclass with some fields replaced, each checked against its type."""
    if not settings:
        return thing
    if not isinstance(settings, Mapping):
        raise ConfigError(f"[{where}] should be a table of settings, not {settings!r}")
    if isinstance(thing, Coordinates):
        thing, settings = _of_kind(thing, settings, where)
    fields = [field.name for field in dataclasses.fields(thing)]  # pyright: ignore[reportArgumentType]
    inner = {name: getattr(thing, name) for name in fields if dataclasses.is_dataclass(getattr(thing, name))}
    plain = {name: value for name, value in settings.items() if name not in inner}
    table = {name: value for name, value in dump(thing).items() if name not in inner}
    checked = build(type(thing), table | plain, where)
    values = {name: getattr(checked, name) for name in plain}
    values |= {
        name: _with_settings(inner[name], settings[name], f"{where}.{name}")
        for name in inner
        if name in settings
    }
    return dataclasses.replace(thing, **values)  # pyright: ignore[reportArgumentType]


def _of_kind(own: Any, settings: Mapping[str, Any], where: str) -> tuple[Any, Mapping[str, Any]]:
    """The coordinates that the setting `kind` asks for, and the other settings.

    Those of the entry itself if they are of that kind or none is asked for; else with the defaults of the kind.
    """
    others = dict(settings)
    chosen = type(own)
    if "kind" in others:
        kind = others.pop("kind")
        if not isinstance(kind, str) or kind not in COORDINATES:
            raise ConfigError(f"[{where}] has no kind {kind!r}; {near_miss(str(kind), COORDINATES)}")
        chosen = COORDINATES[kind]
    known = ["kind", *(field.name for field in dataclasses.fields(chosen))]  # pyright: ignore[reportArgumentType]
    for name in others:
        if name not in known:
            raise ConfigError(f"[{where}] has no option {name!r}; {near_miss(str(name), known)}")
    return (own if type(own) is chosen else chosen()), others
