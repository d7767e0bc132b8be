"""The judgement of inverters as tables: one JSON value, two CSV files, a text and a page to read.

    scores.json          everything, headline first
    per_parameter.csv    a row per model, knob, group and mean, once over all clips and once over those that tell
    predictions.csv      a row per model and clip: files, every knob's true and predicted class and value, scores
    summary.txt          the same answers clip by clip as aligned text (`summary`)
    report.md            the same for a reader

Some figures do not exist, and a gap (null, an empty cell, a dash) stands for them. The classes of a choice have no
order, so being next to right, or off by so many, means nothing. Knobs of one group may have different units, whose
errors have no mean. Means are over the knobs that have the figure.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retimbre.matching.inverter import Inverter
from retimbre.metrics.bootstrap import Bootstrap, bootstrap
from retimbre.metrics.parameters import percentile_rank
from retimbre.synth.knobs import Choice
from retimbre.workflows.evaluation.inversion import paper
from retimbre.workflows.evaluation.inversion.contenders import Measured
from retimbre.workflows.evaluation.inversion.judge import Answers, Judgement, group_of

Row = dict[str, Any]

# The ends of the intervals are steady to about 2 % of their width, for a fifth of the time that 10,000 take.
RESAMPLES = 2000

# What only classes with an order have.
ORDERED_FIGURES = ("within_one", "class_error", "value_error")


def interval(values: Any, statistic: str, seed: int) -> dict[str, float]:
    """A statistic of one value per clip with its 95 % interval."""
    found = bootstrap(values, Bootstrap(statistic=statistic, resamples=RESAMPLES, seed=seed))
    return {"value": found.value, "low": found.low, "high": found.high}


def model_scores(name: str, inverter: Inverter, judgement: Judgement, settings: Mapping[str, Any]) -> Row:
    """All figures of one model: the mean percentile rank over clips and knobs first, then the tables."""
    ranks = percentile_rank(judgement.answers.predictions).mean(dim=1)
    seed = settings["bootstrap"]["seed"]
    return {
        "model": name,
        **interval(ranks, "mean", seed),
        "n": len(ranks),
        "settings": dict(settings),
        "parameters": _parameters(inverter, judgement),
        "sounds": _sounds(judgement, seed),
    }


def _parameters(inverter: Inverter, judgement: Judgement) -> Row:
    report, audible = judgement.report.to_dict(), judgement.answers.audible.double().mean(dim=0).tolist()
    searched = inverter.space.searched
    knobs = {
        each.name: {
            "group": group_of(inverter.config.synth, each),
            "unit": each.unit,
            "classes": len(each.class_values()),
            "ordered": not isinstance(each, Choice),
            "audible": share,
            "ceiling": report["ceiling"][each.name],
        }
        for each, share in zip(searched, audible, strict=True)
    }
    return {
        "perfect": report["perfect"],
        "ceiling": report["ceiling"]["mean"],
        "knobs": knobs,
        "all_clips": _figures(report["everywhere"]["parameters"], knobs),
        "audible_clips": _figures(report["audible"]["parameters"], knobs),
    }


def _figures(parameters: Mapping[str, Mapping[str, float | None]], knobs: Mapping[str, Row]) -> Row:
    """The figures of a report, with gaps where they mean nothing, and their means over groups and over all knobs."""
    per_knob = {
        name: {
            figure: None if figure in ORDERED_FIGURES and not knobs[name]["ordered"] else value
            for figure, value in row.items()
        }
        for name, row in parameters.items()
    }
    groups = {}
    for group in dict.fromkeys(knob["group"] for knob in knobs.values()):
        members = [name for name, knob in knobs.items() if knob["group"] == group]
        groups[group] = _means([per_knob[name] for name in members])
        if len({knobs[name]["unit"] for name in members}) > 1:
            groups[group]["value_error"] = None
    mean = _means(list(per_knob.values())) | {"value_error": None}
    return {"mean": mean, "groups": groups, "knobs": per_knob}


def _means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    found = {figure: [value for row in rows if (value := row[figure]) is not None] for figure in rows[0]}
    return {figure: math.fsum(values) / len(values) if values else None for figure, values in found.items()}


def rank_rows(result: Row) -> list[Row]:
    """The mean percentile rank of every knob and their mean: a column per model, the first's ceiling, the paper's."""
    models = result["models"]
    networks = result.get("paper", {}).get("networks", {})
    first = models[0]["parameters"]
    rows = []
    for name in [*dict.fromkeys(name for model in models for name in model["parameters"]["knobs"]), "mean"]:
        about = first if name == "mean" else first["knobs"].get(name, {})
        ours = {model["model"]: _rank(model, name) for model in models}
        theirs = {f"paper's {each}": table["percentile_rank"].get(name) for each, table in networks.items()}
        rows.append({"knob": name, **ours, "ceiling": about.get("ceiling"), **theirs})
    return rows


def _rank(model: Row, name: str) -> float | None:
    figures = model["parameters"]["all_clips"]
    row = figures["mean"] if name == "mean" else figures["knobs"].get(name, {})
    return row.get("percentile_rank")


def _sounds(judgement: Judgement, seed: int) -> Row:
    """Mean and median of every measure, for the prediction and the anchors."""
    count = max((len(values) for by in judgement.scores.values() for values in by.values()), default=0)
    table: Row = {"n": count}
    for anchor, by_measure in judgement.scores.items():
        table[anchor] = {
            measure: {statistic: interval(values, statistic, seed) for statistic in ("mean", "median")}
            for measure, values in by_measure.items()
        }
    return table


# CSV


def per_parameter_csv(models: Iterable[Row]) -> str:
    """A row per model, kind of clips, and knob, group or mean."""
    return _csv([row for model in models for row in _parameter_rows(model)])


def _parameter_rows(model: Row) -> Iterable[Row]:
    tables = model["parameters"]
    for clips in ("all_clips", "audible_clips"):
        figures = tables[clips]
        kinds = {"knob": figures["knobs"], "group": figures["groups"], "mean": {"mean": figures["mean"]}}
        for kind, rows in kinds.items():
            for name, row in rows.items():
                about = tables["knobs"].get(name, {}) if kind == "knob" else {}
                yield {
                    "model": model["model"],
                    "clips": clips,
                    "kind": kind,
                    "name": name,
                    **{key: about.get(key) for key in ("group", "unit", "classes", "audible")},
                    **row,
                    "ceiling": tables["ceiling"] if kind == "mean" else about.get("ceiling"),
                    **_paper_columns(model, kind, name),
                }


def _paper_columns(model: Row, kind: str, name: str) -> Row:
    if model["settings"]["synth"] != paper.SYNTH:
        return {}
    networks = paper.as_table()["networks"]
    return {
        f"paper's {network}": None if kind == "group" else table["percentile_rank"].get(name)
        for network, table in networks.items()
    }


def prediction_rows(measured: Measured) -> list[Row]:
    """A row per clip: where it is from, its key, its ratios and scores, each knob's true and predicted class and value.

    `exact` is the share of knobs whose likeliest class is the true one; `within_one` the share of ordered knobs where
    it is that or next to it.
    """
    judgement, inverter = measured.judgement, measured.contender.inverter
    answers = judgement.answers
    about = {
        "model": [measured.contender.name] * len(answers.row),
        "clip": list(range(len(answers.row))),
        "row": answers.row.tolist(),
        "pitch_hz": answers.pitch_hz.tolist(),
        "gate_s": answers.gate_s.tolist(),
        **_ratios(inverter, answers),
        "percentile_rank": percentile_rank(answers.predictions).mean(dim=1).tolist(),
    }
    rows = [dict(zip(about, values, strict=True)) for values in zip(*about.values(), strict=True)]
    for measure, values in judgement.scores.get("prediction", {}).items():
        # Sounds may have been compared for the first clips only.
        for row, value in zip(rows, values.tolist(), strict=False):
            row[measure] = value
    truth, answer = answers.predictions.truth, answers.likeliest
    for column, knob in enumerate(inverter.space.searched):
        values = knob.class_values()
        of_clips = zip(rows, truth[:, column].tolist(), answer[:, column].tolist(), strict=True)
        for row, true, predicted in of_clips:
            row |= {
                f"{knob.name} true class": true,
                f"{knob.name} true": values[true],
                f"{knob.name} predicted class": predicted,
                f"{knob.name} predicted": values[predicted],
            }
    return rows


def _ratios(inverter: Inverter, answers: Answers) -> dict[str, list[float | None]]:
    """The share of knobs exactly right and of ordered knobs within one class; a gap where no knob is ordered."""
    off = (answers.likeliest - answers.predictions.truth).abs()
    ordered = inverter.head.layout.ordered.to(off.device)
    near: list[float | None] = [None] * len(off)
    if ordered.any():
        near = (off[:, ordered] <= 1).double().mean(dim=1).tolist()
    return {"exact": (off == 0).double().mean(dim=1).tolist(), "within_one": near}


def predictions_csv(rows: Sequence[Row]) -> str:
    """The rows of all models under the columns that any of them has."""
    return _csv(rows)


def _csv(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _digits(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _digits(value: Any) -> Any:
    """Seven digits, which is what a 32-bit float holds."""
    return f"{value:.7g}" if isinstance(value, float) else value
