"""Laws of conditions: who is told what, that it is heeded, and what is refused."""

import dataclasses

import pytest
import torch
from torch import Tensor
from toy_gan import CENTRES, Toy, gradients, told_heaps_at, updated

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Labels, Verdict
from retimbre.gan.conditions import CONDITIONS, blank, condition_shapes, told_to
from retimbre.gan.config import CriticEntry, GanConfig, LossConfig
from retimbre.gan.game import Game
from retimbre.gan.hearing import Ear, ears_of
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.networks.told.midi import MidiWaveCriticConfig
from retimbre.gan.networks.wavegan import WaveGanGeneratorConfig
from retimbre.gan.sounds import SoundGenerator
from retimbre.gan.task import GanTask
from retimbre.representation.catalog import representation
from retimbre.representation.standardized import Standardized, fit_statistics
from retimbre.training.devices import Precision

RATE = 4_000
SAMPLES = 512
STFT = {"n_fft": 64, "hop_length": 32}
GAME = LossConfig("relativistic", r1=0.5, r2=0.5)
PAIRED = Toy(GAME, conditions={"history": 2}, num_steps=150)


def config_with(**conditions: int) -> GanConfig:
    return GanConfig(
        generator=DenseGeneratorConfig(width=8, depth=1),
        critics=(
            CriticEntry(DenseCriticConfig(width=8, depth=1)),
            CriticEntry(DenseCriticConfig(width=8, depth=1), representation="stft", settings=dict(STFT)),
        ),
        sample_rate=RATE,
        num_samples=SAMPLES,
        conditions=conditions,
    )


def trained_on_pairs(*, independent: bool) -> GanTask:
    task = PAIRED.task()
    for step in range(1, PAIRED.num_steps + 1):
        updated(task, told_heaps_at(step, independent=independent), step)
    return task


def distance_from_told(task: GanTask) -> float:
    """Of generated points from what they were told, on average."""
    told = CENTRES.repeat(40, 1)
    with torch.no_grad(), task.average.applied():
        points = task.sounds(task.sounds.draw_latents(len(told), seed=3), {"history": told})
    return float((points - told).norm(dim=1).mean())


@pytest.mark.parametrize("independent", [False, True])
def test_a_generator_makes_what_the_condition_says(independent: bool) -> None:
    # Points that follow nothing are 1.27 apart on average (two random places of eight on a circle); neighbouring heaps
    # are 0.77 apart.
    assert distance_from_told(PAIRED.task()) > 0.6
    assert distance_from_told(trained_on_pairs(independent=independent)) < 0.3


def test_every_network_is_told_a_sound_in_its_own_domain_and_states_as_they_are() -> None:
    torch.manual_seed(0)
    sounds = SoundGenerator(config_with(history=256, midi=12, sound=SAMPLES, envelope=SAMPLES), {})
    of_samples, of_spectra = ears_of(sounds, [None, None])
    stft = representation("stft", RATE, STFT)
    labels = {name: torch.rand_like(each) for name, each in blank(sounds.conditions, 3).items()}
    spectra, samples = of_spectra.told(labels), of_samples.told(labels)
    for name in ("history", "sound"):
        torch.testing.assert_close(spectra[name], stft.encode(labels[name]))
        torch.testing.assert_close(samples[name], labels[name][:, None])
    for name in ("midi", "envelope"):
        assert torch.equal(spectra[name], labels[name])
        assert torch.equal(samples[name], labels[name])
    for ear, told in ((of_samples, samples), (of_spectra, spectra)):
        assert ear.critic.form.conditions == {name: tuple(each.shape[1:]) for name, each in told.items()}
    assert sounds.form.conditions == of_samples.critic.form.conditions


def test_classes_are_told_as_they_are() -> None:
    stft = representation("stft", RATE, STFT)
    words = torch.tensor([1, 2])
    assert told_to({"word": words}, stft)["word"] is words


class Watched(Critic):
    """A critic that keeps what it was told, and whose score has slope one in the first number of its condition."""

    def __init__(self) -> None:
        super().__init__(Form((1, 2), {}, conditions={"history": (1, 2)}))
        self.seen: list[Labels] = []

    def forward(self, features: Tensor, labels: Labels) -> Verdict:
        self.seen.append(labels)
        return Verdict(labels["history"].flatten(1)[:, 0] + 0.0 * features.flatten(1)[:, 0], {})


def rows_of(
    loss: LossConfig, watched: Watched, *, independent: bool = True
) -> tuple[GanTask, dict[str, Tensor]]:
    task = dataclasses.replace(PAIRED, loss=loss).task()
    own = task.ears[0]
    ear = Ear(watched, own.representation, own.shares, own.weight)
    game = Game(task.sounds, [ear], Precision.FP32, torch.device("cpu"))
    (part,) = task._parts(told_heaps_at(1, rows=6, independent=independent), 0)
    return task, game.critic_rows(part, is_penalized=True)


def test_real_clips_are_judged_beside_their_own_condition_and_generated_ones_beside_the_wanted() -> None:
    watched = Watched()
    rows_of(LossConfig("wgan"), watched)
    batch = told_heaps_at(1, rows=6, independent=True)
    assert batch.wanted is not None
    real, generated = watched.seen
    assert torch.equal(real["history"][:, 0], batch.labels["history"][0])
    assert torch.equal(generated["history"][:, 0], batch.wanted["history"][0])
    assert not torch.equal(real["history"], generated["history"])


