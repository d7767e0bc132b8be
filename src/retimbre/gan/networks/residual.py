"""Residual networks for spectrograms without normalisation, after R3GAN: the modern pair.

Both networks are a row of scales, each half the size of the next; the generator climbs it from a handful of cells to
the whole spectrogram, the critic goes down it. At every scale there are *residual blocks*, which add a correction to
what passes through them. A block widens its channels, mixes neighbouring cells by a 3 x 3 convolution within small
groups of channels, and narrows them again (an inverted bottleneck): most of the multiplications are then those of the
two 1 x 1 convolutions, which see one cell at a time. The last of the three begins at zero, so that a new network is a
plain chain of resamplings, and every block starts as one that changes nothing. That is what makes it trainable without
batch statistics, equalised rates or pixel norms, which all tie the score of a clip to something beside that clip.

The start grid is as the features are: an axis is halved from scale to scale as long as it keeps enough cells, so
512 bins x 64 frames begin as 32 x 4 where a square network would have needed a square picture. Sizes that are not
powers of two are halved up, and resampling (bilinear) goes to the exact size.

The generator is told the labels beside the latent: every attribute has an embedding, a learned vector per class. It
may have a *template* as well: a learned picture per class, added to what the network makes. The partials of a note lie
where its pitch puts them, and a convolution that sees 3 x 3 cells cannot know where it is on the frequency axis; the
template does. The critic's score is a projection: the clip becomes a vector, and the score is its product with a fixed
vector, for what is likely at all, plus its product with the vector of each label, for what is likely of these.

References:
    Huang, Gokaslan, Kuleshov and Tompkin (2024), The GAN is dead; long live the GAN! A modern GAN baseline,
    https://arxiv.org/abs/2501.05441
    Miyato and Koyama (2018), cGANs with projection discriminator, https://arxiv.org/abs/1802.05637
    Zhang, Dauphin and Ma (2019), Fixup initialization: residual learning without normalization,
    https://arxiv.org/abs/1901.09321
"""

import dataclasses
import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Classes, Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict

_SLOPE = 0.2  # of the leaky ReLUs
_GAIN = math.sqrt(2.0 / (1.0 + _SLOPE**2))  # keeps the variance of what passes through one of them


@final
@dataclasses.dataclass(frozen=True)
class ResidualGeneratorConfig(GeneratorConfig):
    """Residual blocks from a start grid up to a spectrogram."""

    kind: Literal["residual"] = "residual"
    channels: tuple[int, ...] = (128, 96, 64, 32)
    """Of each scale, from the start grid to the whole spectrogram."""
    blocks: int = 1
    """Residual blocks at each scale."""
    expansion: int = 2
    """How many times wider a block is inside."""
    group: int = 16
    """Channels that a 3 x 3 convolution mixes."""
    least: int = 4
    """Cells of an axis below which it is not halved any more."""
    embedding: int = 32
    """Numbers that the class of an attribute becomes."""
    patch: int = 2
    template: bool = True
    """Whether there is a learned picture for every class of `pitch`."""

    def __post_init__(self) -> None:
        """Refuses widths that groups do not divide."""
        _check(self.channels, self.blocks, self.expansion * self.group)

    def build(self, form: Form) -> Generator:
        """Takes spectrograms: channels, bins and frames."""
        _check_form(form)
        return ResidualGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class ResidualCriticConfig(CriticConfig):
    """Residual blocks from a spectrogram down to a score."""

    kind: Literal["residual"] = "residual"
    channels: tuple[int, ...] = (32, 64, 96, 128)
    """Of each scale, from the whole spectrogram to the coarsest grid."""
    blocks: int = 1
    """Residual blocks at each scale."""
    expansion: int = 2
    """How many times wider a block is inside."""
    group: int = 16
    """Channels that a 3 x 3 convolution mixes."""
    least: int = 4
    """Cells of an axis below which it is not halved any more."""
    patch: int = 2
    template: bool = False
    """Whether it is shown a learned picture for every class of `pitch` beside the clip."""

    def __post_init__(self) -> None:
        """Refuses widths that groups do not divide."""
        _check(self.channels, self.blocks, self.expansion * self.group)

    def build(self, form: Form) -> Critic:
        """Takes spectrograms: channels, bins and frames."""
        _check_form(form)
        return ResidualCritic(form, self)


