"""A generator with all that it takes to be heard: its representation, its labels, its rate and length.

What a generator makes is features. To make them sounds one has to know which representation they are of, how they were
scaled and how long the clip is; to ask for a note, which classes there are. A `SoundGenerator` holds all of it, and its
file needs nothing else: neither the data nor the run.

The file has the average of the weights over training, which is what should be heard, and, in a run folder, the weights
themselves as the last update left them (`raw`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core import random
from retimbre.core.config import build, dump
from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError, near_miss
from retimbre.core.files import fingerprint
from retimbre.gan.base import Classes, Form, Generator, Labels, Stage
from retimbre.gan.conditions import check_heard, check_told, condition_shapes, told_to
from retimbre.gan.config import GanConfig
from retimbre.gan.growth import Growth
from retimbre.listening.base import weights_digest
from retimbre.representation.base import Representation
from retimbre.representation.catalog import representation
from retimbre.representation.standardized import Standardized, Statistics
from retimbre.training import checkpoint
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.run_checkpoints import KIND as TRAINING
from retimbre.training.run_checkpoints import kind_of_model
from retimbre.training.shipped import find_checkpoint

KIND = "generator"

Weights = Literal["average", "raw"]

# Attributes whose classes are numbers: one that is not a class is out of range rather than misspelt.
_NUMBERED = ("pitch", "velocity")


@final
class SoundGenerator(nn.Module):
    """From latents and labels to sounds.

    Attributes:
        config: What the run file said.
        classes: The names of the classes of each attribute.
        network: The generator.
        statistics: By which its features are scaled; None where they are not.
        stage: How far the network has grown; None where it is whole.
        facts: What else is known of it: seed, steps, quality, what it learned from.
    """

    def __init__(self, config: GanConfig, classes: Classes, statistics: Statistics | None = None) -> None:
        super().__init__()
        self.config = config
        self.classes = {name: tuple(names) for name, names in classes.items()}
        self.statistics = statistics
        self.representation = own_representation(config, statistics)
        self.form = Form(
            shape_of(self.representation, config.num_samples),
            self.classes,
            config.latent_dim,
            condition_shapes(config.conditions, self.representation),
        )
        check_heard(config.generator, config.conditions)
        self.network: Generator = config.generator.build(self.form)
        self.stage: Stage | None = None
        self.facts: dict[str, Any] = {}

    @property
    def sample_rate(self) -> int:
        """Of the sounds, in Hz."""
        return self.config.sample_rate

    @property
    def num_samples(self) -> int:
        """Length of every sound."""
        return self.config.num_samples

    @property
    def conditions(self) -> dict[str, int]:
        """The signals that it is told, and how long each is."""
        return self.config.conditions

    @property
    def latent_dim(self) -> int:
        """Random numbers that a sound is made from."""
        return self.config.latent_dim

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch samples"]:
        """Sounds, a row each; as finite as what the network says.

        Raises:
            ConfigError: Latents are of another width, or a label or condition is absent, of another shape, or out of
                its range.
        """
        if latent.shape[1] != self.latent_dim:
            raise ConfigError(f"latents have {latent.shape[1]} numbers each; takes {self.latent_dim}")
        check_told(labels, self.classes, self.conditions, len(latent))
        return self.heard(self.network.enlarge(self.network(latent, self.told(labels))))

    def told(self, labels: Labels) -> Labels:
        """Labels as the network gets them: audio among the conditions as features of what it makes."""
        return told_to(labels, self.representation)

    def grow(self, stage: Stage) -> None:
        """Brings the network to a stage of its growth."""
        self.stage = stage
        self.network.grow(stage)

    def heard(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch samples"]:
        """What features of full size sound like."""
        return self.representation.decode(features.float(), num_samples=self.num_samples)

    def draw_latents(
        self, count: int, *, seed: int, purpose: str = "latents"
    ) -> Float[Tensor, "count latent"]:
        """Latents of the distribution that it was trained with, on the CPU; row i depends on the seed and i alone."""
        rows = torch.arange(count)
        chance = random.uniform(seed, purpose, rows, self.latent_dim)
        if self.config.latent == "uniform":
            return (2.0 * chance - 1.0).float()
        # The inverse of the normal distribution function; half a step of the uniform grid keeps it finite.
        return torch.special.ndtri(chance + 2.0**-54).float()

    def labels(self, count: int, wanted: Mapping[str, Any]) -> dict[str, Tensor]:
        """Classes of so many sounds from their names.

        Args:
            count: How many sounds.
            wanted: For attributes, a name (or MIDI number) for all sounds or a sequence of one each. An attribute
                that is left out gets its middle class.

        Raises:
            ConfigError: The generator has no such attribute or class, or names are not as many as sounds.
        """
        for name in wanted:
            if name not in self.classes:
                known = near_miss(name, self.classes) if self.classes else "it is not conditioned on anything"
                raise ConfigError(f"the generator has no attribute {name!r}; {known}")
        return {
            name: _classes_of(name, names, wanted.get(name, names[len(names) // 2]), count)
            for name, names in self.classes.items()
        }

    def identity(self) -> str:
        """Sixteen digits that name what is computed: equal ones mean equal sounds from equal latents and labels."""
        about = {
            "config": dump(self.config),
            "classes": {name: list(names) for name, names in self.classes.items()},
            "representation": self.representation.identity(),
            "stage": None if self.stage is None else dataclasses.asdict(self.stage),
            "weights": weights_digest(self),
        }
        return fingerprint(about)


def own_representation(config: GanConfig, statistics: Statistics | None) -> Representation:
    """What the generator of a run makes.

    Raises:
        ConfigError: There is no such representation, or it cannot be turned back to sound.
    """
    chosen = representation(config.representation, config.sample_rate, config.settings)
    if not chosen.invertible:
        raise ConfigError(
            f"representation is {config.representation!r}, which cannot be turned back to sound; takes one that can"
        )
    return chosen if statistics is None else Standardized(chosen, statistics, clip=config.clip)


def shape_of(chosen: Representation, num_samples: int) -> tuple[int, ...]:
    """The shape of the features of one clip."""
    return tuple(chosen.encode(torch.zeros(1, num_samples)).shape[1:])


def save_generator(
    path: Path,
    sounds: SoundGenerator,
    *,
    facts: Mapping[str, Any],
    raw_state: Mapping[str, Tensor] | None = None,
) -> None:
    """Writes a generator as one file.

    Args:
        sounds: With the average of the weights.
        facts: What else should be known of it: seed, steps, quality; anything JSON can hold.
        raw_state: The network's weights without averaging; left out where they need not be kept.
    """
    state: dict[str, Any] = {"average": sounds.network.state_dict()}
    if raw_state is not None:
        state["raw"] = dict(raw_state)
    if sounds.statistics is not None:
        state["statistics"] = statistics_state(sounds.statistics)
    metadata = {
        "task": KIND,
        "config": dump(sounds.config),
        "classes": {name: list(names) for name, names in sounds.classes.items()},
        "stage": None if sounds.stage is None else dataclasses.asdict(sounds.stage),
        "facts": dict(facts),
    }
    checkpoint.save(path, state, kind=KIND, metadata=metadata)


def load_generator(name_or_path: str | Path, weights: Weights = "average") -> SoundGenerator:
    """A generator from a run folder, a file or the name of a shipped one; in evaluation mode, on the CPU.

    A state of a training will do as well as the generator that is left at its end.

    Raises:
        CheckpointError: There is none, it is damaged, it is a model of another kind, or it has no raw weights.
    """
    path = find_checkpoint(name_or_path)
    is_state = checkpoint.read_header(path).kind == TRAINING and kind_of_model(path) == KIND
    state, metadata = checkpoint.load(path, kind=TRAINING if is_state else KIND)
    if not is_state and weights not in state:
        raise CheckpointError(f"{path}: holds the average of its weights only, no {weights!r} ones")
    try:
        sounds = _of_training(state, metadata, weights) if is_state else _of_file(state, metadata, weights)
    except (RetimbreError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        # PyTorch names the weights that do not fit in the second line.
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2]) or type(error).__name__
        raise CheckpointError(f"{path}: cannot be used: {reason}") from error
    return sounds.eval()


def trained_sounds(
    config: GanConfig, growth: Growth | None, state: Mapping[str, Any], weights: Weights = "average"
) -> SoundGenerator:
    """The generator of a state of its training, grown as far as it was then."""
    trained = state["task"]
    sounds = _saved_sounds(config, trained["classes"], trained["statistics"])
    sounds.network.load_state_dict(trained["generator"])
    if weights == "average":
        average = ExponentialMovingAverage(sounds.network, decay=0.0)
        average.load_state_dict(trained["average"])
        average.settle()
    if growth is not None:
        sounds.grow(growth.at(state["step"]))
    return sounds


def _of_training(state: Mapping[str, Any], metadata: Mapping[str, Any], weights: Weights) -> SoundGenerator:
    """The generator of a state that says what run it is of."""
    run = metadata["run"]
    growth = build(Growth, run["growth"], "growth") if "growth" in run else None
    sounds = trained_sounds(build(GanConfig, run["task"], "task"), growth, state, weights)
    known = {"seed": run["seed"], "step": state["step"], "data": run.get("data", {})}
    sounds.facts = known | ({"census": metadata["census"]} if metadata.get("census") else {})
    return sounds


def _of_file(state: Mapping[str, Any], metadata: Mapping[str, Any], weights: Weights) -> SoundGenerator:
    """A generator that was saved as such."""
    config = build(GanConfig, metadata["config"], "config")
    sounds = _saved_sounds(config, metadata["classes"], state.get("statistics"))
    sounds.network.load_state_dict(state[weights])
    if metadata["stage"] is not None:
        sounds.grow(Stage(**metadata["stage"]))
    sounds.facts = dict(metadata["facts"])
    return sounds


def statistics_state(statistics: Statistics) -> dict[str, Any]:
    """Statistics as a checkpoint holds them."""
    return {"mean": statistics.mean, "deviation": statistics.deviation, "clips": statistics.num_clips}


def _saved_sounds(
    config: GanConfig, classes: Mapping[str, Sequence[str]], statistics: Mapping[str, Any] | None
) -> SoundGenerator:
    """A generator with fresh weights for the classes, and by the statistics, that a checkpoint holds."""
    named = {name: tuple(names) for name, names in classes.items()}
    if statistics is None:
        return SoundGenerator(config, named)
    inner = own_representation(config, None)
    read = Statistics(statistics["mean"], statistics["deviation"], int(statistics["clips"]), inner.identity())
    return SoundGenerator(config, named, read)


def _classes_of(name: str, names: Sequence[str], wanted: Any, count: int) -> Tensor:
    """Places among the names, one per sound."""
    one_for_all = isinstance(wanted, str | int)
    asked = [wanted] * count if one_for_all else list(wanted)
    if len(asked) != count:
        raise ConfigError(f"{name} has {len(asked)} values for {count} sounds; takes one for all or one each")
    places = {each: place for place, each in enumerate(names)}
    for each in asked:
        if str(each) not in places:
            raise ConfigError(f"the generator has no {name} {each}; {choice_of(name, names, each)}")
    return torch.tensor([places[str(each)] for each in asked], dtype=torch.int64)


def choice_of(name: str, names: Sequence[str], wanted: Any) -> str:
    """The end of an error about a class that there is not: the range of numbers, all of them, or a near miss."""
    if name not in _NUMBERED:
        return near_miss(str(wanted), names)
    numbers = [int(each) for each in names]
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"takes {numbers[0]} to {numbers[-1]}"
    return f"takes {', '.join(names)}"
