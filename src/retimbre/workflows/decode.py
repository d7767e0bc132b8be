"""A file of features to a sound: what `encode` wrote, or a network that keeps to its layout.

The segments of a long sound are decoded one by one and written as they come. Where two share samples, which they do if
decoding is an estimate, one is faded into the next.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, DatasetError
from retimbre.dsp import audiofile
from retimbre.representation.aliases import resolve
from retimbre.representation.base import Representation
from retimbre.training.devices import pick_device
from retimbre.workflows.feature_file import (
    Advance,
    Cuts,
    FeatureFile,
    Header,
    check_target,
    configured,
    open_features,
)

# Of what two segments have in common, how much one takes to fade into the other.
_FADE_SHARE = 0.125


@final
@dataclasses.dataclass(frozen=True)
class Decoded:
    """What was decoded.

    Attributes:
        header: What the features say of themselves.
        peak: Largest absolute sample of the sound.
    """

    header: Header
    peak: float

    @property
    def seconds(self) -> float:
        """Duration of the sound."""
        return self.header.cuts.num_samples / self.header.sample_rate


def decode(
    features: str | Path,
    out: str | Path,
    *,
    representation: str = "",
    device: str = "auto",
    force: bool = False,
    advance: Advance = lambda seconds: None,
) -> Decoded:
    """Turns a file of features back into a sound.

    Args:
        features: What `encode` wrote, or a program that keeps to its layout.
        out: The `.wav` (float32) or `.flac` file to write.
        representation: The name that the features must be of; empty for whichever.
        device: `auto`, `cpu` or `cuda`.
        force: Whether a file that is there is overwritten.
        advance: Told the seconds of sound done since the last call.

    Raises:
        DatasetError: The file is missing, foreign, damaged, or of another representation than asked for.
        UserError: The representation cannot be decoded.
        AudioError: The sound is louder than `.flac` can hold.
        ExistsError: The file is there.
    """
    out = Path(out)
    check_target(out, (".wav", ".flac"), force=force)
    file = open_features(Path(features))
    chosen = _representation_of(file, representation)
    where, peak = pick_device(device), _Peak()
    pieces = (
        peak.of(piece, out) for piece in _joined(_decoded(file, chosen, where, advance), file.header.cuts)
    )
    audiofile.write_pieces(out, pieces, file.header.sample_rate)
    return Decoded(file.header, peak.value)


def _representation_of(file: FeatureFile, wanted: str) -> Representation:
    """The representation that a file's features are of, as it was when they were made."""
    header = file.header
    name = header.representation
    if wanted and resolve(wanted) != name:
        raise DatasetError(f"{file.path}: holds {name!r}, not {wanted!r}")
    chosen = configured(name, header.sample_rate, header.settings, file.statistics)
    if chosen.identity() != header.identity:
        raise DatasetError(
            f"{file.path}: {name!r} was {header.identity} when this was written and is {chosen.identity()} now"
        )
    if chosen.invertible:
        expected = tuple(chosen.encode(torch.zeros(1, header.cuts.length)).shape[1:])
        if expected != file.shape[1:]:
            raise DatasetError(
                f"{file.path}: segments of shape {file.shape[1:]}, but those of {name!r} have {expected}"
            )
    return chosen


def _decoded(
    file: FeatureFile, chosen: Representation, device: torch.device, advance: Advance
) -> Iterator[Float[Tensor, " length"]]:
    cuts = file.header.cuts
    for features in file.segments():
        with torch.no_grad():
            audio = chosen.decode(features.to(device), num_samples=cuts.length)
        advance(cuts.step / file.header.sample_rate)
        yield audio[0].cpu()


def _joined(segments: Iterator[Float[Tensor, " length"]], cuts: Cuts) -> Iterator[Float[Tensor, " samples"]]:
    """Segments as one sound, each faded into the next where they overlap."""
    left, overlap = cuts.num_samples, cuts.overlap
    fade, tail = _fade(overlap), torch.zeros(0)
    for index, segment in enumerate(segments):
        if index and overlap:
            # A spectrogram without phases does not know up from down, and opposite sounds would cancel.
            if float(tail @ segment[:overlap]) < 0.0:
                segment = -segment
            shared = tail + fade * (segment[:overlap] - tail)
            segment = torch.cat([shared, segment[overlap:]])
        tail = segment[cuts.step :]
        last = index == cuts.num_segments - 1
        piece = segment[:left] if last else segment[: cuts.step]
        left -= len(piece)
        yield piece


def _fade(overlap: int) -> Float[Tensor, " overlap"]:
    """The share of the later segment in the samples that two have in common: 0, rising in the middle, then 1.

    The ends of a segment, where fewest frames agree on the phase, are not used. The rise is short, since partials whose
    phases differ cancel for as long as it lasts.
    """
    position = (torch.arange(overlap) + 0.5) / max(1, overlap)
    rise = ((position - 0.5) / _FADE_SHARE + 0.5).clamp(0.0, 1.0)
    return torch.sin(math.pi / 2 * rise).square()


@final
class _Peak:
    """The largest sample so far; refuses what the file's format cannot hold."""

    def __init__(self) -> None:
        self.value = 0.0

    def of(self, piece: Float[Tensor, " samples"], out: Path) -> Float[Tensor, " samples"]:
        """The piece, once its peak is noted."""
        peak = float(piece.abs().max())
        if not math.isfinite(peak):
            raise AudioError(f"{out}: decoding these features gives samples that are NaN or infinite")
        if peak > 1 and out.suffix.lower() == ".flac":
            raise AudioError(
                f"{out}: the peak is {peak:.3g}, which FLAC cannot hold; write a .wav, which can"
            )
        self.value = max(self.value, peak)
        return piece
