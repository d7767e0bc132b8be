"""Residual networks for spectrograms without any normalisation, after R3GAN: the modern pair.

Both networks are a row of scales, each half the size of the next; the generator climbs it from a handful of cells to
the whole spectrogram, the critic goes down it. At every scale there are *residual blocks*, which add a correction to
what passes through them. A block widens its channels, mixes neighbouring cells by a 3 x 3 convolution within small
groups of channels, and narrows them again (an inverted bottleneck): most of the multiplications are then those of the
two 1 x 1 convolutions, which see one cell at a time. The last of the three begins at zero, so that a new network is a
plain chain of resamplings and every block begins by changing nothing. That is what makes depth trainable without batch
statistics or pixel norms.

The start grid follows the features: an axis is halved from scale to scale as long as it keeps enough cells, so 512 bins
x 64 frames may begin as 32 x 4 where a square network would begin with a square. Sizes that are not powers of two are
halved up, and the bilinear resampling goes to the exact size. At full size, where a spectrogram has most of its cells,
there are no blocks: the last layer makes, and the critic's first one reads, a *patch* of cells at once. With patches of
2 x 2 a step takes a quarter of the time.

The generator is told labels beside the latent: every attribute has an embedding, a learned vector per class. It may
have *templates* too, a learned spectrum (or spectrogram) per class that is added. The partials of a note lie where its
pitch puts them, and a convolution that sees 3 x 3 cells has to carry that place up from the start grid; a template says
it at once, and the network is left with what is not the same for all notes of a pitch. A critic is shown the templates
of its own as further channels beside the clip, so that it can compare the two cell by cell.

The critic's score is a projection: a clip becomes a vector, and the score is its product with a learned vector, for how
likely it is at all, plus its product with a vector of each label, for how well it fits.

References:
    Huang, Gokaslan, Kuleshov and Tompkin (2024), The GAN is dead; long live the GAN! A modern GAN baseline,
    https://arxiv.org/abs/2501.05441
    Zhang, Dauphin and Ma (2019), Fixup initialization: residual learning without normalization,
    https://arxiv.org/abs/1901.09321
    Miyato and Koyama (2018), cGANs with projection discriminator, https://arxiv.org/abs/1802.05637
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError, near_miss
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict
from retimbre.gan.networks.layers import Told, VerdictHead, refuse_below_one

_SLOPE = 0.2  # of the leaky rectifiers below 0
_GAIN = math.sqrt(2.0 / (1.0 + _SLOPE**2))  # what they take from the deviation of their input

# Adam moves a weight by about the learning rate at each step, whatever the gradient. A template has to get from 0 to
# the size of the features, which takes a thousand steps of 1e-3; with this factor it takes a hundred.
_TEMPLATE_PACE = 10.0

Maps = Float[Tensor, "batch _ _ _"]
Size = tuple[int, int]


@final
@dataclasses.dataclass(frozen=True)
class ResidualGeneratorConfig(GeneratorConfig):
    """Residual blocks from a start grid up to a spectrogram."""

    kind: Literal["residual"] = "residual"
    channels: tuple[int, ...] = (256, 192, 128, 64)
    """Of each scale, from the start grid to the largest; whole multiples of `group`."""
    blocks: int = 1
    """Residual blocks at each scale."""
    expansion: int = 2
    """How many times wider a block is inside."""
    group: int = 16
    """Channels that a 3 x 3 convolution mixes."""
    least: int = 4
    """Cells that an axis keeps: it is not halved to fewer."""
    patch: int = 2
    """Bins and frames of the squares that the last layer makes at once."""
    embedding: int = 32
    """Numbers that the class of each attribute becomes."""
    template: tuple[str, ...] = ()
    """Attributes whose classes have a learned spectrum; `pitch` is the one that helps."""
    template_frames: Literal["one", "all"] = "one"
    """Whether that is one spectrum for all frames, or a spectrogram, which has many more weights."""

    def __post_init__(self) -> None:
        """Refuses sizes below one, and groups that do not fit."""
        refuse_below_one({"embedding": self.embedding})
        _check(self)

    def build(self, form: Form) -> Generator:
        """Takes spectrograms: channels, bins and frames. Raises ConfigError for other features."""
        _check_form(form, self.template)
        return ResidualGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class ResidualCriticConfig(CriticConfig):
    """Residual blocks from a spectrogram down to a score."""

    kind: Literal["residual"] = "residual"
    channels: tuple[int, ...] = (64, 128, 192, 256)
    """Of each scale, from the largest to the coarsest grid; whole multiples of `group`."""
    blocks: int = 1
    """Residual blocks at each scale."""
    expansion: int = 2
    """How many times wider a block is inside."""
    group: int = 16
    """Channels that a 3 x 3 convolution mixes."""
    least: int = 4
    """Cells that an axis keeps: it is not halved to fewer."""
    patch: int = 2
    """Bins and frames of the squares that the first layer reads at once."""
    template: tuple[str, ...] = ()
    """Attributes whose classes have a learned spectrum, shown beside the clip."""
    template_frames: Literal["one", "all"] = "one"
    """Whether that is one spectrum for all frames, or a spectrogram, which has many more weights."""

    def __post_init__(self) -> None:
        """Refuses sizes below one, and groups that do not fit."""
        _check(self)

    def build(self, form: Form) -> Critic:
        """Takes spectrograms: channels, bins and frames. Raises ConfigError for other features."""
        _check_form(form, self.template)
        return ResidualCritic(form, self)


_Config = ResidualGeneratorConfig | ResidualCriticConfig


@final
class ResidualGenerator(Generator):
    """From a latent and labels to a spectrogram, scale by scale."""

    def __init__(self, form: Form, config: ResidualGeneratorConfig) -> None:
        super().__init__(form)
        self.patch = config.patch
        self.sizes = _sizes(form, config)[::-1]
        self.embeddings = nn.ModuleDict(
            {name: nn.Embedding(len(names), config.embedding) for name, names in form.classes.items()}
        )
        num_told = form.latent_dim + config.embedding * len(form.classes)
        self.start = nn.Linear(num_told, config.channels[0] * math.prod(self.sizes[0]))
        self.scales = nn.ModuleList([_Blocks(config.channels[0], config)])
        for before, after in itertools.pairwise(config.channels):
            self.scales.append(nn.Sequential(_pointwise(before, after), _Blocks(after, config)))
        self.end = _pointwise(config.channels[-1], form.shape[0] * config.patch**2)
        self.templates = _Templates(form, config, deviation=0.0) if config.template else None
        _lay_out(self)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels bins frames"]:
        """A spectrogram per row."""
        told = [layer(labels[name].to(latent.device)) for name, layer in self.embeddings.items()]
        maps = self.start(torch.cat([latent, *told], dim=1)).unflatten(1, (-1, *self.sizes[0]))
        maps = maps.contiguous(memory_format=torch.channels_last)
        for size, scale in zip(self.sizes, self.scales, strict=True):
            maps = scale(_resampled(maps, size))
        _, bins, frames = self.form.shape
        whole = functional.pixel_shuffle(self.end(maps), self.patch)[:, :, :bins, :frames]
        return whole if self.templates is None else whole + self.templates(labels)


@final
class ResidualCritic(Critic):
    """From a spectrogram and labels to a score, scale by scale."""

    def __init__(self, form: Form, config: ResidualCriticConfig) -> None:
        super().__init__(form)
        self.patch = config.patch
        self.sizes = _sizes(form, config)
        self.templates = _Templates(form, config, deviation=0.3) if config.template else None
        shown = form.shape[0] * (2 if config.template else 1)
        self.begin = _pointwise(shown * config.patch**2, config.channels[0])
        self.scales = nn.ModuleList()
        for before, after in itertools.pairwise(config.channels):
            self.scales.append(nn.Sequential(_Blocks(before, config), _pointwise(before, after)))
        last = config.channels[-1]
        self.scales.append(_Blocks(last, config))
        # Every channel becomes one number: its product with a picture of its own.
        self.look = nn.Conv2d(last, last, self.sizes[-1], groups=last)
        self.dense = nn.Linear(last, last)
        self.says = VerdictHead(last, form.classes, Told(projection=True, class_logits=False))
        _lay_out(self)

    def forward(self, features: Float[Tensor, "batch channels bins frames"], labels: Labels) -> Verdict:
        """A score per clip."""
        _, bins, frames = self.form.shape
        shown = features
        if self.templates is not None:
            beside = self.templates(labels).to(features.dtype).expand_as(features)
            shown = torch.cat([features, beside], dim=1)
        missing = (0, -frames % self.patch, 0, -bins % self.patch)
        padded = functional.pad(shown, missing) if any(missing) else shown
        patches = functional.pixel_unshuffle(padded, self.patch)
        maps = self.begin(patches.contiguous(memory_format=torch.channels_last))
        for size, scale in zip(self.sizes, self.scales, strict=True):
            maps = scale(_resampled(maps, size))
        seen = functional.leaky_relu(self.look(maps).flatten(1), _SLOPE)
        return self.says(self.dense(seen), labels)


@final
class _Blocks(nn.Sequential):
    """The residual blocks of one scale."""

    def __init__(self, channels: int, config: _Config) -> None:
        depth = config.blocks * len(config.channels)
        inside = channels * config.expansion
        super().__init__(*(_Block(channels, inside, config.group, depth) for _ in range(config.blocks)))


@final
class _Block(nn.Module):
    """An inverted bottleneck whose result is added to its input.

    Its two first convolutions begin smaller the more blocks there are, so that the first steps change the network as
    much as they would a shallow one (Fixup).
    """

    def __init__(self, channels: int, inside: int, group: int, depth: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels, inside, 1)
        self.mix = nn.Conv2d(inside, inside, 3, padding=1, groups=inside // group)
        self.narrow = nn.Conv2d(inside, channels, 1, bias=False)
        for layer in (self.widen, self.mix):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=_GAIN * depth**-0.25 / math.sqrt(fan_in))
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.narrow.weight)

    def forward(self, maps: Maps) -> Maps:
        """Maps of the same shape."""
        wide = functional.leaky_relu(self.widen(maps), _SLOPE)
        return maps + self.narrow(functional.leaky_relu(self.mix(wide), _SLOPE))


@final
class _Templates(nn.Module):
    """A spectrum for every class of some attributes; those of a clip are added up."""

    def __init__(self, form: Form, config: _Config, *, deviation: float) -> None:
        """Draws the spectra of so large a deviation."""
        super().__init__()
        channels, bins, frames = form.shape
        size = (channels, bins, frames if config.template_frames == "all" else 1)
        self.spectra = nn.ParameterDict(
            {
                name: torch.randn(len(form.classes[name]), *size) * (deviation / _TEMPLATE_PACE)
                for name in config.template
            }
        )

    def forward(self, labels: Labels) -> Float[Tensor, "batch channels bins _"]:
        """The spectra of some labels."""
        found = [spectra[labels[name].to(spectra.device)] for name, spectra in self.spectra.items()]
        return _TEMPLATE_PACE * torch.stack(found).sum(dim=0)


def _pointwise(before: int, after: int) -> nn.Conv2d:
    """A linear map of every cell, which keeps the deviation as it is."""
    layer = nn.Conv2d(before, after, 1)
    nn.init.normal_(layer.weight, std=before**-0.5)
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer


def _resampled(maps: Maps, size: Size) -> Maps:
    """Maps of another size; halving takes the mean of two by two cells."""
    if tuple(maps.shape[2:]) == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear")


def _sizes(form: Form, config: _Config) -> list[Size]:
    """Bins and frames of every scale, the largest first."""
    sizes = [(_halved(form.shape[1], config.patch), _halved(form.shape[2], config.patch))]
    for _ in config.channels[1:]:
        bins, frames = ((half if (half := _halved(side, 2)) >= config.least else side) for side in sizes[-1])
        sizes.append((bins, frames))
    return sizes


def _halved(cells: int, factor: int) -> int:
    return -(-cells // factor)


def _lay_out(network: nn.Module) -> None:
    """Puts the channels of a cell side by side in memory, which 1 x 1 convolutions read a tenth faster."""
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _check(config: _Config) -> None:
    """Refuses sizes below one, and groups that do not fit."""
    names = ("blocks", "expansion", "group", "least", "patch")
    refuse_below_one({name: getattr(config, name) for name in names})
    if not config.channels:
        raise ConfigError("channels is empty; takes a number for every scale")
    _check_groups(config.channels, config.group)


def _check_groups(channels: Sequence[int], group: int) -> None:
    for each in channels:
        if each < 1 or each % group:
            raise ConfigError(f"channels has {each}; takes whole multiples of group = {group}")


def _check_form(form: Form, template: Sequence[str]) -> None:
    if len(form.shape) != 3:
        raise ConfigError(
            f"a residual network takes channels, bins and frames, as of an STFT, not features of shape "
            f"{list(form.shape)}"
        )
    for name in template:
        if name not in form.classes:
            known = near_miss(name, form.classes) if form.classes else "the networks are told none"
            raise ConfigError(f"template has the attribute {name!r}; {known}")
