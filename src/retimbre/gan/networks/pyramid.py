"""Networks that work at several scales, and grow from one to the next.

A *pyramid* is a list of sizes for the same clip, from a few cells to all of them: at scale i as many cells as the
features have, divided by that scale's factor for each axis and rounded up. A generator climbs it. It makes maps of the
smallest size, enlarges them by repeating cells, refines them, and so on; a convolution of one cell turns the maps of
any scale to features. A critic descends. How far either goes is its `Stage`, and while a scale is new, both mix what
they have at it with what they have at the scale before.

Maps have bins and frames. A waveform has time alone: its maps are one bin high, kernels too, and of each factor only
that of the frames counts.

References:
    Karras et al. (2018), Progressive growing of GANs for improved quality, stability, and variation,
    https://arxiv.org/abs/1710.10196
"""

import abc
import dataclasses
import itertools
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Generator, Labels, Stage, Verdict, one_hot
from retimbre.gan.networks.equalized import LayerStyle

Factors = tuple[tuple[int, int], ...]
"""For each scale, the smallest first, what the bins and the frames are divided by."""

Reduction = Literal["nearest", "area"]
"""How features are made smaller: by leaving out cells, or by their means."""

Size = tuple[int, int]


def check_scales(depths: tuple[int, ...], factors: Factors) -> None:
    """Refuses, with ConfigError, lists of channels and factors that make no pyramid."""
    if not depths or len(depths) != len(factors):
        raise ConfigError(
            f"depths has {len(depths)} scales and factors {len(factors)}; takes as many, 1 or more"
        )
    if min(depths) < 1:
        raise ConfigError(f"depths is {list(depths)}; takes 1 or more channels for each scale")
    if factors[-1] != (1, 1):
        raise ConfigError(f"the last of factors is {list(factors[-1])}; takes [1, 1], the full size")
    for early, late in itertools.pairwise(factors):
        if early[0] < late[0] or early[1] < late[1]:
            raise ConfigError(f"factors has {list(early)} before {list(late)}; no axis may get smaller")


