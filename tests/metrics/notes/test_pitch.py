import pytest
import torch
from note_sounds import RATE, oddities, tone

from retimbre.metrics.notes.pitch import fundamentals, pitch_errors


@pytest.mark.parametrize("rate", [8_000, RATE, 96_000])
@pytest.mark.parametrize("midi", [36, 60, 84])
@pytest.mark.parametrize("cents", [-30.0, 0.0, 45.0])
def test_a_tone_is_as_far_from_its_key_as_it_was_tuned(rate: int, midi: int, cents: float) -> None:
    pitch_hz = 440 * 2 ** ((midi - 69 + cents / 100) / 12)
    found = pitch_errors(
        fundamentals(tone(pitch_hz, rate=rate)[None].float(), rate), torch.tensor([float(midi)])
    )
    # What the estimator interpolates between samples at 48 kHz.
    assert float(found.cents.values) == pytest.approx(cents, abs=3.0)
    assert found.in_tune.values.tolist() == [1.0]


def test_an_octave_error_is_none_of_tuning() -> None:
    audio = torch.stack([tone(220.0), tone(440.0), tone(880.0), tone(466.2)]).float()
    found = pitch_errors(fundamentals(audio, RATE), torch.full((4,), 69.0))
    assert found.octave.values.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert found.in_tune.values.tolist() == [0.0, 1.0, 0.0, 0.0]
    assert [round(cents / 100) for cents in found.cents.values.tolist()] == [-12, 0, 12, 1]


def test_a_sound_without_a_pitch_has_no_error_and_is_not_in_tune() -> None:
    sounds = oddities()
    names = ["silence", "offset", "noise", "click"]
    audio = torch.stack([sounds[name] for name in names])
    found = pitch_errors(fundamentals(audio, RATE), torch.full((len(names),), 60.0))
    assert not found.cents.measured.any()
    assert found.unpitched.values.tolist() == [1.0] * len(names)
    assert found.in_tune.values.tolist() == [0.0] * len(names)


def test_a_clipped_tone_keeps_its_pitch() -> None:
    assert float(fundamentals(oddities()["clipped"][None], RATE).values) == pytest.approx(220.0, rel=1e-3)


def test_a_clip_of_one_sample_has_no_pitch() -> None:
    assert not fundamentals(torch.ones(2, 1), RATE).measured.any()


def test_keys_are_counted() -> None:
    with pytest.raises(ValueError, match="1 keys for 2 clips"):
        pitch_errors(fundamentals(torch.zeros(2, 10), RATE), torch.tensor([60.0]))
