"""The last judgement: candidates as they are written, scored at full rate against the sound they should match.

A search compares at a rate it can afford. What counts is the file that a user gets: the patch rendered at the
synthesizer's own rate, brought to the target's level, and compared at 44.1 kHz with the four measures that the
papers publish. A target that was recorded at a lower rate holds nothing above half of that rate, which no patch can
be blamed for: so every score is given twice, with the candidate band-limited to the target's own rate (this one
ranks) and raw.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.level import fit_length, match_level, peak
from retimbre.dsp.resample import resample
from retimbre.matching.propose import Proposals
from retimbre.matching.rank import Judge
from retimbre.matching.target import Target
from retimbre.metrics.suite import FAST_SUITE
from retimbre.synth.base import Synth
from retimbre.synth.parameters import ParameterSpace
from retimbre.synth.patches import HIGHEST_GAIN_DB, LOWEST_GAIN_DB, Patch, patch_from_knobs, render_patch

SCORE_RATE_HZ = 44_100
MEASURES = (*FAST_SUITE, "wmfcc")

# The largest peak written: players clip what is beyond 1, and converters what is between samples.
_CEILING = 0.99

Scores = dict[str, float]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A patch, what it sounds like, and how near that is.

    Attributes:
        samples: What `render_patch` makes of the patch, at the patch's rate.
        proposal: The patch as the search knew it, a batch of one.
        search_loss: Its loss at the search's rate.
        loss: By which it is ranked: at 44.1 kHz, band-limited to the target's rate.
        scores: By the names of the suite, likewise.
        raw_scores: The same for the sound as it is.
    """

    patch: Patch
    samples: Float[Tensor, " samples"]
    proposal: Proposals
    search_loss: float
    loss: float
    scores: dict[str, float]
    raw_scores: dict[str, float]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Bench:
    """A target prepared for judging, its features computed once.

    Attributes:
        judge: Of sounds at `SCORE_RATE_HZ`, as long as the target.
        num_samples: That length.
    """

    target: Target
    judge: Judge
    num_samples: int

    @classmethod
    def of(cls, target: Target) -> "Bench":
        """The bench of a target."""
        samples = resample(target.samples, target.sample_rate, SCORE_RATE_HZ)
        return cls(target, Judge.of(samples, SCORE_RATE_HZ), len(samples))

    def candidates(
        self,
        synth: Synth,
        space: ParameterSpace,
        proposals: Proposals,
        search_losses: Float[Tensor, " batch"],
    ) -> list[Candidate]:
        """Proposals as patches, rendered and scored, the nearest first.

        Args:
            synth: At the rate that the patches get.
        """
        knobs, note = space.from_unit(proposals.unit), proposals.note()
        drafts = [
            patch_from_knobs(synth, knobs, note, seconds=self.target.seconds, item=item)
            for item in range(len(proposals))
        ]
        played = [self._levelled(patch) for patch in drafts]
        limited, raw = self._scores([samples for _, samples in played], synth.sample_rate)
        losses = self.judge.combine(
            {name: torch.tensor([row[name] for row in limited]) for name in MEASURES}
        ).tolist()
        found = [
            Candidate(
                patch,
                samples,
                proposals[item : item + 1],
                float(search_losses[item]),
                losses[item],
                limited[item],
                raw[item],
            )
            for item, (patch, samples) in enumerate(played)
        ]
        return sorted(found, key=lambda candidate: candidate.loss)

    def _levelled(self, patch: Patch) -> tuple[Patch, Float[Tensor, " samples"]]:
        """The patch with the gain that brings it to the target's level, and its sound."""
        plain = render_patch(patch)
        gain = float(match_level(self.target.samples, plain)) or 1.0
        largest = float(peak(plain))
        gain_db = 20.0 * math.log10(min(gain, _CEILING / largest) if largest > 0 else 1.0)
        # Hundredths of a decibel, rounded down: a patch file is for reading, and the ceiling holds.
        gain_db = math.floor(100.0 * min(max(gain_db, LOWEST_GAIN_DB), HIGHEST_GAIN_DB)) / 100.0
        return dataclasses.replace(patch, gain_db=gain_db), plain * 10.0 ** (gain_db / 20.0)

    def _scores(self, sounds: Sequence[Tensor], sample_rate: int) -> tuple[list[Scores], list[Scores]]:
        """The scores of each sound, band-limited and raw."""
        raw = self._at_score_rate(torch.stack(list(sounds)), sample_rate)
        if self.target.sample_rate >= min(SCORE_RATE_HZ, sample_rate):
            rows = self._rows(raw)
            return rows, rows
        limited = self._at_score_rate(
            resample(raw, SCORE_RATE_HZ, self.target.sample_rate), self.target.sample_rate
        )
        return self._rows(limited), self._rows(raw)

    def _at_score_rate(
        self, audio: Float[Tensor, "batch samples"], sample_rate: int
    ) -> Float[Tensor, "batch scored"]:
        return fit_length(resample(audio, sample_rate, SCORE_RATE_HZ), self.num_samples)

    def _rows(self, audio: Float[Tensor, "batch samples"]) -> list[Scores]:
        columns = self.judge.reference.score(audio, MEASURES)
        return [{name: float(columns[name][row]) for name in MEASURES} for row in range(len(audio))]
