"""A listener: the classifier of notes that the measures ask, with its name, its file and its classes.

`evaluate pis` asks it how sure it is of pitches, `evaluate pkid` compares what it computes on the way to its answer,
and the embedder `listener` gives its embedding to every distance. So its weights are part of every such number, and its
`identity` belongs to their settings.

A listener is saved as one safetensors file with its classes, and needs nothing else to be read. The one that is shipped
is called `listener` (docs/listening.md says what it was trained on and how well it hears).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retimbre.core.config import build, dump
from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError, near_miss
from retimbre.core.files import fingerprint
from retimbre.listening.base import weights_digest
from retimbre.listening.harmonic import HarmonicNetwork
from retimbre.listening.heard import Classes, Heard, ListenerNetwork
from retimbre.listening.inception import InceptionNetwork
from retimbre.training import checkpoint
from retimbre.training.shipped import find_checkpoint

KIND = "listener"
SHIPPED = "listener"

NETWORKS: dict[str, Callable[[Classes, int], ListenerNetwork]] = {
    "harmonic": HarmonicNetwork,
    "inception": InceptionNetwork,
}
"""From the classes of each attribute and the sample rate in Hz to a network."""

NSYNTH_FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal",
)  # fmt: skip

Attribute = Literal["pitch", "family", "velocity", "register"]

_REGISTER_SEMITONES = 4
_HIGHEST_MIDI = 127


@dataclasses.dataclass(frozen=True)
class ListenerConfig:
    """What a listener is, apart from its weights.

    Attributes:
        kind: Tells its run files from those of other kinds.
        network: A name in `NETWORKS`.
        attributes: What it tells of a note. `register` is the pitch in steps of four semitones, read from the embedding
            so that the embedding knows of pitch, too.
        lowest_pitch: As a MIDI number, as is `highest_pitch`; both are classes.
        families: Names of instrument families; NSynth's eleven.
        velocities: MIDI velocities, in rising order. A note counts as the nearest.
        sample_rate: Of the clips it takes, in Hz.
    """

    kind: Literal["listener"] = "listener"
    network: str = "harmonic"
    attributes: tuple[Attribute, ...] = ("pitch", "family", "velocity", "register")
    lowest_pitch: int = 21
    highest_pitch: int = 108
    families: tuple[str, ...] = NSYNTH_FAMILIES
    velocities: tuple[int, ...] = (25, 50, 75, 100, 127)
    sample_rate: int = 16_000

    def __post_init__(self) -> None:
        """Refuses what has no classes."""
        if self.network not in NETWORKS:
            raise ConfigError(f"there is no network {self.network!r}; {near_miss(self.network, NETWORKS)}")
        if not self.attributes or len(set(self.attributes)) < len(self.attributes):
            raise ConfigError(
                f"attributes is {', '.join(self.attributes) or 'empty'}; takes each once at most"
            )
        if not 0 <= self.lowest_pitch < self.highest_pitch <= _HIGHEST_MIDI:
            raise ConfigError(
                f"pitches are {self.lowest_pitch} to {self.highest_pitch}, but rise within 0 to 127"
            )
        if not self.families or not self.velocities or list(self.velocities) != sorted(set(self.velocities)):
            raise ConfigError("families and velocities take one or more, velocities in rising order")

    def resolved(self) -> "ListenerConfig":
        """The same: nothing is left to a catalog's defaults."""
        return self

    @property
    def classes(self) -> Classes:
        """The names of the classes of each attribute."""
        pitches = range(self.lowest_pitch, self.highest_pitch + 1)
        named = {
            "pitch": tuple(str(pitch) for pitch in pitches),
            "family": self.families,
            "velocity": tuple(str(velocity) for velocity in self.velocities),
            "register": tuple(str(pitch) for pitch in pitches[::_REGISTER_SEMITONES]),
        }
        return {attribute: named[attribute] for attribute in self.attributes}

    def targets(self, attribute: Attribute, labels: Sequence[int] | Sequence[str]) -> Int[Tensor, " clips"]:
        """The class of each clip, -1 where it is none of them.

        Args:
            labels: MIDI numbers for `pitch`, `register` and `velocity`, names for `family`.
        """
        if attribute == "family":
            places = {name: place for place, name in enumerate(self.families)}
            return torch.tensor([places.get(str(label), -1) for label in labels], dtype=torch.int64)
        numbers = torch.tensor([int(label) for label in labels], dtype=torch.int64)
        if attribute == "velocity":
            return (numbers[:, None] - torch.tensor(self.velocities)).abs().argmin(dim=1)
        step = _REGISTER_SEMITONES if attribute == "register" else 1
        known = (numbers >= self.lowest_pitch) & (numbers <= self.highest_pitch)
        return torch.where(known, (numbers - self.lowest_pitch) // step, -1)


@final
class Listener(nn.Module):
    """A network that tells the attributes of notes.

    Attributes:
        config: What it is.
        network: What hears.
    """

    def __init__(self, config: ListenerConfig) -> None:
        super().__init__()
        self.config = config
        self.network = NETWORKS[config.network](config.classes, config.sample_rate)

    @property
    def sample_rate(self) -> int:
        """Of the clips it takes, in Hz."""
        return self.config.sample_rate

    @property
    def classes(self) -> Classes:
        """The names of the classes of each attribute: MIDI numbers for pitch and velocity, words for family."""
        return self.config.classes

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return self.network.dim

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Heard:
        """What is heard in clips at `sample_rate`, of one sample or more."""
        return self.network(audio)

    def identity(self) -> str:
        """Sixteen digits that name what is computed: equal ones mean equal answers to equal clips."""
        return fingerprint({"listener": dump(self.config), "weights": weights_digest(self)})


def save_listener(path: Path, listener: Listener, *, facts: Mapping[str, Any]) -> None:
    """Writes a listener as one file.

    Args:
        facts: What else should be known of it: seed, steps, quality; anything JSON can hold.
    """
    metadata = {"task": KIND, "config": dump(listener.config), "facts": dict(facts)}
    checkpoint.save(path, listener.state_dict(), kind=KIND, metadata=metadata)


def load_listener(name_or_path: str | Path = SHIPPED) -> Listener:
    """A listener from a run folder, a file or the name of a shipped one; in evaluation mode, on the CPU.

    Raises:
        CheckpointError: There is none, it is damaged, or it is a model of another kind.
    """
    path = find_checkpoint(name_or_path)
    state, metadata = checkpoint.load(path, kind=KIND)
    try:
        listener = Listener(build(ListenerConfig, metadata["config"], "config"))
        listener.load_state_dict(state)
    except (RetimbreError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: cannot be used: {reason}") from error
    return listener.eval()
