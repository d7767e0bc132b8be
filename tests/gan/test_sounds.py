"""A generator with all that it takes to be heard, in memory and in a file."""

import dataclasses
from pathlib import Path

import pytest
import torch
from note_sounds import tone

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.gan.base import Stage
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.dense import DenseCriticConfig, DenseGeneratorConfig
from retimbre.gan.sounds import SoundGenerator, load_generator, own_representation, save_generator
from retimbre.representation.standardized import fit_statistics
from retimbre.training import checkpoint

SAMPLE_RATE = 4000
NUM_SAMPLES = 1000
CONFIG = GanConfig(
    generator=DenseGeneratorConfig(width=8, depth=1),
    critics=(CriticEntry(DenseCriticConfig(width=8, depth=1)),),
    representation="mag-if",
    settings={"n_fft": 64, "hop_length": 16},
    sample_rate=SAMPLE_RATE,
    num_samples=NUM_SAMPLES,
    latent_dim=4,
    attributes=("pitch", "family"),
)
CLASSES = {"pitch": ("60", "61", "62"), "family": ("brass", "reed")}


def generator(config: GanConfig = CONFIG) -> SoundGenerator:
    torch.manual_seed(0)
    return SoundGenerator(config, CLASSES if config.attributes else {})


def snr_db(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    noise = (reference - estimate).double().square().sum()
    return float(10 * (reference.double().square().sum() / noise).log10())


# Every way to write a spectrum as channels, and the transforms of other shapes.
EXACT = (
    "waveform",
    "stft",
    "mag-phase",
    "mag-if",
    "mag-if-gated",
    "nsgt-mag-if",
    "mdct",
)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("standardize", ["", "bin", "cell"])
def test_features_of_a_recording_sound_like_the_recording(name: str, standardize: str) -> None:
    """Trap 12: images that were scaled back along the wrong axis made garbage of everything that was generated."""
    config = dataclasses.replace(
        CONFIG,
        representation=name,
        settings={},
        sample_rate=16_000,
        num_samples=4096,
        attributes=(),
        clip=False,
    )
    audio = torch.stack([tone(pitch, seconds=0.256).flatten()[:4096] for pitch in (220.0, 440.0, 523.25)])
    inner = own_representation(config, None)
    statistics = fit_statistics(inner, [audio], per=standardize) if standardize else None  # pyright: ignore
    sounds = SoundGenerator(config, {}, statistics)
    heard = sounds.heard(sounds.representation.encode(audio))
    # What scaling adds is the rounding of float32 features, of which logarithms make most: 60 dB at the least.
    assert snr_db(audio, heard) > (60.0 if standardize else 100.0)


def test_a_row_of_latents_depends_on_its_number_alone_and_follows_the_distribution() -> None:
    few, many = generator().draw_latents(3, seed=5), generator().draw_latents(4000, seed=5)
    torch.testing.assert_close(few, many[:3], rtol=0, atol=0)
    # Four standard errors of the mean and of the deviation of 16,000 numbers.
    assert abs(float(many.mean())) < 4 / 16_000**0.5
    assert abs(float(many.std()) - 1.0) < 4 / 32_000**0.5
    uniform = generator(dataclasses.replace(CONFIG, latent="uniform")).draw_latents(4000, seed=5)
    assert float(uniform.abs().max()) <= 1.0
    assert abs(float(uniform.std()) - 3.0**-0.5) < 0.02
    assert not torch.equal(few, generator().draw_latents(3, seed=6))


def test_labels_are_named_by_class_by_number_or_left_to_the_middle() -> None:
    labels = generator().labels(3, {"pitch": [60, "62", 61], "family": "reed"})
    assert {name: classes.tolist() for name, classes in labels.items()} == {
        "pitch": [0, 2, 1],
        "family": [1, 1, 1],
    }
    assert generator().labels(2, {})["pitch"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"pitch": 59}, "no pitch 59; takes 60 to 62"),
        ({"family": "bras"}, "did you mean 'brass'"),
        ({"piitch": 60}, "did you mean 'pitch'"),
        ({"pitch": [60, 61]}, "2 values for 3 sounds"),
    ],
)
def test_labels_that_there_are_not_are_named(wanted: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        generator().labels(3, wanted)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"pitch": torch.tensor([0, 1])}, "has to be told 'family', but is told only pitch"),
        ({}, "has to be told 'pitch', but is told nothing"),
        ({"pitch": torch.tensor([0, 3])}, "pitch has a value of 3; takes 0 to 2"),
        ({"pitch": torch.tensor([-1, 0])}, "pitch has a value of -1; takes 0 to 2"),
        ({"pitch": torch.tensor([0])}, r"pitch is of shape \[1\]; takes \[2\]"),
        ({"pitch": torch.tensor([0.0, 1.0])}, "pitch is of torch.float32; takes whole numbers"),
    ],
)
def test_labels_that_are_absent_or_out_of_range_are_refused_before_the_network_sees_them(
    labels: dict[str, torch.Tensor], said: str
) -> None:
    sounds = generator()
    with pytest.raises(ConfigError, match=said):
        sounds(sounds.draw_latents(2, seed=0), labels)


