"""An autoencoder of the labels of a synthesizer: class vectors squeezed through a few numbers and back.

    one-hot label [batch, classes] -> encoder, ReLU -> code [batch, bottleneck] -> decoder, sigmoid -> [batch, classes]

It hears nothing. What it learns is which combinations of knobs occur. Where knobs are drawn independently and evenly,
as a generated data set draws them, there is nothing to learn: every combination is as likely as any other, and a code
can hold no more of them than it has room for. Labels that come from somewhere (the answers of an inverter to real
sounds, a bank of patches) have structure, and then a few numbers go a long way: they are axes along which to move from
one plausible patch to another, since every code decodes to a patch (`LabelAutoencoder.decode_patch`).

Encoder and decoder are modules of their own that take and return one tensor, so each works alone and can be exported
alone. A checkpoint holds both, with the knobs and the levels that the classes stand for.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retimbre.core.config import build, dump
from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError
from retimbre.matching.inverter import check_knobs, describe_knob
from retimbre.synth.catalog import find_synth
from retimbre.synth.knobs import Continuous
from retimbre.synth.parameters import Knobs, ParameterSpace
from retimbre.training import checkpoint
from retimbre.training.shipped import find_checkpoint

KIND = "label-autoencoder"
DESCRIPTION = "Squeezes the class vectors of a synthesizer through a few numbers and back"


@dataclasses.dataclass(frozen=True)
class LabelAutoencoderConfig:
    """What a label autoencoder is, apart from its weights.

    Attributes:
        kind: What it is trained for.
        synth: A name in the catalog of synthesizers.
        bottleneck: Numbers in a code. An earlier system had 35 for a whole synthesizer, and 5.
        hidden: Units of the layers between labels and code, from the labels inwards; the decoder has them in reverse.
        fixed: Knobs that are held, by name.
        levels: Class values of continuous knobs, by name; a number of levels stands for that many, evenly spaced.
    """

    synth: str
    bottleneck: int = 35
    kind: Literal["label-autoencoder"] = "label-autoencoder"
    hidden: tuple[int, ...] = ()
    fixed: dict[str, float | str] = dataclasses.field(default_factory=dict)
    levels: dict[str, int | tuple[float, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses layers without units."""
        if self.bottleneck < 1 or any(width < 1 for width in self.hidden):
            raise ConfigError(
                f"bottleneck is {self.bottleneck} and hidden {list(self.hidden)}, but layers take 1 unit or more"
            )

    @property
    def space(self) -> ParameterSpace:
        """The knobs whose classes are encoded."""
        return find_synth(self.synth).space.with_levels(self.levels).with_fixed(self.fixed)

    def resolved(self) -> "LabelAutoencoderConfig":
        """The same with nothing left to defaults that may change: what is written into a checkpoint."""
        space = self.space
        if not space.searched:
            raise ConfigError("every knob is fixed, so there are no labels to encode")
        levels = {
            each.name: tuple(each.check(level) for level in each.class_values())
            for each in space.searched
            if isinstance(each, Continuous)
        }
        return dataclasses.replace(self, fixed=dict(space.fixed), levels=levels)


class LabelEncoder(nn.Module):
    """Labels to codes: dense layers, each with its ReLU, so that a code has no negative numbers."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers = [(nn.Linear(before, after), nn.ReLU()) for before, after in itertools.pairwise(widths)]
        self.layers = nn.Sequential(*itertools.chain(*layers))

    def forward(self, labels: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch bottleneck"]:
        """The codes of one-hot labels, or of probabilities in their place."""
        return self.layers(labels)


class LabelDecoder(nn.Module):
    """Codes to how likely each class is: dense layers with a ReLU between them, and a sigmoid."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        *inner, last = itertools.pairwise(widths)
        layers = [(nn.Linear(before, after), nn.ReLU()) for before, after in inner]
        self.layers = nn.Sequential(*itertools.chain(*layers), nn.Linear(*last))

    def logits(self, codes: Float[Tensor, "batch bottleneck"]) -> Float[Tensor, "batch classes"]:
        """The decoder without its sigmoid, which the loss has inside for the sake of its digits."""
        return self.layers(codes)

    def forward(self, codes: Float[Tensor, "batch bottleneck"]) -> Float[Tensor, "batch classes"]:
        """A yes-or-no probability of each class of each knob, in the order of the one-hot label."""
        return self.logits(codes).sigmoid()


