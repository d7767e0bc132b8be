"""Laws of system C's Inception: torchvision's layers, its authors' picture, one answer to a clip, no swapped files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_weights import drawn, shapes_of
from safetensors.torch import save_file
from torch import Tensor

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.listening.catalog import embedder
from retimbre.listening.heard import Heard
from retimbre.listening.inception import NUM_SAMPLES, Inception, InceptionNetwork, fade_out, picture
from retimbre.listening.listener import load_listener, save_listener
from retimbre.listening.sony_inception import (
    SonyInceptionEmbedder,
    read_sony_inception,
    read_sony_listener,
)

GOLDENS = json.loads((Path(__file__).parents[1] / "golden" / "embedders.json").read_text(encoding="utf-8"))
FAMILIES = (
    *("bass", "brass", "flute", "guitar", "keyboard", "mallet"),
    *("organ", "reed", "string", "synth_lead", "vocal"),
)


def sound(num_samples: int) -> Tensor:
    """That of the script that made the goldens, at 16 kHz."""
    time_s = np.arange(num_samples) / 16_000
    noise = np.random.default_rng(0).standard_normal(num_samples)
    tone = np.sin(2 * np.pi * 440 * time_s) + 0.3 * np.sin(2 * np.pi * 880 * time_s)
    return torch.from_numpy((0.5 * np.exp(-2 * time_s) * tone + 0.001 * noise).astype(np.float32))[None]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of the eleven families, with the training's own classifier, which is not needed."""
    state = drawn(shapes_of(Inception(11))) | {"AuxLogits.fc.weight": torch.zeros(11, 768)}
    path = tmp_path_factory.mktemp("inception") / "instrument.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def heard(file: Path) -> SonyInceptionEmbedder:
    return SonyInceptionEmbedder(16_000, file)


@pytest.mark.parametrize("n_fft", [1024, 2048])
def test_the_picture_is_that_of_librosa(n_fft: int) -> None:
    found = picture(sound(24_000), n_fft)
    assert found.shape == (1, 1, 299, 299)
    golden = torch.tensor(GOLDENS["picture"][str(n_fft)])
    # Nepers, with five digits behind the point.
    torch.testing.assert_close(found[0, 0, ::37, ::37], golden, rtol=0.0, atol=1e-4)


def test_a_short_clip_is_filled_with_silence_and_a_long_one_cut() -> None:
    long = sound(30_000)
    assert torch.equal(picture(long), picture(long[:, :NUM_SAMPLES]))
    assert torch.equal(picture(long[:, :1]), picture(torch.nn.functional.pad(long[:, :1], (0, 20_000))))


def test_the_fade_leaves_70_percent_and_ends_in_silence() -> None:
    gains = fade_out(10_000, like=torch.zeros((), dtype=torch.float64))
    assert gains[:7001].tolist() == [1.0] * 7001
    assert float(gains[-1]) == 0.0
    # Half way the curve is at 10 ** 0.5, of which 1 is taken and which 9 divides.
    assert float(gains[7000 + 1500]) == pytest.approx((10**0.5 - 1) / 9, abs=1e-3)
    assert bool((gains[7000:].diff() < 0).all())


