"""Statistics of the features of a data set: the mean and the spread that networks are given their features relative to.

Only the clips for training are measured, or what was held out would have a say in how it is judged. The clips are read,
encoded and forgotten a batch at a time, so the size of the set does not matter. `representation.standardized` says
what the statistics are for; `retimbre encode --statistics` uses the file that is written here.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.config import apply_overrides
from retimbre.core.errors import ConfigError, DatasetError
from retimbre.corpora.envelopes.on_disk import EnvelopeSet
from retimbre.data.dataset import RecordedSet, RenderedSet
from retimbre.data.manifest import read_header
from retimbre.representation.aliases import resolve
from retimbre.representation.catalog import representation as find_representation
from retimbre.representation.standardized import Per, Statistics, fit_statistics
from retimbre.training.devices import pick_device
from retimbre.workflows.feature_file import Advance, check_target

SPLIT = "train"
_OPENERS = {"rendered": RenderedSet.open, "recorded": RecordedSet.open, "procedural": EnvelopeSet.open}
# Samples that are encoded at a time: features of a dozen values per sample then take 50 MB, and float64 doubles them.
_SAMPLES_AT_ONCE = 1 << 20


@final
@dataclasses.dataclass(frozen=True)
class FitOptions:
    """How statistics are measured.

    Attributes:
        per: "bin" for one mean over all frames of a bin, "cell" for one in each frame.
        settings: Texts such as `n_fft=2048`, set over the catalog's entry.
        sample_rate: In Hz, which must be that of the set; None for whatever that is.
        device: `auto`, `cpu` or `cuda`.
    """

    per: Per = "bin"
    settings: Sequence[str] = ()
    sample_rate: int | None = None
    device: str = "auto"


@final
@dataclasses.dataclass(frozen=True)
class Fitted:
    """What was measured.

    Attributes:
        representation: Its name in the catalog.
        sample_rate: Of the set, in Hz; the statistics hold for sounds at this rate.
        statistics: What was written.
    """

    representation: str
    sample_rate: int
    statistics: Statistics


def fit_set_statistics(
    folder: str | Path,
    representation: str,
    out: str | Path,
    options: FitOptions | None = None,
    *,
    force: bool = False,
    advance: Advance = lambda clips: None,
) -> Fitted:
    """Measures the features of a data set's clips for training, and writes the statistics to a file.

    Args:
        folder: A data set made by `retimbre data`.
        representation: A name in the catalog.
        out: The `.safetensors` file to write.
        options: What is measured, and with which settings.
        force: Whether a file that is there is overwritten.
        advance: Told the number of clips done since the last call.

    Raises:
        DatasetError: The folder holds no data set, one that is damaged, or none with clips for training.
        ConfigError: The representation is unknown, a setting is wrong, the set has another sample rate, or `out` is no
            `.safetensors` file.
        ExistsError: The file is there.
    """
    options, out, name = options or FitOptions(), Path(out), resolve(representation)
    check_target(out, (".safetensors",), force=force)
    header = read_header(Path(folder))
    rate = options.sample_rate or header.sample_rate
    if rate != header.sample_rate:
        raise ConfigError(
            f"{folder} is at {header.sample_rate} Hz, not {rate} Hz; make a set at the rate the statistics are for"
        )
    chosen = find_representation(name, rate, apply_overrides({}, options.settings))
    batches = _batches(Path(folder), pick_device(options.device), advance)
    with torch.no_grad():
        statistics = fit_statistics(chosen, batches, per=options.per)
    statistics.save(out)
    return Fitted(name, rate, statistics)


def num_training_clips(folder: str | Path) -> int:
    """Clips of a set that statistics are measured on.

    Raises:
        DatasetError: The folder holds no data set, one that is damaged, or none with clips for training.
    """
    return len(_open(Path(folder)).split(SPLIT))


def _open(folder: Path) -> RenderedSet | RecordedSet | EnvelopeSet:
    kind = read_header(folder).kind
    if kind not in _OPENERS:
        raise DatasetError(f"{folder} is a {kind} data set, which holds no audio to measure")
    data = _OPENERS[kind](folder)
    if not len(data.split(SPLIT)):
        raise DatasetError(f"{folder}: its {SPLIT} split is empty; make a larger set, or hold less of it out")
    return data


def _batches(
    folder: Path, device: torch.device, advance: Advance
) -> Iterator[Float[Tensor, "clips samples"]]:
    data = _open(folder)
    for rows in data.split(SPLIT).split(max(1, _SAMPLES_AT_ONCE // data.header.num_samples)):
        yield data.shards.read(rows).to(device)
        advance(len(rows))