class LabelAutoencoder(nn.Module):
    """An encoder and a decoder with the knobs that they are about.

    Attributes:
        config: What it is, resolved.
        space: The knobs whose classes are encoded.
    """

    def __init__(self, config: LabelAutoencoderConfig) -> None:
        super().__init__()
        self.config = config.resolved()
        self.space = self.config.space
        widths = (self.space.total_classes, *config.hidden, config.bottleneck)
        self.encoder = LabelEncoder(widths)
        self.decoder = LabelDecoder(widths[::-1])

    def forward(self, labels: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch classes"]:
        """Labels to codes and back to probabilities."""
        return self.decoder(self.encoder(labels))

    def encode(self, classes: Int[Tensor, "batch searched"]) -> Float[Tensor, "batch bottleneck"]:
        """The codes of class vectors."""
        return self.encoder(self.space.to_one_hot(classes))

    def decode(self, codes: Float[Tensor, "batch bottleneck"]) -> Int[Tensor, "batch searched"]:
        """The class vectors of codes: the likeliest class of each knob."""
        return self.space.from_one_hot(self.decoder.logits(codes))

    def decode_patch(self, codes: Float[Tensor, "batch bottleneck"]) -> Knobs:
        """The knobs of codes, ready for `Synth.render`: each at the level of its class, the fixed ones included."""
        return self.space.from_classes(self.decode(codes))


def save_autoencoder(path: Path, autoencoder: LabelAutoencoder, *, facts: Mapping[str, Any]) -> None:
    """Writes an autoencoder as one file.

    Args:
        facts: What else should be known of it: seed, steps, quality; anything JSON can hold.
    """
    metadata = {
        "task": KIND,
        "config": dump(autoencoder.config),
        "knobs": [describe_knob(parameter) for parameter in autoencoder.space.parameters],
        "facts": dict(facts),
    }
    checkpoint.save(path, autoencoder.state_dict(), kind=KIND, metadata=metadata)


def load_autoencoder(name_or_path: str | Path) -> LabelAutoencoder:
    """An autoencoder from a run folder or a checkpoint file; in evaluation mode, on the CPU.

    Raises:
        CheckpointError: There is none, it is damaged or foreign, or the program's synthesizer is not the one it knows.
    """
    path = find_checkpoint(name_or_path)
    state, metadata = checkpoint.load(path, kind=KIND)
    try:
        config = build(LabelAutoencoderConfig, metadata["config"], "config")
        check_knobs(config.synth, metadata["knobs"])
        autoencoder = LabelAutoencoder(config)
        autoencoder.load_state_dict(state)
    except (RetimbreError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: cannot be used: {reason}") from error
    return autoencoder.eval()


def num_parameters(num_classes: int, config: LabelAutoencoderConfig) -> int:
    """Trainable parameters for labels of so many classes."""
    widths = (num_classes, *config.hidden, config.bottleneck)
    there = sum((before + 1) * after for before, after in itertools.pairwise(widths))
    return there + sum((before + 1) * after for before, after in itertools.pairwise(widths[::-1]))


def differing_knobs(space: ParameterSpace, other: ParameterSpace) -> list[str]:
    """The searched knobs that two spaces do not have alike: missing in one, or with other classes."""
    first = {each.name: each.class_values() for each in space.searched}
    second = {each.name: each.class_values() for each in other.searched}
    alike = {
        name
        for name in first.keys() & second.keys()
        if len(first[name]) == len(second[name]) and all(map(_same_value, first[name], second[name]))
    }
    return sorted((first.keys() | second.keys()) - alike)


def _same_value(one: float | str, other: float | str) -> bool:
    """Whether two class values are one, but for the digits that a 32-bit float does not hold."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return bool(torch.isclose(torch.tensor(one), torch.tensor(other), rtol=1e-5, atol=0.0))