def test_the_layers_are_those_of_torch_fidelity_with_torchvision_s_pooling(
    heard: SonyInceptionEmbedder,
) -> None:
    answer = heard.hear(sound(24_000))
    golden = {name: torch.tensor(values) for name, values in GOLDENS["inception"].items()}
    # Ninety-four layers in float32; features reach 30.
    torch.testing.assert_close(answer.embedding[0, ::64], golden["features"], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(answer.logits["class"][0], golden["logits"], rtol=1e-3, atol=5e-3)


def test_there_are_as_many_weights_as_torchvision_has_but_for_its_colours_and_its_second_classifier() -> None:
    with torch.device("meta"):
        network = Inception(1000)
    second = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 769 * 1000
    colours = 2 * 9 * 32
    assert sum(weights.numel() for weights in network.parameters()) == 27_161_264 - second - colours


def test_a_clip_of_any_length_and_rate_is_heard(file: Path, heard: SonyInceptionEmbedder) -> None:
    resampling = embedder("sony-inception", 22_050, str(file))
    for network, num_samples in ((heard, 1), (heard, 40_000), (resampling, 5_000)):
        vectors = network(0.1 * torch.ones(1, num_samples).cumsum(1).sin())
        assert vectors.shape == (1, 2048)
        assert vectors.isfinite().all()


def test_an_answer_is_the_same_every_time_and_whatever_the_neighbours(heard: SonyInceptionEmbedder) -> None:
    """The earlier program left dropout and the batch's own statistics switched on while it measured."""
    clips = torch.cat([sound(16_000), torch.zeros(1, 16_000), sound(16_000).flip(1)])
    first = heard.train().hear(clips)
    assert torch.equal(heard.hear(clips).logits["class"], first.logits["class"])
    alone = heard.hear(clips[:1])
    # A batch is multiplied in another order than a single clip.
    torch.testing.assert_close(alone.embedding, first.embedding[:1], rtol=1e-3, atol=1e-3)


def test_the_files_for_pitch_and_for_the_instrument_cannot_be_swapped(file: Path) -> None:
    with pytest.raises(
        CheckpointError, match="tells 11 classes apart, but pitch has 27; the files for pitch and"
    ):
        read_sony_inception(file, "pitch")
    with pytest.raises(CheckpointError, match="tells 11 classes apart, but those of family are not named"):
        read_sony_inception(file, "family")
    with pytest.raises(CheckpointError, match="tells 11 classes apart, but family has 10"):
        read_sony_inception(file, "family", FAMILIES[1:])
    network = read_sony_inception(file, "family", FAMILIES)
    assert not network.training
    assert network.classes == {"family": FAMILIES}


@pytest.mark.slow
def test_a_published_classifier_becomes_a_listener_that_can_be_kept(
    file: Path, heard: SonyInceptionEmbedder, tmp_path: Path
) -> None:
    save_listener(tmp_path / "sony.safetensors", read_sony_listener(file, "family", FAMILIES), facts={})
    listener = load_listener(tmp_path / "sony.safetensors")
    clip = sound(16_000)
    with torch.no_grad():
        assert torch.equal(listener(clip).logits["family"], heard.hear(clip).logits["class"])
    assert listener.classes == {"family": FAMILIES}
    with pytest.raises(ConfigError, match="a listener's classes of pitch cannot be 50, 52, "):
        read_sony_listener(file, "pitch", tuple(str(pitch) for pitch in range(50, 72, 2)))


def test_the_number_of_classes_is_part_of_what_the_embedder_says_of_itself(
    heard: SonyInceptionEmbedder,
) -> None:
    assert heard.settings()["num_classes"] == 11


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'fc\.weight'"):
        embedder("sony-inception", 16_000, str(tmp_path / "other.safetensors"))
    save_file({"fc.weight": torch.zeros(3, 2048)}, tmp_path / "head.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'Conv2d_1a_3x3.conv.weight', .* more$"):
        embedder("sony-inception", 16_000, str(tmp_path / "head.safetensors"))


@pytest.mark.slow
def test_the_network_of_a_listener_hears_one_attribute_can_learn_and_then_depends_on_chance() -> None:
    """Without dropout, the law that answers are the same every time would hold of any network."""
    torch.manual_seed(0)
    network = InceptionNetwork({"family": FAMILIES[:2]}, 16_000)
    clips = torch.cat([sound(16_000), sound(16_000).flip(1)])
    answer = network(clips)
    assert isinstance(answer, Heard)
    assert answer.embedding.shape == answer.features["family"].shape == (2, 2048)
    assert answer.logits["family"].shape == (2, 2)
    with torch.no_grad():
        assert not torch.equal(network(clips).logits["family"], answer.logits["family"])
    torch.nn.functional.cross_entropy(answer.logits["family"], torch.tensor([0, 1])).backward()
    assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in network.parameters())


@pytest.mark.parametrize("classes", [{}, {"pitch": ("1", "2"), "family": ("a", "b")}, {"pitch": ("1",)}])
def test_a_network_of_no_one_attribute_or_of_one_class_is_refused(
    classes: dict[str, tuple[str, ...]],
) -> None:
    with pytest.raises(ConfigError, match=r"classifies one attribute, got|has 1 classes, but"):
        InceptionNetwork(classes, 16_000)
