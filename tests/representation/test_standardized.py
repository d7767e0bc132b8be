"""Laws of features scaled by their own statistics."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode

from retimbre.core.errors import CheckpointError, ConfigError, UserError
from retimbre.core.random import generator
from retimbre.representation.catalog import representation
from retimbre.representation.standardized import Standardized, Statistics, fit_statistics

INNER = representation("mag-if", 16_000, {"n_fft": 128, "hop_length": 32})


def clips(count: int, num_samples: int = 2000, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, num_samples, generator=generator(seed, "clips", count))


@pytest.mark.parametrize("per", ["bin", "cell"])
def test_statistics_in_batches_are_those_of_all_clips_at_once(per) -> None:
    audio = clips(23).double()
    found = fit_statistics(INNER, audio.split(5), per=per)
    features = INNER.encode(audio).double()
    axes = (0, 3) if per == "bin" else (0,)
    torch.testing.assert_close(found.mean, features.mean(axes, keepdim=True)[0], rtol=0, atol=1e-12)
    expected = features.std(axes, correction=0, keepdim=True)[0]
    torch.testing.assert_close(found.deviation, expected, rtol=0, atol=1e-12)
    assert found.num_clips == 23


@pytest.mark.parametrize("per", ["bin", "cell"])
def test_normalized_features_have_mean_zero_and_a_deviation_of_a_third(per) -> None:
    audio = clips(40)
    chosen = Standardized(INNER, fit_statistics(INNER, [audio], per=per), clip=False)
    features = chosen.encode(audio).double()
    axes = (0, 3) if per == "bin" else (0,)
    # The phase of 0 Hz and of half the sample rate may be constant, then its deviation is zero: all others move.
    moving = chosen.statistics.deviation.flatten() > 1e-3
    assert float(features.mean(axes).abs().max()) < 1e-6
    deviation = features.std(axes, correction=0).flatten()[moving]
    torch.testing.assert_close(deviation, torch.full_like(deviation, 1 / 3), rtol=1e-2, atol=0)


def test_what_was_not_clipped_comes_back_and_the_rest_at_three_deviations() -> None:
    audio = clips(8)
    plain = INNER.encode(audio)
    chosen = Standardized(INNER, fit_statistics(INNER, [audio[:4]]))
    normalized = chosen.normalize(plain)
    assert float(normalized.abs().max()) == 1.0
    inside = normalized.abs() < 1.0
    assert bool(inside.any())
    assert not bool(inside.all())
    back = chosen.unnormalize(normalized)
    torch.testing.assert_close(back[inside], plain[inside], rtol=1e-6, atol=1e-6)
    scale = 3.0 * (chosen.statistics.deviation + 1e-6)
    beyond = ((plain.double() - chosen.statistics.mean) / scale).abs() >= 1.0
    torch.testing.assert_close(beyond, ~inside)


@pytest.mark.parametrize("name", ["stft", "mag-phase", "mag-if", "mag-if-gated", "waveform"])
def test_without_clipping_an_exact_representation_stays_exact(name: str) -> None:
    inner, audio = representation(name, 16_000), clips(4, 8000)
    chosen = Standardized(inner, fit_statistics(inner, [audio]), clip=False)
    assert chosen.exact
    assert not Standardized(inner, chosen.statistics).exact
    back = chosen.decode(chosen.encode(audio), num_samples=8000)
    error = (back - audio).double().square().sum() / audio.double().square().sum()
    assert float(10.0 * torch.log10(error)) <= -110.0


@pytest.mark.parametrize("per", ["bin", "cell"])
def test_the_path_of_a_generated_image_to_audio_is_that_of_an_analysed_one(per) -> None:
    # An earlier program turned generated images back along another axis than it had measured.
    audio = clips(6)
    chosen = Standardized(INNER, fit_statistics(INNER, [audio], per=per), clip=False)
    image = chosen.encode(audio)  # what a perfect generator would make
    expected = INNER.decode(INNER.encode(audio), num_samples=2000)
    # float32 rounding of phases, times a scale of about three
    torch.testing.assert_close(chosen.decode(image, num_samples=2000), expected, rtol=0, atol=1e-5)


class Copies(TorchDispatchMode):
    """Counts what is copied from one device or dtype to another."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        self.count += func is torch.ops.aten._to_copy.default
        return func(*args, **(kwargs or {}))


