"""The game that a generator and its critics play: what each of them loses by some clips, a value per row.

A critic loses by scoring real and generated clips alike; to that are added penalties on its slope, since a critic as
steep as it likes would win at once and teach nothing, and, where it also guesses labels, the cross-entropy of its
guesses (AC-GAN). The generator loses by being told from the real. Nothing here moves a weight: the task does, and adds
the rows up over parts of a batch and over processes.

Everything that is drawn is drawn for the whole global batch, of which a part has some rows (`training.share`).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.gan import classification, penalties
from retimbre.gan.base import Labels, Verdict
from retimbre.gan.gamma import AutoGamma
from retimbre.gan.hearing import Ear
from retimbre.gan.losses import LOSSES
from retimbre.gan.sounds import SoundGenerator
from retimbre.training import devices
from retimbre.training.devices import Precision
from retimbre.training.share import Share

# Of the noise by which a slope is found without differentiating twice, for features of about unit size.
_DEVIATION = 0.01


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Rows that go through the networks together.

    Attributes:
        address: From where they draw: the same for all parts of a batch, each of which draws for the whole of it.
        share: Their place in the global batch.
        audio: The real clips.
        labels: Of these, and their conditions.
        wanted: Those that the generated ones are to have.
        latent: From which clips are generated.
    """

    address: int
    share: Share
    audio: Float[Tensor, "batch samples"]
    labels: Labels
    wanted: Labels
    latent: Float[Tensor, "batch latent"]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Claims:
    """What one critic is told of the clips of a part: of the real ones, and of those that are generated."""

    part: Part
    labels: Labels
    wanted: Labels


Rows = dict[str, Any]
"""Figures by name, a value per row of a part."""


Shown = tuple[Float[Tensor, "batch channels ..."], Float[Tensor, " batch"]]
"""Features and the scores that a critic gave them."""


