"""Laws of what critics hear: what a listener would, with slopes that reach the generator, each with its own weight."""

import dataclasses

import pytest
import torch
from toy_gan import NUM_SAMPLES, TONES, tones_at

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Stage
from retimbre.gan.config import CriticEntry, GanConfig, LossConfig
from retimbre.gan.game import Game, Part
from retimbre.gan.hearing import Ear, ears_of
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.networks.progressive import ProgressiveGeneratorConfig
from retimbre.gan.sounds import SoundGenerator
from retimbre.representation.standardized import fit_statistics
from retimbre.training.devices import Precision
from retimbre.training.share import whole

SPECTRAL = {"n_fft": 32, "hop_length": 16}
OWN = CriticEntry(DenseCriticConfig(width=16))
WAVEFORM = CriticEntry(DenseCriticConfig(width=16), representation="waveform")
LOG_MAGNITUDE = CriticEntry(
    DenseCriticConfig(width=16), representation="mag", settings=SPECTRAL | {"floor": 1e-2}
)
GENERATED = {"waveform": {}, "stft": SPECTRAL, "mag-if": SPECTRAL}
PAIRS = [("stft", WAVEFORM), ("mag-if", WAVEFORM), ("waveform", LOG_MAGNITUDE), ("stft", LOG_MAGNITUDE)]
every_pair = pytest.mark.parametrize(
    ("generated", "entry"), PAIRS, ids=lambda each: each if isinstance(each, str) else each.representation
)
CLIPS = tones_at(1, rows=6)


def config_of(generated: str, *critics: CriticEntry, loss: str = "wgan") -> GanConfig:
    return GanConfig(
        generator=DenseGeneratorConfig(width=16),
        critics=critics,
        representation=generated,
        settings=dict(GENERATED[generated]),
        sample_rate=4000,
        num_samples=NUM_SAMPLES,
        latent_dim=4,
        attributes=tuple(TONES),
        loss=LossConfig(loss),
    )


def networks(config: GanConfig) -> tuple[SoundGenerator, list[Ear]]:
    torch.manual_seed(0)
    sounds = SoundGenerator(config, TONES)
    return sounds, ears_of(sounds, [None] * len(config.critics))


def part_of(sounds: SoundGenerator) -> Part:
    audio, labels = CLIPS.audio[0], {name: classes[0] for name, classes in CLIPS.labels.items()}
    return Part(0, whole(len(audio)), audio, labels, labels, sounds.draw_latents(len(audio), seed=1))


@every_pair
def test_a_critic_of_another_representation_hears_what_a_listener_would(
    generated: str, entry: CriticEntry
) -> None:
    sounds, (ear,) = networks(config_of(generated, entry))
    assert not ear.shares
    part = part_of(sounds)
    with torch.no_grad():
        features = sounds.network(part.latent, part.labels)
        torch.testing.assert_close(ear.generated(features, sounds), ear.real(sounds.heard(features)))
        # And of the features of a recording, the recording: float32's roundings, by way of two transforms.
        heard = ear.generated(sounds.representation.encode(part.audio), sounds)
    torch.testing.assert_close(heard.exp(), ear.real(part.audio).exp(), rtol=1e-3, atol=1e-4)


def test_a_critic_of_the_generators_own_representation_is_handed_the_features_as_they_are() -> None:
    sounds, (ear,) = networks(config_of("stft", OWN))
    features = torch.randn(3, *sounds.form.shape)
    assert ear.shares
    assert torch.equal(ear.generated(features, sounds), features)


@every_pair
def test_the_slope_of_a_verdict_comes_back_through_both_transforms(
    generated: str, entry: CriticEntry
) -> None:
    sounds, (ear,) = networks(config_of(generated, entry))
    part = part_of(sounds)
    # From what sounds like something: near silence a logarithm is too curved for differences.
    features = sounds.representation.encode(part.audio)
    features = (features + 0.1 * torch.randn_like(features)).requires_grad_()
    direction = torch.randn_like(ear.real(part.audio))

    def verdict(of: torch.Tensor) -> torch.Tensor:
        return (ear.generated(of, sounds) * direction).double().sum()

    (slope,) = torch.autograd.grad(verdict(features), features)
    step = 1e-3 * slope / slope.norm()
    with torch.no_grad():
        change = verdict(features + step) - verdict(features - step)
    # Along its slope a verdict rises by the slope's length: by central differences in float32.
    assert float(change) == pytest.approx(float(2e-3 * slope.norm()), rel=0.02)


