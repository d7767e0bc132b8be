"""The shipped listener as an embedder: 64 numbers about a note, for the distances between sets of notes.

They are what the listener reads family, velocity and register from, so they tell timbre and, roughly, pitch. Level is
not in them: a clip is brought to a peak of 1 before it is heard.
"""

from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.resample import resample
from retimbre.listening.base import Embedder
from retimbre.listening.listener import SHIPPED, load_listener

# What a clip of four seconds becomes on the way takes 12 MB.
_CLIPS_AT_ONCE = 32


@final
class ListenerEmbedder(Embedder):
    """The embedding of the shipped listener."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.listener = load_listener(SHIPPED).requires_grad_(False).eval()
        self.dim = self.listener.dim

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """The embeddings.

        Raises:
            ValueError: The clips need a gradient and are at another rate than the listener's.
        """
        heard = resample(audio, self.sample_rate, self.listener.sample_rate)
        return torch.cat([self.listener(some).embedding for some in heard.split(_CLIPS_AT_ONCE)])

    def settings(self) -> Mapping[str, Any]:
        """The listener, by its classes and weights."""
        return {"listener": self.listener.identity()}
