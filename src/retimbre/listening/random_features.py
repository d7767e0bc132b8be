"""Features by chance: convolutions whose kernels were drawn once and never trained.

A random projection keeps the distances between vectors, and a random convolution followed by a threshold is a
surprisingly good description of a signal. It is what a learned embedding has to beat: same form, same size, nothing
learned.

References:
    Rahimi and Recht, "Weighted sums of random kitchen sinks", NeurIPS 2008
    Pons and Serra, "Randomly weighted CNNs for (music) audio classification", 2018, https://arxiv.org/abs/1805.00237
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core import random
from retimbre.listening.base import Embedder
from retimbre.representation.steps import RANGE_DB, LogMel

NUM_BANDS = 64
NUM_KERNELS = 256
KERNEL_FRAMES = 8  # 125 ms
SEED = 0  # of the kernels, whatever a run's seed is: the same name always means the same features


class RandomFeatures(Embedder):
    """256 random kernels over mel bands, each by its mean and its largest value over time."""

    kernels: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.bands = LogMel(n_mels=NUM_BANDS).at_rate(sample_rate)
        self.dim = 2 * NUM_KERNELS
        source = random.generator(SEED, "random features")
        drawn = torch.randn(NUM_KERNELS, NUM_BANDS, KERNEL_FRAMES, generator=source)
        # Each kernel has length 1, so what it gives is about as large as what it hears.
        self.register_buffer("kernels", drawn / drawn.flatten(1).norm(dim=1)[:, None, None], persistent=False)

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Means, then maxima, of the rectified convolutions."""
        level = self.bands.encode(audio)[:, 0] * (2.0 / RANGE_DB) + 1.0
        level = functional.pad(level, (0, max(KERNEL_FRAMES - level.shape[2], 0)), mode="replicate")
        heard = functional.conv1d(level, self.kernels.to(level.dtype)).relu()
        return torch.cat([heard.mean(2), heard.amax(2)], dim=1).float()

    def settings(self) -> Mapping[str, Any]:
        """The analysis; the kernels count as weights."""
        return {"bands": self.bands.identity()}
