"""The judgement of inverters as a page of Markdown, a column per model, for a reader and for a lab notebook."""

from collections.abc import Iterable, Sequence
from typing import Any

from retimbre.metrics.catalog import METRICS
from retimbre.workflows.evaluation.inversion import paper
from retimbre.workflows.evaluation.inversion.judge import ANCHORS, SOUND_MEASURES
from retimbre.workflows.evaluation.inversion.tables import rank_rows

Row = dict[str, Any]

# What is told of every knob and group, with its heading and format.
COLUMNS = {
    "percentile_rank": ("MPR", "{:.1f}"),
    "exact": ("exact", "{:.3f}"),
    "within_one": ("within one", "{:.3f}"),
    "top_5": ("top 5", "{:.3f}"),
    "class_error": ("off by, classes", "{:.2f}"),
    "value_error": ("off by, in its unit", "{:.3g}"),
}


def page(result: Row) -> str:
    """The page of the result of an evaluation."""
    models = result["models"]
    parts = [
        "# Inversion, measured on held-out clips",
        _headline(models),
        *([_beside_each_other(result)] if len(models) > 1 or "paper" in result else []),
        *([_triples(result["triples"])] if "triples" in result else []),
        *(section for model in models for section in _model(model)),
    ]
    return "\n\n".join(parts) + "\n"


def _headline(models: Sequence[Row]) -> str:
    heading = [
        "model",
        "MPR",
        "95 % interval",
        "audible knobs only",
        "ceiling",
        "exact",
        "perfect clips",
        "clips",
    ]
    rows = []
    for model in models:
        tables = model["parameters"]
        mean = tables["all_clips"]["mean"]
        rows.append(
            [
                f"`{model['model']}`",
                f"{model['value']:.2f}",
                f"{model['low']:.2f} to {model['high']:.2f}",
                _number(tables["audible_clips"]["mean"]["percentile_rank"], "{:.2f}"),
                f"{tables['ceiling']:.2f}",
                f"{mean['exact']:.3f}",
                f"{tables['perfect']:.4f}",
                f"{model['n']:,}",
            ]
        )
    about = (
        "MPR is the mean percentile rank of the true class over knobs: 100 is always first, 50 is chance. The ceiling "
        "is the MPR of a network that knows every knob that can be heard in a clip and guesses the rest."
    )
    return f"{about}\n\n{table(heading, rows)}"


def _beside_each_other(result: Row) -> str:
    """The percentile rank of every knob, a column for each model and for the paper's networks."""
    rows = rank_rows(result)
    cells = [
        [name, *(_number(value, "{:.1f}") for value in values)]
        for name, *values in (row.values() for row in rows)
    ]
    note = f"\n\nThe paper's: {paper.LABEL}." if "paper" in result else ""
    return f"## Mean percentile rank\n\n{table(list(rows[0]), cells)}{note}"


def _triples(triples: Row) -> str:
    told = (
        f"{triples['count']:,} clips are in `{triples['folder']}/`: the original, its true label rendered again, and "
        f"each model's likeliest answer. [{triples['page']}]({triples['page']}) plays the first of them. The label "
        f"rendered again differs from the original by {triples['rerender_error_db']:.1f} dB of its energy at most"
    )
    beyond = triples["beyond_tolerance"]
    verdict = f"in {beyond} clips by more than" if beyond else "in no clip by more than"
    return f"## Sounds to listen to\n\n{told}, {verdict} the {triples['tolerance_db']:g} dB taken for no difference."


def _model(model: Row) -> Iterable[str]:
    tables = model["parameters"]
    yield f"## `{model['model']}`"
    for clips, heading in (
        ("all_clips", "### Knobs, over all clips"),
        ("audible_clips", "### Knobs, each over the clips in which it can be heard"),
    ):
        yield f"{heading}\n\n{_figures(tables, clips)}"
    if model["sounds"]["n"]:
        yield f"### Sounds, {model['sounds']['n']:,} clips\n\n{_sounds(model)}"
    yield f"### Settings\n\n{table(['setting', 'value'], _flat(model['settings']))}"


def _figures(tables: Row, clips: str) -> str:
    about = tables["knobs"]
    rows = []
    for kind, figures in (("knobs", tables[clips]["knobs"]), ("groups", tables[clips]["groups"])):
        for name, row in figures.items():
            knob = about[name] if kind == "knobs" else {}
            rows.append(
                [
                    name if kind == "knobs" else f"*{name}*",
                    knob.get("unit", ""),
                    _number(knob.get("audible"), "{:.2f}"),
                    _number(knob.get("ceiling"), "{:.1f}"),
                    *(_number(row[figure], spelling) for figure, (_, spelling) in COLUMNS.items()),
                ]
            )
    mean = tables[clips]["mean"]
    means = [_number(mean[figure], spelling) for figure, (_, spelling) in COLUMNS.items()]
    rows.append(["**mean**", "", "", _number(tables["ceiling"], "{:.1f}"), *means])
    heading = ["knob or *group*", "unit", "audible in", "ceiling", *(title for title, _ in COLUMNS.values())]
    return table(heading, rows)


def _sounds(model: Row) -> str:
    sounds = model["sounds"]
    rows = []
    for measure in SOUND_MEASURES:
        metric = METRICS[measure]
        row = [f"`{measure}`", "" if metric.unit == "1" else metric.unit, metric.better]
        for anchor in ANCHORS:
            row += [_with_interval(sounds[anchor][measure][statistic]) for statistic in ("mean", "median")]
        rows.append(row)
    columns = [f"{anchor}, {statistic}" for anchor in ANCHORS for statistic in ("mean", "median")]
    parts = [
        "The likeliest classes, rendered with the true note (prediction), beside the true classes (truth: the best "
        "that an answer in classes can do) and the answer to another clip (chance).",
        table(["measure", "unit", "better", *columns], rows),
    ]
    if model["settings"]["synth"] == paper.SYNTH:
        parts.append(_paper_sounds())
    return "\n\n".join(parts)


def _paper_sounds() -> str:
    rows = [
        [f"`{measure}`", network, f"{statistics['mean'][column]:.4f}", f"{statistics['median'][column]:.4f}"]
        for measure, statistics in paper.SOUNDS.items()
        for column, network in enumerate(paper.NETWORKS)
    ]
    return f"{paper.LABEL}:\n\n{table(['measure', 'network', 'mean', 'median'], rows)}"


def _with_interval(figure: Row) -> str:
    return f"{figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"


def _number(value: float | None, spelling: str) -> str:
    return "-" if value is None else spelling.format(value)


def _flat(settings: Row, prefix: str = "") -> list[list[str]]:
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append([f"{prefix}{name}", str(value)])
    return rows


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a bar within a cell is escaped."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(
        f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
