"""What a representation promises: audio goes in, features come out, and most of them can be turned back.

A network never sees a recording; it sees features: the samples themselves, a spectrogram in decibels, bands spaced as
the ear spaces them. A `Representation` is the whole description of such a transform. It is a frozen dataclass, so two
equal ones make equal features, and its `identity` names what it computes, for caches and checkpoints. Features are
real, `[batch, channels, time]` or `[batch, channels, bins, frames]`, on the device and in the dtype of the audio.

    encode    audio [batch, samples] -> features
    decode    features -> audio [batch, samples]; where `exact`, it undoes `encode`

Three kinds follow from what a transform keeps. An exact one keeps everything, and decoding undoes it up to rounding.
An invertible one forgets something (the phase, the fine spectrum) and decodes to the best estimate known. One that is
not even invertible says so when asked to decode, instead of returning something that only looks like an answer.
Which kind it is may depend on the settings, so both are properties of the instance.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import AudioError, UserError
from retimbre.core.files import fingerprint


class Representation(abc.ABC):
    """A transform between audio and features. Final subclasses are frozen dataclasses.

    Every field of a subclass is a setting. `encode` begins with `check_finite`.

    Attributes:
        formula: What a feature is, in one line of mathematics, for the documentation.
        reference: Where the transform is from: a citation with a link; empty for what has no author.
    """

    formula: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    @property
    @abc.abstractmethod
    def exact(self) -> bool:
        """Whether `decode` undoes `encode` up to rounding: 110 dB in float32, 280 dB in float64."""

    @property
    def invertible(self) -> bool:
        """Whether `decode` gives a sound at all."""
        return True

    @abc.abstractmethod
    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """Audio to features; item `i` depends on clip `i` alone.

        Raises:
            AudioError: A clip holds a sample that is not a number or is infinite.
        """

    @abc.abstractmethod
    def decode(
        self, features: Float[Tensor, "batch channels ..."], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Features to audio of the given length.

        Raises:
            UserError: This representation is not invertible.
        """

    def at_rate(self, sample_rate: int) -> "Representation":
        """The same representation for audio at another sample rate in Hz; one that counts in samples is as it was.

        Raises:
            ConfigError: There is none at that rate, such as one of notes above half of it.
        """
        settings = self.rate_settings(sample_rate)
        return dataclasses.replace(self, **settings) if settings else self  # pyright: ignore[reportArgumentType]

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """The settings that are others at another sample rate in Hz; none of one that counts in samples."""
        return {}

    def front_end(self) -> nn.Module:
        """The transform as the first module of a network; one with weights of its own returns those."""
        return FixedFrontEnd(self)

    def identity(self) -> str:
        """Sixteen digits that name what is computed; equal representations have equal ones."""
        settings = _settings_of(self) if dataclasses.is_dataclass(self) else {}
        return fingerprint({"representation": type(self).__name__, **settings})


class FixedFrontEnd(nn.Module):
    """A representation without weights, as a module."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.representation = representation

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """Audio to features."""
        return self.representation.encode(audio)


def check_finite(audio: Float[Tensor, "batch samples"], name: str = "clip") -> None:
    """Refuses audio that holds a NaN or an infinity, which a transform would smear over the whole clip.

    A graph that is being exported or compiled skips the check: it cannot branch on what the samples are.

    Args:
        audio: What is about to be encoded.
        name: What a row of it is, for the message.

    Raises:
        AudioError: Names the first such row by its index.
    """
    # A sum is not finite if one of its terms is not; the reverse, an overflow, is left to the slow check.
    if torch.compiler.is_compiling() or bool(audio.sum().isfinite()) or bool(audio.isfinite().all()):
        return
    bad = (~audio.isfinite()).sum(dim=1).tolist()
    index = next(row for row, count in enumerate(bad) if count)
    raise AudioError(f"{name} {index}: {bad[index]} of {audio.shape[-1]} samples are NaN or infinite")


def refuse_to_decode(name: str, forgotten: str) -> UserError:
    """The error of a representation that cannot be turned back into sound."""
    return UserError(f"the representation {name!r} keeps no {forgotten}, so it cannot be decoded to audio")


def _settings_of(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass as plain values; a dataclass among them tells its type, which may be its only one."""
    return {field.name: _plain(getattr(thing, field.name)) for field in dataclasses.fields(thing)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {"type": type(value).__name__, **_settings_of(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
