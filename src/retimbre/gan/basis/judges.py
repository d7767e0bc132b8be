"""Two networks that look over the shoulder of a basis while it is learned.

The *classifier* sees codes and tells which of 88 keys are down, and the pedal: layers that look at one frame alone, so
that what a key sounds like has to be in the frame. Its errors are the basis's as well, which so learns codes that mean
something. The *critic* sees samples and scores recordings above what came back from codes, as in a GAN (`gan.losses`).

Neither is needed once the basis is learned.
"""

import itertools
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

CRITIC_REDUCTION = 4
"""By what each convolution of the critic divides the number of samples."""

_KERNEL, _PADDING = 36, 16
_SLOPE = 0.2


@final
class KeyClassifier(nn.Module):
    """Tells keys from single frames of codes.

    Args:
        width: Numbers of a frame of codes.
        hidden: Widths of its layers.
        num_keys: Slots of a MIDI state: keys and the pedal.
        step: Frames of codes from a state to the next; the first of them is looked at.
    """

    def __init__(self, width: int, hidden: Sequence[int], num_keys: int, step: int) -> None:
        super().__init__()
        self.step = step
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((width, *hidden)):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden[-1], num_keys))

    def forward(self, codes: Float[Tensor, "batch channels *frames"]) -> Float[Tensor, "batch states keys"]:
        """Logits of each key being down; a frame is everything at one place of the last axis."""
        frames = codes.flatten(1, -2)[..., :: self.step].transpose(1, 2)
        return self.layers(frames)


def key_cross_entropy(
    logits: Float[Tensor, "batch states keys"], states: Float[Tensor, "batch states keys"]
) -> Float[Tensor, " keys"]:
    """The cross-entropy of each key, in nats, a mean over clips and states.

    Args:
        logits: Of the classifier.
        states: How hard each key went down that is down, from 0 to 1: what is to be told is this number.
    """
    each = functional.binary_cross_entropy_with_logits(logits.float(), states, reduction="none")
    return each.mean(dim=(0, 1))


@final
class WaveCritic(nn.Module):
    """Scores samples: strided convolutions and one dense layer.

    Args:
        num_samples: Of a clip.
        channels: Of each convolution, which keeps one of four samples.
    """

    def __init__(self, num_samples: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, _KERNEL, stride=CRITIC_REDUCTION, padding=_PADDING)
            for before, after in itertools.pairwise((1, *channels))
        )
        self.score = nn.Linear(channels[-1] * (num_samples // CRITIC_REDUCTION ** len(channels)), 1)

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, " batch"]:
        """A score of each clip, higher for what it takes for a recording."""
        hidden: Tensor = audio[:, None]
        for convolution in self.convolutions:
            hidden = functional.leaky_relu(convolution(hidden), _SLOPE)
        return self.score(torch.flatten(hidden, 1))[:, 0]
