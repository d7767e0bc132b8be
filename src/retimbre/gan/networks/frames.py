"""placeholder"""

import dataclasses
import math
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, CriticConfig, Form, Generator, GeneratorConfig, Labels, Verdict, one_hot
from retimbre.gan.networks.frame_backbone import FrameBackbone, HalvingBlock

_TEMPLATE_ATTRIBUTE = "pitch"


@final
@dataclasses.dataclass(frozen=True)
class FramesGeneratorConfig(GeneratorConfig):
    """Frames from the latent and the labels, each made into all channels and bins by one layer."""

    kind: Literal["frames"] = "frames"
    width: int = 256
    depth: int = 6
    expansion: int = 2
    kernel: int = 7
    template: bool = True

    def build(self, form: Form) -> Generator:
        return FramesGenerator(form, self)


@final
@dataclasses.dataclass(frozen=True)
class FramesCriticConfig(CriticConfig):
    kind: Literal["frames"] = "frames"
    width: int = 256
    depth: int = 4
    expansion: int = 2
    kernel: int = 7
    frames_at_once: int = 1

    def build(self, form: Form) -> Critic:
        return FramesCritic(form, self)


@final
class FramesGenerator(Generator):
    def __init__(self, form: Form, config: FramesGeneratorConfig) -> None:
        super().__init__(form)
        channels, bins, frames = form.shape
        self.backbone = FrameBackbone(form, frames, config.width, config.depth, config.expansion, config.kernel)
        self.head = nn.Linear(config.width, channels * bins)
        self.template = None
        if config.template and _TEMPLATE_ATTRIBUTE in form.classes:
            self.template = nn.Embedding(len(form.classes[_TEMPLATE_ATTRIBUTE]), channels * bins)
            nn.init.zeros_(self.template.weight)

    def forward(
        self, latent: Float[Tensor, "batch latent"], labels: Labels
    ) -> Float[Tensor, "batch channels ..."]:
        frames, _ = self.backbone(latent, labels)
        cells = self.head(frames)
        if self.template is not None:
            cells = cells + self.template(labels[_TEMPLATE_ATTRIBUTE].to(cells.device))[:, None].to(cells.dtype)
        return cells.mT.unflatten(1, self.form.shape[:2])


@final
class FramesCritic(Critic):
    def __init__(self, form: Form, config: FramesCriticConfig) -> None:
        super().__init__(form)
        channels, bins, _ = form.shape
        told = sum(len(names) for names in form.classes.values())
        self.at_once = config.frames_at_once
        self.read = nn.Linear(channels * bins * self.at_once, config.width)
        self.claim = nn.Linear(told, config.width, bias=False) if told else None
        self.blocks = nn.ModuleList(
            HalvingBlock(config.width, config.expansion, config.kernel) for _ in range(config.depth)
        )
        self.summary = nn.Linear(2 * config.width, config.width)
        self.score = nn.Linear(config.width, 1)
        self.projection = nn.Linear(told, config.width, bias=False) if told else None

    def forward(self, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        columns = features.flatten(1, 2).mT
        missing = -columns.shape[1] % self.at_once
        columns = functional.pad(columns, (0, 0, 0, missing)).unflatten(1, (-1, self.at_once)).flatten(2)
        frames = self.read(columns)
        told = one_hot(labels, self.form.classes, frames[:, 0])
        if self.claim is not None:
            frames = frames + self.claim(told)[:, None]
        frames = functional.leaky_relu(frames, 0.2)
        for block in self.blocks:
            frames = block(frames)
        spread = (frames.var(dim=1, correction=0) + 1e-4).sqrt()
        summary = functional.leaky_relu(self.summary(torch.cat([frames.mean(dim=1), spread], dim=1)), 0.2)
        score = self.score(summary)[:, 0]
        if self.projection is not None:
            score = score + (summary * self.projection(told)).sum(dim=1) * summary.shape[1] ** -0.5
        return Verdict(score, {})
