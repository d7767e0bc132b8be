"""The comparison of inverters as rows: one per model, one per model and knob."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any, final

from retimbre.matching.inverter import InverterConfig, load_inverter
from retimbre.metrics.bootstrap import Bootstrap, bootstrap
from retimbre.workflows.study.matching.contest import PAPER_RANKS, PAPER_SYNTH, Entrant
from retimbre.workflows.study.matching.measure import (
    OBSERVABLE_SHARE,
    RESAMPLES,
    KnobVerdict,
    Marks,
    verdicts,
)
from retimbre.workflows.training.run import RunFolder

Row = dict[str, Any]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """A model of the contest that is finished: its run, its marks and its control's."""

    model: Entrant
    run: RunFolder
    marks: Marks
    control: Marks

    @functools.cached_property
    def verdicts(self) -> list[KnobVerdict]:
        """Every knob against chance and control; both tables ask, and thousands of resamples take seconds."""
        names = tuple(each.name for each in load_inverter(self.run.model).space.searched)
        return verdicts(names, self.marks, self.control)


def model_row(standing: Standing, heard: Mapping[str, float]) -> Row:
    """How good a model is, what it cost, and over how many of the observable knobs it stands above nothing."""
    manifest = json.loads(standing.run.manifest.read_text(encoding="utf-8"))
    rank = bootstrap(standing.marks.ranks.mean(dim=1), Bootstrap(resamples=RESAMPLES))
    judged = [each for each in standing.verdicts if heard[each.name] >= OBSERVABLE_SHARE]
    sounds = standing.marks.sounds
    return {
        "name": standing.model.name,
        "percentile_rank": rank.value,
        "low": rank.low,
        "high": rank.high,
        "clips": rank.n,
        "control": standing.control.ranks.mean().item(),
        "paper": _paper_rank(standing.model),
        "observable": len(judged),
        "above_chance": sum(each.beats_chance for each in judged),
        "above_control": sum(each.beats_control for each in judged),
        "not_above": [each.name for each in judged if not (each.beats_chance and each.beats_control)],
        "exact": standing.marks.exact.mean().item(),
        "within_one": standing.marks.near.mean().item(),
        **{name: values.mean().item() for name, values in sounds.items()},
        **{f"{name}_median": values.median().item() for name, values in sounds.items()},
        "clips_seen": manifest["clips_seen"],
        "seconds": manifest["seconds"],
        "parameters": manifest["parameters"],
        "megabytes": round(standing.run.model.stat().st_size / 1e6, 2),
    }


def _paper_rank(entrant: Entrant) -> float | None:
    task = entrant.config.task
    if not isinstance(task, InverterConfig) or task.synth != PAPER_SYNTH:
        return None
    return PAPER_RANKS.get(task.model)


def knob_rows(standing: Standing, heard: Mapping[str, float]) -> list[Row]:
    """A row per knob: its percentile rank, its distance to the control's, and in how many clips it can be heard."""
    return [
        {
            "model": standing.model.name,
            "knob": each.name,
            "audible": heard[each.name],
            "percentile_rank": each.value.value,
            "low": each.value.low,
            "high": each.value.high,
            "over_control": each.over_control.value,
            "over_control_low": each.over_control.low,
            "over_control_high": each.over_control.high,
            "above_chance": each.beats_chance,
            "above_control": each.beats_control,
        }
        for each in standing.verdicts
    ]
