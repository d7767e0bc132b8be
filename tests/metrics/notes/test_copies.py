import pytest
import torch
from note_sounds import noise, oddities, tone
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.metrics.notes.copies import (
    SURE_COPY,
    near_copies,
    near_copy_threshold,
    nearest_waveforms,
)
from retimbre.metrics.notes.readings import Readings


def training() -> Tensor:
    """Notes and noises, of which no two are alike."""
    notes = [tone(110 * 2 ** (key / 12), 6) for key in range(20)]
    return torch.cat([torch.stack(notes).float(), noise(20)])


def test_a_copy_is_found_whatever_its_level_and_sign() -> None:
    known = training()
    gains = torch.linspace(-0.9, 1.5, len(known))[:, None]
    found = nearest_waveforms(gains * known, known.split(16))
    assert found.index.tolist() == list(range(len(known)))
    assert float(found.distance.values.max()) < 1e-5


@pytest.mark.parametrize("shift", [-160, 1, 160])
def test_a_copy_is_found_after_a_small_shift(shift: int) -> None:
    known = training()
    shifted = torch.zeros_like(known)
    if shift > 0:
        shifted[:, shift:] = known[:, :-shift]
    else:
        shifted[:, :shift] = known[:, -shift:]
    found = nearest_waveforms(shifted, known.split(16))
    assert found.index.tolist() == list(range(len(known)))
    # The hundredth of the clip that is pushed out is a hundredth of its energy: half that of the correlation.
    assert float(found.distance.values.max()) < 0.01


def test_the_distance_is_one_less_the_largest_correlation_over_all_shifts() -> None:
    clips, known = noise(3, 200, seed=1), noise(5, 200, seed=2)
    found = nearest_waveforms(clips, [known])
    for clip, distance in zip(clips.double(), found.distance.values, strict=True):
        correlations = [
            torch.nn.functional.conv1d(other.double()[None, None], clip[None, None], padding=199).abs().max()
            / (clip.norm() * other.double().norm())
            for other in known
        ]
        # Between samples it may be a little larger than at any.
        assert 0 <= 1 - float(distance) - float(max(correlations)) < 0.02


def test_new_sounds_are_no_copies() -> None:
    known = training()
    threshold = near_copy_threshold(nearest_waveforms(known, [known], own=torch.arange(len(known))).distance)
    fresh = torch.cat([noise(5, seed=7), known[:5]])
    found = near_copies(nearest_waveforms(fresh, [known]).distance, threshold)
    assert found.values.tolist() == [0.0] * 5 + [1.0] * 5


def test_a_training_sound_can_be_asked_for_its_nearest_other() -> None:
    known = noise(6, 500)
    known[3] = -known[1]
    found = nearest_waveforms(known, known.split(2), own=torch.arange(6))
    assert found.index[1] == 3
    assert found.index[3] == 1
    assert bool((found.index != torch.arange(6)).all())
    alone = nearest_waveforms(known[:1], [known[:1]], own=torch.zeros(1, dtype=torch.long))
    assert not alone.distance.measured.any()


def test_blocks_and_batches_change_nothing() -> None:
    clips, known = noise(4, 400, seed=1), noise(8, 400, seed=2)
    whole = nearest_waveforms(clips, [known])
    # Eight sounds of a block are correlated, so here all are.
    parts = nearest_waveforms(clips, known.split(3))
    alone = nearest_waveforms(clips[2:3], known.split(3))
    torch.testing.assert_close(whole.distance.values, parts.distance.values, rtol=0, atol=1e-6)
    assert float(alone.distance.values) == pytest.approx(float(parts.distance.values[2]), abs=1e-6)


def test_silence_is_no_copy_and_no_training_sound() -> None:
    silence = oddities()["silence"][None]
    assert not nearest_waveforms(silence, [training()]).distance.measured.any()
    found = nearest_waveforms(training()[:2], [silence])
    assert found.distance.values.tolist() == [1.0, 1.0]
    assert found.index.tolist() == [-1, -1]
    assert not nearest_waveforms(training()[:2], []).distance.measured.any()
    assert not nearest_waveforms(torch.zeros(2, 0), [torch.zeros(3, 0)]).distance.measured.any()


def test_clips_and_training_sounds_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="clips of 10 samples, training sounds of 20"):
        nearest_waveforms(torch.ones(1, 10), [torch.ones(1, 20)])


def test_the_threshold_is_what_one_in_a_hundred_real_sounds_falls_below() -> None:
    distances = torch.linspace(0.1, 1.1, 1001, dtype=torch.float64)
    real = Readings.of(distances, torch.ones(1001, dtype=torch.bool))
    assert near_copy_threshold(real) == pytest.approx(0.11)
    assert float(near_copies(real, near_copy_threshold(real)).known.mean()) == pytest.approx(0.01, abs=1e-3)


def test_a_threshold_takes_real_sounds_and_is_never_so_low_that_a_copy_escapes() -> None:
    twins = Readings.of(torch.zeros(5), torch.ones(5, dtype=torch.bool))
    assert near_copy_threshold(twins) == SURE_COPY
    with pytest.raises(ConfigError, match="there are none"):
        near_copy_threshold(Readings.of(torch.zeros(5), torch.zeros(5, dtype=torch.bool)))
