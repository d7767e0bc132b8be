"""Mel bands summed up over time: the plainest description of a clip that still tells timbres apart.

Each of 64 mel bands has a course over the clip. Eight numbers say how high it runs, how much it moves and when, so the
vector has 512, as many as the embeddings of CLAP. Levels are relative to the loudest cell of the clip.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.listening.base import Embedder
from retimbre.representation.steps import RANGE_DB, LogMel

NUM_BANDS = 64
NUM_STATISTICS = 8


class BandStatistics(Embedder):
    """Eight statistics over time of each of 64 mel bands."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.bands = LogMel(n_mels=NUM_BANDS).at_rate(sample_rate)
        self.dim = NUM_BANDS * NUM_STATISTICS

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Mean, deviation, extremes, mean change and the means of the three thirds of the clip, band after band."""
        # Decibels from -80 to 0 as numbers from -1 to 1.
        level = self.bands.encode(audio)[:, 0] * (2.0 / RANGE_DB) + 1.0
        change = torch.nn.functional.pad(level, (1, 0), mode="replicate").diff(dim=2).abs().mean(2)
        num_frames = level.shape[2]
        third = -(-num_frames // 3)
        # In clips of one or two frames the thirds overlap.
        middle = (num_frames - third) // 2
        thirds = [level[:, :, start : start + third] for start in (0, middle, num_frames - third)]
        statistics = [
            *(level.mean(2), level.std(2, correction=0), level.amin(2), level.amax(2), change),
            *(part.mean(2) for part in thirds),
        ]
        return torch.stack(statistics, dim=2).flatten(1).float()

    def settings(self) -> Mapping[str, Any]:
        """The analysis."""
        return {"bands": self.bands.identity(), "statistics": NUM_STATISTICS}