def test_a_critic_of_slope_one_in_its_condition_pays_no_penalty_there_and_one_for_the_clip() -> None:
    """Both terms of the conditional WGAN-GP are taken, each with respect to its own argument."""
    _, rows = rows_of(LossConfig("wgan", gradient_penalty=10.0, condition_penalty=7.0), Watched())
    torch.testing.assert_close(rows["condition_penalty"], torch.zeros(6))
    torch.testing.assert_close(rows["penalty"], torch.full((6,), 10.0))  # slope 0: (0 - 1)^2


def test_both_penalties_are_among_the_figures() -> None:
    loss = LossConfig("wgan", gradient_penalty=10.0, condition_penalty=10.0, independent_conditions=True)
    figures = updated(dataclasses.replace(PAIRED, loss=loss).task(), told_heaps_at(1, independent=True), 1)
    assert figures["penalty"] > 0.0
    assert figures["condition_penalty"] > 0.0


def test_parts_of_a_batch_learn_what_the_whole_does() -> None:
    loss = LossConfig("wgan", gradient_penalty=10.0, condition_penalty=10.0, independent_conditions=True)
    found = []
    for rows_at_once in (0, 24):
        task = dataclasses.replace(PAIRED, loss=loss, rows_at_once=rows_at_once).task()
        updated(task, told_heaps_at(1, independent=True), 1)
        found.append(gradients(task.critics) | gradients(task.generator))
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_reconstruction_brings_the_clip_itself() -> None:
    """Where the condition says which point it is, the generator is told how far it is from it."""
    toy = dataclasses.replace(PAIRED, loss=dataclasses.replace(GAME, reconstruction=10.0), num_steps=60)
    task = toy.task()
    figures = [updated(task, told_heaps_at(step), step) for step in range(1, toy.num_steps + 1)]
    assert figures[-1]["reconstruction"] < 0.3 * figures[0]["reconstruction"]
    assert distance_from_told(task) < 0.2


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"there is no condition 'histry'.*history"):
        config_with(histry=8)
    with pytest.raises(ConfigError, match="'midi' is 0 long; takes a whole number, 1 or more"):
        config_with(midi=0)
    with pytest.raises(ConfigError, match="'envelope' is 100 long, but a clip has 512 samples"):
        config_with(envelope=100)
    with pytest.raises(ConfigError, match="condition_penalty is for networks with conditions"):
        dataclasses.replace(config_with(), loss=LossConfig(condition_penalty=1.0))
    with pytest.raises(ConfigError, match="takes one of them"):
        LossConfig(reconstruction=1.0, independent_conditions=True)


def test_a_history_of_other_length_cannot_be_scaled_cell_by_cell() -> None:
    stft = representation("stft", RATE, STFT)
    for per in ("bin", "cell"):
        scaled = Standardized(stft, fit_statistics(stft, [torch.randn(4, SAMPLES)], per=per), clip=True)
        assert condition_shapes({"sound": SAMPLES}, scaled)
        if per == "bin":
            assert condition_shapes({"history": 256}, scaled)
        else:
            with pytest.raises(ConfigError, match="'history' has other cells than a clip; takes 'bin'"):
                condition_shapes({"history": 256}, scaled)


def test_every_condition_has_a_shape_and_a_command() -> None:
    for name, condition in CONDITIONS.items():
        assert condition.command.startswith("generate "), name
        assert blank({name: 5}, 2)[name].shape == (2, *condition.shape(5))
    assert CONDITIONS["midi"].shape(1024) == (1024, 89)


def test_a_condition_that_a_network_would_pass_over_is_refused() -> None:
    deaf = dataclasses.replace(config_with(history=8), generator=WaveGanGeneratorConfig(channels=2))
    with pytest.raises(
        ConfigError, match="'history', which the network 'wavegan' passes over: it hears none"
    ):
        SoundGenerator(deaf, {})
    sounds = SoundGenerator(config_with(history=8), {})
    entry = CriticEntry(MidiWaveCriticConfig(channels=2))
    with pytest.raises(ConfigError, match="the network 'midi-wave' passes over: it hears midi"):
        ears_of(SoundGenerator(dataclasses.replace(sounds.config, critics=(entry,)), {}), [None])


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("history", torch.zeros(2, 128), r"history is of shape \[2, 128\]; takes \[2, 256\]"),
        ("history", torch.full((2, 256), torch.nan), "history has a value of nan; takes finite numbers"),
        ("midi", torch.zeros(2, 24, 89), r"midi is of shape \[2, 24, 89\]; takes \[2, 12, 89\]"),
        ("midi", torch.zeros(2, 12, 88), r"midi is of shape \[2, 12, 88\]; takes \[2, 12, 89\]"),
        ("midi", torch.full((2, 12, 89), 100.0), "midi has a value of 100; takes 0 to 1"),
        ("sound", torch.zeros(1, SAMPLES), r"sound is of shape \[1, 512\]; takes \[2, 512\]"),
        ("envelope", torch.full((2, SAMPLES), 1.5), "envelope has a value of 1.5; takes 0 to 1"),
        ("envelope", torch.full((2, SAMPLES), -0.1), "envelope has a value of -0.1; takes 0 to 1"),
        ("envelope", None, "has to be told 'envelope', but is told only history, midi, sound"),
    ],
)
def test_conditions_of_another_length_rate_or_range_are_refused(
    name: str, values: Tensor | None, said: str
) -> None:
    """A history of half the length would be taken for another sound, not for a mistake."""
    sounds = SoundGenerator(config_with(history=256, midi=12, sound=SAMPLES, envelope=SAMPLES), {})
    told = blank(sounds.conditions, 2)
    latents = sounds.draw_latents(2, seed=0)
    assert bool(sounds(latents, told).isfinite().all())
    if values is None:
        del told[name]
    else:
        told[name] = values
    with pytest.raises(ConfigError, match=said):
        sounds(latents, told)
