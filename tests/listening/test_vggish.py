"""Laws of VGGish: the original's numbers, its order of axes, its examples, and a file taken whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_weights import drawn, shapes_of
from safetensors.torch import save_file
from torch import Tensor

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.listening import vggish
from retimbre.listening.catalog import embedder
from retimbre.listening.vggish import (
    EXAMPLE_SAMPLES,
    RATE_HZ,
    VggishEmbedder,
    VggishOptions,
    ending_as,
)
from retimbre.listening.vggish_weights import Vggish, VggishSizes, read_vggish

SMALL = VggishSizes(channels=(4, 6, 8, 10), hidden=12, dim=5)
# Where the original keeps what torchvggish has under a number.
VARIABLES = {
    "features.0": "conv1",
    "features.3": "conv2",
    "features.6": "conv3/conv3_1",
    "features.8": "conv3/conv3_2",
    "features.11": "conv4/conv4_1",
    "features.13": "conv4/conv4_2",
    "embeddings.0": "fc1/fc1_1",
    "embeddings.2": "fc1/fc1_2",
    "embeddings.4": "fc2",
}


def state() -> dict[str, Tensor]:
    return drawn(shapes_of(Vggish(SMALL)))


def variables() -> dict[str, np.ndarray]:
    """The same weights as TensorFlow has them: rows, columns, in, out."""
    found = {}
    for name, weights in state().items():
        layer, _, kind = name.rpartition(".")
        axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[weights.dim()]
        variable = f"vggish/{VARIABLES[layer]}/{'weights' if kind == 'weight' else 'biases'}"
        found[variable] = weights.permute(axes).contiguous().numpy()
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(state(), tmp_path / "vggish.safetensors")
    return tmp_path / "vggish.safetensors"


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolved(picture: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One layer of the original, sample by sample of its window: [height, width, in] to [height, width, out]."""
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)))
    height, width = picture.shape[:2]
    found = bias + sum(
        padded[row : row + height, column : column + width] @ weights[row, column]
        for row in range(3)
        for column in range(3)
    )
    return np.maximum(found, 0.0)


def halved(picture: np.ndarray) -> np.ndarray:
    height, width, channels = picture.shape
    return picture.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def original(example: np.ndarray, held: dict[str, np.ndarray]) -> np.ndarray:
    """VGGish as its authors describe it, in NumPy and in TensorFlow's order of axes."""
    layers = {
        name: (held[f"vggish/{name}/weights"].astype(float), held[f"vggish/{name}/biases"].astype(float))
        for name in VARIABLES.values()
    }
    found = halved(convolved(example[..., None], *layers["conv1"]))
    found = halved(convolved(found, *layers["conv2"]))
    found = halved(convolved(convolved(found, *layers["conv3/conv3_1"]), *layers["conv3/conv3_2"]))
    found = halved(convolved(convolved(found, *layers["conv4/conv4_1"]), *layers["conv4/conv4_2"]))
    vector = found.reshape(-1)
    for name in ("fc1/fc1_1", "fc1/fc1_2"):
        vector = np.maximum(vector @ layers[name][0] + layers[name][1], 0.0)
    return vector @ layers["fc2"][0] + layers["fc2"][1]


def test_the_log_mels_of_a_tone_are_those_that_google_s_own_test_prints() -> None:
    """vggish_smoke_test.py prints six numbers of a frame of 1 kHz at 16 kHz, with eight digits."""
    time_s = torch.arange(48_000, dtype=torch.float64) / RATE_HZ
    examples = vggish.examples(torch.sin(2.0 * torch.pi * 1000.0 * time_s)[None])
    assert examples.shape == (1, 3, 96, 64)
    printed = torch.tensor([-4.48313252, -4.27083405, -4.17064267, -4.60069383, -4.60098887, -4.60116305])
    # float32 of numbers up to 5.
    torch.testing.assert_close(
        examples[0, 0, :, [0, 1, 2, -3, -2, -1]], printed.expand(96, -1), rtol=0.0, atol=1e-6
    )


def test_the_log_mels_follow_the_published_formula() -> None:
    clip = noise(1, 2000)[0].double().numpy()
    corners = np.linspace(1127 * np.log(1 + 125 / 700), 1127 * np.log(1 + 7500 / 700), 66)
    bins = 1127 * np.log(1 + np.linspace(0, 8000, 257) / 700)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    expected = np.zeros((11, 64))
    for frame in range(11):
        spectrum = np.abs(np.fft.rfft(clip[160 * frame : 160 * frame + 400] * window, 512))
        for band, (low, middle, high) in enumerate(
            zip(corners[:-2], corners[1:-1], corners[2:], strict=True)
        ):
            weights = np.maximum(
                0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
            )
            expected[frame, band] = np.log(weights[1:] @ spectrum[1:] + 0.01)
    found = vggish.log_mels(torch.from_numpy(clip)[None])
    # float32 of numbers up to 5.
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=0.0, atol=1e-6)


