"""What the settings of networks have in common whose layers form a ladder.

DCGAN's rule of thumb serves most networks of convolutions: a generator halves its channels at every layer that makes
the clip longer or the picture larger, and a critic goes the same way back and doubles them. So one number gives the
width of all layers: the channels where the clip is at its largest, in the generator's last hidden layer and in the
critic's first. The families (WaveGAN, SpecGAN, and those of them that are told conditions) differ in what they build
with it, and in which they settle on a widest layer.

References:
    Radford, Metz and Chintala (2016), "Unsupervised representation learning with deep convolutional generative
    adversarial networks", https://arxiv.org/abs/1511.06434
"""

import dataclasses

from retimbre.gan.base import CriticConfig, GeneratorConfig
from retimbre.gan.networks.layers import refuse_below_one


@dataclasses.dataclass(frozen=True)
class LadderGeneratorConfig(GeneratorConfig):
    """A generator whose layers narrow on the way up."""

    kind: str = ""
    """The family; each one has its own name."""
    channels: int = 64
    """Of the last hidden layer; each layer before has twice as many, up to the widest. 64 is the published size."""

    def __post_init__(self) -> None:
        """Refuses a network without channels."""
        refuse_below_one({"channels": self.channels})


@dataclasses.dataclass(frozen=True)
class LadderCriticConfig(CriticConfig):
    """A critic whose layers widen on the way down."""

    kind: str = ""
    """The family; each one has its own name."""
    channels: int = 64
    """Of the first layer; each layer after has twice as many, up to the widest. 64 is the published size."""

    def __post_init__(self) -> None:
        """Refuses a network without channels."""
        refuse_below_one({"channels": self.channels})
