"""The progressive GAN that system C compared representations with, and GANSynth before it.

Both networks have two convolutions of three by three cells at each scale. The generator begins with maps of the
smallest size, made from the latent and the labels in one of two ways (`start`), and goes up; the critic mirrors it, at
the bottom compares the clips of small groups, and ends in two dense layers: a score, and logits of the classes of every
attribute (AC-GAN).

    generator   told -pixel norm-> start -> conv -> enlarge, conv, conv -> ... -> 1 x 1 convolution
    critic      1 x 1 convolution -> conv, conv, reduce -> ... -> deviation, conv -> dense -> dense

Every convolution of the generator is followed by a leaky rectifier and the pixel normalisation, those of the critic by
the rectifier. All scales exist from the start, so that averages and optimizers, which know weights by name, go on when
the networks grow; weights of scales that are not in use get no gradient and stay as they are.

With a latent of 64 numbers, 27 pitches, 128, 64, 64, 64 and 32 channels and a smallest size of 32 by 4 cells, the
setting that users of that program settled on, the generator has 2.07 million weights and the critic 2.54 million.

References:
    Karras et al. (2018), Progressive growing of GANs for improved quality, stability, and variation,
    https://arxiv.org/abs/1710.10196
    Engel et al. (2019), GANSynth: adversarial neural audio synthesis, https://arxiv.org/abs/1902.08710
    Nistal, Lattner and Richard (2020), Comparing representations for audio synthesis using generative adversarial
    networks, https://arxiv.org/abs/2006.09266
"""

import dataclasses
import itertools
from typing import Literal, final

from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict
from retimbre.gan.networks.equalized import LayerStyle, MinibatchDeviation, PixelNorm, Unfold
from retimbre.gan.networks.pyramid import (
    Factors,
    GrowingCritic,
    GrowingGenerator,
    Pyramid,
    Reduction,
    Size,
    check_scales,
    enlarged,
    left_out,
    reduced,
)

# The setting of the widely used fork of system C.
DEPTHS = (128, 64, 64, 64, 32)
FACTORS: Factors = ((16, 16), (8, 8), (4, 4), (2, 2), (1, 1))


@final
@dataclasses.dataclass(frozen=True)
class ProgressiveGeneratorConfig(GeneratorConfig):
    """Two convolutions at each scale, growing."""

    kind: Literal["progressive"] = "progressive"
    depths: tuple[int, ...] = DEPTHS
    """Channels at each scale, the smallest first."""
    factors: Factors = FACTORS
    """For each scale, what bins and frames are divided by; sizes are rounded up. Of waveforms the second counts."""
    start: Literal["linear", "gansynth"] = "linear"
    """How latents become maps: by a dense layer, or by a kernel of their size and one convolution more."""
    pixel_norm: bool = True
    """Whether channels are normalised, at the input and after every convolution."""
    equalized: bool = True
    """Whether all weights learn at the same pace."""
    zero_bias: bool = True
    """Whether biases begin at 0."""
    leak: float = 0.2
    """Slope of the activation below 0."""
    output: Literal["linear", "tanh"] = "linear"
    """What features go through last."""

    def __post_init__(self) -> None:
        """Refuses lists of different lengths."""
        check_scales(self.depths, self.factors)

    def build(self, form: Form) -> Generator:
        """Takes features with bins and frames, or waveforms, of any size."""
        return ProgressiveGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class ProgressiveCriticConfig(CriticConfig):
    """Two convolutions at each scale, growing, with logits of classes."""

    kind: Literal["progressive"] = "progressive"
    depths: tuple[int, ...] = DEPTHS
    """Channels at each scale, the smallest first."""
    factors: Factors = FACTORS
    """For each scale, what bins and frames are divided by; the generator's."""
    minibatch_group: int = 4
    """Clips whose deviation is told to the last layers; 0 for none."""
    projection: bool = False
    """Whether the score also tells how well a clip fits the class that it is claimed to have."""
    reduction: Reduction = "nearest"
    """How features become smaller: `nearest` leaves out cells, as the first program does; `area` takes their means."""
    equalized: bool = True
    """Whether all weights learn at the same pace."""
    zero_bias: bool = True
    """Whether biases begin at 0."""
    leak: float = 0.2
    """Slope of the activation below 0."""

    def __post_init__(self) -> None:
        """Refuses lists of different lengths, and groups of less than one."""
        check_scales(self.depths, self.factors)
        if self.minibatch_group < 0:
            raise ConfigError(f"minibatch_group is {self.minibatch_group}; takes 0 or more")

    def build(self, form: Form) -> Critic:
        """Takes features with bins and frames, or waveforms, of any size."""
        return ProgressiveCritic(form, self)


