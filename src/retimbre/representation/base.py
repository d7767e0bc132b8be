"""What a representation promises: audio goes in, features come out, and some of them can be turned back.

A network never sees a recording; it sees features: the samples themselves, a spectrogram in decibels, bands spaced as
the ear spaces them. A `Representation` is the whole description of such a transform. It is a frozen dataclass, so two
equal ones make equal features, and its `identity` names what it computes, for caches and checkpoints. Features are
real, `[batch, channels, time]` or `[batch, channels, bins, frames]`.

    encode    audio [batch, samples] -> features
    decode    features -> audio [batch, samples]; where `exact`, it undoes `encode`

Some transforms forget what a decoder would need (the phase, the level). Such a one has `invertible = False`,
and says so when asked to decode, instead of returning something that only looks like an answer.
"""

import abc
import dataclasses
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import UserError
from retimbre.core.files import fingerprint


class Representation(abc.ABC):
    """A transform between audio and features. Final subclasses are frozen dataclasses.

    Attributes:
        exact: Whether `decode` undoes `encode` up to rounding.
        invertible: Whether `decode` gives a sound at all.
    """

    exact: ClassVar[bool]
    invertible: ClassVar[bool]

    @abc.abstractmethod
    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """Audio to features; item `i` depends on clip `i` alone."""

    @abc.abstractmethod
    def decode(
        self, features: Float[Tensor, "batch channels ..."], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Features to audio of the given length.

        Raises:
            UserError: This representation is not invertible.
        """

    def at_rate(self, sample_rate: int) -> "Representation":
        """The same representation for audio at another sample rate in Hz; one that counts in samples is as it was."""
        return self

    def front_end(self) -> nn.Module:
        """The transform as the first module of a network; one with weights of its own returns those."""
        return FixedFrontEnd(self)

    def identity(self) -> str:
        """Sixteen digits that name what is computed; equal representations have equal ones."""
        settings = dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}
        return fingerprint({"representation": type(self).__name__, **settings})


class FixedFrontEnd(nn.Module):
    """A representation without weights, as a module."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.representation = representation

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """Audio to features."""
        return self.representation.encode(audio)


def refuse_to_decode(name: str, forgotten: str) -> UserError:
    """The error of a representation that cannot be turned back into sound."""
    return UserError(f"the representation {name!r} keeps no {forgotten}, so it cannot be decoded to audio")