@final
class Game:
    """Generator and critics at play.

    Attributes:
        gamma: What the penalties r1 and r2 are multiplied by where it is found while training; None for 1.
    """

    def __init__(
        self, sounds: SoundGenerator, ears: Sequence[Ear], precision: Precision, device: torch.device
    ) -> None:
        self.sounds, self.ears = sounds, ears
        self.precision, self.device = precision, device
        self.game = sounds.config.loss
        self.loss = LOSSES[self.game.kind]
        self.gamma = AutoGamma(1.0) if self.game.auto_gamma else None

    def critic_rows(self, part: Part, *, is_penalized: bool) -> Rows:
        """What the critics lose, a value per row."""
        wanted = self.sounds.told(part.wanted)
        with torch.no_grad(), self.precision.autocast(self.device):
            features = self.sounds.network(part.latent, wanted)
        rows: Rows = {}
        for ear in self.ears:
            claims = self._claims(ear, part)
            real, generated = self._heard(ear, part, features, is_penalized=is_penalized)
            of_real = self._asked(ear, real, claims.labels)
            of_generated = self._asked(ear, generated, claims.wanted)
            scores = of_real.score, of_generated.score
            gather(rows, "critic_loss", self.loss.critic(*scores) + self.game.drift * scores[0].square())
            # Means over the critics: the band that gamma keeps a margin in is that of one.
            gather(rows, "real_score", scores[0].detach() / len(self.ears))
            gather(rows, "generated_score", scores[1].detach() / len(self.ears))
            shown = (real, scores[0]), (generated, scores[1])
            if is_penalized:
                for name, penalty in self._penalties(ear, *shown, claims).items():
                    gather(rows, "critic_loss", penalty * self.game.penalty_every)
                    gather(rows, name, penalty.detach())
            if self.game.class_weight_critic and of_real.classes:
                loss = self._class_loss(of_real, part.labels, part.share, skip=())
                gather(rows, "critic_loss", self.game.class_weight_critic * loss)
                gather(rows, "critic_class_loss", loss.detach())
        return rows

    def generator_rows(self, part: Part) -> Rows:
        """What the generator loses, a value per row."""
        wanted = self.sounds.told(part.wanted)
        with self.precision.autocast(self.device):
            features = self.sounds.network(part.latent, wanted)
        rows: Rows = {}
        for ear in self.ears:
            claims = self._claims(ear, part)
            verdict = self._asked(ear, ear.generated(features, self.sounds), claims.wanted)
            real_score = verdict.score.detach()
            if self.loss.uses_real_in_generator:
                with torch.no_grad():
                    real_score = self._asked(ear, ear.real(part.audio), claims.labels).score
            loss = ear.weight * self.loss.generator(real_score, verdict.score)
            if self.game.class_weight_generator and verdict.classes:
                class_loss = self._class_loss(verdict, part.wanted, part.share, skip=self.game.class_skip)
                loss = loss + self.game.class_weight_generator * class_loss
                gather(rows, "generator_class_loss", class_loss.detach())
            gather(rows, "generator_loss", loss)
        if self.game.reconstruction:
            made = self.sounds.heard(self.sounds.network.enlarge(features))
            distance = (made - part.audio).abs().mean(dim=1)
            gather(rows, "generator_loss", self.game.reconstruction * distance)
            gather(rows, "reconstruction", distance.detach())
        return rows

    def _claims(self, ear: Ear, part: Part) -> Claims:
        """What a critic is told of the clips of a part."""
        with torch.no_grad():
            labels = ear.told(part.labels)
            wanted = labels if part.wanted is part.labels else ear.told(part.wanted)
        return Claims(part, labels, wanted)

    def _heard(
        self, ear: Ear, part: Part, features: Float[Tensor, "batch channels ..."], *, is_penalized: bool
    ) -> tuple[Float[Tensor, "batch heard ..."], Float[Tensor, "batch heard ..."]]:
        """What a critic hears of the real clips and of the generated ones; from its scores of them slopes are taken."""
        with torch.no_grad():
            real, generated = ear.real(part.audio).detach(), ear.generated(features, self.sounds).detach()
        has_slopes = is_penalized and self.game.penalty_method == "exact"
        real.requires_grad_(has_slopes and self.game.r1 > 0.0)
        generated.requires_grad_(has_slopes and self.game.r2 > 0.0)
        return real, generated

    def _penalties(self, ear: Ear, real: Shown, generated: Shown, claims: Claims) -> Rows:
        """The weighted penalties on the slope of a critic, by the name under which they are told."""
        game = self.game
        found: Rows = {}
        if game.gradient_penalty:
            penalty = penalties.interpolation_penalty(
                lambda features: self._asked(ear, features, claims.labels).score,
                real[0],
                generated[0],
                self._chance(claims.part.share),
            )
            gather(found, "penalty", game.gradient_penalty * penalty)
        if game.condition_penalty:
            penalty = self._condition_penalty(ear, real[0].detach(), claims)
            gather(found, "condition_penalty", game.condition_penalty * penalty)
        factor = 0.5 * (self.gamma.value if self.gamma else 1.0)
        for weight, shown, labels in (
            (game.r1, real, claims.labels),
            (game.r2, generated, claims.wanted),
        ):
            if weight:
                gather(found, "penalty", factor * weight * self._slope(ear, shown, labels, claims.part))
        return found

    def _condition_penalty(
        self, ear: Ear, real: Float[Tensor, "batch channels ..."], claims: Claims
    ) -> Float[Tensor, " batch"]:
        """The penalty on the slope of a critic with respect to all conditions together, at real clips."""
        names = list(ear.critic.form.conditions)
        real_end, wanted_end = (_flat(told, names) for told in (claims.labels, claims.wanted))
        shapes = [claims.labels[name].shape for name in names]

        def score(flat: Float[Tensor, "batch values"]) -> Float[Tensor, " batch"]:
            columns = flat.split([math.prod(shape[1:]) for shape in shapes], dim=1)
            told = {
                name: each.reshape(shape) for name, each, shape in zip(names, columns, shapes, strict=True)
            }
            return self._asked(ear, real, {**claims.labels, **told}).score

        return penalties.interpolation_penalty(score, real_end, wanted_end, self._chance(claims.part.share))

    def _chance(self, share: Share) -> Float[Tensor, " batch"]:
        """The share's rows of numbers from 0 to 1 that are drawn for a global batch."""
        return torch.rand(share.total, device=self.device)[share.rows]

    def _slope(self, ear: Ear, shown: Shown, labels: Labels, part: Part) -> Float[Tensor, " batch"]:
        """The squared slope of a critic at some features."""
        features, scores = shown
        if self.game.penalty_method == "exact":
            return penalties.gradient_square_of(scores, features)
        shape = (part.share.total, *features.shape[1:])
        noise = torch.randn(shape, device=self.device)[part.share.rows]
        place = int(torch.randint(2**62, ()))

        # Without autocast: bfloat16 cannot tell two scores this close from each other. And a layer that draws has to
        # draw the same for both.
        def score(near: Float[Tensor, "batch channels ..."]) -> Float[Tensor, " batch"]:
            devices.restart_random(part.address, "slope", place)
            return ear.critic(near, labels).score

        penalty = penalties.finite_difference_square(score, features, noise, _DEVIATION)
        devices.restart_random(part.address, "after slope", place)  # another one's noise is not this one's
        return penalty

    def _asked(self, ear: Ear, features: Float[Tensor, "batch channels ..."], labels: Labels) -> Verdict:
        """What a critic says, in float32."""
        with self.precision.autocast(self.device):
            verdict = ear.critic(features, labels)
        return Verdict(
            verdict.score.float(), {name: logits.float() for name, logits in verdict.classes.items()}
        )

    def _class_loss(
        self, verdict: Verdict, labels: Labels, share: Share, *, skip: Sequence[str]
    ) -> Float[Tensor, " batch"]:
        return classification.class_loss(
            verdict.classes, labels, share=share, soft=self.game.soft_labels, skip=skip
        )


def gather(sums: Rows, name: str, values: Float[Tensor, "*rows"]) -> None:
    """Adds values to those that are already there under a name."""
    sums[name] = sums[name] + values if name in sums else values


def _flat(told: Labels, names: Sequence[str]) -> Float[Tensor, "batch values"]:
    """Conditions side by side."""
    return torch.cat([told[name].float().flatten(1) for name in names], dim=1)
