"""Settings of any size: each gives features, or is refused with a reason, at once and without filling the memory."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.representation.catalog import REPRESENTATIONS, representation

SAMPLE_RATE = 16_000
# Nothing, less than that, more than a memory holds, more than a machine word times a few; and what has no size.
EXTREMES = {
    int: (0, -1, 10**9, 10**18, 10**30),
    float: (0.0, -1.0, 1e-300, 1e300, math.inf, -math.inf, math.nan),
}


def extreme_settings(thing: Any) -> Iterator[dict[str, Any]]:
    """Every number among the settings, in turn, as every extreme of its kind."""
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        if dataclasses.is_dataclass(value):
            yield from ({field.name: inner} for inner in extreme_settings(value))
        elif field.name != "sample_rate":
            yield from ({field.name: extreme} for extreme in EXTREMES.get(type(value), ()))


@pytest.mark.parametrize("name", sorted(REPRESENTATIONS))
def test_a_setting_of_any_size_gives_features_or_is_refused_at_once(name: str) -> None:
    audio = 0.1 * torch.randn(1, 1000, generator=generator(0, "clips"))
    start = time.perf_counter()
    for settings in extreme_settings(REPRESENTATIONS[name]):
        with contextlib.suppress(ConfigError):
            assert len(representation(name, SAMPLE_RATE, settings).encode(audio)) == 1
    # A hundredth of a second was measured; one that is not bounded takes minutes.
    assert time.perf_counter() - start < 20.0


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        (
            "cqt",
            {"bins": 12, "bins_per_octave": 48, "f_min_hz": 8.0},
            "0.13 Hz apart.* more than 16,384 bands only; take wider bands",
        ),
        ("cqt", {"bins_per_octave": 100_000}, "with more than 16,384 bands only"),
        ("cqt", {"bins_per_octave": 10**15}, "with more than 16,384 bands only"),
        ("cqt", {"bins": 10**6}, "above half the sample rate"),
        ("nsgt", {"bins": 100_000}, "bins = 100000 makes 100,000 bands .* at most 16,384 are computed"),
        ("nsgt", {"bins": 100_000, "convention": "nsgt"}, "at most 16,384 are computed"),
        ("nsgt-ragged", {"spacing": "octave", "bins": 10_000}, "makes 86,439 bands"),
        ("nsgt", {"f_min_hz": 1e-300}, "f_min_hz must be at least 0.001"),
        ("stft", {"n_fft": 10**9}, "at most 1,048,576 samples, got 1,000,000,000"),
        ("mel", {"n_mels": 10**6}, "1,000,000 mel bands of 513 bins"),
        ("mel-stft", {"n_mels": 10**6}, "whose inverse is not computed"),
        ("mfcc", {"n_mfcc": 10**5, "n_mels": 10**5}, "cosine coefficients of 100,000 values|mel bands of"),
        ("sony2020-cqt", {"bins_per_octave": 10_000}, "more than can be computed"),
        ("pqmf", {"num_bands": 2**20}, "up to 32768 samples"),
        ("db-spectrogram", {"hop_length": 0}, "n_fft and hop_length must be at least 1, got 512 and 0"),
        ("db-spectrogram", {"n_fft": 0}, "must be at least 1, got 0 and 256"),
        ("db-spectrogram-trainable", {"hop_length": -3}, "must be at least 1, got 512 and -3"),
        ("log-mel", {"hop_length": 0}, "n_fft and hop_length must be at least 1"),
        ("log-mel", {"n_mels": 0}, "n_mels and n_fft must be at least 1, got 0"),
    ],
)
def test_what_gives_no_transform_or_one_beyond_any_memory_is_refused_with_the_reason(
    name: str, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        representation(name, SAMPLE_RATE, settings)


def test_thousands_of_bands_are_still_computed_and_undone() -> None:
    # As a matrix, the check that these bands leave no hole would take a gigabyte.
    chosen = representation("nsgt-ragged", SAMPLE_RATE, {"bins": 4000})
    audio = 0.1 * torch.randn(1, SAMPLE_RATE, generator=generator(0, "clips"))
    back = chosen.decode(chosen.encode(audio), num_samples=SAMPLE_RATE)
    assert float((back - audio).square().sum() / audio.square().sum()) < 1e-11