@final
class ProgressiveGenerator(GrowingGenerator):
    """From a latent to features, scale by scale."""

    def __init__(self, form: Form, config: ProgressiveGeneratorConfig) -> None:
        style = LayerStyle(config.equalized, config.zero_bias, config.leak)
        pyramid = Pyramid(form.shape, config.factors)
        output = nn.Tanh() if config.output == "tanh" else nn.Identity()
        super().__init__(form, pyramid, config.depths, style, output)
        self.normalize = PixelNorm(config.pixel_norm)
        self.start = _Start(form, pyramid, config, style)
        first, kernel = config.depths[0], pyramid.kernel
        self.scales = nn.ModuleList([_Convolutions((first, first), kernel, style, self.normalize)])
        for before, depth in itertools.pairwise(config.depths):
            self.scales.append(_Convolutions((before, depth, depth), kernel, style, self.normalize))

    def climb(self, told: Float[Tensor, "batch told"], scale: int) -> list[Float[Tensor, "batch _ _ _"]]:
        """The maps of all scales up to one."""
        maps = [self.scales[0](self.start(self.normalize(told)))]
        for place in range(1, scale + 1):
            maps.append(self.scales[place](enlarged(maps[-1], self.pyramid.sizes[place])))
        return maps


@final
class ProgressiveCritic(GrowingCritic):
    """From features to a score and the classes, scale by scale."""

    def __init__(self, form: Form, config: ProgressiveCriticConfig) -> None:
        style = LayerStyle(config.equalized, config.zero_bias, config.leak)
        pyramid = Pyramid(form.shape, config.factors)
        super().__init__(form, pyramid, config.depths, style, config.reduction)
        first, kernel, is_on = config.depths[0], pyramid.kernel, config.minibatch_group > 0
        plain = PixelNorm(is_on=False)
        self.scales = nn.ModuleList([_Convolutions((first + is_on, first), kernel, style, plain)])
        for before, depth in itertools.pairwise(config.depths):
            self.scales.append(_Convolutions((depth, depth, before), kernel, style, plain))
        self.deviation = MinibatchDeviation(config.minibatch_group) if is_on else nn.Identity()
        bins, frames = pyramid.sizes[0]
        self.dense = style.dense(first * bins * frames, first)
        # One layer for everything it says: logits of the attributes in order, and the score last.
        self.widths = [len(names) for names in form.classes.values()]
        self.says = style.dense(first, sum(self.widths) + 1)
        told = form.classes if config.projection else {}
        self.fits = nn.ModuleDict({name: style.dense(first, len(names)) for name, names in told.items()})

    def descend(self, maps: Float[Tensor, "batch _ _ _"], scale: int) -> Float[Tensor, "batch _ _ _"]:
        """Maps of a scale above 0 as maps of the scale before."""
        size = self.pyramid.sizes[scale - 1]
        # The last convolution need not compute what is left out at once: three quarters of its cells, mostly.
        stride = left_out(self.pyramid.sizes[scale], size, self.how)
        return reduced(self.scales[scale](maps, stride), size, self.how)

    def judge(self, maps: Float[Tensor, "batch _ _ _"], labels: Labels) -> Verdict:
        """A score, and logits of the classes of each attribute."""
        maps = self.scales[0](self.deviation(maps))
        seen = self.style.activate(self.dense(maps.flatten(1)))
        *logits, last = self.says(seen).split([*self.widths, 1], dim=1)
        score = last[:, 0]
        for name, layer in self.fits.items():
            claimed = labels[name].to(seen.device)
            score = score + layer(seen).gather(1, claimed[:, None])[:, 0]
        return Verdict(score, dict(zip(self.form.classes, logits, strict=True)))


@final
class _Start(nn.Module):
    """From latent and labels to maps of the smallest size."""

    def __init__(
        self, form: Form, pyramid: Pyramid, config: ProgressiveGeneratorConfig, style: LayerStyle
    ) -> None:
        super().__init__()
        num_told = form.latent_dim + sum(len(names) for names in form.classes.values())
        self.size, self.style = pyramid.sizes[0], style
        self.normalize = PixelNorm(config.pixel_norm)
        depth = config.depths[0]
        if config.start == "gansynth":
            self.unfold: nn.Module = Unfold(num_told, depth, self.size, style)
            self.refine: nn.Module = _Convolutions((depth, depth), pyramid.kernel, style, self.normalize)
        else:
            bins, frames = self.size
            self.unfold = style.dense(num_told, depth * bins * frames)
            self.refine = nn.Identity()

    def forward(self, told: Float[Tensor, "batch told"]) -> Float[Tensor, "batch _ _ _"]:
        maps = self.unfold(told).view(told.shape[0], -1, *self.size)
        return self.refine(self.normalize(self.style.activate(maps)))


@final
class _Convolutions(nn.Module):
    """Convolutions from one number of channels to the next, each activated and normalised."""

    def __init__(
        self, channels: tuple[int, ...], kernel: tuple[int, int], style: LayerStyle, normalize: PixelNorm
    ) -> None:
        super().__init__()
        self.style, self.normalize = style, normalize
        self.layers = nn.ModuleList(
            [style.conv(before, after, kernel) for before, after in itertools.pairwise(channels)]
        )

    def forward(
        self, maps: Float[Tensor, "batch _ _ _"], stride: Size = (1, 1)
    ) -> Float[Tensor, "batch _ _ _"]:
        """The maps after all of them; of the last one only every so many cells."""
        *others, last = self.layers
        for layer in others:
            maps = self.normalize(self.style.activate(layer(maps)))
        return self.normalize(self.style.activate(last(maps, stride)))
