"""Every measure of every set: a table of figures, and for each measure whether it can be believed here.

A row is a set (a model's sounds, real/real, an anchor); a column is a measure with what it hears through. All rows have
the same reference and, as far as there are clips, the same number of clips, since most measures depend on both. The
figures are those of the single commands (`retimbre evaluate kad`, ...), from the same functions.

A figure that cannot be had stays away with its reason: Frechet distances refuse sets smaller than their dimension, and
the reader is better served by that than by a number.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, final

from retimbre.core.errors import ConfigError
from retimbre.listening.base import FittedEmbedder
from retimbre.listening.catalog import embedder
from retimbre.workflows.evaluation.report.anchors import REAL
from retimbre.workflows.evaluation.report.expectations import judge
from retimbre.workflows.evaluation.report.variety import same_sounds, same_vectors
from retimbre.workflows.evaluation.sets.clips import Clips
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure

Row = dict[str, Any]
Advance = Callable[[], None]
"""Told of every figure that was measured."""

LISTENER = "listener"
"""The embedder that can also be asked: it brings the scores of pitch and family with it."""


@final
@dataclasses.dataclass(frozen=True)
class Reported:
    """A figure that a report gives of every set.

    Attributes:
        metric: Its name in the report.
        command: The measure that it comes from.
        key: Which of that measure's figures it is; `value` for the headline.
        label: For a reader.
        about: What it tells, in a clause.
        better: Which direction is better.
    """

    metric: str
    command: str
    key: str
    label: str
    about: str
    better: Literal["lower", "higher"]


BY_EMBEDDER: tuple[Reported, ...] = (
    Reported(
        "kad", "kad", "value", "KAD", "Kernel distance, unbiased: what ranks. 0 for equal sets.", "lower"
    ),
    Reported("fad", "fad", "value", "FAD", "Frechet distance: grows as clips get fewer.", "lower"),
    Reported(
        "fad-infinity", "fad", "infinity", "FAD∞", "Frechet distance, led on to endless clips.", "lower"
    ),
    Reported("kid", "kid", "value", "KID", "Kernel distance with a cubic kernel, unbiased.", "lower"),
    Reported(
        "imq", "imq", "value", "IMQ-MMD", "Kernel distance with a kernel that sees near things.", "lower"
    ),
    Reported("mind", "mind", "value", "MIND", "Sliced Wasserstein distance.", "lower"),
    Reported(
        "precision", "prdc", "precision", "Precision", "Share of sounds that lie among real ones.", "higher"
    ),
    Reported("recall", "prdc", "recall", "Recall", "Share of real sounds that lie among these.", "higher"),
    Reported("density", "prdc", "density", "Density", "How thickly real sounds lie around these.", "higher"),
    Reported(
        "coverage",
        "prdc",
        "coverage",
        "Coverage",
        "Share of real sounds that have one of these near.",
        "higher",
    ),
    Reported(
        "ndb", "ndb", "value", "NDB/k", "Share of kinds of sound that are too common or too rare.", "lower"
    ),
)
BY_LISTENER: tuple[Reported, ...] = (
    Reported(
        "pis",
        "pis",
        "value",
        "PIS",
        "Inception score of pitch: sure of each note, varied as a set.",
        "higher",
    ),
    Reported("iis", "iis", "value", "IIS", "Inception score of the instrument family.", "higher"),
    Reported("pkid", "pkid", "value", "PKID", "Kernel distance of what pitch is told by.", "lower"),
    Reported("ikid", "ikid", "value", "IKID", "Kernel distance of what the family is told by.", "lower"),
)
LISTENER_BLOCK = "The listener's scores"


@final
@dataclasses.dataclass(frozen=True)
class Column:
    """A measure and what it hears through."""

    reported: Reported
    embedder: str

    @property
    def of_listener(self) -> bool:
        """Whether it asks the listener instead of comparing embeddings."""
        return self.reported in BY_LISTENER


def columns_of(embedders: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a report; the scores of the listener are part of it where the listener is an embedder."""
    columns = [Column(reported, name) for reported in BY_EMBEDDER for name in embedders]
    if LISTENER in embedders:
        columns += [Column(reported, LISTENER) for reported in BY_LISTENER]
    return tuple(columns)


def num_figures(embedders: Sequence[str]) -> int:
    """How many measurements a row takes."""
    return len({(column.reported.command, column.embedder) for column in columns_of(embedders)})


