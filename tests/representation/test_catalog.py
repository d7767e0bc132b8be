"""Laws that every representation of the catalog keeps."""

import pytest
import torch

from retimbre.core.errors import ConfigError, UserError
from retimbre.representation.catalog import REPRESENTATIONS, representation

NAMES = sorted(REPRESENTATIONS)
SAMPLE_RATE = 16_384


def clips(count: int, num_samples: int = SAMPLE_RATE) -> torch.Tensor:
    return 0.1 * torch.randn(count, num_samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
def test_features_of_a_clip_do_not_depend_on_its_batch(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), clips(3)
    # A fast Fourier transform may sum in another order for another batch: float32 rounding, in decibels.
    torch.testing.assert_close(chosen.encode(audio)[1:2], chosen.encode(audio[1:2]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_an_exact_one_undoes_itself_and_any_other_one_that_cannot_decode_says_so(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), clips(2)
    features = chosen.encode(audio)
    if chosen.exact:
        torch.testing.assert_close(chosen.decode(features, num_samples=SAMPLE_RATE), audio)
    if not chosen.invertible:
        assert not chosen.exact
        with pytest.raises(UserError, match=r"keeps no \w+, so it cannot be decoded"):
            chosen.decode(features, num_samples=SAMPLE_RATE)


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_a_single_sample_give_finite_features(name: str) -> None:
    chosen = representation(name, SAMPLE_RATE)
    for audio in (torch.zeros(1, SAMPLE_RATE), torch.ones(1, 1)):
        assert chosen.encode(audio).isfinite().all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "waveform"])
def test_decibels_lie_between_minus_80_and_0_and_do_not_depend_on_level(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), clips(2)
    features = chosen.encode(audio)
    assert float(features.amax()) == 0.0
    assert float(features.amin()) >= -80.0
    # -40 dB: rounding of float32 shows as thousandths of a decibel in cells that almost cancel.
    torch.testing.assert_close(chosen.encode(0.01 * audio), features, atol=1e-2, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_front_end_computes_what_encode_does(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), clips(2)
    with torch.no_grad():
        # A convolution sums 512 products in another order than a fast transform does: rounding, in decibels.
        torch.testing.assert_close(chosen.front_end()(audio), chosen.encode(audio), atol=0.05, rtol=0)


def test_identities_differ_between_all_representations_and_rates_that_matter() -> None:
    identities = [each.identity() for each in REPRESENTATIONS.values()]
    assert len(set(identities)) == len(identities)
    assert representation("log-mel", 44_100).identity() != representation("log-mel", SAMPLE_RATE).identity()
    assert (
        representation("log-mel", SAMPLE_RATE).identity() == representation("log-mel", SAMPLE_RATE).identity()
    )


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'log-mel'"):
        representation("logmel", SAMPLE_RATE)
