import math

import pytest
import torch
from note_sounds import RATE, noise, oddities, times_s, tone
from torch import Tensor

from retimbre.metrics.notes.envelope import (
    Envelope,
    attack_time,
    decay_slope,
    energy_envelope,
    envelope_error_db,
    log_attack_time,
)


def envelope_of(*sounds: Tensor, pitch_hz: float = 0.0, rate: int = RATE) -> Envelope:
    pitches_hz = torch.full((len(sounds),), pitch_hz, dtype=torch.float64)
    return energy_envelope(torch.stack(list(sounds)).float(), rate, pitches_hz)


def decaying(db_per_s: float, pitch_hz: float = 440.0, rate: int = RATE) -> Tensor:
    return tone(pitch_hz, rate=rate) * 10 ** (db_per_s * times_s(rate=rate) / 20)


@pytest.mark.parametrize("attack_s", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("rate", [8_000, RATE, 96_000])
def test_a_linear_attack_takes_its_share_of_the_ramp(attack_s: float, rate: int) -> None:
    # Amplitude t / A is power (t / A)^2, which is 0.1 at 0.316 A and 0.9 at 0.949 A. The 10 ms window adds under 1 ms.
    ramp = (times_s(rate=rate) / attack_s).clamp(max=1.0)
    found = attack_time(envelope_of(ramp * tone(440.0, rate=rate), pitch_hz=440.0, rate=rate))
    assert float(found.values) == pytest.approx((math.sqrt(0.9) - math.sqrt(0.1)) * attack_s, abs=0.001)


@pytest.mark.parametrize(("pitch_hz", "window_s"), [(1_000.0, 0.01), (50.0, 0.04), (0.0, 0.02)])
def test_an_abrupt_start_takes_half_a_window(pitch_hz: float, window_s: float) -> None:
    found = attack_time(envelope_of(tone(pitch_hz or 1_000.0, 1), pitch_hz=pitch_hz))
    assert float(found.values) == pytest.approx(0.482 * window_s, rel=0.1)


def test_an_attack_is_the_same_wherever_it_begins_and_however_loud() -> None:
    ramp = (times_s() / 0.05).clamp(max=1.0) * tone(440.0)
    later = torch.cat([torch.zeros(4_001, dtype=torch.float64), ramp])[: len(ramp)]
    found = attack_time(envelope_of(ramp, later, 0.01 * ramp, pitch_hz=440.0)).values
    # The 250th part of a millisecond: the ramp falls between samples differently.
    torch.testing.assert_close(found, found[:1].expand(3), rtol=0, atol=4e-6)


def test_the_log_attack_time_is_its_decimal_logarithm() -> None:
    found = log_attack_time(attack_time(envelope_of(tone(440.0), torch.zeros(RATE), pitch_hz=440.0)))
    assert found.measured.tolist() == [True, False]
    assert -2.5 < float(found.values[0]) < -2.0


@pytest.mark.parametrize("db_per_s", [-10.0, -60.0, -300.0])
@pytest.mark.parametrize("rate", [8_000, RATE, 96_000])
def test_an_exponential_decay_has_its_slope(db_per_s: float, rate: int) -> None:
    # 2 %: the window rounds off the first 5 ms.
    found = decay_slope(envelope_of(decaying(db_per_s, rate=rate), pitch_hz=440.0, rate=rate))
    assert found.measured.all()
    assert float(found.values) == pytest.approx(db_per_s, rel=0.02)


def test_a_held_tone_does_not_decay() -> None:
    assert abs(float(decay_slope(envelope_of(tone(110.0), pitch_hz=110.0)).values)) < 0.05


def test_noise_under_a_decay_bends_its_slope_by_less_than_a_twentieth() -> None:
    # Noise 30 dB below the peak: a fit through to the end would give about -33 dB/s.
    noisy = decaying(-60.0) + noise()[0] * decaying(0.0).square().mean().sqrt() * 10 * 10 ** (-30 / 20)
    found = decay_slope(envelope_of(noisy, pitch_hz=440.0))
    assert float(found.values) == pytest.approx(-60.0, rel=0.05)


def test_silence_after_a_decay_does_not_count() -> None:
    cut = decaying(-60.0) * (times_s() < 0.5)
    full = decay_slope(envelope_of(decaying(-60.0), cut, pitch_hz=440.0)).values
    assert float(full[1]) == pytest.approx(float(full[0]), rel=0.08)


def test_an_offset_changes_neither_attack_nor_decay() -> None:
    clean, offset = decaying(-40.0), decaying(-40.0) + 0.3
    envelope = envelope_of(clean, offset, pitch_hz=440.0)
    for found in (attack_time(envelope), decay_slope(envelope)):
        assert float(found.values[1]) == pytest.approx(float(found.values[0]), rel=0.01)


def test_what_is_silent_has_no_envelope_to_measure() -> None:
    sounds = oddities()
    envelope = envelope_of(*sounds.values())
    heard = dict(zip(sounds, attack_time(envelope).measured.tolist(), strict=True))
    assert [name for name, measured in heard.items() if not measured] == ["silence", "offset", "faint"]


@pytest.mark.parametrize("num_samples", [0, 1, 2, 37])
def test_clips_of_hardly_a_sample_have_readings_that_are_numbers(num_samples: int) -> None:
    envelope = energy_envelope(torch.ones(2, num_samples), RATE, torch.zeros(2))
    for found in (attack_time(envelope), decay_slope(envelope)):
        assert found.values.isfinite().all()
        assert not found.measured.any()


def test_a_sound_has_one_envelope_alone_and_among_others() -> None:
    sounds = [tone(55.0), decaying(-30.0), noise()[0].double()]
    pitches_hz = torch.tensor([55.0, 440.0, 0.0])
    together = energy_envelope(torch.stack(sounds).float(), RATE, pitches_hz)
    alone = energy_envelope(sounds[1][None].float(), RATE, pitches_hz[1:2])
    # Transforms of one length: only the order of sums may differ.
    torch.testing.assert_close(together.power[1:2], alone.power, rtol=1e-9, atol=1e-12)


def test_the_error_of_an_envelope_is_its_distance_in_decibels() -> None:
    target = 10 ** (-torch.linspace(0, 60, 100)[None] / 10)
    louder = envelope_error_db(target * 10**0.3, target)
    assert float(louder.values) == pytest.approx(3.0, abs=1e-4)
    assert float(envelope_error_db(target * 10**0.3, target, fit_gain=True).values) == pytest.approx(
        0, abs=1e-4
    )
    assert float(envelope_error_db(target, target).values) == 0.0


def test_an_envelope_is_judged_where_the_target_is_above_minus_40_db() -> None:
    target = torch.tensor([[1.0, 1.0, 1e-5, 0.0]])
    estimate = torch.tensor([[1.0, 0.1, 1.0, 1.0]])
    # Of two values that count one is right and one 10 dB off: the root of 50.
    assert float(envelope_error_db(estimate, target).values) == pytest.approx(math.sqrt(50), abs=1e-6)


def test_silence_against_a_note_is_far_off_but_finite_and_nothing_is_asked_of_a_silent_target() -> None:
    note, silence = torch.ones(1, 10), torch.zeros(1, 10)
    assert float(envelope_error_db(silence, note).values) == pytest.approx(60.0)
    assert not envelope_error_db(note, silence).measured.any()
