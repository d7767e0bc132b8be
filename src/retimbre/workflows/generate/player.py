"""A generator that is ready to play: which model it is, where it runs, and what it is asked for.

A conditional generator is asked for a note by labels: names of classes, and MIDI numbers where the attribute is a
pitch or a velocity. Three things can be meant by an attribute that nobody mentioned: any class, drawn for every sound
(what a random set of sounds wants), one and the same middle class (what a scale or a morph wants, where the sounds
should differ in one thing only), or a mistake (a scale of a generator that knows no pitch).

Sounds are made a few at a time. The last bits of a sum depend on how many sounds are computed beside each other, so
whatever promises equal sounds for equal latents asks for one at a time (`ONE`); whatever makes thousands asks for
`MANY`, which is faster on a GPU.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import AudioError, ConfigError
from retimbre.core.files import sha256_of
from retimbre.gan.base import Classes
from retimbre.gan.conditions import CONDITIONS
from retimbre.gan.sounds import SoundGenerator, Weights, load_generator
from retimbre.training.devices import pick_device
from retimbre.training.shipped import find_checkpoint

ONE = 1
MANY = 16

LARGEST = 1e9
"""What a sample may be: 180 dB above the peak that is learned. Squares within it can be added up without overflow."""

Asked = Mapping[str, Sequence[str]]
"""For each attribute of a generator, the class of each sound."""


@final
@dataclasses.dataclass(eq=False)
class Player:
    """A generator on a device.

    Attributes:
        sounds: The generator, in evaluation mode.
        name: What it was called by.
        sha256: Of its file; empty for one that was never in a file.
        weights: Whether these are averages over training or those after the last update.
        device: Where it runs.
        spent_s: Wall time that it has played for.
        made_s: Seconds of sound that it has made.
    """

    sounds: SoundGenerator
    name: str
    sha256: str = ""
    weights: Weights = "average"
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))
    spent_s: float = 0.0
    made_s: float = 0.0

    def play(
        self,
        latents: Float[Tensor, "count latent"],
        asked: Asked,
        names: Sequence[str] | None = None,
        told: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "count samples"]:
        """Sounds of latents, computed together, on the CPU.

        Args:
            latents: A row per sound.
            asked: For each attribute the class of each sound.
            names: What an error calls the sounds; `sound 0` and so on if left out.
            told: Conditions beside classes, a row per sound.

        Raises:
            AudioError: A sound is NaN, infinite or immense: what it is told, latents or weights are nothing that
                training leads to.
        """
        started = time.perf_counter()
        labels = self.sounds.labels(len(latents), asked) | dict(told or {})
        with torch.inference_mode():
            there = {name: each.to(self.device) for name, each in labels.items()}
            audio = self.sounds(latents.to(self.device), there).float().cpu()
        self.spent_s += time.perf_counter() - started
        self.made_s += audio.numel() / self.sounds.sample_rate
        self._check(audio, asked, names or [f"sound {number}" for number in range(len(audio))])
        return audio.clone()  # a copy outside of inference mode may be changed in place

    def play_all(
        self, latents: Float[Tensor, "count latent"], asked: Asked, at_once: int = ONE
    ) -> Iterator[Float[Tensor, "batch samples"]]:
        """Sounds of many latents, some at once."""
        for start in range(0, len(latents), at_once):
            rows = slice(start, start + at_once)
            some = {name: values[rows] for name, values in asked.items()}
            yield self.play(latents[rows], some, [f"sound {number}" for number in range(len(latents))[rows]])

    def facts(self) -> dict[str, Any]:
        """What names the model, as JSON values."""
        return {
            "model": self.name,
            "identity": self.sounds.identity(),
            "sha256": self.sha256,
            "weights": self.weights,
            "device": self.device.type,
            "sample_rate": self.sounds.sample_rate,
        }

    def _check(self, audio: Float[Tensor, "count samples"], asked: Asked, names: Sequence[str]) -> None:
        """Refuses sounds that no program could write or play."""
        for row, largest in enumerate(audio.abs().amax(dim=1).tolist()):
            # Of NaN every comparison is false.
            if not largest <= LARGEST:
                labels = ", ".join(f"{name} {values[row]}" for name, values in asked.items())
                raise AudioError(
                    f"{self.name}: {names[row]}{f' ({labels})' if labels else ''} comes out with a peak of"
                    f" {largest:g}; its latent, what it is told or the weights are nothing that training leads to"
                )


def open_player(
    model: str | Path, weights: Weights = "average", device: str = "auto", can_tell: Sequence[str] = ()
) -> Player:
    """A generator from a run folder, a file or the name of a shipped one.

    Args:
        can_tell: The conditions that the caller can tell it.

    Raises:
        CheckpointError: There is none, it is damaged, or it is a model of another kind.
        ConfigError: There is no such device, or the generator is told other conditions.
    """
    chosen = pick_device(device)
    sounds = load_unconditioned(model, weights, can_tell).to(chosen)
    return Player(sounds, str(model), sha256_of(find_checkpoint(model)), weights, chosen)


def load_unconditioned(
    model: str | Path, weights: Weights = "average", can_tell: Sequence[str] = ()
) -> SoundGenerator:
    """A generator that makes sounds of latents and labels alone, or of conditions that the caller can tell it.

    Raises:
        CheckpointError: There is none, it is damaged, or it is a model of another kind.
        ConfigError: It is told other conditions; the message names the command that generates from them.
    """
    sounds = load_generator(model, weights)
    for name in sounds.conditions:
        if name not in can_tell:
            raise ConfigError(
                f"{model}: makes sounds of the condition {name!r} only; takes `retimbre {CONDITIONS[name].command}`"
            )
    return sounds


def need(player: Player, attribute: str, purpose: str) -> tuple[str, ...]:
    """The classes of an attribute that a generator has to know.

    Raises:
        ConfigError: It does not know it.
    """
    classes = player.sounds.classes
    if attribute not in classes:
        known = f"only of {', '.join(classes)}" if classes else "of no attribute at all"
        raise ConfigError(
            f"{player.name}: is told nothing of the {attribute} of a sound, {known}; {purpose} needs it"
        )
    return classes[attribute]


def one_class(player: Player, wanted: Mapping[str, Any], count: int) -> dict[str, tuple[str, ...]]:
    """The same classes for so many sounds; an attribute that is not wanted gets its middle class.

    Raises:
        ConfigError: The generator has no such attribute or class.
    """
    classes = player.sounds.classes
    return {
        name: (classes[name][int(places)],) * count
        for name, places in player.sounds.labels(1, wanted).items()
    }


def any_class(player: Player, wanted: Mapping[str, Any], count: int, seed: int) -> dict[str, tuple[str, ...]]:
    """Classes for so many sounds; of an attribute that is not wanted, each is as likely as any other.

    Raises:
        ConfigError: The generator has no such attribute or class.
    """
    return one_class(player, wanted, count) | {
        name: drawn_classes(player.sounds.classes, name, count, seed)
        for name in player.sounds.classes
        if name not in wanted
    }


def drawn_classes(classes: Classes, attribute: str, count: int, seed: int) -> tuple[str, ...]:
    """Classes drawn evenly; that of row i depends on the seed, the attribute and i alone."""
    names = classes[attribute]
    chance = random.uniform(seed, f"class of {attribute}", torch.arange(count), 1)[:, 0]
    return tuple(names[int(place)] for place in chance * len(names))
