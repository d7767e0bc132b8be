"""Every held-out clip as a small table to read: what each knob was, and what each model took it for.

    clip 00007   440.0 Hz, held 0.75 s
      knob     actual          out/resmel          out/conv6xl
      f_sin     3  (0.2)      = 3  (0.2)         ~ 4  (0.25)
      exact                   0.913               0.870

Models that heard the same clips share the tables; others have tables of their own. The classes of a knob count from 0,
and behind a class stands its value in the knob's unit.
"""

from collections.abc import Iterable, Mapping, Sequence

from retimbre.metrics.catalog import METRICS
from retimbre.synth.knobs import Choice, Parameter
from retimbre.workflows.evaluation.inversion.contenders import Measured
from retimbre.workflows.evaluation.inversion.tables import Row

_LEGEND = (
    "= exactly right   ~ next to it   (the classes of a choice have no order, so none is next to another)"
)

# What is told below the knobs of a clip, where a row has it.
_FIGURES = ("exact", "within_one", "percentile_rank", "mss")


def summary(groups: Sequence[Sequence[Measured]], rows: Mapping[str, Sequence[Row]]) -> str:
    """The tables of all clips.

    Args:
        groups: Models in groups that heard the same clips.
        rows: The predictions of each model by its name.
    """
    blocks = [_LEGEND]
    for group in groups:
        names = [each.contender.name for each in group]
        knobs = group[0].contender.inverter.space.searched
        blocks.append(
            "\n".join([f"models: {', '.join(names)}", *(_means(name, rows[name]) for name in names)])
        )
        blocks += [_clip(knobs, answers) for answers in zip(*(rows[name] for name in names), strict=True)]
    return "\n\n".join(blocks) + "\n"


def _means(name: str, rows: Sequence[Row]) -> str:
    shares = []
    for figure in ("exact", "within_one"):
        values = [row[figure] for row in rows if row[figure] is not None]
        shares += [f"{figure} {sum(values) / len(values):.3f}"] if values else []
    return f"{name}: {', '.join(shares)} over {len(rows):,} clips"


def _clip(knobs: Sequence[Parameter], answers: Sequence[Row]) -> str:
    first = answers[0]
    title = f"clip {first['clip']:05d}   {first['pitch_hz']:.1f} Hz, held {first['gate_s']:.2f} s"
    if "original file" in first:
        title += f"   {first['original file']}"
    lines = [["knob", "actual", *(answer["model"] for answer in answers)]]
    lines += [_knob(knob, answers) for knob in knobs]
    lines += list(_figures(answers))
    return "\n".join([title, *_aligned(lines)])


def _knob(knob: Parameter, answers: Sequence[Row]) -> list[str]:
    true = answers[0][f"{knob.name} true class"]
    cells = [knob.name, _class(true, answers[0][f"{knob.name} true"], " ")]
    for answer in answers:
        predicted = answer[f"{knob.name} predicted class"]
        near = abs(predicted - true) == 1 and not isinstance(knob, Choice)
        sign = "=" if predicted == true else "~" if near else " "
        cells.append(_class(predicted, answer[f"{knob.name} predicted"], sign))
    return cells


def _class(index: int, value: float | str, sign: str) -> str:
    return (
        f"{sign} {index:2d}  ({value:.4g})" if isinstance(value, float) else f"{sign} {index:2d}  ({value})"
    )


def _figures(answers: Sequence[Row]) -> Iterable[list[str]]:
    for figure in _FIGURES:
        values = [answer.get(figure) for answer in answers]
        if any(value is not None for value in values):
            unit = METRICS[figure].unit if figure in METRICS else "1"
            name = figure if unit == "1" else f"{figure}, {unit}"
            yield [name, "", *("-" if value is None else f"  {value:.3f}" for value in values)]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  " + "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
