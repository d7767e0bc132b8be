"""A contestant: one model that generates one representation, as run files.

Every training of the study is a run like those of `retimbre train`, in a folder of its own, and differs from the others
in the model, the representation, the trial and the seed alone. What all share is here: the notes, the pitch as the one
thing that networks are told, the size of the latent, and when a training is validated.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch

from retimbre.core.config import apply_overrides
from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.sounds import own_representation, shape_of
from retimbre.workflows.study.representations.budgets import SAMPLE_RATE_HZ, Budget
from retimbre.workflows.study.representations.models import Model
from retimbre.workflows.study.representations.transforms import Transform
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.run import run_of

LATENT_DIM = 64

# A training is validated so often, the end included; the state that is nearest to held-out clips is the one judged.
_VALIDATIONS = 4
# Part of a training that the average of the weights reaches over.
_AVERAGED_SHARE = 20
# Part of the updates at a scale in which it is faded in.
_FADED_SHARE = 2


@final
@dataclasses.dataclass(frozen=True)
class Contestant:
    """A model with what it generates.

    Attributes:
        model: How it is trained.
        transform: What it generates.
        budget: How long, and on which clips.
    """

    model: Model
    transform: Transform
    budget: Budget

    @property
    def name(self) -> str:
        """Model and representation, as a path."""
        return f"{self.model.name}/{self.transform.name}"

    @property
    def trials(self) -> tuple[Mapping[str, float], ...]:
        """The settings that are tried before its trainings."""
        return self.model.trials[: self.budget.num_trials]

    def run(self, steps: Sequence[int], changes: Mapping[str, float], seed: int) -> GanRun:
        """A training as a run file.

        Args:
            steps: Updates at each scale of a model that grows; one number for others.
            changes: Options of the trial, by their names in a run file.
            seed: Of weights, clips and latents.

        Raises:
            ConfigError: The options make no run.
        """
        total = sum(steps)
        table: dict[str, Any] = {
            "task": self._task(),
            "train": {
                **self.model.train(),
                "steps": total,
                "threads": 1,
                "ema_decay": max(0.0, 1.0 - _AVERAGED_SHARE / total),
                "validate_every": -(-total // _VALIDATIONS),
                "checkpoint_every": max(1, total // 10),
                "log_every": max(1, total // 100),
            },
            "data": self._data(),
            "seed": seed,
        }
        if self.model.grows:
            table["growth"] = _growth(steps)
        config = run_of(apply_overrides(table, [f"{name}={value!r}" for name, value in changes.items()]))
        if not isinstance(config, GanRun):
            raise ConfigError(f"{self.name}: trains a {config.kind}, but the study compares GANs")
        return config

    def refusal(self) -> str:
        """Why there is no such contestant, as the networks say it; empty where there is one."""
        config = self.run((1,) * len(self.model.weights), {}, seed=0).task
        lowest, highest = self.budget.pitches
        classes = {"pitch": tuple(str(pitch) for pitch in range(lowest, highest + 1))}
        shape = shape_of(own_representation(config, None), config.num_samples)
        form = Form(shape, classes, config.latent_dim)
        try:
            # Networks without memory: whether they can be built is all that is asked.
            with torch.device("meta"):
                config.generator.build(form)
                for entry in config.critics:
                    entry.network.build(form)
        except ConfigError as error:
            return str(error)
        return ""

    def _task(self) -> dict[str, Any]:
        budget = self.budget
        return {
            "kind": "gan",
            "sample_rate": SAMPLE_RATE_HZ,
            "num_samples": budget.num_samples,
            "latent_dim": LATENT_DIM,
            "attributes": ["pitch"],
            **self.transform.task(budget.size),
            **self.model.task(self.transform.name, budget.size),
        }

    def _data(self) -> dict[str, Any]:
        budget = self.budget
        lowest, highest = budget.pitches
        return {
            "corpora": ["notes"],
            "notes": budget.notes,
            "instruments": budget.instruments,
            "lowest_pitch": lowest,
            "highest_pitch": highest,
            "velocities": list(budget.velocities),
            "validation_clips": budget.validation_clips,
        }


def _growth(steps: Sequence[int]) -> dict[str, Any]:
    """[growth] of so many updates at each scale."""
    return {
        "steps": list(steps),
        "fade_jumps": [count // _FADED_SHARE for count in steps],
        "fade_jump_steps": [1] * len(steps),
    }


def contestants(
    models: Sequence[Model], transforms: Sequence[Transform], budget: Budget
) -> tuple[list[Contestant], dict[str, str]]:
    """All that there are of some models and representations, and why the others are none, by their names."""
    every = [Contestant(model, transform, budget) for model in models for transform in transforms]
    refused = {each.name: why for each in every if (why := each.refusal())}
    return [each for each in every if each.name not in refused], refused