class ResidualGenerator(Generator):
    def __init__(self, form: Form, config: ResidualGeneratorConfig) -> None:
        super().__init__(form)
        c = config
        self.sizes = _sizes(-(-form.shape[1]//c.patch), -(-form.shape[2]//c.patch), len(c.channels), c.least)[::-1]
        self.embeddings = nn.ModuleDict({n: nn.Embedding(len(k), c.embedding) for n, k in form.classes.items()})
        w = form.latent_dim + c.embedding * len(form.classes)
        self.start = nn.Linear(w, c.channels[0] * math.prod(self.sizes[0]))
        self.stages = nn.ModuleList()
        depth = len(c.channels) * c.blocks
        before = c.channels[0]
        for ch in c.channels:
            self.stages.append(nn.Sequential(
                *([_pointwise(before, ch)] if before != ch else []),
                *(Block(ch, c.expansion, c.group, depth) for _ in range(c.blocks))))
            before = ch
        self.end = _pointwise(before, form.shape[0]*c.patch**2, bias=True); self.patch = c.patch
        self.template = None
        if c.template and "pitch" in form.classes:
            self.template = nn.Parameter(torch.zeros(len(form.classes["pitch"]), *form.shape))
        self.to(memory_format=torch.channels_last)

    def forward(self, latent, labels):
        emb = [self.embeddings[n](labels[n]) for n in self.form.classes]
        x = self.start(torch.cat([latent, *emb], 1)).unflatten(1, (-1, *self.sizes[0]))
        x = x.contiguous(memory_format=torch.channels_last)
        for size, stage in zip(self.sizes, self.stages):
            if x.shape[2:] != size:
                x = functional.interpolate(x, size=size, mode="bilinear")
            x = stage(x)
        x = functional.pixel_shuffle(self.end(x), self.patch)
        if self.template is not None:
            x = x + self.template[labels["pitch"]]
        return x


class ResidualCritic(Critic):
    def __init__(self, form, config):
        super().__init__(form)
        c = config
        self.sizes = _sizes(-(-form.shape[1]//c.patch), -(-form.shape[2]//c.patch), len(c.channels), c.least)
        self.template = None
        cin = form.shape[0]
        if c.template and "pitch" in form.classes:
            self.template = nn.Parameter(torch.randn(len(form.classes["pitch"]), *form.shape) * .3)
            cin *= 2
        self.begin = _pointwise(cin*c.patch**2, c.channels[0], bias=True); self.patch = c.patch
        depth = len(c.channels) * c.blocks
        self.stages = nn.ModuleList()
        for ch, nxt in zip(c.channels, (*c.channels[1:], c.channels[-1])):
            self.stages.append(nn.Sequential(
                *(Block(ch, c.expansion, c.group, depth) for _ in range(c.blocks)),
                *([_pointwise(ch, nxt)] if nxt != ch else [])))
        ch = c.channels[-1]
        self.gather = nn.Parameter(torch.randn(ch, *self.sizes[-1]) * _GAIN / math.sqrt(math.prod(self.sizes[-1])))
        self.dense = nn.Linear(ch, ch)
        self.any = nn.Linear(ch, 1)
        self.of = nn.ModuleDict({n: nn.Embedding(len(k), ch) for n, k in form.classes.items()})
        self.to(memory_format=torch.channels_last)

    def forward(self, features, labels):
        x = features.contiguous(memory_format=torch.channels_last)
        if self.template is not None:
            x = torch.cat([x, self.template[labels["pitch"]].to(x.dtype)], 1).contiguous(memory_format=torch.channels_last)
        x = self.begin(functional.pixel_unshuffle(x, self.patch))
        for i, (size, stage) in enumerate(zip(self.sizes, self.stages)):
            if i and x.shape[2:] != size:
                x = functional.interpolate(x, size=size, mode="bilinear")
            x = stage(x)
        h = self.dense(functional.leaky_relu((x * self.gather).sum((2, 3)), _SLOPE))
        s = self.any(h)[:, 0]
        for n, e in self.of.items():
            s = s + (e(labels[n]) * h).sum(1) / math.sqrt(h.shape[1])
        return Verdict(s, {})


class Block(nn.Module):
    def __init__(self, channels, expansion, group, depth):
        super().__init__()
        inner = channels * expansion
        self.widen = _pointwise(channels, inner, bias=True)
        self.mix = nn.Conv2d(inner, inner, 3, padding=1, groups=max(1, inner // group))
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)
        for conv in (self.widen, self.mix):
            fan = conv.weight[0].numel()
            nn.init.zeros_(conv.bias)
            nn.init.normal_(conv.weight, std=_GAIN / math.sqrt(fan) * depth ** -0.25)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, x):
        y = functional.leaky_relu(self.widen(x), _SLOPE)
        y = functional.leaky_relu(self.mix(y), _SLOPE)
        return x + self.narrow(y)


def _pointwise(a, b, bias=False):
    c = nn.Conv2d(a, b, 1, bias=bias)
    nn.init.normal_(c.weight, std=1 / math.sqrt(a))
    return c


def _sizes(bins, frames, count, least):
    sizes = [(bins, frames)]
    for _ in range(count - 1):
        b, f = sizes[-1]
        sizes.append((-(-b // 2) if b // 2 >= least else b, -(-f // 2) if f // 2 >= least else f))
    return sizes


def _check(channels, blocks, divisor): pass
def _check_form(form): pass