@final
@dataclasses.dataclass(frozen=True)
class Pyramid:
    """The sizes of a clip's features.

    Attributes:
        shape: Of the features at full size: channels and time, or channels, bins and frames.
        factors: Of each scale.
    """

    shape: tuple[int, ...]
    factors: Factors

    def __post_init__(self) -> None:
        """Refuses features that have neither bins and frames nor time alone."""
        if len(self.shape) not in {2, 3}:
            raise ConfigError(
                f"features of shape {self.shape} have no scales; takes channels and time, or channels, bins and frames"
            )

    @property
    def num_scales(self) -> int:
        """How many sizes there are."""
        return len(self.factors)

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Bins and frames at each scale; of waveforms one bin."""
        bins, frames = (1, *self.shape[1:])[-2:]
        return tuple((-(-bins // high), -(-frames // wide)) for high, wide in self.factors)

    @property
    def kernel(self) -> Size:
        """Of convolutions."""
        return (3, 3) if len(self.shape) == 3 else (1, 3)

    def check(self, stage: Stage) -> None:
        """Refuses, with ConfigError, to grow beyond the largest scale."""
        if not 0 <= stage.scale < self.num_scales:
            raise ConfigError(
                f"a network with scales 0 to {self.num_scales - 1} cannot grow to scale {stage.scale}; growth takes "
                f"steps for {self.num_scales} scales at most"
            )

    def maps(
        self, features: Float[Tensor, "batch channels *cells"]
    ) -> Float[Tensor, "batch channels bins frames"]:
        """Features with bins and frames."""
        return features if len(self.shape) == 3 else features.unsqueeze(2)

    def features(
        self, maps: Float[Tensor, "batch channels bins frames"]
    ) -> Float[Tensor, "batch channels *cells"]:
        """The reverse of `maps`."""
        return maps if len(self.shape) == 3 else maps.squeeze(2)


def enlarged(maps: Float[Tensor, "batch channels _ _"], size: Size) -> Float[Tensor, "batch channels _ _"]:
    """Maps of a larger size, by repeating cells."""
    return maps if maps.shape[2:] == size else nn.functional.interpolate(maps, size, mode="nearest")


def reduced(
    maps: Float[Tensor, "batch channels _ _"], size: Size, how: Reduction
) -> Float[Tensor, "batch channels _ _"]:
    """Maps of a smaller size."""
    if maps.shape[2:] == size:
        return maps
    if how == "nearest":
        return nn.functional.interpolate(maps, size, mode="nearest")
    return nn.functional.adaptive_avg_pool2d(maps, size)


def left_out(size: Size, smaller: Size, how: Reduction) -> Size:
    """The steps, along bins and frames, between the cells that `reduced` takes over; 1 where it is not as simple."""
    is_even = size[0] % smaller[0] == 0 and size[1] % smaller[1] == 0
    return (size[0] // smaller[0], size[1] // smaller[1]) if how == "nearest" and is_even else (1, 1)


def mixed(
    before: Float[Tensor, "batch *axes"], new: Float[Tensor, "batch *axes"], fade: float
) -> Float[Tensor, "batch *axes"]:
    """What is seen while a scale is faded in."""
    return fade * before + (1.0 - fade) * new


class GrowingGenerator(Generator, abc.ABC):
    """A generator that climbs a pyramid; one that nobody grows has its full size.

    Attributes:
        pyramid: Its sizes.
        stage: How far it has grown.
    """

    def __init__(
        self, form: Form, pyramid: Pyramid, depths: tuple[int, ...], style: LayerStyle, output: nn.Module
    ) -> None:
        """Makes what turns maps to features.

        Args:
            form: What it has to fit.
            pyramid: Its sizes.
            depths: Channels of the maps at each scale.
            style: Of its layers.
            output: What features go through last.
        """
        super().__init__(form)
        self.pyramid = pyramid
        self.stage = Stage(pyramid.num_scales - 1)
        self.to_features = nn.ModuleList([style.conv(depth, form.shape[0], (1, 1)) for depth in depths])
        self.output = output

    @abc.abstractmethod
    def climb(self, told: Float[Tensor, "batch told"], scale: int) -> list[Float[Tensor, "batch _ _ _"]]:
        """The maps of all scales up to one, from latents and labels."""

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        """Features of one clip per row, of the present scale."""
        scale, fade = self.stage.scale, self.stage.fade
        told = torch.cat([latent, one_hot(labels, self.form.classes, latent)], dim=1)
        maps = self.climb(told, scale)
        features = self.to_features[scale](maps[scale])
        if scale > 0 and fade > 0.0:
            before = self.to_features[scale - 1](maps[scale - 1])
            features = mixed(enlarged(before, self.pyramid.sizes[scale]), features, fade)
        return self.pyramid.features(self.output(features))

    def grow(self, stage: Stage) -> None:
        """Takes up a stage of growth. Raises ConfigError for one beyond the largest scale."""
        self.pyramid.check(stage)
        self.stage = stage

    def enlarge(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch channels ..."]:
        """Features of the present scale at full size, by repeating cells."""
        maps = self.pyramid.maps(features)
        return self.pyramid.features(enlarged(maps, self.pyramid.sizes[-1]))


class GrowingCritic(Critic, abc.ABC):
    """A critic that descends a pyramid; one that nobody grows takes features of full size.

    Attributes:
        pyramid: Its sizes.
        stage: How far it has grown.
        how: How features are made smaller.
    """

    def __init__(
        self, form: Form, pyramid: Pyramid, depths: tuple[int, ...], style: LayerStyle, how: Reduction
    ) -> None:
        """Makes what turns features to maps.

        Args:
            form: What it has to fit.
            pyramid: Its sizes.
            depths: Channels of the maps at each scale.
            style: Of its layers.
            how: How features are made smaller.
        """
        super().__init__(form)
        self.pyramid = pyramid
        self.how: Reduction = how
        self.stage = Stage(pyramid.num_scales - 1)
        self.style = style
        self.from_features = nn.ModuleList([style.conv(form.shape[0], depth, (1, 1)) for depth in depths])

    @abc.abstractmethod
    def descend(self, maps: Float[Tensor, "batch _ _ _"], scale: int) -> Float[Tensor, "batch _ _ _"]:
        """Maps of a scale above 0 as maps of the scale before."""

    @abc.abstractmethod
    def judge(self, maps: Float[Tensor, "batch _ _ _"], labels: Labels) -> Verdict:
        """A verdict by the maps of scale 0; labels are those that a clip is claimed to have."""

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What it takes each clip of the present scale for. Raises ConfigError for features of another size."""
        scale, fade = self.stage.scale, self.stage.fade
        cells = self.pyramid.maps(features)
        if cells.shape[2:] != self.pyramid.sizes[scale]:
            raise ConfigError(
                f"a critic at scale {scale} takes {self.pyramid.sizes[scale]} cells, not {tuple(cells.shape[2:])}"
            )
        maps = self._seen(cells, scale)
        for place in range(scale, 0, -1):
            maps = self.descend(maps, place)
            if place == scale and fade > 0.0:
                smaller = reduced(cells, self.pyramid.sizes[scale - 1], self.how)
                maps = mixed(self._seen(smaller, scale - 1), maps, fade)
        return self.judge(maps, labels)

    def grow(self, stage: Stage) -> None:
        """Takes up a stage of growth. Raises ConfigError for one beyond the largest scale."""
        self.pyramid.check(stage)
        self.stage = stage

    def reduce(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch channels ..."]:
        """Features of full size as a generator of the present stage would show them, mixed as its own are."""
        scale, fade = self.stage.scale, self.stage.fade
        cells = reduced(self.pyramid.maps(features), self.pyramid.sizes[scale], self.how)
        if scale > 0 and fade > 0.0:
            before = reduced(cells, self.pyramid.sizes[scale - 1], self.how)
            cells = mixed(enlarged(before, self.pyramid.sizes[scale]), cells, fade)
        return self.pyramid.features(cells)

    def _seen(self, cells: Float[Tensor, "batch _ _ _"], scale: int) -> Float[Tensor, "batch _ _ _"]:
        return self.style.activate(self.from_features[scale](cells))
