"""A held voice sounds for as long as it is asked to, as loud as the recording that leads it."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.matching.held import able_to_curve, check_able_to_curve, held, led_by, short_term_power
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS

SECONDS = 5.0  # beyond the longest envelope of every voice that is held
ATTACK_S = 0.1  # of fm4, which has no knob for it


@pytest.mark.parametrize("name", able_to_curve())
def test_a_held_voice_sounds_evenly_from_its_attack_to_its_last_sample(name: str) -> None:
    voice = held(SYNTHS[name], SECONDS)
    knobs = voice.synth.space.from_values({}) | {
        knob: torch.tensor([value]) for knob, value in voice.knobs.items()
    }
    rate = voice.synth.sample_rate
    note = Note.of(1, gate_s=SECONDS)
    sound = voice.synth.render(knobs, note, num_samples=round(SECONDS * rate))[0]
    power = short_term_power(sound[round(ATTACK_S * rate) :], rate)
    # Oscillators that beat move the level of a sixteenth of a second by up to 10 dB here; an envelope ends at zero.
    assert float(power.min()) > 0.1 * float(power.max())


def test_every_voice_with_curves_can_be_held() -> None:
    assert able_to_curve() == [name for name, synth in SYNTHS.items() if synth.curves]


@pytest.mark.parametrize("name", sorted(SYNTHS.keys() - set(able_to_curve())))
def test_a_voice_without_curves_is_refused_with_those_that_have_them(name: str) -> None:
    with pytest.raises(ConfigError, match=f"which '{name}' is not; these are: fm, fm4, inversynth"):
        check_able_to_curve(name)


def test_a_led_sound_has_the_recordings_level_at_every_moment() -> None:
    rate, time_s = 16_384, torch.arange(32_768) / 16_384
    recording = (0.5 + 0.45 * torch.sin(3.0 * time_s)) * torch.sin(2 * torch.pi * 300.0 * time_s)
    sound = torch.sin(2 * torch.pi * 471.0 * time_s)
    led = short_term_power(led_by(recording, sound, rate), rate)
    wanted = short_term_power(recording, rate)
    # The level moves by up to 1 dB within the sixteenth of a second that it is measured over.
    assert float((10 * torch.log10(led / wanted)).abs().max()) < 1.0


def test_silence_leads_to_silence_and_a_silent_sound_stays_silent() -> None:
    tone, silence = torch.ones(2, 8_000), torch.zeros(2, 8_000)
    assert not bool(led_by(silence, tone, 16_000).any())
    assert not bool(led_by(tone, silence, 16_000).any())


@pytest.mark.parametrize("num_samples", [1, 255, 256, 257, 10_001])
def test_a_led_sound_keeps_its_length(num_samples: int) -> None:
    sound = torch.ones(num_samples)
    assert torch.allclose(led_by(sound, sound, 16_384), sound)
