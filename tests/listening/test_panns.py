"""Laws of PANNs CNN14: librosa's front end, the layers restated in float64, and no file taken for its sibling."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_weights import drawn, shapes_of
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import CheckpointError
from retimbre.dsp.filterbank import mel_filterbank
from retimbre.listening.panns import AT_16_KHZ, AT_32_KHZ, Cnn14, PannsEmbedder, PannsFrontEnd

GOLDENS = json.loads((Path(__file__).parents[1] / "golden" / "embedders.json").read_text(encoding="utf-8"))
WIDTH = 2
FRONT_ENDS = {"32000": AT_32_KHZ, "16000": AT_16_KHZ}


def sound(rate_hz: int, num_samples: int) -> Tensor:
    """That of the script that made the goldens."""
    time_s = np.arange(num_samples) / rate_hz
    noise = np.random.default_rng(0).standard_normal(num_samples)
    tone = np.sin(2 * np.pi * 440 * time_s) + 0.3 * np.sin(2 * np.pi * 880 * time_s)
    return torch.from_numpy((0.5 * np.exp(-2 * time_s) * tone + 0.001 * noise).astype(np.float32))[None]


def state(front_end: PannsFrontEnd = AT_32_KHZ) -> dict[str, Tensor]:
    """As the published files have it: with the tables of the front end, and a classifier."""
    n_fft = front_end.stft.n_fft
    bands = mel_filterbank(front_end.rate_hz, n_fft, 64, 50.0, front_end.highest_hz, like=torch.zeros(()))
    return drawn(shapes_of(Cnn14(WIDTH))) | {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(n_fft // 2 + 1, 1, n_fft),
        "logmel_extractor.melW": bands.T.contiguous(),
        "fc_audioset.weight": torch.zeros(527, 32 * WIDTH),
        "bn0.num_batches_tracked": torch.tensor(3),
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(state(), tmp_path / "cnn14.safetensors")
    return tmp_path / "cnn14.safetensors"


def restated(log_mels: Tensor) -> Tensor:
    """CNN14 by the formulas of its layers, float64, the bands as the rows of the picture."""
    held = {name: weights.double() for name, weights in state().items()}

    def normalised(values: Tensor, name: str) -> Tensor:
        shape = (1, -1, 1, 1)
        mean, variance = held[f"{name}.running_mean"].view(shape), held[f"{name}.running_var"].view(shape)
        gain, bias = held[f"{name}.weight"].view(shape), held[f"{name}.bias"].view(shape)
        return (values - mean) / (variance + 1e-5).sqrt() * gain + bias

    bands_first = log_mels.double().transpose(1, 2)
    found = normalised(bands_first[:, :, :, None], "bn0")[..., 0][:, None]
    for number in range(1, 7):
        for layer in (1, 2):
            weights = held[f"conv_block{number}.conv{layer}.weight"].transpose(2, 3)
            found = functional.conv2d(found, weights, padding=1)
            found = normalised(found, f"conv_block{number}.bn{layer}").relu()
        if number < 6:
            rows, columns = found.shape[2] // 2 * 2, found.shape[3] // 2 * 2
            cut = found[:, :, :rows, :columns]
            found = cut.unflatten(3, (-1, 2)).mean(4).unflatten(2, (-1, 2)).mean(3)
    over_bands = found.mean(2)
    pooled = over_bands.max(2).values + over_bands.mean(2)
    return (pooled @ held["fc1.weight"].T + held["fc1.bias"]).relu()


@pytest.mark.parametrize("rate", FRONT_ENDS)
def test_the_front_end_is_librosa_s(rate: str) -> None:
    clip = sound(int(rate), int(rate))
    found = FRONT_ENDS[rate].log_mels(clip)[0, [0, 50, 100]]
    # Decibels; the goldens have five digits behind the point.
    torch.testing.assert_close(found, torch.tensor(GOLDENS["panns"][rate]), rtol=0.0, atol=1e-4)


def test_silence_is_at_minus_100_decibels() -> None:
    assert AT_32_KHZ.log_mels(torch.zeros(1, 32_000)).unique().tolist() == [-100.0]


@pytest.mark.parametrize("num_samples", [32_000, 17_777])
def test_the_layers_are_those_of_the_paper(file: Path, num_samples: int) -> None:
    network = PannsEmbedder(32_000, file, width=WIDTH)
    clip = sound(32_000, num_samples)
    expected = restated(AT_32_KHZ.log_mels(clip))
    assert float(expected.max()) > 1.0
    # Fourteen layers in float32.
    torch.testing.assert_close(network(clip).double(), expected, rtol=1e-4, atol=1e-3)


def test_the_published_network_has_80_million_weights() -> None:
    with torch.device("meta"):
        found = {name: tuple(shape) for name, shape in shapes_of(Cnn14()).items()}
    widths = [1, 64, 128, 256, 512, 1024, 2048]
    expected = {"fc1.weight": (2048, 2048), "fc1.bias": (2048,)}
    norms = {"bn0": 64}
    for number, (before, width) in enumerate(itertools.pairwise(widths), start=1):
        expected[f"conv_block{number}.conv1.weight"] = (width, before, 3, 3)
        expected[f"conv_block{number}.conv2.weight"] = (width, width, 3, 3)
        norms |= {f"conv_block{number}.bn1": width, f"conv_block{number}.bn2": width}
    for name, width in norms.items():
        expected |= {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    assert found == expected
    # With the classifier of 527 events, the 80.8 million that its authors count.
    trained = sum(np.prod(shape) for name, shape in expected.items() if "running" not in name)
    assert round((trained + 2049 * 527) / 1e6, 1) == 80.8


@pytest.mark.parametrize("num_samples", [1, 700, 9_919, 40_000])
def test_a_clip_of_any_length_and_rate_becomes_one_vector_of_its_own(file: Path, num_samples: int) -> None:
    network = PannsEmbedder(22_050, file, width=WIDTH)
    source = torch.Generator().manual_seed(0)
    # The last batch is larger than what goes through the network at once.
    clips = 0.1 * torch.randn(9, num_samples, generator=source)
    vectors = network(clips)
    assert vectors.shape == (9, 32 * WIDTH)
    assert vectors.isfinite().all()
    torch.testing.assert_close(vectors[8:], network(clips[8:]), rtol=0.0, atol=1e-4)


def test_the_same_clip_has_the_same_vector_even_after_train_was_called(file: Path) -> None:
    network = PannsEmbedder(32_000, file, width=WIDTH)
    clip = sound(32_000, 32_000)
    first = network(clip)
    assert torch.equal(network.train()(clip), first)


def test_a_file_for_another_rate_is_refused_and_told_apart(file: Path, tmp_path: Path) -> None:
    save_file(state(AT_16_KHZ), tmp_path / "cnn14_16k.safetensors")
    with pytest.raises(
        CheckpointError, match=r"another front end than that for 32,000 Hz: .* is \[257, 64\]"
    ):
        PannsEmbedder(16_000, tmp_path / "cnn14_16k.safetensors", AT_32_KHZ, WIDTH)
    with pytest.raises(CheckpointError, match=r"another front end than that for 16,000 Hz"):
        PannsEmbedder(16_000, file, AT_16_KHZ, WIDTH)
    low = PannsEmbedder(16_000, tmp_path / "cnn14_16k.safetensors", AT_16_KHZ, WIDTH)
    high = PannsEmbedder(16_000, file, AT_32_KHZ, WIDTH)
    assert low.identity() != high.identity()


def test_a_file_that_does_not_fit_is_refused(file: Path, tmp_path: Path) -> None:
    reason = r"'conv_block1.conv1.weight' is \[2, 1, 3, 3\], but takes \[3, 1, 3, 3\]"
    with pytest.raises(CheckpointError, match=reason):
        PannsEmbedder(32_000, file, width=3)
    held = state()
    held["conv_block7.conv1.weight"] = held.pop("fc1.bias")
    save_file(held, tmp_path / "odd.safetensors")
    reason = r"lacks the tensor 'fc1.bias'; has no place for the tensor 'conv_block7.conv1.weight'$"
    with pytest.raises(CheckpointError, match=reason):
        PannsEmbedder(32_000, tmp_path / "odd.safetensors", width=WIDTH)
