"""A sound to a file of features: every front end, tried on a sound of one's own. `decode` is the way back.

A long sound is cut into segments of equal length, at most half a minute each, and every segment is encoded as a clip
of its own; so an hour takes no more memory than half a minute. Where decoding is exact the segments follow one another
without overlap, and the sound comes back sample for sample up to rounding. Where it is an estimate they share half a
second, over which one is faded into the next, since two estimates need not agree at a cut.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

import retimbre
from retimbre.core.config import apply_overrides
from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.dsp.audiostream import SoundStream, open_stream
from retimbre.representation.aliases import resolve
from retimbre.representation.base import Representation
from retimbre.representation.standardized import Statistics
from retimbre.training.devices import pick_device
from retimbre.workflows.feature_file import (
    Advance,
    Cuts,
    Header,
    check_target,
    configured,
    equal_cuts,
    write_features,
)

LONGEST_SEGMENT_S = 30.0
# Two frames of 60 ms, in which estimated phases settle, and as much again for the fade; generously rounded up.
OVERLAP_S = 0.5
# A round trip without any error at all is reported as this.
HIGHEST_SNR_DB = 400.0


@final
@dataclasses.dataclass(frozen=True)
class EncodeOptions:
    """How a sound is encoded.

    Attributes:
        settings: Texts such as `n_fft=2048`, set over the catalog's entry.
        sample_rate: In Hz; None for the file's own.
        statistics: A file of statistics to standardise the features with; None for none.
        device: `auto`, `cpu` or `cuda`.
    """

    settings: Sequence[str] = ()
    sample_rate: int | None = None
    statistics: Path | None = None
    device: str = "auto"


@final
@dataclasses.dataclass(frozen=True)
class Encoded:
    """What was encoded.

    Attributes:
        header: What the file says of itself.
        shape: Of the features: segments, channels, and what the representation has.
        exact: Whether decoding undoes this.
        invertible: Whether it can be decoded at all.
        snr_db: Of the sound decoded again, where that is exact; None where it is not, and for silence.
        remarks: What a listener should know, one clause each.
    """

    header: Header
    shape: tuple[int, ...]
    exact: bool
    invertible: bool
    snr_db: float | None
    remarks: tuple[str, ...]


def encode(
    sound: str | Path,
    representation: str,
    out: str | Path,
    options: EncodeOptions | None = None,
    *,
    force: bool = False,
    advance: Advance = lambda seconds: None,
) -> Encoded:
    """Encodes a sound file.

    Args:
        sound: Any sound file; several channels are mixed to one.
        representation: A name in the catalog.
        out: The `.npz` file to write.
        options: Settings, rate, statistics and device.
        force: Whether a file that is there is overwritten.
        advance: Told the seconds of sound done since the last call.

    Raises:
        AudioError: The sound cannot be used.
        ConfigError: The representation is unknown, a setting is wrong, or `out` is no `.npz` file.
        ExistsError: The file is there.
    """
    options, out, name = options or EncodeOptions(), Path(out), resolve(representation)
    check_target(out, (".npz",), force=force)
    if options.sample_rate is not None and options.sample_rate < 1:
        raise ConfigError(f"the sample rate is {options.sample_rate} Hz, but takes a positive number")
    settings = apply_overrides({}, options.settings)
    rate = options.sample_rate or audiofile.probe(sound).sample_rate
    statistics = _content(options.statistics)
    chosen = configured(name, rate, settings, statistics)
    stream = open_stream(sound, sample_rate=rate)
    header = Header(
        representation=name,
        settings=settings,
        identity=chosen.identity(),
        sample_rate=rate,
        cuts=_cuts(stream, chosen),
        versions={"retimbre": retimbre.__version__, "torch": str(torch.__version__)},
    )
    trip = _RoundTrip(chosen, pick_device(options.device))
    shape = write_features(out, header, trip.features(stream, header.cuts, advance), statistics)
    remarks = (*_channels(stream), *stream.remarks, *trip.remarks)
    return Encoded(header, shape, chosen.exact, chosen.invertible, trip.snr_db, remarks)


@final
class _RoundTrip:
    """Encodes segments and, where it is exact, decodes each again to see how exact it was."""

    def __init__(self, chosen: Representation, device: torch.device) -> None:
        self._chosen, self._device = chosen, device
        self._signal, self._error = 0.0, 0.0

    def features(
        self, stream: SoundStream, cuts: Cuts, advance: Advance
    ) -> Iterator[Float[Tensor, "1 channels ..."]]:
        """The features of each segment."""
        for segment in stream.segments(cuts.length, cuts.step):
            audio = segment[None].to(self._device)
            with torch.no_grad():
                features = self._chosen.encode(audio)
                self._compare(audio, features)
            advance(cuts.step / stream.sample_rate)
            yield features

    def _compare(self, audio: Float[Tensor, "1 samples"], features: Float[Tensor, "1 channels ..."]) -> None:
        self._signal += float(audio.double().square().sum())
        if self._chosen.exact:
            again = self._chosen.decode(features, num_samples=audio.shape[-1])
            self._error += float((again.double() - audio.double()).square().sum())

    @property
    def snr_db(self) -> float | None:
        """Energy of the sound over that of the error, in decibels."""
        if not self._chosen.exact or self._signal == 0.0:
            return None
        if self._error == 0.0:
            return HIGHEST_SNR_DB
        return min(HIGHEST_SNR_DB, 10.0 * math.log10(self._signal / self._error))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What became known on the way."""
        return ("it is silent",) if self._signal == 0.0 else ()


def _cuts(stream: SoundStream, chosen: Representation) -> Cuts:
    estimated = chosen.invertible and not chosen.exact
    overlap = round(OVERLAP_S * stream.sample_rate) if estimated else 0
    return equal_cuts(stream.num_samples, round(LONGEST_SEGMENT_S * stream.sample_rate), overlap)


def _content(statistics: Path | None) -> bytes:
    """The bytes of a file of statistics, once it is known to be one; none without."""
    if statistics is None:
        return b""
    Statistics.load(statistics)
    return statistics.read_bytes()


def _channels(stream: SoundStream) -> tuple[str, ...]:
    channels = stream.found.info.channels
    return () if channels == 1 else (f"its {channels} channels were made one",)