@every_pair
def test_every_weight_of_the_generator_learns_from_a_critic_of_another_representation(
    generated: str, entry: CriticEntry
) -> None:
    sounds, ears = networks(config_of(generated, entry))
    rows = Game(sounds, ears, Precision.FP32, torch.device("cpu")).generator_rows(part_of(sounds))
    rows["generator_loss"].sum().backward()
    for name, weight in sounds.network.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert float(weight.grad.abs().max()) > 0.0, name


@pytest.mark.parametrize("loss", ["wgan", "relativistic"])
def test_a_generator_minds_each_critic_by_its_weight_and_critics_do_not(loss: str) -> None:
    weighed = [dataclasses.replace(OWN, weight=0.25), dataclasses.replace(LOG_MAGNITUDE, weight=3.0)]
    sounds, ears = networks(config_of("waveform", *weighed, loss=loss))
    part = part_of(sounds)

    def rows_of(*heard: Ear) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        game = Game(sounds, heard, Precision.FP32, torch.device("cpu"))
        lost = game.generator_rows(part)["generator_loss"]
        slopes = torch.autograd.grad(lost.sum(), list(sounds.network.parameters()))
        names = [name for name, _ in sounds.network.named_parameters()]
        critic_lost = game.critic_rows(part, is_penalized=False)["critic_loss"]
        return lost.detach(), critic_lost.detach(), dict(zip(names, slopes, strict=True))

    both, both_critics, both_slopes = rows_of(*ears)
    alone = [rows_of(dataclasses.replace(ear, weight=1.0)) for ear in ears]
    torch.testing.assert_close(both, 0.25 * alone[0][0] + 3.0 * alone[1][0])
    torch.testing.assert_close(both_critics, alone[0][1] + alone[1][1])
    for name, slope in both_slopes.items():
        torch.testing.assert_close(slope, 0.25 * alone[0][2][name] + 3.0 * alone[1][2][name])
    assert not torch.allclose(both, alone[0][0] + alone[1][0])


def test_what_a_critic_hears_is_scaled_by_its_own_statistics() -> None:
    entry = dataclasses.replace(LOG_MAGNITUDE, standardize="bin")
    config = config_of("waveform", entry)
    sounds, (plain,) = networks(config)
    clips = CLIPS.audio[0]
    statistics = fit_statistics(plain.representation, [clips], per="bin")
    (scaled,) = ears_of(sounds, [statistics])
    spread = scaled.real(clips).transpose(0, 2).flatten(1)
    # Three deviations are 1, so a deviation is a third, less the few values that are cut off.
    torch.testing.assert_close(spread.mean(dim=1), torch.zeros(len(spread)), atol=0.02, rtol=0.0)
    torch.testing.assert_close(spread.std(dim=1), torch.full((len(spread),), 1.0 / 3.0), atol=0.03, rtol=0.0)
    torch.testing.assert_close(scaled.generated(clips[:, None], sounds), scaled.real(clips))


def test_a_generator_that_is_half_grown_is_heard_at_full_size() -> None:
    growing = ProgressiveGeneratorConfig(depths=(4, 4), factors=((2, 2), (1, 1)))
    config = dataclasses.replace(config_of("stft", WAVEFORM), generator=growing)
    sounds, (ear,) = networks(config)
    sounds.grow(Stage(0))
    part = part_of(sounds)
    with torch.no_grad():
        features = sounds.network(part.latent, part.labels)
        assert features.shape[1:] != sounds.form.shape
        heard = ear.generated(features, sounds)
        torch.testing.assert_close(heard[:, 0], sounds(part.latent, part.labels))


@pytest.mark.parametrize("own", [{"standardize": "bin"}, {"settings": {"n_fft": 32}}], ids=str)
def test_settings_without_a_representation_of_its_own_are_refused(own: dict[str, object]) -> None:
    entry = dataclasses.replace(OWN, **own)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="needs a representation of its own"):
        networks(config_of("stft", entry))
