"""What an embedder promises: a clip goes in, one vector that describes it comes out.

A representation keeps a sound's time and frequency apart and leaves the understanding to the network behind it. An
embedder has understood already: it hands on a vector of fixed length, whatever the length of the clip, and what
follows can be as plain as one dense layer. Some are made by hand (statistics of mel bands), some are learned from the
sounds at hand (a dictionary of spectra: `FittedEmbedder`), and some are networks that others trained on more sounds
than we shall ever hear, whose weights stay in a file of their own (`ExternalEmbedder`).

All are frozen: training does not change them. So the embedding of a clip need be computed once only and can be kept,
and `identity` is the name under which it is kept: it changes with every setting and every weight.
"""

import abc
import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.files import fingerprint


class Embedder(nn.Module, abc.ABC):
    """A frozen module from clips to vectors.

    Subclasses set `dim`, make their weights parameters without gradients or buffers, and take audio at `sample_rate`:
    one whose network was made for another rate resamples.

    Attributes:
        sample_rate: Of the audio it is given, in Hz.
        dim: Length of the vectors.
    """

    dim: int

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.eval()

    @abc.abstractmethod
    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """The vectors, float32; row `i` depends on clip `i` alone."""

    @abc.abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """Everything but weights that the vectors depend on, as values that JSON can hold."""

    def identity(self) -> str:
        """Sixteen digits that name what is computed: equal ones mean equal vectors for equal clips."""
        about = {"embedder": type(self).__name__, "sample_rate": self.sample_rate, **self.settings()}
        return fingerprint({**about, "weights": weights_digest(self)})

    def train(self, mode: bool = True) -> "Embedder":
        """Stays in evaluation mode, whatever is trained around it."""
        return super().train(False)


class FittedEmbedder(Embedder):
    """An embedder that is learned from sounds once, before anything is trained on its vectors.

    What it learns are buffers of fixed shapes, so a network that was saved with its embedder needs nothing else.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.register_buffer("is_fitted", torch.tensor(False))

    def fit(self, clips: Float[Tensor, "clips samples"], *, seed: int) -> None:
        """Learns from clips; the same clips and seed teach the same."""
        with torch.no_grad():
            self.learn(clips, seed=seed)
        self.is_fitted.fill_(True)

    @abc.abstractmethod
    def learn(self, clips: Float[Tensor, "clips samples"], *, seed: int) -> None:
        """Fills the buffers."""

    is_fitted: Tensor


class ExternalEmbedder(Embedder):
    """An embedder whose weights live in a file of their own, and are left out of every state that holds it.

    Subclasses read the file when they are made and say its SHA-256 in `settings`, too.

    Attributes:
        file_sha256: Of the file, in hexadecimal: what a network trained on these vectors must find again.
    """

    file_sha256: str

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_pre_hook(_supply_own)


def _leave_out(module: nn.Module, state: dict[str, Any], prefix: str, metadata: object) -> None:
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]


def _supply_own(module: nn.Module, state: dict[str, Any], prefix: str, *reports: object) -> None:
    """Puts the weights that a state leaves out into it, so that they are not missed."""
    for name, weights in (*module.named_parameters(), *module.named_buffers()):
        state.setdefault(prefix + name, weights)


def weights_digest(module: nn.Module) -> str:
    """The SHA-256 of a module's parameters and buffers, with their names and shapes, in hexadecimal."""
    digest = hashlib.sha256()
    for name, weights in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\n".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
