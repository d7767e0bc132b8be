"""Which of many sounds is nearest to a target: the one number that a search minimises, and keeping the best apart.

No single measure of the suite ranks sounds as ears do. MSS alone counts the silent cells of a short note and hardly
notices a pitch that is a little off; SOT alone counts near-silence; the envelope measure knows nothing of timbre.
So candidates are ranked by a weighted sum, in decibels of MSS:

    loss = MSS + 0.25 MSS over active cells + 20 SOT over audible frames + 8 (1 - RMS)

The weights were set so that each of the last three terms is a fifth to a third of the whole on recorded notes near
the end of a search. Candidates are brought to the target's level first, as they are when they are written: the
measures ignore level, but for the floor under which they take everything for silence. A sound that is silent or not
a number ranks behind every other.

The nearest candidates are often the same patch twice. `distinct` picks a list that is worth listening to: in order
of loss, leaving out what sounds the same as something already picked, or nearly the same with nearly the same knobs.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.dsp.level import peak, rms
from retimbre.metrics.features import Features
from retimbre.metrics.suite import SUITE, SuiteReference

# Below -80 dB of full scale a rendering counts as silent: it holds nothing that its level could be matched by.
_SILENT_PEAK = 1e-4

# Candidates nearer than this in MSS decibels sound the same, and nearer than the second number nearly so: two
# velocities of one recorded key differ by more.
SAME_DB = 0.5
ALIKE_DB = 1.5

# Knobs are set alike if they differ by less than this share of their travel, root mean square.
ALIKE_TURN = 0.12


@final
@dataclasses.dataclass(frozen=True)
class LossWeights:
    """What each measure of the suite counts in the loss."""

    mss: float = 1.0
    mss_active: float = 0.25
    sot_audible: float = 20.0
    rms: float = 8.0


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """A target whose features are kept, and how candidates are scored against it.

    Attributes:
        reference: The target's features at the sample rate of the comparison.
        level: Its RMS amplitude.
    """

    reference: SuiteReference
    level: float
    weights: LossWeights = LossWeights()

    @classmethod
    def of(
        cls, target: Float[Tensor, " samples"], sample_rate: int, weights: LossWeights | None = None
    ) -> "Judge":
        """A judge of sounds that are as long as the target and at its rate."""
        return cls(SuiteReference.of(target, sample_rate), float(rms(target)), weights or LossWeights())

    def losses(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, " batch"]:
        """The loss of each sound at the target's level, in float64; infinite for silence and what is not a number."""
        usable = audio.isfinite().all(dim=1) & (peak(audio) > _SILENT_PEAK)
        heard = torch.where(usable[:, None], audio, 0.0)
        levelled = heard * (self.level / rms(heard).clamp_min(_SILENT_PEAK**2))[:, None]
        return torch.where(usable, self.combine(self.reference.score(levelled)), torch.inf)

    def combine(self, scores: dict[str, Tensor]) -> Float[Tensor, " batch"]:
        """The loss of scores by the names of the suite."""
        weights = self.weights
        total = weights.mss * scores["mss"] + weights.mss_active * scores["mss_active"]
        total = total + weights.sot_audible * scores["sot_audible"] + weights.rms * (1.0 - scores["rms"])
        return total.double()


def distinct(
    settings: Float[Tensor, "batch columns"],
    audio: Float[Tensor, "batch samples"],
    sample_rate: int,
    count: int,
) -> Int[Tensor, " picked"]:
    """Which of some candidates, best first, to keep so that no two of them are nearly the same.

    Candidates are taken in order; one is passed over if it is within `SAME_DB` of one already taken, or within
    `ALIKE_DB` of it and set within `ALIKE_TURN` of it. If that leaves fewer than `count`, the best of those passed
    over fill up the list.

    Args:
        settings: Their knobs as points of the unit cube.
        audio: What they sound like, in the same order.
        count: How many to keep at most.
    """
    heard = [Features(clip[None], sample_rate) for clip in audio]
    taken: list[int] = []
    passed: list[int] = []
    for index, setting in enumerate(settings):
        turned = (settings[taken] - setting).square().mean(dim=1).sqrt()
        least_db = torch.where(turned < ALIKE_TURN, ALIKE_DB, SAME_DB).tolist()
        alike = any(
            float(SUITE["mss"](heard[other], heard[index])) < least
            for other, least in zip(taken, least_db, strict=True)
        )
        (passed if alike else taken).append(index)
        if len(taken) == count:
            break
    return torch.tensor(sorted(taken + passed[: count - len(taken)]), dtype=torch.int64)