def test_latents_of_another_width_are_refused() -> None:
    sounds = generator()
    with pytest.raises(ConfigError, match="latents have 3 numbers each; takes 4"):
        sounds(torch.zeros(1, 3), sounds.labels(1, {}))


def test_a_generator_without_attributes_says_so() -> None:
    with pytest.raises(ConfigError, match="not conditioned"):
        generator(dataclasses.replace(CONFIG, attributes=())).labels(1, {"pitch": 60})


def test_a_file_makes_the_same_sounds_and_needs_nothing_else(tmp_path: Path) -> None:
    sounds = generator().eval()
    raw = {name: weights + 0.1 for name, weights in sounds.network.state_dict().items()}
    sounds.grow(Stage(0))
    save_generator(tmp_path / "model.safetensors", sounds, facts={"seed": 3}, raw_state=raw)
    latent, labels = sounds.draw_latents(5, seed=1), sounds.labels(5, {"pitch": 62})
    again = load_generator(tmp_path / "model.safetensors")
    torch.testing.assert_close(again(latent, labels), sounds(latent, labels), rtol=0, atol=0)
    assert (again.facts, again.classes, again.identity()) == ({"seed": 3}, CLASSES, sounds.identity())
    unaveraged = load_generator(tmp_path / "model.safetensors", "raw")
    assert not torch.equal(unaveraged(latent, labels), sounds(latent, labels))
    assert unaveraged.identity() != sounds.identity()


def test_statistics_travel_with_the_file(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, standardize="bin")
    audio = torch.randn(4, NUM_SAMPLES, generator=torch.Generator().manual_seed(0)) * 0.1
    sounds = SoundGenerator(config, CLASSES, fit_statistics(own_representation(config, None), [audio])).eval()
    save_generator(tmp_path / "model.safetensors", sounds, facts={})
    again = load_generator(tmp_path / "model.safetensors")
    latent, labels = sounds.draw_latents(2, seed=1), sounds.labels(2, {})
    torch.testing.assert_close(again(latent, labels), sounds(latent, labels), rtol=0, atol=0)


def test_what_cannot_be_used_is_refused_with_its_reason(tmp_path: Path) -> None:
    sounds = generator()
    path = tmp_path / "model.safetensors"
    save_generator(path, sounds, facts={})
    with pytest.raises(CheckpointError, match="average of its weights only"):
        load_generator(path, "raw")
    with pytest.raises(CheckpointError, match="kind 'listener'; takes 'generator'"):
        load_generator("listener")
    state, metadata = checkpoint.load(path)
    misshapen = {**state["average"], next(iter(state["average"])): torch.zeros(3, 3)}
    checkpoint.save(path, {"average": misshapen}, kind="generator", metadata=metadata)
    with pytest.raises(CheckpointError, match=r"cannot be used: .*size mismatch for .*\[3, 3\]") as refused:
        load_generator(path)
    assert "\n" not in str(refused.value)
    checkpoint.save(path, {"average": {}}, kind="generator", metadata=metadata)
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_generator(path)
    with pytest.raises(ConfigError, match="cannot be turned back to sound"):
        SoundGenerator(dataclasses.replace(CONFIG, representation="db-spectrogram", settings={}), CLASSES)
    assert state["average"]


def test_the_identity_sees_where_weights_are_and_how_far_they_have_grown() -> None:
    sounds = generator()
    before = sounds.identity()
    sounds.grow(Stage(1))
    assert sounds.identity() != before
    again = generator()
    weights = next(each for each in again.network.parameters() if each.ndim == 2)
    weights.data.copy_(weights.data.flip(0))  # the same numbers elsewhere
    assert again.identity() != before


def test_an_untrained_network_makes_finite_sounds_even_of_absurd_latents() -> None:
    sounds = generator()
    assert bool(sounds(torch.full((2, 4), 1e6), sounds.labels(2, {})).isfinite().all())
