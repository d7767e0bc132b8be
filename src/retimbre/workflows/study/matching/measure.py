"""Judging the entrants of a contest on one set of held-out clips.

All entrants hear the same clips of the test split. What is kept of an entrant is one number per clip and knob, the
percentile rank of the true class, and one number per clip and measure for the sounds of its answers. From these come
the means, and the paired intervals by which a network is told from chance and from its control: the same clips are
drawn again for both, so that easy and hard clips cancel.
"""

import dataclasses
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from retimbre.matching.inverter import Inverter
from retimbre.metrics.bootstrap import Bootstrap, Interval, bootstrap, paired_difference
from retimbre.metrics.catalog import METRICS
from retimbre.metrics.parameters import Predictions, exact, percentile_rank, within_one
from retimbre.training import checkpoint
from retimbre.workflows.evaluation.inversion.held_out import EndlessClips, endless_clips
from retimbre.workflows.evaluation.inversion.judge import batches, class_scores, heard_knobs, rendered
from retimbre.workflows.training.matching_run import MatchingRun

RESAMPLES = 2000
CHANCE = 50.0

# What the answers are compared by as sounds: the paper's three measures and the field's.
SOUND_MEASURES = ("stft_correlation", "ft_correlation", "log_spectral_frobenius", "mss")

# A knob counts as observable if it can be heard in at least this share of the clips.
OBSERVABLE_SHARE = 0.1

KIND = "study-marks"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Marks:
    """What an entrant got, clip by clip.

    Attributes:
        ranks: Percentile rank of each knob's true class.
        exact: 1 where the likeliest class is the true one.
        near: 1 where it is the true one or next to it.
        sounds: By measure, one value for each of the first clips.
    """

    ranks: Float[Tensor, "clips knobs"]
    exact: Float[Tensor, "clips knobs"]
    near: Float[Tensor, "clips knobs"]
    sounds: dict[str, Float[Tensor, " sounding"]]

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Writes the marks; `facts` say what they depend on."""
        state = {"ranks": self.ranks, "exact": self.exact, "near": self.near, "sounds": self.sounds}
        checkpoint.save(path, state, kind=KIND, metadata=facts)

    @classmethod
    def load(cls, path: Path, facts: dict[str, Any]) -> "Marks | None":
        """The marks of a file, or nothing if it is not there or depends on something else."""
        if not path.is_file():
            return None
        state, known = checkpoint.load(path, kind=KIND)
        return cls(**state) if known == facts else None


def test_clips(config: MatchingRun, inverter: Inverter, size: int) -> EndlessClips:
    """The clips that everyone is judged on: the test split, drawn as the runs draw."""
    data = dataclasses.replace(config.data, shuffled_labels=False, pairs=0, cache="")
    return endless_clips(inverter, data, size=size, split="test", seed=config.seed, origin="the study")


@torch.no_grad()
def mark(inverter: Inverter, clips: EndlessClips, *, num_sounds: int, device: torch.device) -> Marks:
    """Judges an inverter."""
    inverter = inverter.to(device).eval()
    kept: list[tuple[Tensor, ...]] = []
    sounds: dict[str, list[Tensor]] = {name: [] for name in SOUND_MEASURES}
    for rows in batches(clips.count):
        batch = clips.pairs(rows, device)
        scores = class_scores(inverter, batch)
        said = Predictions(scores.cpu(), batch.classes.cpu())
        kept.append(tuple(figure(said).float() for figure in (percentile_rank, exact, within_one)))
        if rows.start < num_sounds:
            answer = rendered(inverter, scores.argmax(dim=2), batch.note)
            for name in SOUND_MEASURES:
                rate = inverter.config.sample_rate
                sounds[name].append(METRICS[name].compute(batch.audio, answer, rate).float().cpu())
    ranks, right, near = (torch.cat(pieces) for pieces in zip(*kept, strict=True))
    measured = {name: torch.cat(values)[:num_sounds] for name, values in sounds.items() if values}
    return Marks(ranks, right, near, measured)


@torch.no_grad()
def heard_in(inverter: Inverter, clips: EndlessClips, count: int) -> Bool[Tensor, "clips knobs"]:
    """Which knobs can be heard in the first clips."""
    device = torch.device("cpu")
    heard = [heard_knobs(inverter, clips.pairs(rows, device)) for rows in batches(count)]
    return torch.cat(heard)


@final
@dataclasses.dataclass(frozen=True)
class KnobVerdict:
    """How far one knob's percentile rank is above chance and above the control's, with 95 % intervals over clips."""

    name: str
    value: Interval
    over_control: Interval

    @property
    def beats_chance(self) -> bool:
        """Whether the interval lies above 50."""
        return self.value.low > CHANCE

    @property
    def beats_control(self) -> bool:
        """Whether the interval of the paired difference lies above 0."""
        return self.over_control.low > 0.0


def verdicts(names: tuple[str, ...], model: Marks, control: Marks) -> list[KnobVerdict]:
    """Every knob of a model against chance and against its control."""
    how = Bootstrap(resamples=RESAMPLES)
    return [
        KnobVerdict(
            name,
            bootstrap(model.ranks[:, column], how),
            paired_difference(control.ranks[:, column], model.ranks[:, column], how),
        )
        for column, name in enumerate(names)
    ]
