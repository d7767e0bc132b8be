"""InverSynth's networks: plain stacks of strided convolutions over a decibel spectrogram.

On top of the convolutions is a dense layer of 512, then one output per class of each knob. Strides do the work
of pooling, and every convolution is followed by a ReLU. Frames come first: the map is `[batch, 1, 64 frames,
257 bins]`, and a kernel of 3x4 spans 3 frames and 4 bins. The end-to-end network learns such a map itself, by
four strided convolutions over the samples; its 2-D half has the layers of Conv6.

All convolutions pad by TensorFlow's 'same' rule. That is what makes every count of trainable parameters the one
that the paper states (1.2 million for Conv1 to Conv6, 2.3 for Conv6XL, 1.9 for E2E, at 368 outputs); without
padding the deeper ones cannot even be built. The paper does not say whether the dense layer has an activation:
here it has a ReLU, since two linear layers in a row are no more than one.

Networks take their size from one encoded clip.

References:
    Barkan et al., "InverSynth: Deep estimation of synthesizer parameter configurations from audio signals", IEEE/ACM
    TASLP 2019, https://arxiv.org/abs/1812.06349
"""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.matching.networks.layers import HIDDEN_UNITS, SameConv1d, SameConv2d, decibels_to_unit_scale

# Filters, kernel (frames, bins), stride (frames, bins) of each layer.
Layer = tuple[int, tuple[int, int], tuple[int, int]]

CONV_LAYERS: dict[str, tuple[Layer, ...]] = {
    "Conv1": ((38, (13, 26), (13, 26)),),
    "Conv2": ((35, (6, 7), (5, 6)), (87, (6, 9), (5, 8))),
    "Conv3": ((32, (4, 5), (3, 4)), (98, (4, 6), (3, 5)), (128, (4, 6), (3, 5))),
    "Conv4": ((32, (3, 4), (2, 3)), (65, (3, 4), (2, 3)), (105, (3, 4), (2, 3)), (128, (4, 5), (3, 4))),
    "Conv5": (
        (32, (3, 3), (2, 2)),
        (98, (3, 3), (2, 2)),
        (128, (3, 4), (2, 3)),
        (128, (3, 5), (2, 4)),
        (128, (3, 3), (2, 2)),
    ),
    "Conv6": (
        (32, (3, 3), (2, 2)),
        (71, (3, 3), (2, 2)),
        (128, (3, 4), (2, 3)),
        (128, (3, 3), (2, 2)),
        (128, (3, 3), (2, 2)),
        (128, (3, 3), (1, 2)),
    ),
    "Conv6XL": (
        (64, (3, 3), (2, 2)),
        (128, (3, 3), (2, 2)),
        (128, (3, 4), (2, 3)),
        (128, (3, 3), (2, 2)),
        (256, (3, 3), (2, 2)),
        (256, (3, 3), (1, 2)),
    ),
}

# Filters, kernel and stride in samples of the layers that learn a map of 257 "bins" and one "frame" per 256 samples.
WAVE_LAYERS = ((96, 64, 4), (96, 32, 4), (128, 16, 4), (257, 8, 4))


class SpectrogramNetwork(nn.Module):
    """Strided 2-D convolutions over decibels from -80 to 0, then a dense layer of 512 and the outputs."""

    def __init__(
        self, example: Float[Tensor, "1 1 frames bins"], num_outputs: int, layers: tuple[Layer, ...]
    ) -> None:
        super().__init__()
        self.trunk = conv_stack(layers)
        with torch.no_grad():
            self.tail = dense_tail(self.trunk(example), num_outputs)

    def forward(
        self, features: Float[Tensor, "batch 1 frames bins"], note: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch outputs"]:
        """Features to outputs; the note is not used."""
        return self.tail(self.trunk(decibels_to_unit_scale(features)))


class WaveNetwork(nn.Module):
    """E2E: 1-D convolutions learn a map of 257 bins from the samples, and Conv6's layers go on from there.

    The clip is first scaled to a largest sample of 1, so that the network is as blind to level as the
    spectrograms are.
    """

    def __init__(self, example: Float[Tensor, "1 1 samples"], num_outputs: int) -> None:
        super().__init__()
        channels = itertools.pairwise((1, *(filters for filters, _, _ in WAVE_LAYERS)))
        convolutions = [
            SameConv1d(before, after, kernel, stride)
            for (before, after), (_, kernel, stride) in zip(channels, WAVE_LAYERS, strict=True)
        ]
        self.wave = nn.Sequential(*interleave_relu(convolutions))
        self.trunk = conv_stack(CONV_LAYERS["Conv6"])
        with torch.no_grad():
            self.tail = dense_tail(self.trunk(self.learned_map(example)), num_outputs)

    def learned_map(self, features: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch 1 frames bins"]:
        """The samples as the map that the 2-D layers see: 64 x 257 for 16,384 samples."""
        loudest = features.abs().amax(dim=2, keepdim=True).clamp_min(1e-6)  # -120 dB: silence stays silence
        return self.wave(features / loudest).transpose(1, 2)[:, None]

    def forward(
        self, features: Float[Tensor, "batch 1 samples"], note: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch outputs"]:
        """Features to outputs; the note is not used."""
        return self.tail(self.trunk(self.learned_map(features)))


def conv_stack(layers: tuple[Layer, ...]) -> nn.Sequential:
    """The 2-D convolutions of a table, each followed by a ReLU."""
    channels = itertools.pairwise((1, *(filters for filters, _, _ in layers)))
    convolutions = [
        SameConv2d(before, after, kernel, stride)
        for (before, after), (_, kernel, stride) in zip(channels, layers, strict=True)
    ]
    return nn.Sequential(*interleave_relu(convolutions))


def interleave_relu(convolutions: list[SameConv1d] | list[SameConv2d]) -> list[nn.Module]:
    """Each convolution with its ReLU after it, and weights whose scale a ReLU keeps (He et al. 2015)."""
    for convolution in convolutions:
        nn.init.kaiming_uniform_(convolution.weight, nonlinearity="relu")
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    return [module for convolution in convolutions for module in (convolution, nn.ReLU())]


def dense_tail(last_map: Tensor, num_outputs: int) -> nn.Sequential:
    """Flatten, dense 512, ReLU, outputs."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(last_map[0].numel(), HIDDEN_UNITS),
        nn.ReLU(),
        nn.Linear(HIDDEN_UNITS, num_outputs),
    )
