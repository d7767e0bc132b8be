"""Laws of every embedder in the catalog: vectors of one length, each of one clip, under a name that follows them."""

import functools
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.listening.base import Embedder, FittedEmbedder
from retimbre.listening.catalog import EMBEDDERS, ExternalEntry, embedder, front_end

RATE_HZ = 16_384
# External embedders need a file that no test has; theirs are the laws of test_clap.py.
NAMES = [name for name, entry in EMBEDDERS.items() if not isinstance(entry, ExternalEntry)]
FITTED = [name for name in NAMES if isinstance(embedder(name, RATE_HZ), FittedEmbedder)]


def clips(count: int, *, seed: int = 0, num_samples: int = 4096) -> torch.Tensor:
    """Tones of several pitches in noise."""
    source = torch.Generator().manual_seed(seed)
    hz = 100.0 * 2.0 ** (5.0 * torch.rand(count, 1, generator=source))
    tone = torch.sin(6.2832 * hz * torch.arange(num_samples) / RATE_HZ)
    return 0.3 * tone + 0.05 * torch.randn(count, num_samples, generator=source)


@functools.lru_cache
def ready(name: str) -> Embedder:
    made = embedder(name, RATE_HZ)
    if isinstance(made, FittedEmbedder):
        made.fit(clips(48), seed=0)
    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_samples", [1, 700, 4096, 9000])
def test_a_clip_of_any_length_becomes_one_vector(name: str, num_samples: int) -> None:
    vectors = ready(name)(clips(2, num_samples=num_samples))
    assert vectors.shape == (2, ready(name).dim)
    assert vectors.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_depends_on_its_own_clip_alone(name: str) -> None:
    batch = clips(10)
    together, alone = ready(name)(batch), ready(name)(batch[3:4])
    # Sums of another batch size are taken in another order; vectors are about 1 in size.
    torch.testing.assert_close(together[3:4], alone, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_different_sounds_have_different_vectors(name: str) -> None:
    first, second = ready(name)(clips(2))
    assert float((first - second).abs().max()) > 0.05


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_full_scale_noise_have_finite_vectors(name: str) -> None:
    extremes = torch.stack([torch.zeros(4096), torch.ones(4096), 2.0 * torch.rand(4096) - 1.0])
    assert ready(name)(extremes).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_hardly_changes_with_the_level_of_the_clip(name: str) -> None:
    whole, quiet = ready(name)(clips(4)), ready(name)(0.125 * clips(4))
    # Floors of -100 dB and rounding are the rest.
    assert float((whole - quiet).abs().mean()) < 0.02 * float(whole.abs().mean())


@pytest.mark.parametrize("name", NAMES)
def test_training_changes_nothing_in_an_embedder(name: str) -> None:
    made = ready(name)
    assert [key for key, weights in made.named_parameters() if weights.requires_grad] == []
    assert not made.train().training


@pytest.mark.parametrize("name", NAMES)
def test_equal_embedders_have_one_identity_and_others_another(name: str) -> None:
    made = ready(name)
    assert embedder(name, RATE_HZ).identity() == embedder(name, RATE_HZ).identity()
    assert embedder(name, 44_100).identity() != embedder(name, RATE_HZ).identity()
    before = made.identity()
    for weights in made.buffers():
        if weights.is_floating_point():
            first = weights.view(-1)[0].clone()
            weights.view(-1)[0] += 1.0
            assert made.identity() != before
            weights.view(-1)[0] = first
    assert made.identity() == before


def test_no_two_embedders_share_an_identity() -> None:
    assert len({ready(name).identity() for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", FITTED)
def test_fitting_is_a_function_of_the_clips_and_the_seed(name: str) -> None:
    made = [embedder(name, RATE_HZ) for _ in range(3)]
    for each, seed, heard in zip(made, (0, 0, 1), (0, 0, 0), strict=True):
        assert isinstance(each, FittedEmbedder)
        assert not each.is_fitted
        each.fit(clips(12, seed=heard), seed=seed)
        assert each.is_fitted
    first, again, other = (each.identity() for each in made)
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", FITTED)
def test_what_was_fitted_survives_a_state_dict(name: str) -> None:
    copied = embedder(name, RATE_HZ)
    copied.load_state_dict(ready(name).state_dict())
    assert copied.identity() == ready(name).identity()
    assert torch.equal(copied(clips(3)), ready(name)(clips(3)))


def test_a_bag_of_words_sums_to_one_and_forgets_the_order() -> None:
    bag = ready("bag-of-words")
    shares = bag(clips(3)) * bag.get_buffer("scale")
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    assert float(shares.min()) >= 0.0


def test_an_unknown_name_a_missing_file_and_a_needless_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'bag-of-words'"):
        embedder("bag-of-word", RATE_HZ)
    with pytest.raises(ConfigError, match="'clap' needs the file"):
        embedder("clap", RATE_HZ)
    with pytest.raises(ConfigError, match="needs the file of its weights: --weights"):
        embedder("clap", RATE_HZ, option="--weights")
    with pytest.raises(ConfigError, match=r"takes no --weights: a\.pth"):
        embedder("listener", RATE_HZ, "a.pth", option="--weights")
    with pytest.raises(ConfigError, match="takes no representation_file"):
        front_end("statistics", RATE_HZ, str(tmp_path))
    with pytest.raises(ConfigError, match="takes no representation_file"):
        front_end("log-mel", RATE_HZ, str(tmp_path))


def test_every_embedder_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "listening.md").read_text(encoding="utf-8")
    assert [name for name in EMBEDDERS if f"`{name}`" not in page] == []
