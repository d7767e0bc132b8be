"""An inverter: the thing that hears a clip and says which knobs of one synthesizer made it.

    audio [batch, samples] -> front end -> network (told the note) -> head -> how likely each class of each knob is

From what it says, candidates are drawn (`propose`): first the likeliest patch, then patches sampled in
proportion to their likelihood, for a search to render, rank and refine.

An inverter is saved as one safetensors file that holds everything: weights, the synthesizer's name, every
searched knob with its levels and every fixed one with its value, sample rate and length, representation,
network and head. So it needs no data set and no run file, and says so plainly when the program's synthesizer is
no longer the one it was trained on.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.config import build, dump
from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError
from retimbre.listening.base import Embedder, ExternalEmbedder
from retimbre.listening.catalog import front_end
from retimbre.matching.heads import HeadName, make_head
from retimbre.matching.networks.catalog import MODELS, canonical_name
from retimbre.matching.networks.layers import note_features
from retimbre.matching.sampling import class_centres, draw_class_vectors, within_classes
from retimbre.synth.base import Note, Synth
from retimbre.synth.catalog import find_synth
from retimbre.synth.knobs import Choice, Continuous, Stepped, Value
from retimbre.synth.parameters import ParameterSpace
from retimbre.training import checkpoint
from retimbre.training.shipped import find_checkpoint

KIND = "inverter"


@dataclasses.dataclass(frozen=True)
class InverterConfig:
    """What an inverter is, apart from its weights.

    Attributes:
        kind: Tells its run files from those of other kinds.
        synth: A name in the catalog of synthesizers.
        model: A network's name or alias.
        head: How the outputs are read.
        neighbour_classes: Width of the soft targets of a softmax head, in classes; 0 for none.
        representation: What it listens through, a representation or an embedder; empty for the network's own.
        representation_file: The weights of an embedder that others trained; empty for the rest.
        representation_sha256: Of that file, once it has been read.
        sample_rate: Of the audio in Hz; 0 for the synthesizer's own.
        seconds: Length of a clip; 0 for the synthesizer's default.
        fixed: Knobs that are held, by name.
        levels: Class values of continuous knobs, by name; a number of levels stands for that many, evenly spaced.
    """

    synth: str
    model: str
    kind: Literal["inversion"] = "inversion"
    head: HeadName = "softmax"
    neighbour_classes: float = 0.0
    representation: str = ""
    representation_file: str = ""
    representation_sha256: str = ""
    sample_rate: int = 0
    seconds: float = 0.0
    fixed: dict[str, float | str] = dataclasses.field(default_factory=dict)
    levels: dict[str, int | tuple[float, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses a rate and a length that no clip has."""
        if self.sample_rate < 0 or not 0.0 <= self.seconds <= 60.0:
            raise ConfigError(
                f"sample_rate is {self.sample_rate} and seconds {self.seconds:g}, but they take 0 (the synthesizer's) "
                "or more, and up to 60 s"
            )

    def resolved(self) -> "InverterConfig":
        """The same with nothing left to defaults that may change: what is written into a checkpoint."""
        synth = find_synth(self.synth)
        model = canonical_name(self.model)
        space = narrowed(synth, self)
        return dataclasses.replace(
            self,
            model=model,
            representation=self.representation or MODELS[model].representation,
            sample_rate=self.sample_rate or synth.sample_rate,
            seconds=self.seconds or synth.default_seconds,
            fixed=dict(space.fixed),
            levels={each.name: _levels(each) for each in space.searched if isinstance(each, Continuous)},
        )


def _levels(parameter: Continuous) -> tuple[float, ...]:
    """The levels of a knob, with the ends of its travel free of rounding: a second reading changes nothing."""
    return tuple(parameter.check(level) for level in parameter.class_values())


def narrowed(synth: Synth, config: InverterConfig) -> ParameterSpace:
    """The knobs that an inverter searches, with its levels and its fixed values."""
    return synth.space.with_levels(config.levels).with_fixed(config.fixed)


