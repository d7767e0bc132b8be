"""The two networks of the earlier envelope system (NeuroSynth), as they were, so that its weights can be used.

The generator is told 11 channels of 128 samples: the sound, the number of each sample from 0 to 127, and nine planes,
one-hot for three attacks, three sustains and three releases. Two strided convolutions halve the length twice, two
blocks work there, and two transposed convolutions go back; a tanh ends it. The critic hears the sample, the sound and
the numbers, and says with what probability the sample is real, and of which classes.

Three things in it are not what its description says, and they are kept here. The blocks are called residual but have no
skip. The critic ends in a sigmoid, which a Wasserstein critic has not. And every layer has an instance normalisation,
which takes each channel's mean and level out of it, over a network whose task is level. The network that this package
trains in its place is `gan.networks.told.envelope`.

References:
    The earlier system: https://github.com/eoin-og/NeuroSynth
    Ulyanov, Vedaldi and Lempitsky (2016), Instance normalization, https://arxiv.org/abs/1607.08022
"""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

ATTACKS, SUSTAINS, RELEASES = (0.0, 0.2, 0.4), (1.0, 0.7, 0.4), (0.0, 0.2, 0.4)
"""What the classes stand for, in the order of the planes."""

NUM_SAMPLES = 128
"""Of the clips that it was trained with."""

NUM_PLANES = len(ATTACKS) + len(SUSTAINS) + len(RELEASES)
WIDTH = 8
"""Channels of the outermost layers."""

_SLOPE = 0.01  # of the leaky rectifiers below 0
_HALVE = (4, 2, 1)  # kernel, stride and padding


@final
class _Block(nn.Module):
    """Two convolutions with their normalisations. Nothing is added to what went in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers.append(nn.Conv1d(width, width, 3, padding=1, bias=False))
            layers.append(nn.InstanceNorm1d(width, affine=True))
            layers += [] if last else [nn.ReLU()]
        self.main = nn.Sequential(*layers)

    def forward(self, places: Float[Tensor, "batch width places"]) -> Float[Tensor, "batch width places"]:
        """What the layers make of the places."""
        return self.main(places)


@final
class NeuroSynthGenerator(nn.Module):
    """From a sound, the numbers of its samples and planes of classes to the sound under an envelope.

    The layers have the names of the earlier program, by which its files know them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(2 + NUM_PLANES, WIDTH, *_HALVE)
        self.conv2 = nn.Conv1d(WIDTH, 2 * WIDTH, *_HALVE)
        self.res1, self.res2 = _Block(2 * WIDTH), _Block(2 * WIDTH)
        self.tcnv1 = nn.ConvTranspose1d(2 * WIDTH, WIDTH, *_HALVE)
        self.tcnv2 = nn.ConvTranspose1d(WIDTH, 1, *_HALVE)
        self.in1, self.in2, self.in3 = (
            nn.InstanceNorm1d(width, affine=True) for width in (WIDTH, 2 * WIDTH, WIDTH)
        )

    def forward(self, told: Float[Tensor, "batch 11 samples"]) -> Float[Tensor, "batch 1 samples"]:
        """Samples between -1 and 1; a multiple of four of them, eight or more."""
        halved = functional.leaky_relu(self.in1(self.conv1(told)), _SLOPE)
        quartered = functional.leaky_relu(self.in2(self.conv2(halved)), _SLOPE)
        worked = self.res2(self.res1(quartered))
        doubled = functional.leaky_relu(self.in3(self.tcnv1(worked)), _SLOPE)
        return torch.tanh(self.tcnv2(doubled))


@final
class NeuroSynthCritic(nn.Module):
    """From a sample, the sound it is made of and the numbers of its samples to a probability and guesses of classes."""

    def __init__(self) -> None:
        super().__init__()
        widths = (WIDTH, 2 * WIDTH, 4 * WIDTH)
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv1d(before, after, *_HALVE) for before, after in zip((3, *widths), widths, strict=False)
        )
        self.in1, self.in2, self.in3 = (nn.InstanceNorm1d(width, affine=True) for width in widths)
        places = NUM_SAMPLES // 2 ** len(widths)
        self.cls_output = nn.Conv1d(widths[-1], NUM_PLANES, places, bias=False)
        self.src_output = nn.Conv1d(widths[-1], 1, places, bias=False)

    def forward(
        self, shown: Float[Tensor, "batch 3 samples"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch classes"]]:
        """How likely each sample is real, 0 to 1, and a logit for each class; of clips of 128 samples."""
        seen = shown
        for layer, norm in ((self.conv1, self.in1), (self.conv2, self.in2), (self.conv3, self.in3)):
            seen = functional.leaky_relu(norm(layer(seen)), _SLOPE)
        return torch.sigmoid(self.src_output(seen))[:, 0, 0], self.cls_output(seen)[..., 0]


def told(
    sound: Float[Tensor, "batch samples"], classes: Int[Tensor, "batch 3"]
) -> Float[Tensor, "batch 11 samples"]:
    """What the generator is told: the sound, the sample numbers, and a plane for every class.

    Args:
        sound: Of 128 samples as in training; of other lengths the numbers run from 0 to 127 all the same.
        classes: The places of attack, sustain and release in their lists.
    """
    counts = (len(ATTACKS), len(SUSTAINS), len(RELEASES))
    planes = [
        functional.one_hot(place, count) for place, count in zip(classes.unbind(1), counts, strict=True)
    ]
    shape = (len(sound), -1, sound.shape[-1])
    expanded = torch.cat(planes, dim=1).to(sound)[:, :, None].expand(shape)
    return torch.cat([sound[:, None], numbers(sound), expanded], dim=1)


def numbers(like: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch 1 samples"]:
    """The channel of sample numbers, 0 to 127."""
    return torch.linspace(0.0, NUM_SAMPLES - 1.0, like.shape[-1]).to(like).expand(len(like), 1, -1)
