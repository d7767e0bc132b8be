"""What the networks share: convolutions padded by the 'same' rule, and how decibels and notes are fed to them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.representation.steps import same_padding
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note

NOTE_FEATURES = 2  # length of the vector that describes a note
HIDDEN_UNITS = 512  # of the dense layer under the outputs
SHORTEST_GATE_S = 1e-3  # shorter ones are as good as this to a network, and their logarithm stays finite


def note_features(note: Note) -> Float[Tensor, "batch features"]:
    """A note as a network is told it: octaves above 440 Hz, and octaves of key-down time above one second."""
    return torch.stack(
        [torch.log2(note.pitch_hz / REFERENCE_PITCH_HZ), torch.log2(note.gate_s.clamp_min(SHORTEST_GATE_S))],
        dim=1,
    ).float()


class SameConv2d(nn.Conv2d):
    """A convolution padded by the 'same' rule: ceil(size / stride) outputs per axis."""

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Tensor:  # noqa: A002 (torch's name)
        """Pads and convolves; the odd row and column of padding go below and to the right."""
        (kernel_height, kernel_width), (stride_height, stride_width) = self.kernel_size, self.stride
        top, bottom = same_padding(input.shape[2], kernel_height, stride_height)
        left, right = same_padding(input.shape[3], kernel_width, stride_width)
        return super().forward(functional.pad(input, (left, right, top, bottom)))


class SameConv1d(nn.Conv1d):
    """A convolution padded by the 'same' rule: ceil(samples / stride) outputs."""

    def forward(self, input: Float[Tensor, "batch channels samples"]) -> Tensor:  # noqa: A002 (torch's name)
        """Pads and convolves; the odd sample of padding goes to the end."""
        padding = same_padding(input.shape[2], self.kernel_size[0], self.stride[0])
        return super().forward(functional.pad(input, padding))


def decibels_to_unit_scale(features: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Decibels from -80 to 0 as numbers from -1 to 1, which is where the initial weights work best."""
    return features / 40.0 + 1.0
