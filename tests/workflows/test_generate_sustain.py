"""Clips held longer and shorter than they are."""

import math

import pytest
import torch
from torch import Tensor

from retimbre.core import random
from retimbre.dsp.level import rms, to_db
from retimbre.workflows.generate.sustain import HeldClip, find_loop

RATE = 16_000
RELEASE = 800


def tone(pitch_hz: float = 220.0, seconds: float = 1.0, decay_db_s: float = 0.0, partials: int = 6) -> Tensor:
    """A harmonic tone with an attack of 20 ms."""
    time_s = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    wave = sum(0.6**k * torch.sin(2 * math.pi * k * pitch_hz * time_s + k) for k in range(1, partials + 1))
    level = 10 ** (-decay_db_s * time_s / 20) * (time_s / 0.02).clamp(max=1)
    return (0.4 * wave * level).float()


def levels_db(sound: Tensor) -> Tensor:
    """Every 50 ms."""
    return to_db(rms(sound[: len(sound) // 800 * 800].reshape(-1, 800)))


def roughness(sound: Tensor) -> float:
    """The largest jump between neighbouring slopes: a click raises it."""
    return float(sound.double().diff().diff().abs().max())


@pytest.mark.parametrize("gate", [0, 1, 800, 5_000, 15_000, 15_900, 20_000, 50_000])
@pytest.mark.parametrize("release", [0, 1, RELEASE])
def test_a_note_lasts_until_its_key_is_up_and_has_faded(gate, release):
    note = HeldClip(tone(), RATE).note(gate, release)
    assert len(note) == gate + release
    assert note.isfinite().all()
    if release:
        assert note[-1] == 0


def test_a_note_that_ends_before_the_clip_is_the_clip_until_key_up():
    clip = tone()
    note = HeldClip(clip, RATE).note(6_000, RELEASE)
    assert torch.equal(note[:6_000], clip[:6_000])
    assert note[6_000:].abs().max() <= clip[6_000:].abs().max()


@pytest.mark.parametrize("pitch_hz", [41.2, 110.0, 233.1, 440.0, 1_975.5])
def test_a_held_tone_keeps_its_level_and_pitch_and_does_not_click(pitch_hz):
    clip = tone(pitch_hz)
    note = HeldClip(clip, RATE).note(4 * RATE, RELEASE)[: 4 * RATE]
    steady = levels_db(note)[2:]
    # A tenth of a decibel per turn would be heard as a tremolo; half a decibel in all is not.
    assert steady.max() - steady.min() < 1.0
    assert roughness(note[RATE // 2 :]) < 1.1 * roughness(clip[RATE // 2 :])
    # The loop has whole periods: the spectrum of what was added stays on the partials.
    window = torch.hann_window(2 * RATE, dtype=torch.float64)
    power = torch.fft.rfft(note[2 * RATE :].double() * window).abs().square()
    strongest_hz = float(power.argmax()) / 2
    assert abs(1_200 * math.log2(strongest_hz / (pitch_hz * round(strongest_hz / pitch_hz)))) < 20


@pytest.mark.parametrize("decay_db_s", [6.0, 20.0, 40.0])
def test_a_decaying_note_goes_on_decaying(decay_db_s):
    clip = tone(decay_db_s=decay_db_s)
    note = HeldClip(clip, RATE).note(3 * RATE, RELEASE)[: 3 * RATE]
    expected = levels_db(tone(seconds=3.0, decay_db_s=decay_db_s))
    audible = expected > -90
    assert (levels_db(note) - expected)[audible].abs().max() < 2.0


def test_the_release_inside_of_a_clip_is_not_heard_until_the_key_is_up():
    clip = tone()
    fall = torch.ones(RATE)
    fall[9_600:] = 10 ** (-60 * torch.arange(RATE - 9_600) / RATE / 0.2 / 20)
    held = HeldClip(clip * fall, RATE)
    assert abs(held.body_end - 9_600) < 800  # 50 ms: the estimate of a gate is one of frames
    steady = levels_db(held.note(2 * RATE, RELEASE)[: 2 * RATE])[2:]
    assert steady.max() - steady.min() < 1.5
    assert torch.equal(held.note(8_000, 0), (clip * fall)[:8_000])


def test_noise_is_held_at_its_level():
    clip = 0.1 * torch.randn(RATE, generator=random.generator(0, "held noise"))
    steady = levels_db(HeldClip(clip, RATE).note(4 * RATE, 0))
    # Levels of 50 ms of noise spread by 0.2 dB; twice that as the loop crosses from one stretch to another.
    assert steady.max() - steady.min() < 2.5


@pytest.mark.parametrize(
    "clip",
    [torch.zeros(RATE), torch.eye(1, RATE)[0], torch.full((RATE,), 0.5), tone(seconds=0.05), torch.ones(1)],
    ids=["silence", "click", "offset", "short", "one sample"],
)
def test_what_has_no_body_is_followed_by_silence_or_itself(clip):
    note = HeldClip(clip, RATE).note(2 * RATE, RELEASE)
    assert len(note) == 2 * RATE + RELEASE
    assert note.isfinite().all()
    assert note.abs().max() <= clip.abs().max() + 1e-6


def test_a_loop_ends_where_the_body_does_and_is_no_shorter_than_a_tenth_of_a_second():
    loop = find_loop(tone(440.0), RATE)
    assert loop is not None
    assert loop.stop == RATE
    assert loop.stop - loop.start >= RATE // 10
    assert loop.alike > 0.95
    assert loop.turn_gain == pytest.approx(1.0, abs=0.01)
    assert find_loop(tone(seconds=0.1), RATE) is None