def test_the_network_is_the_original_s_under_both_names_of_its_weights(file: Path, tmp_path: Path) -> None:
    example = vggish.examples(noise(1, EXAMPLE_SAMPLES))[0]
    expected = original(example[0].double().numpy(), variables())
    np.savez(tmp_path / "dump.npz", **variables())
    np.savez(tmp_path / "dump0.npz", **{f"{name}:0": each for name, each in variables().items()})
    for path in (file, tmp_path / "dump.npz", tmp_path / "dump0.npz"):
        found = read_vggish(path, SMALL)(example)[0]
        # Six layers in float32.
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_the_published_network_has_72_million_weights() -> None:
    with torch.device("meta"):
        network = Vggish(VggishSizes())
    convolutions = (
        9 * (1 * 64 + 64 * 128 + 128 * 256 + 256 * 256 + 256 * 512 + 512 * 512) + 64 + 128 + 2 * (256 + 512)
    )
    dense = (6 * 4 * 512 + 1) * 4096 + 4097 * 4096 + 4097 * 128
    assert sum(weights.numel() for weights in network.parameters()) == convolutions + dense == 72_141_184


def test_a_clip_has_an_example_for_every_96_frames_that_are_whole() -> None:
    counts = {1: 1, 15_599: 1, 15_600: 1, 30_959: 1, 30_960: 2, 160_000: 10}
    assert {samples: vggish.examples(torch.zeros(1, samples)).shape[1] for samples in counts} == counts


def test_windows_of_one_example_each_give_what_the_whole_clip_gives(file: Path) -> None:
    network = VggishEmbedder(RATE_HZ, file, sizes=SMALL)
    clip = noise(1, 3 * 15_360 + 240)
    windows = clip.unfold(1, EXAMPLE_SAMPLES, 15_360)[0]
    # The order of sums differs with the size of a batch.
    torch.testing.assert_close(network.each_example(clip)[0], network(windows), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(network(clip)[0], network(windows).mean(0), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("num_samples", [1, 700, 15_600, 40_000])
def test_a_clip_of_any_length_and_rate_becomes_one_vector_of_its_own(file: Path, num_samples: int) -> None:
    network = VggishEmbedder(22_050, file, sizes=SMALL)
    clips = noise(3, num_samples)
    vectors = network(clips)
    assert vectors.shape == (3, 5)
    assert vectors.isfinite().all()
    torch.testing.assert_close(vectors[2:], network(clips[2:]), rtol=0.0, atol=1e-5)


def test_the_options_rectify_and_whiten_and_are_part_of_the_identity(file: Path, tmp_path: Path) -> None:
    means, directions = noise(5, 1), noise(5, 5, seed=1)
    np.savez(
        tmp_path / "vggish_pca_params.npz", pca_means=means.numpy(), pca_eigen_vectors=directions.numpy()
    )
    pca_file = str(tmp_path / "vggish_pca_params.npz")
    made = {
        (relu, pca): VggishEmbedder(RATE_HZ, file, VggishOptions(relu, pca_file if pca else ""), SMALL)
        for relu in (False, True)
        for pca in (False, True)
    }
    clip = noise(2, EXAMPLE_SAMPLES)
    plain = made[False, False](clip)
    assert float(plain.min()) < 0.0
    torch.testing.assert_close(made[True, False](clip), plain.clamp_min(0.0))
    for relu in (False, True):
        whitened = (directions @ (made[relu, False](clip).T - means)).T
        torch.testing.assert_close(made[relu, True](clip), whitened)
    assert len({each.identity() for each in made.values()}) == 4
    assert VggishEmbedder(RATE_HZ, file, sizes=SMALL).identity() == made[False, False].identity()


def test_a_profile_s_ending_is_added_to_vggish_and_to_nothing_else(file: Path, tmp_path: Path) -> None:
    plain = VggishEmbedder(RATE_HZ, file, sizes=SMALL)
    clip = noise(2, EXAMPLE_SAMPLES)
    assert ending_as(plain, relu=False, pca=False) is plain
    torch.testing.assert_close(ending_as(plain, relu=True, pca=False)(clip), plain(clip).clamp_min(0.0))
    with pytest.raises(CheckpointError, match="do not lie beside it"):
        ending_as(plain, relu=True, pca=True)
    np.savez(tmp_path / "vggish_pca_params.npz", pca_means=np.ones((5, 1)), pca_eigen_vectors=2.0 * np.eye(5))
    both = ending_as(plain, relu=True, pca=True)
    torch.testing.assert_close(both(clip), 2.0 * (plain(clip).clamp_min(0.0) - 1.0))
    assert ending_as(both, relu=False, pca=False) is both
    other = embedder("statistics", RATE_HZ)
    assert ending_as(other, relu=True, pca=True) is other


def test_the_whitened_one_wants_its_components_beside_it(file: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vggish_pca_params\.npz or .* do not lie beside it"):
        embedder("vggish-pca", RATE_HZ, str(file))


def test_a_file_with_a_layer_missing_or_of_another_size_is_refused(file: Path, tmp_path: Path) -> None:
    wider = VggishSizes((5, 6, 8, 10), 12, 5)
    with pytest.raises(
        CheckpointError, match=r"'features.0.weight' is \[4, 1, 3, 3\], but takes \[5, 1, 3, 3\]"
    ):
        VggishEmbedder(RATE_HZ, file, sizes=wider)
    held = variables()
    del held["vggish/fc2/biases"]
    np.savez(tmp_path / "dump.npz", **held)
    with pytest.raises(CheckpointError, match=r"dump.npz: lacks the tensor 'embeddings.4.bias'$"):
        read_vggish(tmp_path / "dump.npz", SMALL)


def test_the_embedder_of_the_catalog_is_the_published_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        embedder("vggish", RATE_HZ, str(tmp_path / "vggish.pth"))
    with pytest.raises(ConfigError, match="needs the file of its weights"):
        embedder("vggish", RATE_HZ)
