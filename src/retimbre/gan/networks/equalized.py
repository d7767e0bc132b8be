"""The layers of progressive GANs: ways to keep two networks from outgrowing each other.

*Equalised learning rates.* Adam moves every weight by about the learning rate, however large the weight is. A layer
whose weights begin small, because many of them are summed, so learns faster than others. Here all weights begin at a
deviation of 1, and the layer multiplies what it computes, the bias included, by what would have been the deviation of
its weights: sqrt(2 / fan-in), by He. Then all layers learn at the same pace.

*Pixel normalisation.* The generator divides each cell's channels by their root mean square, so that no signal can grow
without bounds on its way through. It has no weights, and no cell depends on another.

*Minibatch standard deviation.* A generator that makes the same clip again and again is not found out by looking at one
clip. So the critic is shown how much the clips of a small group differ: the standard deviation over the group, averaged
over all channels and cells, as one more channel. Groups are neighbouring rows of the global batch. Where processes
share a batch such that a group is cut in two, the rows are brought together (`training.parallel`).

References:
    Karras et al. (2018), Progressive growing of GANs for improved quality, stability, and variation, sections 3 and 4,
    https://arxiv.org/abs/1710.10196
    He et al. (2015), Delving deep into rectifiers, https://arxiv.org/abs/1502.01852
"""

import abc
import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.training.share import Processes, Share, current_processes, current_share, share_of

_FLOOR = 1e-8  # under every root, so that it has a slope at 0


