"""A generator after StyleGAN: the latent does not become the clip, it says how a clip is drawn.

A *mapping network* turns latent and labels into a *style*, one vector per clip. The clip itself begins as maps that are
the same for all, and learned. At every scale they go through convolutions, and after each of these the style sets the
mean and the deviation of every channel (*adaptive instance normalisation*): whether there is a breath of noise, how
bright it is. What is left to chance and should not cost the latent anything, the noise itself, comes from random maps
that are added to each layer, with a weight per channel that is learned.

In training the random maps are drawn anew for each clip, for the whole global batch, so that they do not depend on the
number of processes. In evaluation they are always the same ones, so that a latent is a sound.

It climbs the same pyramid as the progressive generator, and any critic can judge it.

References:
    Karras, Laine and Aila (2019), A style-based generator architecture for generative adversarial networks,
    https://arxiv.org/abs/1812.04948
    Huang and Belongie (2017), Arbitrary style transfer in real-time with adaptive instance normalization,
    https://arxiv.org/abs/1703.06868
"""

import dataclasses
import itertools
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.gan.base import Form, Generator, GeneratorConfig
from retimbre.gan.networks.equalized import LayerStyle, PixelNorm
from retimbre.gan.networks.progressive import DEPTHS, FACTORS
from retimbre.gan.networks.pyramid import Factors, GrowingGenerator, Pyramid, Size, check_scales, enlarged
from retimbre.training.share import current_share

_FLOOR = 1e-8  # under the variance of a map, which may be one value everywhere


@final
@dataclasses.dataclass(frozen=True)
class StyleGeneratorConfig(GeneratorConfig):
    """Maps that are the same for all clips, shaped by a style."""

    kind: Literal["style"] = "style"
    depths: tuple[int, ...] = DEPTHS
    """Channels at each scale, the smallest first."""
    factors: Factors = FACTORS
    """For each scale, what bins and frames are divided by; sizes are rounded up. Of waveforms the second counts."""
    style_dim: int = 128
    """Numbers in a style."""
    mapping_depth: int = 4
    """Layers from latent and labels to a style."""
    noise: bool = True
    """Whether random maps are added."""
    equalized: bool = True
    """Whether all weights learn at the same pace."""
    leak: float = 0.2
    """Slope of the activation below 0."""
    output: Literal["linear", "tanh"] = "linear"
    """What features go through last."""

    def __post_init__(self) -> None:
        """Refuses lists of different lengths and a mapping without layers."""
        check_scales(self.depths, self.factors)
        for name in ("style_dim", "mapping_depth"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; takes 1 or more")

    def build(self, form: Form) -> Generator:
        """Takes features with bins and frames, or waveforms, of any size."""
        return StyleGenerator(form, self)


@final
class StyleGenerator(GrowingGenerator):
    """From a latent to a style, and from that to features, scale by scale."""

    def __init__(self, form: Form, config: StyleGeneratorConfig) -> None:
        style = LayerStyle(config.equalized, leak=config.leak)
        pyramid = Pyramid(form.shape, config.factors)
        output = nn.Tanh() if config.output == "tanh" else nn.Identity()
        super().__init__(form, pyramid, config.depths, style, output)
        self.normalize = PixelNorm()
        num_told = form.latent_dim + sum(len(names) for names in form.classes.values())
        widths = [num_told, *[config.style_dim] * config.mapping_depth]
        self.mapping = nn.ModuleList([style.dense(*pair) for pair in itertools.pairwise(widths)])
        self.style = style
        first = config.depths[0]
        self.constant = nn.Parameter(torch.ones(1, first, *pyramid.sizes[0]))
        self.scales = nn.ModuleList()
        for place, (before, depth) in enumerate(itertools.pairwise([first, *config.depths])):
            layers = [(before, depth), (depth, depth)] if place else [(before, depth)]
            self.scales.append(
                nn.ModuleList([_Layer(pair, pyramid, place, style, config) for pair in layers])
            )

    def climb(self, told: Float[Tensor, "batch told"], scale: int) -> list[Float[Tensor, "batch _ _ _"]]:
        """The maps of all scales up to one."""
        look = self.normalize(told)
        for layer in self.mapping:
            look = self.style.activate(layer(look))
        now = self.constant.expand(told.shape[0], -1, -1, -1)
        maps: list[Float[Tensor, "batch _ _ _"]] = []
        for place in range(scale + 1):
            now = enlarged(now, self.pyramid.sizes[place])
            for layer in self.scales[place]:  # pyright: ignore[reportGeneralTypeIssues]
                now = layer(now, look)
            maps.append(now)
        return maps


@final
class _Layer(nn.Module):
    """A convolution, noise, and the style."""

    def __init__(
        self,
        channels: tuple[int, int],
        pyramid: Pyramid,
        place: int,
        style: LayerStyle,
        config: StyleGeneratorConfig,
    ) -> None:
        super().__init__()
        self.conv = style.conv(*channels, pyramid.kernel)
        self.noise = _Noise(channels[1], pyramid.sizes[place], place) if config.noise else nn.Identity()
        self.style = style
        self.said = style.dense(config.style_dim, 2 * channels[1])

    def forward(
        self, maps: Float[Tensor, "batch _ _ _"], look: Float[Tensor, "batch style"]
    ) -> Float[Tensor, "batch _ _ _"]:
        maps = self.style.activate(self.noise(self.conv(maps)))
        # The deviation is 1 and the mean 0 where the style says nothing.
        deviation, mean = self.said(look)[:, :, None, None].chunk(2, dim=1)
        return _normalized(maps) * (1.0 + deviation) + mean


@final
class _Noise(nn.Module):
    """Adds a random map to all channels, by a weight each."""

    fixed: Float[Tensor, "1 1 bins frames"]

    def __init__(self, num_channels: int, size: Size, place: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_channels, 1, 1))
        drawn = torch.randn(1, 1, *size, generator=generator(0, "noise of a style generator", place))
        self.register_buffer("fixed", drawn, persistent=False)

    def forward(self, maps: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        if not self.training:
            return maps + self.weight * self.fixed
        share = current_share(len(maps))
        drawn = torch.randn(share.total, 1, *maps.shape[2:], device=maps.device)
        return maps + self.weight * drawn[share.rows].to(maps.dtype)


def _normalized(maps: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
    """Every map of every clip with a mean of 0 and a deviation of 1."""
    wide = maps.float()
    centred = wide - wide.mean(dim=(2, 3), keepdim=True)
    scale = (centred.square().mean(dim=(2, 3), keepdim=True) + _FLOOR).rsqrt()
    return (centred * scale).to(maps.dtype)
