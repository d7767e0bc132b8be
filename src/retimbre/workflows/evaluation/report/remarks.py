"""What a reader has to know beside the figures: what is missing, what the sets are like, what makes a figure doubtful.

The same lines stand on the page and in the terminal. They are taken from the result, so nothing is said that
`scores.json` does not hold.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from retimbre.workflows.evaluation.report.ranking import METRIC

Result = Mapping[str, Any]

# So many measures that a remark is about are named; of more, how many.
_MOST_NAMED = 3


def missing(result: Result) -> list[str]:
    """What could not be used, the anchors that are left out, and the sets that cannot be ranked."""
    left_out = [f"{name} is left out: {why}" for name, why in result["left_out"].items()]
    refused: dict[str, list[str]] = {}
    for measure in result["measures"]:
        for row in result["rows"]:
            figure = measure["figures"].get(row["name"], {})
            if measure["metric"] == METRIC and row["kind"] != "anchor" and figure.get("value") is None:
                why = figure.get("refused", "it could not be measured")
                refused.setdefault(f"{row['name']} has no {measure['label'].partition(',')[0]}: {why}", [])
    return [*result["failed"], *left_out, *refused]


def contaminated(result: Result) -> list[str]:
    """The sets that hold clips of the reference, which no figure against it can judge."""
    return [
        f"{row['name']}: {row['in_reference']} of its {row['clips']} clips are clips of the reference itself, sample "
        "by sample: it is compared with its own sounds, and comes out better than it is"
        for row in result["rows"]
        if row["kind"] == "model" and row["in_reference"]
    ]


def of_sets(result: Result) -> list[str]:
    """What is to be known of the sets themselves, each once."""
    lines = [f"{row['name']}: {remark}" for row in result["rows"] for remark in row["remarks"]]
    return [*dict.fromkeys([*lines, *result["remarks"]])]


def of_measures(result: Result) -> list[str]:
    """What makes the figures of models and of real/real doubtful, each once, with the measures that it is about.

    That silence is all alike and that copies are copies, anchors are there to have.
    """
    kinds = {row["name"]: row["kind"] for row in result["rows"]}
    labels: dict[str, list[str]] = {}
    for measure in result["measures"]:
        of_notes = "description" in measure["settings"]
        remarks = _lacking(measure, kinds) if of_notes else _of_judged(measure["remarks"], kinds)
        for remark in remarks:
            labels.setdefault(remark, []).append(measure["label"])
    return [f"{_named(names)}: {remark}" for remark, names in labels.items()]


def _lacking(measure: Result, kinds: Mapping[str, str]) -> list[str]:
    """Which sets have a figure of less than half of their notes."""
    figures = {name: measure["figures"].get(name, {}) for name, kind in kinds.items() if kind != "anchor"}
    counts = {name: (each.get("unmeasured", 0), each.get("n", 0)) for name, each in figures.items()}
    lines = [
        f"{name} {lacking} of {lacking + known}"
        for name, (lacking, known) in counts.items()
        if lacking > known
    ]
    return [f"more than half of the notes lack it: {', '.join(lines)}"] if lines else []


def _of_judged(remarks: Sequence[str], kinds: Mapping[str, str]) -> list[str]:
    """Remarks, less what they say of anchors."""
    told = []
    for remark in remarks:
        names, says = _split(remark, kinds)
        judged = [name for name in names if kinds[name] != "anchor"]
        if judged:
            told.append(f"{', '.join(judged)}: {says}")
    return told


def _split(remark: str, names: Collection[str]) -> tuple[list[str], str]:
    """The sets that a remark begins with, separated by commas up to a colon, and what it says of them."""
    found: list[str] = []
    rest = remark
    while not found or not rest.startswith(": "):
        rest = rest.removeprefix(", ")
        # A name may begin with another one.
        fitting = [name for name in names if rest.startswith((f"{name}, ", f"{name}: "))]
        if not fitting:
            return [], remark
        found.append(max(fitting, key=len))
        rest = rest[len(found[-1]) :]
    return found, rest.removeprefix(": ")


def _named(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return "; ".join(names)
    return f"{names[0]} and {len(names) - 1} other measures"