class Inverter(nn.Module):
    """A network with all that is needed to use it.

    Attributes:
        config: What it is, resolved.
        synth: The synthesizer, at the inverter's sample rate.
        space: The knobs it searches.
        num_samples: The length of the clips it hears.
    """

    def __init__(self, config: InverterConfig) -> None:
        super().__init__()
        self.config = config.resolved()
        catalogued = find_synth(config.synth)
        self.space = narrowed(catalogued, self.config)
        self.synth: Synth = dataclasses.replace(catalogued, sample_rate=self.config.sample_rate)  # pyright: ignore
        self.num_samples = round(self.config.seconds * self.config.sample_rate)
        self.head = make_head(config.head, self.space, config.neighbour_classes)
        self.front_end = front_end(
            self.config.representation, self.config.sample_rate, self.config.representation_file
        )
        self.config = dataclasses.replace(self.config, representation_sha256=self._file_sha256())
        if isinstance(self.front_end, Embedder) and not MODELS[self.config.model].takes_vectors:
            raise ConfigError(
                f"{self.config.model} hears maps, not the vectors of {self.config.representation!r}; MLP hears both"
            )
        with torch.no_grad():
            example = self.front_end(torch.zeros(1, self.num_samples))
        self.network = MODELS[self.config.model].build(example, self.head.num_outputs)

    def _file_sha256(self) -> str:
        """The checksum of the file that its embedder was read from, if it was; refuses another one than it knows."""
        found = self.front_end.file_sha256 if isinstance(self.front_end, ExternalEmbedder) else ""
        if self.config.representation_sha256 not in {"", found}:
            raise ConfigError(
                f"{self.config.representation_file}: not the weights it was trained with: their SHA-256 begins "
                f"{self.config.representation_sha256[:12]}, this file's {found[:12]}"
            )
        return found

    def outputs(self, audio: Float[Tensor, "batch samples"], note: Note) -> Float[Tensor, "batch outputs"]:
        """The network's outputs, always float32; the note is the key press that `audio` is thought to be."""
        # Decibels need more digits than bfloat16 has, so the front end stays out of autocast.
        with torch.autocast(audio.device.type, enabled=False):
            features = self.front_end(audio)
        return self.outputs_of(features, note)

    def outputs_of(self, features: Float[Tensor, "batch ..."], note: Note) -> Float[Tensor, "batch outputs"]:
        """The network's outputs for what the front end made of some clips."""
        return self.network(features, note_features(note)).float()

    def log_probabilities(
        self, audio: Float[Tensor, "batch samples"], note: Note
    ) -> Float[Tensor, "batch searched most"]:
        """Logarithms of `probabilities`; minus infinity where a knob has no such class."""
        return self.head.log_probabilities(self.outputs(audio, note))

    def probabilities(
        self, audio: Float[Tensor, "batch samples"], note: Note
    ) -> Float[Tensor, "batch searched most"]:
        """How likely each class of each searched knob is; zero where a knob has fewer classes."""
        return self.log_probabilities(audio, note).exp()

    @torch.no_grad()
    def propose(
        self,
        audio: Float[Tensor, "1 samples"],
        note: Note,
        count: int,
        *,
        generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Float[Tensor, "count width"]:
        """Patches worth rendering for one clip, as points of the unit cube on the CPU.

        The first is the likeliest class of every knob. The others are drawn in proportion to likelihood; continuous
        knobs land anywhere within their class's share of the travel. Class vectors that were drawn already are passed
        over as long as there are others.

        Args:
            audio: One clip, of `num_samples` samples.
            note: The key press it is thought to be.
            count: How many, 1 or more.
            generator: Where chance comes from.
            temperature: Above 0; below 1 draws nearer to the likeliest, above 1 more widely.
        """
        log_probabilities = self.log_probabilities(audio, note)[0].float().cpu()
        drawn = draw_class_vectors(log_probabilities / temperature, count, generator)
        return torch.cat(
            [class_centres(self.space, drawn[:1]), within_classes(self.space, drawn[1:], generator)]
        )


def save_inverter(path: Path, inverter: Inverter, *, facts: Mapping[str, Any], half: bool = True) -> None:
    """Writes an inverter as one file.

    Args:
        path: Where to.
        inverter: What to save.
        facts: What else should be known of it: seed, clips seen, quality; anything JSON can hold.
        half: Whether weights are stored in 16 bits, which halves the file and changes outputs by about 0.1 %. What a
            fitted embedder learned is kept whole: rounded, a frame between two words may become the other one.
    """
    kept = ("front_end.",) if isinstance(inverter.front_end, Embedder) else ()
    state = {
        name: weights.half()
        if half and weights.is_floating_point() and not name.startswith(kept)
        else weights
        for name, weights in inverter.state_dict().items()
    }
    metadata = {
        "task": "inversion",
        "config": dump(inverter.config),
        "knobs": [describe_knob(parameter) for parameter in inverter.space.parameters],
        "facts": dict(facts),
    }
    checkpoint.save(path, state, kind=KIND, metadata=metadata)


def load_inverter(name_or_path: str | Path) -> Inverter:
    """An inverter from a run folder, a checkpoint file or a shipped checkpoint's name; in evaluation mode, on the CPU.

    Raises:
        CheckpointError: There is none, it is damaged or foreign, or the program's synthesizer is not the one it knows.
    """
    return read_inverter(name_or_path)[0]


def read_inverter(name_or_path: str | Path) -> tuple[Inverter, dict[str, Any]]:
    """As `load_inverter`, with the facts that were saved with it."""
    path = find_checkpoint(name_or_path)
    state, metadata = checkpoint.load(path, kind=KIND)
    try:
        config = build(InverterConfig, metadata["config"], "config")
        check_knobs(config.synth, metadata["knobs"])
        inverter = Inverter(beside(path, config))
        inverter.load_state_dict({name: weights.float() for name, weights in state.items()})
    except (RetimbreError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: cannot be used: {reason}") from error
    return inverter.eval(), dict(metadata.get("facts", {}))


def beside(path: Path, config: InverterConfig) -> InverterConfig:
    """With an embedder's file taken from a checkpoint's folder, if it is no longer where it was in training."""
    moved = path.parent / Path(config.representation_file).name
    if not config.representation_file or Path(config.representation_file).exists() or not moved.is_file():
        return config
    return dataclasses.replace(config, representation_file=str(moved))


def describe_knob(parameter: Continuous | Stepped | Choice) -> dict[str, Any]:
    """What must be the same for a checkpoint to fit: a knob's name and travel. Levels are the inverter's own."""
    if isinstance(parameter, Continuous):
        return {
            "name": parameter.name,
            "low": parameter.low,
            "high": parameter.high,
            "scale": parameter.scale,
        }
    values: list[Value] = list(parameter.class_values())
    return {"name": parameter.name, "values": values}


def check_knobs(synth: str, knobs: list[dict[str, Any]]) -> None:
    """Makes sure that the program's synthesizer has the knobs that a checkpoint was trained on.

    Raises:
        ConfigError: It is unknown, or its knobs differ.
    """
    present = {parameter.name: describe_knob(parameter) for parameter in find_synth(synth).space.parameters}
    saved = {knob["name"]: knob for knob in knobs}
    if list(present) != list(saved):
        differing = sorted(present.keys() ^ saved.keys()) or ["their order"]
        raise ConfigError(
            f"it was trained on another version of {synth!r}, which differs in {', '.join(differing)}"
        )
    for name, knob in present.items():
        if knob != saved[name]:
            raise ConfigError(
                f"it was trained on another version of {synth!r}: {name} was {saved[name]}, is {knob}"
            )
