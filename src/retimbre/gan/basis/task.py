"""The updates by which a basis is learned, with its classifier and its critic.

One update of the basis: clips, with noise if wanted, become codes, and codes sound again. A rectified code is a layer
of a network, and gradients run through it to both sets of kernels. A sparse code is held fixed: it is the least-squares
solution for the functions that are in, where the error does not change with the amounts to first order, so that the
gradient with respect to the functions is the same whether the amounts follow or not. It is the step of dictionary
learning that Olshausen and Field took, by another optimizer.

With a critic, every update of the basis is preceded by as many of the critic's as `[task.critic] steps` says, each with
clips of its own, so a batch holds so many times as many clips. The basis learns from the last of these.

References:
    Olshausen and Field (1996), Emergence of simple-cell receptive field properties by learning a sparse code for
    natural images, https://doi.org/10.1038/381607a0
    Gulrajani et al. (2017), Improved training of Wasserstein GANs, https://arxiv.org/abs/1704.00028
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.dsp.stft import LogMagnitude, StftSettings, magnitude
from retimbre.gan.basis.config import BasisTaskConfig
from retimbre.gan.basis.judges import KeyClassifier, WaveCritic, key_cross_entropy
from retimbre.gan.losses import LOSSES
from retimbre.gan.penalties import interpolation_penalty
from retimbre.representation.learned_basis import Basis
from retimbre.training.ema import ExponentialMovingAverage
from retimbre.training.schedule import learning_rate_at, set_learning_rate
from retimbre.training.task import Task
from retimbre.training.update import UpdateConfig, optimizer_of

# 100 dB below a full-scale sine: what is softer counts as silence.
_LEAST_POWER = 1e-10
_SPECTRUM = StftSettings(512, 128)
_FLOOR_DB = -80.0
_CRITIC_BETAS = (0.5, 0.9)

Values = dict[str, Float[Tensor, ""]]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class BasisBatch:
    """Clips of an update, with all that is left to chance.

    Attributes:
        audio: The clips.
        noise: What is added to them before they are encoded.
        chance: For each clip where between it and what came back a critic's slope is measured, from 0 to 1.
        nonzeros_per_s: Values of a sparse code.
        states: MIDI states from 0 to 1; None where the set has none.
    """

    audio: Float[Tensor, "batch samples"]
    noise: Float[Tensor, "batch samples"]
    chance: Float[Tensor, " batch"]
    nonzeros_per_s: float
    states: Float[Tensor, "batch states keys"] | None = None


@final
class BasisTask(Task[BasisBatch]):
    """A basis with its judges, their optimizers and the average of its weights.

    Args:
        basis: What is learned.
        config: By what.
        update: How weights are moved.
        device: Where.
        state_shape: States of a clip and slots of a state, for a classifier; zeros without.
    """

    def __init__(
        self,
        basis: Basis,
        config: BasisTaskConfig,
        update: UpdateConfig,
        device: torch.device,
        state_shape: tuple[int, int] = (0, 0),
    ) -> None:
        self.config, self.schedule, self.device = config, update, device
        self.basis = basis.to(device)
        learned: dict[str, nn.Module] = {"basis": self.basis}
        if config.classifier.weight > 0.0:
            learned["classifier"] = _classifier_of(basis, config, *state_shape).to(device)
        self.learned = nn.ModuleDict(learned)
        self.optimizer = optimizer_of(self.learned, update)
        self.average = ExponentialMovingAverage(self.learned, decay=update.ema_decay)
        self.critic: WaveCritic | None = None
        if config.critic.updates():
            self.critic = WaveCritic(config.num_samples, config.critic.channels).to(device)
            rate = config.critic.learning_rate
            self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=rate, betas=_CRITIC_BETAS)

    def update(self, batch: BasisBatch, *, step: int) -> Mapping[str, float | Float[Tensor, ""]]:
        """The critic's updates, if there is one, and then one of the basis."""
        rate = learning_rate_at(self.schedule.schedule, step, num_steps=self.schedule.num_steps)
        set_learning_rate(self.optimizer, rate)
        self.learned.train()
        parts = split(batch, max(1, self.config.critic.updates()))
        judged: Values = {}
        if self.critic is not None:
            for part in parts:
                judged = self._update_critic(self.critic, part)
        self.optimizer.zero_grad(set_to_none=True)
        with self.schedule.precision.autocast(self.device):
            values = self._losses(parts[-1])
        values["loss"].backward()
        if self.schedule.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.learned.parameters(), self.schedule.clip_norm)
        self.optimizer.step()
        self.average.update()
        return {name: value.detach() for name, value in (values | judged).items()} | {"learning_rate": rate}

    @torch.no_grad()
    def validate(self, batches: Iterable[BasisBatch]) -> Mapping[str, float]:
        """The same without noise, at the validation's number of values, for the averaged weights."""
        self.learned.eval()
        sums: dict[str, float] = {}
        total = 0
        with self.average.applied():
            for batch in batches:
                still = dataclasses.replace(
                    batch,
                    noise=torch.zeros_like(batch.noise),
                    nonzeros_per_s=self.config.validation_nonzeros_per_s,
                )
                with self.schedule.precision.autocast(self.device):
                    values = self._losses(still)
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(batch.audio)
                total += len(batch.audio)
        return {name: value / total for name, value in sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizers and average."""
        state = {
            "learned": self.learned.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
        }
        if self.critic is not None:
            state |= {
                "critic": self.critic.state_dict(),
                "critic_optimizer": self.critic_optimizer.state_dict(),
            }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up a state, on the task's device."""
        self.learned.load_state_dict(state["learned"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
            self.critic_optimizer.load_state_dict(state["critic_optimizer"])

    def _update_critic(self, critic: WaveCritic, part: BasisBatch) -> Values:
        with torch.no_grad(), self.schedule.precision.autocast(self.device):
            fake = self._sound_of(self._codes(part)).float()
        with self.schedule.precision.autocast(self.device):
            score = LOSSES["wgan"].critic(critic(part.audio), critic(fake)).mean()
            penalty = interpolation_penalty(critic, part.audio, fake, part.chance).mean()
            loss = score + self.config.critic.gradient_penalty * penalty
        self.critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimizer.step()
        return {"critic": score, "penalty": penalty}

    def _codes(self, batch: BasisBatch) -> Float[Tensor, "batch channels ..."]:
        config = self.basis.config
        samples = batch.audio.shape[1]
        num_nonzeros = self.basis.num_nonzeros(batch.nonzeros_per_s, samples, config.sample_rate)
        return self.basis.encode(batch.audio + batch.noise, num_nonzeros, self.config.pursuit)

    def _sound_of(self, codes: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch samples"]:
        return self.basis.decode(codes, num_samples=self.config.num_samples)

    def _losses(self, batch: BasisBatch) -> Values:
        """What the basis makes small as `loss`, and what that is made of."""
        codes = self._codes(batch)
        sound = self._sound_of(codes).float()
        values = distances(batch.audio, sound)
        loss = -values["snr_db"] if self.config.loss == "snr" else values[self.config.loss]
        if self.config.spectral > 0.0:
            values["spectral_db"] = spectral_distance_db(batch.audio, sound)
            loss = loss + self.config.spectral * values["spectral_db"]
        if "classifier" in self.learned and batch.states is not None:
            values["key_bce"] = key_cross_entropy(self.learned["classifier"](codes), batch.states).mean()
            loss = loss + self.config.classifier.weight * values["key_bce"] * batch.states.shape[-1]
        if self.critic is not None:
            values["adversarial"] = LOSSES["wgan"].generator(*2 * (self.critic(sound),)).mean()
            loss = loss + self.config.critic.weight * values["adversarial"]
        return {"loss": loss} | values


def distances(reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"]) -> Values:
    """How far sounds are from what they should be: `l1` and `l2` of samples, and `snr_db`, a mean over clips."""
    error = estimate - reference
    noise = error.square().mean(dim=1).clamp_min(_LEAST_POWER)
    signal = reference.square().mean(dim=1).clamp_min(_LEAST_POWER)
    snr_db = 10.0 * (signal / noise).log10()
    return {"l1": error.abs().mean(), "l2": error.square().mean(), "snr_db": snr_db.mean()}


def spectral_distance_db(
    reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"]
) -> Float[Tensor, ""]:
    """The mean absolute difference of log magnitudes in decibels, with a floor."""
    levels = LogMagnitude(floor_db=_FLOOR_DB)
    spectra = [levels(magnitude(sound, _SPECTRUM)) for sound in (reference, estimate)]
    return (spectra[0] - spectra[1]).abs().mean()


def split(batch: BasisBatch, count: int) -> list[BasisBatch]:
    """A batch in so many of equal size."""
    sizes = len(batch.audio) // count
    states = [None] * count if batch.states is None else list(batch.states.split(sizes))
    return [
        BasisBatch(audio, noise, chance, batch.nonzeros_per_s, own)
        for audio, noise, chance, own in zip(
            batch.audio.split(sizes), batch.noise.split(sizes), batch.chance.split(sizes), states, strict=True
        )
    ]


def _classifier_of(basis: Basis, config: BasisTaskConfig, num_states: int, num_keys: int) -> KeyClassifier:
    """A classifier for frames of this basis; ConfigError if its frames do not fit the states."""
    step = config.frames_per_state(num_states)
    codes = basis.functions.folded(torch.zeros(1, basis.num_codes(config.num_samples)))
    return KeyClassifier(codes.flatten(1, -2).shape[1], config.classifier.hidden, num_keys, step)
