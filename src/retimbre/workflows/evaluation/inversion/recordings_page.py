"""The judgement of models by recordings as a table, for the terminal and as a page of Markdown for a lab notebook."""

from collections.abc import Sequence
from typing import Any

from retimbre.workflows.evaluation.inversion.judge import SUITE_MEASURES

# Where there is one recording, under every table.
NO_INTERVAL = "one recording says nothing about others, so there is no interval"

HEADINGS = {"mss": "MSS, dB", "wmfcc": "wMFCC", "sot": "SOT", "rms": "RMS"}


def page(result: dict[str, Any]) -> str:
    """The result as a page of Markdown: a row for each model and reading, then the differences to the first model."""
    settings = result["settings"]
    intervals = "Means with 95 % intervals over recordings"
    how_sure = intervals if result["n"] > 1 else NO_INTERVAL.capitalize()
    lines = [
        "# Recordings, measured",
        "",
        f"{result['n']} recordings of `{settings['real']}`; {settings['learned_from']} more were heard in training "
        f"and are left out, {len(settings['passed_over'])} cannot be used. {how_sure}. "
        "Lower is better, but for RMS.",
        "",
        *_table(result["models"], "readings"),
    ]
    others = result["models"][1:]
    if others:
        lines += ["", f"Difference to `{result['models'][0]['model']}`, paired:", ""]
        lines += _table(others, "difference")
    return "\n".join(lines) + "\n"


def _table(models: Sequence[dict[str, Any]], which: str) -> list[str]:
    lines = [
        f"| model | answer | {' | '.join(HEADINGS.values())} |",
        f"| --- | --- |{' ---: |' * len(HEADINGS)}",
    ]
    for row in table_rows(models, which):
        lines.append(
            f"| `{row['model']}` | {row['answer']} | {' | '.join(row[name] for name in SUITE_MEASURES)} |"
        )
    return lines


def table_rows(models: Sequence[dict[str, Any]], which: str) -> list[dict[str, str]]:
    """A row for each model and reading, each measure as value and, over two or more recordings, interval.

    Args:
        which: `readings` or `difference`.
    """
    return [
        {"model": str(model["model"]), "answer": reading}
        | {name: _shown(each) for name, each in figures.items()}
        for model in models
        for reading, figures in model[which].items()
    ]


def _shown(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.4g}"
    return f"{figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"
