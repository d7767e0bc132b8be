"""What a listener answers, and what a network that can be one promises.

A listener is a classifier of notes that is trained here, so that the measures which listen (inception score, kernel
distance over pitch features) have somebody to ask. It hears a clip and answers, for each *attribute* of a note (its
pitch, its instrument's family, how hard it was played), how likely every class is. Two things are taken from inside it
on the way: one vector for the whole sound, the *embedding*, and for each attribute the *features* that its answer is
read from, its penultimate layer.

A network (`HarmonicNetwork`, `InceptionNetwork`) is made from the classes of each attribute alone and returns `Heard`;
`listener.Listener` puts one behind a name, a file and a sample rate.
"""

import abc
import dataclasses

from jaxtyping import Float
from torch import Tensor, nn

Classes = dict[str, tuple[str, ...]]
"""The names of the classes of each attribute."""


@dataclasses.dataclass(frozen=True, eq=False)
class Heard:
    """What a network heard in a batch of clips.

    Attributes:
        embedding: One vector for each sound.
        logits: For each attribute, how likely its classes are, before the softmax.
        features: For each attribute, what its logits are a linear function of.
    """

    embedding: Float[Tensor, "batch dim"]
    logits: dict[str, Float[Tensor, "batch classes"]]
    features: dict[str, Float[Tensor, "batch width"]]


class ListenerNetwork(nn.Module, abc.ABC):
    """A network from clips to `Heard`.

    Subclasses set `dim` and are made from the classes of each attribute and the sample rate.

    Attributes:
        classes: The names of the classes of each attribute.
        sample_rate: Of the clips it takes, in Hz.
        dim: Length of the embedding.
    """

    dim: int

    def __init__(self, classes: Classes, sample_rate: int) -> None:
        super().__init__()
        self.classes = classes
        self.sample_rate = sample_rate

    @abc.abstractmethod
    def forward(self, audio: Float[Tensor, "batch samples"]) -> Heard:
        """What is heard in clips of one sample or more; in evaluation, row `i` depends on clip `i` alone."""
