"""Laws of the lapped representations alone; those of every entry are in test_catalog.py."""

import math

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.representation.catalog import representation
from retimbre.representation.lapped import Mdct, Pqmf


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_features_have_the_shapes_that_the_pages_promise():
    assert Mdct().encode(noise(2, 16_000)).shape == (2, 1, 256, 64)
    assert Mdct(ends="wrap").encode(noise(2, 16_384)).shape == (2, 1, 256, 64)
    assert Pqmf().encode(noise(2, 16_000)).shape == (2, 16, 1015)
    assert Pqmf(ends="wrap").encode(noise(2, 16_384)).shape == (2, 16, 1024)


@pytest.mark.parametrize("name", ["mdct", "pqmf"])
def test_an_error_in_the_features_is_as_large_in_the_sound(name):
    # An orthonormal basis: noise 40 dB below the features is noise 40 dB below the sound.
    chosen, audio = representation(name, 16_000), noise(1, 16_000)
    features = chosen.encode(audio)
    error = 0.01 * torch.randn(
        features.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    again = chosen.decode(features + error, num_samples=16_000)
    ratio_db = 10 * math.log10(float(audio.square().mean() / (again - audio).square().mean()))
    assert abs(ratio_db - 40.0) < 0.2  # a few coefficients lie beyond the ends of the clip


def test_a_tone_stays_in_its_sub_band_to_50_db():
    second = torch.arange(16_000, dtype=torch.float64) / 16_000
    tone = torch.sin(2 * math.pi * 3250.0 * second)[None]  # the middle of band 6 of 16
    level = Pqmf().encode(tone)[0, :, 100:900].square().mean(1)
    assert int(level.argmax()) == 6
    others = torch.cat([level[:5], level[8:]])
    assert 10 * math.log10(float(others.max() / level[6])) < -50


def test_settings_are_reached_by_name():
    chosen = representation("mdct", 16_000, {"num_bands": 512, "window": "kbd", "ends": "wrap"})
    assert chosen == Mdct(512, "kbd", ends="wrap")
    assert chosen.identity() != Mdct().identity()


def test_what_cannot_be_undone_is_refused():
    with pytest.raises(ConfigError, match="even number, got 15"):
        Pqmf(num_bands=15)
    with pytest.raises(ConfigError, match="even number, got 3"):
        representation("mdct", 16_000, {"num_bands": 3})
