import math
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp import audiofile
from retimbre.matching.target import TargetSettings, read_target

RATE = 16_000


def tone(frequency_hz: float, seconds: float, decay: float = 0.0) -> torch.Tensor:
    time_s = torch.arange(round(seconds * RATE)) / RATE
    overtones = sum(torch.sin(2 * math.pi * k * frequency_hz * time_s) / k for k in range(1, 6))
    return 0.3 * overtones * torch.exp(-decay * time_s)


def silence(seconds: float) -> torch.Tensor:
    return torch.zeros(round(seconds * RATE))


def written(folder: Path, *parts: torch.Tensor, name: str = "sound.wav") -> Path:
    path = folder / name
    audiofile.write(path, torch.cat(parts), RATE)
    return path


def test_a_note_is_taken_from_where_it_begins_with_its_pitch_and_gate(tmp_path: Path) -> None:
    target = read_target(written(tmp_path, silence(0.5), tone(220.0, 1.0), silence(0.5)))
    assert target.start_s == pytest.approx(0.5, abs=0.01)
    assert target.hint.pitch_hz == pytest.approx(220.0, rel=0.01)
    assert target.hint.confidence > 0.9
    assert target.hint.gate_s == pytest.approx(1.0, abs=0.1)
    assert target.seconds == pytest.approx(1.5, abs=0.01)  # the silence after it belongs to it


def test_a_long_silence_after_a_note_is_not_searched(tmp_path: Path) -> None:
    target = read_target(written(tmp_path, tone(220.0, 0.5), silence(3.0)))
    assert len(target.searched) / RATE == pytest.approx(0.8, abs=0.02)
    assert target.seconds == pytest.approx(3.5, abs=0.01)


def test_a_given_pitch_is_taken_at_its_word(tmp_path: Path) -> None:
    path = written(tmp_path, tone(220.0, 0.5))
    hint = read_target(path, TargetSettings(pitch_hz=110.0)).hint
    assert (hint.pitch_hz, hint.confidence) == (110.0, 1.0)


def test_of_a_phrase_one_note_is_taken_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    notes = [
        part
        for key in (220.0, 330.0, 262.0, 196.0, 294.0, 247.0)
        for part in (tone(key, 0.4, 4.0), silence(0.05))
    ]
    notes[6] = 2.5 * notes[6]  # the fourth is the loudest
    target = read_target(written(tmp_path, *notes))
    assert target.hint.pitch_hz == pytest.approx(196.0, rel=0.01)
    assert target.seconds < 0.5
    assert any("is matched" in warning and "onset" in warning for warning in target.warnings)


def test_a_long_sound_is_cut_and_told(tmp_path: Path) -> None:
    target = read_target(written(tmp_path, tone(220.0, 3.0)), TargetSettings(max_seconds=1.0))
    assert target.seconds <= 1.0
    assert any("of 3.00 s is matched" in warning for warning in target.warnings)


def test_a_hit_with_its_echoes_is_taken_whole(tmp_path: Path) -> None:
    echoes = torch.cat([tone(220.0, 0.3, 15.0), 0.6 * tone(220.0, 0.3, 15.0)])
    target = read_target(written(tmp_path, echoes))
    assert target.seconds == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (torch.zeros(RATE), "silent"),
        (torch.full((RATE,), 1e-5), "silent"),
        (torch.cat([tone(440.0, 0.01), silence(1.0)]), "too short"),
        (tone(440.0, 0.001), "too short"),
        (torch.ones(1), "too short"),
    ],
)
def test_a_sound_without_a_note_in_it_is_refused_with_its_name(
    tmp_path: Path, samples: torch.Tensor, reason: str
) -> None:
    with pytest.raises(AudioError, match=reason) as refused:
        read_target(written(tmp_path, samples, name="nothing.wav"))
    assert "nothing.wav" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "settings", [{"pitch_hz": 1.0}, {"pitch_hz": math.nan}, {"max_seconds": 0.0}, {"max_seconds": 1e9}]
)
def test_settings_that_no_note_has_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        TargetSettings(**settings)


def test_the_sound_in_a_long_file_is_found_wherever_it_is(tmp_path: Path) -> None:
    silence, tone = torch.zeros(35 * 8000), 0.5 * torch.sin(2 * torch.pi * 440.0 * torch.arange(8000) / 8000)
    path = tmp_path / "late.wav"
    audiofile.write(path, torch.cat([silence, tone]), 8000)
    target = read_target(path)
    assert target.start_s == pytest.approx(35.0, abs=0.05)
    assert target.hint.pitch_hz == pytest.approx(440.0, rel=0.01)
    assert any("a long file" in warning for warning in target.warnings)