def check_embedders(embedders: Mapping[str, str], sample_rate: int) -> None:
    """Makes sure that all of them can hear, before anything is measured.

    Raises:
        ConfigError: One is unknown, needs a file or takes none, or has to learn from sounds first.
        CheckpointError: A file is missing, damaged or of something else.
    """
    for name, file in embedders.items():
        option = f"--embedder {name}=FILE"
        if isinstance(embedder(name, sample_rate, file, option=option), FittedEmbedder):
            raise ConfigError(
                f"the embedder {name!r} is learned from sounds before it hears any; a report takes finished ones"
            )


def measured_columns(
    reference: Clips,
    rows: Mapping[str, Clips],
    embedders: Mapping[str, str],
    options: MeasureOptions,
    advance: Advance = lambda: None,
) -> list[Row]:
    """The columns with their figures by row, their settings, remarks and verdicts.

    Args:
        reference: The real sounds that all rows are compared with.
        rows: The sets by name.
        embedders: What they are heard through, each with the file of its weights or an empty text.
        options: Whose embedder is replaced by each of those.
        advance: Called after every measurement.

    Raises:
        CheckpointError: Weights that cannot be read.
        AudioError: A sound that changed in the meantime.
    """
    found: dict[tuple[str, str], dict[str, Row]] = {}
    columns = columns_of(tuple(embedders))
    for column in columns:
        address = (column.reported.command, column.embedder)
        if address not in found:
            file = embedders[column.embedder]
            heard = dataclasses.replace(options, embedder=column.embedder, embedder_file=file)
            found[address] = {
                name: _measured(address[0], reference, clips, heard, advance) for name, clips in rows.items()
            }
    doubt = same_sounds(reference, *(clips for name, clips in rows.items() if name == REAL))
    return [_column(column, found[column.reported.command, column.embedder], doubt) for column in columns]


def _measured(command: str, reference: Clips, clips: Clips, options: MeasureOptions, advance: Advance) -> Row:
    """What a single command says of a set, or why it says nothing."""
    try:
        result = measure(command, reference, clips, options)
        # What is to be said of a set by itself the report says once.
        known = (*reference.remarks, *clips.remarks)
        return result | {"remarks": [each for each in result["remarks"] if not each.endswith(known)]}
    except ConfigError as error:
        return {"refused": str(error)}
    finally:
        advance()


def _column(column: Column, results: Mapping[str, Row], doubt: str) -> Row:
    reported = column.reported
    figures = {name: _figure(result, reported.key) for name, result in results.items()}
    settings = [result["settings"] for result in results.values() if "settings" in result]
    shared = _shared(settings)
    for name, result in results.items():
        own = {key: value for key, value in result.get("settings", {}).items() if key not in shared}
        if own:
            figures[name]["settings"] = own
    label = reported.label if column.of_listener else f"{reported.label}, {column.embedder}"
    doubt = doubt or same_vectors(results.get(REAL, {}).get("remarks", ()))
    return {
        "id": f"{reported.metric}[{column.embedder}]",
        "metric": reported.metric,
        "embedder": column.embedder,
        "label": label,
        "block": LISTENER_BLOCK if column.of_listener else reported.label,
        "column": reported.label if column.of_listener else column.embedder,
        "about": "What the listener makes of the notes." if column.of_listener else reported.about,
        "better": reported.better,
        "unit": "",
        "settings": shared,
        "remarks": shared_remarks({name: result.get("remarks", ()) for name, result in results.items()}),
        "figures": figures,
        "verdict": dataclasses.asdict(judge(reported.metric, reported.better, figures, doubt)),
    }


def _figure(result: Row, key: str) -> Row:
    """One figure of a measure with its interval, or why there is none."""
    if "refused" in result:
        return {"refused": result["refused"]}
    figure = result if key == "value" else result.get(key)
    if not isinstance(figure, Mapping) or figure.get("value") is None:
        # A measure that leaves a figure away says so in a remark.
        why = [remark for remark in result["remarks"] if key in remark]
        return {"refused": why[0] if why else f"this measure gives no {key} for these sounds"}
    return {name: figure[name] for name in ("value", "low", "high")} | {"n": result["n"]}


def _shared(settings: Sequence[Row]) -> Row:
    """What all rows have in common; a report says it once."""
    if not settings:
        return {}
    first = settings[0]
    return {key: value for key, value in first.items() if all(each.get(key) == value for each in settings)}


def shared_remarks(by_row: Mapping[str, Sequence[str]]) -> list[str]:
    """Remarks, each once, with the rows that it is about."""
    rows_of: dict[str, list[str]] = {}
    for name, remarks in by_row.items():
        for remark in remarks:
            rows_of.setdefault(remark, []).append(name)
    return [f"{', '.join(names)}: {remark}" for remark, names in rows_of.items()]
