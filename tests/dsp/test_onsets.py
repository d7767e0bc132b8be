"""Laws of onsets: every note played is found, a held or wavering note is one, and a release is where the key rose."""

import math

import pytest
import torch

from retimbre.dsp.onsets import find_onsets, gate_seconds, segment_note

RATE = 16_000


def envelope(
    num_samples: int, *, gate_s: float, decay_db_per_s: float, release_s: float, rate: int
) -> torch.Tensor:
    """Attack in 5 ms, decay in decibels per second, and after the gate a fall by 60 dB in `release_s`."""
    time_s = torch.arange(num_samples) / rate
    level_db = -decay_db_per_s * time_s.clamp_max(gate_s) - 60 / release_s * (time_s - gate_s).clamp_min(0)
    return 10 ** (level_db / 20) * (time_s / 0.005).clamp_max(1)


def note(
    pitch_hz: float, seconds: float = 1.0, *, decay_db_per_s: float = 20, rate: int = RATE
) -> torch.Tensor:
    time_s = torch.arange(round(seconds * rate)) / rate
    wave = torch.stack([torch.sin(2 * math.pi * pitch_hz * h * time_s) / h for h in range(1, 9)]).sum(dim=0)
    shape = envelope(
        len(time_s), gate_s=seconds - 0.06, decay_db_per_s=decay_db_per_s, release_s=0.08, rate=rate
    )
    return 0.3 * wave * shape


def melody(pitches_hz: list[float], *, rate: int = RATE) -> tuple[torch.Tensor, list[int]]:
    """Notes of 0.4 s, one after the other, after 0.2 s of silence; and where they begin."""
    notes = [note(pitch_hz, 0.4, rate=rate) for pitch_hz in pitches_hz]
    lead = round(0.2 * rate)
    return torch.cat([torch.zeros(lead), *notes]), [lead + i * len(notes[0]) for i in range(len(notes))]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_every_note_of_a_melody_is_found_within_30_ms(rate: int) -> None:
    samples, starts = melody([220, 330, 247, 494, 220], rate=rate)
    found = find_onsets(samples, rate)
    assert len(found) == len(starts)
    assert float((found - torch.tensor(starts)).abs().max()) < 0.03 * rate


@pytest.mark.parametrize("pitch_hz", [55.0, 220.0, 1_760.0])
@pytest.mark.parametrize("decay_db_per_s", [0.0, 20.0, 60.0])
def test_one_note_has_one_onset(pitch_hz: float, decay_db_per_s: float) -> None:
    assert len(find_onsets(note(pitch_hz, 1.5, decay_db_per_s=decay_db_per_s), RATE)) == 1


def test_vibrato_makes_no_onsets() -> None:
    time_s = torch.arange(2 * RATE) / RATE
    phase = 2 * math.pi * 440 * time_s + 4 * torch.sin(2 * math.pi * 6 * time_s)  # 24 Hz each way, a semitone
    wave = sum(torch.sin(h * phase) / h for h in range(1, 9))
    assert len(find_onsets(0.3 * wave * (time_s / 0.02).clamp_max(1), RATE)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_steady_noise_has_one_onset(seed: int) -> None:
    noise = 0.1 * torch.randn(2 * RATE, generator=torch.Generator().manual_seed(seed))
    assert len(find_onsets(noise, RATE)) == 1


def test_loudness_changes_no_onset() -> None:
    samples, _ = melody([220, 330, 247])
    assert torch.equal(find_onsets(samples, RATE), find_onsets(0.05 * samples, RATE))


@pytest.mark.parametrize("num_samples", [1, 10, 500])
def test_the_shortest_sounds_have_one_onset(num_samples: int) -> None:
    assert len(find_onsets(torch.full((num_samples,), 0.5), RATE)) == 1


def test_silence_has_no_onset_no_note_and_no_gate() -> None:
    silence = torch.zeros(RATE)
    assert len(find_onsets(silence, RATE)) == 0
    segment = segment_note(silence, RATE, max_seconds=4)
    assert (segment.start, segment.stop, segment.num_onsets) == (0, 0, 0)
    assert segment.reason.startswith("silence")
    assert gate_seconds(silence, RATE) == 0


def test_a_short_sound_is_taken_whole_without_the_silence_around() -> None:
    sound = note(220, 1.0)
    segment = segment_note(torch.cat([torch.zeros(4_000), sound, torch.zeros(8_000)]), RATE, max_seconds=4)
    assert segment.num_onsets == 1
    assert abs(segment.start - 4_000) <= 80  # 5 ms
    assert abs(segment.stop - 20_000) <= 0.07 * RATE  # its release reaches the floor a little before its end
    assert "whole" in segment.reason


def test_of_a_phrase_the_loudest_note_is_taken() -> None:
    samples, starts = melody([220, 330, 247, 494, 220])
    samples[starts[2] : starts[3]] *= 2.5
    segment = segment_note(samples, RATE, max_seconds=4)
    assert segment.num_onsets == 5
    assert abs(segment.start - starts[2]) < 0.03 * RATE
    assert abs(segment.stop - starts[3]) < 0.03 * RATE
    assert "5 onsets" in segment.reason


def test_never_more_is_taken_than_allowed() -> None:
    for sound in (note(220, 3.0, decay_db_per_s=0), melody([220, 330, 247, 494, 220, 330, 247])[0]):
        segment = segment_note(sound, RATE, max_seconds=0.25)
        assert 0 < segment.stop - segment.start <= 0.25 * RATE
    with pytest.raises(ValueError, match="positive"):
        segment_note(note(220), RATE, max_seconds=0)


@pytest.mark.parametrize("gate_s", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("decay_db_per_s", [0.0, 6.0])
@pytest.mark.parametrize("release_s", [0.2, 0.6, 1.5])
def test_the_gate_ends_where_the_release_begins(
    gate_s: float, decay_db_per_s: float, release_s: float
) -> None:
    num_samples = round((gate_s + release_s) * RATE)
    shape = envelope(
        num_samples, gate_s=gate_s, decay_db_per_s=decay_db_per_s, release_s=release_s, rate=RATE
    )
    samples = shape * torch.sin(2 * math.pi * 220 * torch.arange(num_samples) / RATE)
    # The envelope is smoothed over 46 ms, and followed every 10.
    assert gate_seconds(samples, RATE) == pytest.approx(gate_s, abs=0.05)


@pytest.mark.parametrize("decay_db_per_s", [30.0, 100.0, 300.0])
def test_a_pluck_that_only_decays_is_held_throughout(decay_db_per_s: float) -> None:
    num_samples = round(60 / decay_db_per_s * RATE)
    shape = envelope(num_samples, gate_s=10, decay_db_per_s=decay_db_per_s, release_s=1, rate=RATE)
    samples = shape * torch.sin(2 * math.pi * 220 * torch.arange(num_samples) / RATE)
    # The whole sound reaches down to -45 dB.
    assert gate_seconds(samples, RATE) == pytest.approx(45 / decay_db_per_s, abs=0.03)