def test_statistics_are_brought_to_a_device_once_and_stay_what_they_are() -> None:
    chosen = Standardized(INNER, fit_statistics(INNER, [clips(4)]))
    before = chosen.identity()
    features = torch.empty(3, *INNER.encode(clips(1)).shape[1:], dtype=torch.float64, device="meta")
    counts = []
    for _ in range(2):
        with Copies() as copies:
            chosen.unnormalize(chosen.normalize(features))
        counts.append(copies.count)
    assert counts == [2, 0]
    assert chosen.identity() == before
    assert chosen == Standardized(INNER, chosen.statistics)
    assert chosen.normalize(torch.zeros(3, *features.shape[1:])).device.type == "cpu"


def test_statistics_that_were_first_needed_where_nothing_is_learned_serve_learning_later() -> None:
    chosen = Standardized(INNER, fit_statistics(INNER, [clips(4)]), clip=False)
    features = INNER.encode(clips(2))
    with torch.inference_mode():
        chosen.normalize(features)
    learned = features.clone().requires_grad_()
    chosen.unnormalize(learned).sum().backward()
    assert learned.grad is not None


def test_a_bin_that_never_changes_is_finite_and_comes_back() -> None:
    chosen = Standardized(INNER, fit_statistics(INNER, [torch.zeros(3, 1000)]))
    silence = chosen.encode(torch.zeros(1, 1000))
    assert silence.isfinite().all()
    assert float(chosen.decode(silence, num_samples=1000).abs().max()) <= 1e-6


def test_a_file_of_statistics_reads_back_and_names_the_same(tmp_path: Path) -> None:
    statistics = fit_statistics(INNER, [clips(5)])
    statistics.save(tmp_path / "statistics.safetensors")
    read = Statistics.load(tmp_path / "statistics.safetensors")
    assert torch.equal(read.mean, statistics.mean)
    assert torch.equal(read.deviation, statistics.deviation)
    assert (read.num_clips, read.representation) == (5, INNER.identity())
    assert Standardized(INNER, read).identity() == Standardized(INNER, statistics).identity()


def test_other_numbers_another_inner_one_or_other_clipping_make_another_identity() -> None:
    statistics = [fit_statistics(INNER, [clips(5, seed=seed)]) for seed in (0, 1)]
    other = representation("stft", 16_000, {"n_fft": 128, "hop_length": 32})
    identities = {
        Standardized(INNER, statistics[0]).identity(),
        Standardized(INNER, statistics[0], clip=False).identity(),
        Standardized(INNER, statistics[1]).identity(),
        Standardized(other, fit_statistics(other, [clips(5)])).identity(),
        INNER.identity(),
    }
    assert len(identities) == 5


def test_statistics_of_another_representation_or_shape_are_refused() -> None:
    statistics = fit_statistics(INNER, [clips(2)])
    with pytest.raises(ConfigError, match="the statistics are of the representation"):
        Standardized(representation("mag-if", 16_000), statistics)
    per_cell = Standardized(INNER, fit_statistics(INNER, [clips(2)], per="cell"))
    with pytest.raises(UserError, match=r"of shape \[2, 65, 63\], these have \[2, 65, 32\]"):
        per_cell.encode(clips(1, 1000))


def test_no_clips_and_cells_of_different_clips_are_refused() -> None:
    with pytest.raises(UserError, match="at least one clip"):
        fit_statistics(INNER, [])
    with pytest.raises(UserError, match="clips of one length"):
        fit_statistics(INNER, [clips(2), clips(2, 1000)], per="cell")


def test_a_missing_foreign_or_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "statistics.safetensors"
    with pytest.raises(CheckpointError, match="no such file of feature statistics"):
        Statistics.load(path)
    save_file({"mean": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not a file of feature statistics"):
        Statistics.load(path)
    fit_statistics(INNER, [clips(2)]).save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match="damaged"):
        Statistics.load(path)