@final
@dataclasses.dataclass(frozen=True)
class LayerStyle:
    """What the layers of one network have in common."""

    equalized: bool = True
    """Whether weights begin at a deviation of 1 and are scaled when used; otherwise they begin as He's."""
    zero_bias: bool = True
    """Whether biases begin at 0, or else evenly within 1 / sqrt(fan-in)."""
    leak: float = 0.2
    """Slope of the activation below 0."""

    def __post_init__(self) -> None:
        """Refuses a slope that would turn signs round."""
        if not 0.0 <= self.leak <= 1.0:
            raise ConfigError(f"leak is {self.leak:g}; takes 0 to 1")

    def dense(self, num_in: int, num_out: int) -> "Dense":
        """A fully connected layer."""
        return Dense(num_in, num_out, self)

    def conv(self, num_in: int, num_out: int, kernel: tuple[int, int]) -> "Conv":
        """A convolution that keeps the size; kernels are odd."""
        return Conv(num_in, num_out, kernel, self)

    def activate(self, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The leaky rectifier."""
        return nn.functional.leaky_relu(values, self.leak)


class _Weights(nn.Module, abc.ABC):
    """Weights and biases with what they are multiplied by when used."""

    def __init__(self, shape: tuple[int, ...], num_biases: int, fan_in: int, style: LayerStyle) -> None:
        super().__init__()
        deviation = math.sqrt(2.0 / fan_in)
        self.gain = deviation if style.equalized else 1.0
        self.weight = nn.Parameter(torch.randn(shape) * (1.0 if style.equalized else deviation))
        biases = torch.zeros(num_biases)
        if not style.zero_bias:
            bound = 1.0 / math.sqrt(fan_in)
            biases = torch.empty(num_biases).uniform_(-bound, bound)
        self.bias = nn.Parameter(biases)

    @abc.abstractmethod
    def forward(self, values: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The layer's sums, before any activation."""

    def extra_repr(self) -> str:
        """What the layer's print shows."""
        return f"shape={tuple(self.weight.shape)}, gain={self.gain:.4g}"


@final
class Dense(_Weights):
    """Every output from every input."""

    def __init__(self, num_in: int, num_out: int, style: LayerStyle) -> None:
        super().__init__((num_out, num_in), num_out, num_in, style)

    def forward(self, values: Float[Tensor, "batch in"]) -> Float[Tensor, "batch out"]:
        """The layer's sums, before any activation."""
        # To scale the weights costs less than to scale what they make.
        return nn.functional.linear(values, self.weight * self.gain, self.bias * self.gain)


@final
class Conv(_Weights):
    """A convolution that keeps the size of its maps."""

    def __init__(self, num_in: int, num_out: int, kernel: tuple[int, int], style: LayerStyle) -> None:
        fan_in = num_in * kernel[0] * kernel[1]
        super().__init__((num_out, num_in, *kernel), num_out, fan_in, style)
        self.padding = (kernel[0] // 2, kernel[1] // 2)

    def forward(
        self, values: Float[Tensor, "batch in _ _"], stride: tuple[int, int] = (1, 1)
    ) -> Float[Tensor, "batch out _ _"]:
        """The maps of the same size, or of every so many cells of it."""
        return nn.functional.conv2d(
            values, self.weight * self.gain, self.bias * self.gain, stride, self.padding
        )


@final
class Unfold(_Weights):
    """A latent to maps, as GANSynth begins: a convolution over the latent as a single cell amid zeros.

    With a kernel of the size of the maps, each cell of them meets another weight of the kernel, so this is a matrix
    product with one bias per channel. What is peculiar is the scale: the kernel's fan-in counts all its cells, of which
    one is used at a time, so the maps begin small, and rely on the pixel normalisation that follows.
    """

    def __init__(self, num_in: int, num_out: int, size: tuple[int, int], style: LayerStyle) -> None:
        super().__init__((num_out, num_in, *size), num_out, num_in * size[0] * size[1], style)

    def forward(self, values: Float[Tensor, "batch in"]) -> Float[Tensor, "batch out bins frames"]:
        """Maps of the kernel's size."""
        maps = torch.einsum("bi,oiyx->boyx", values, self.weight * self.gain)
        return maps + (self.bias * self.gain)[:, None, None]


@final
class PixelNorm(nn.Module):
    """Divides the channels of every cell by their root mean square; `is_on=False` changes nothing."""

    def __init__(self, is_on: bool = True) -> None:
        super().__init__()
        self.is_on = is_on

    def forward(
        self, values: Float[Tensor, "batch channels *cells"]
    ) -> Float[Tensor, "batch channels *cells"]:
        """The same, with a mean square of 1 over the channels of each cell."""
        if not self.is_on:
            return values
        mean_square = values.float().square().mean(dim=1, keepdim=True)
        return values * (mean_square + _FLOOR).rsqrt().to(values.dtype)


@final
class MinibatchDeviation(nn.Module):
    """Adds a channel that says how much the clips of a group differ.

    Groups are `group_size` neighbouring rows of the global batch; where it does not divide the batch, all of the batch
    is one group.
    """

    def __init__(self, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size

    def group_of(self, batch_size: int) -> int:
        """Rows of a group in a global batch of so many."""
        return self.group_size if batch_size % self.group_size == 0 else batch_size

    def forward(
        self, maps: Float[Tensor, "batch channels bins frames"]
    ) -> Float[Tensor, "batch channels_and_one bins frames"]:
        """The maps with one channel more.

        Raises:
            ConfigError: The batch goes through the network in parts that cut a group in two.
        """
        share, others = current_share(len(maps)), current_processes()
        group = self.group_of(share.total)
        values = maps.float()
        if others is not None and share == others.share(share.total) and _cuts_a_group(share, group, others):
            told = _deviations(others.gather(values, share), group)[share.rows]
        elif cuts_a_group(share, group):
            last = share.first + share.count - 1
            raise ConfigError(
                f"rows {share.first} to {last} of {share.total} cut a group of {group} that a critic compares; "
                "rows_at_once takes a multiple of it"
            )
        else:
            told = _deviations(values, group)
        channel = told.to(maps.dtype)[:, None, None, None].expand(-1, 1, *maps.shape[2:])
        return torch.cat([maps, channel], dim=1)

    def extra_repr(self) -> str:
        """What the layer's print shows."""
        return f"group_size={self.group_size}"


def cuts_a_group(share: Share, group: int) -> bool:
    """Whether rows end, or begin, within a group."""
    return bool(share.first % group or share.count % group)


def _deviations(maps: Float[Tensor, "batch channels bins frames"], group: int) -> Float[Tensor, " batch"]:
    """For each row the deviation within its group, averaged over channels and cells."""
    groups = maps.unflatten(0, (-1, group))
    variance = (groups - groups.mean(dim=1, keepdim=True)).square().mean(dim=1)
    return (variance + _FLOOR).sqrt().mean(dim=(1, 2, 3)).repeat_interleave(group)


def _cuts_a_group(share: Share, group: int, processes: Processes) -> bool:
    """Whether some group is with two processes: a question to which all of them have the same answer."""
    return any(share_of(share.total, rank, processes.size).first % group for rank in range(processes.size))
