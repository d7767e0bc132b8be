import pytest
import torch
from note_sounds import RATE, noise, oddities, stretched, times_s, tone
from torch import Tensor

from retimbre.metrics.notes.envelope import energy_envelope
from retimbre.metrics.notes.partials import inharmonicity
from retimbre.metrics.notes.pitch import fundamentals
from retimbre.metrics.notes.readings import Readings


def stretch_of(*sounds: Tensor, rate: int = RATE) -> Readings:
    audio = torch.stack(list(sounds)).float()
    pitch_hz = fundamentals(audio, rate)
    return inharmonicity(audio, energy_envelope(audio, rate, pitch_hz.values), pitch_hz)


@pytest.mark.parametrize("fundamental_hz", [55.0, 220.0, 880.0])
@pytest.mark.parametrize("stretch", [1e-4, 1e-3, 1e-2])
def test_the_stretching_of_a_stiff_string_is_found(fundamental_hz: float, stretch: float) -> None:
    # Struck and dying away by 26 dB/s, as a piano does. Peaks are read to a thousandth of a bin: 2 %.
    string = stretched(fundamental_hz, stretch, 12) * torch.exp(-3 * times_s())
    found = stretch_of(string)
    assert found.measured.all()
    assert float(found.values) == pytest.approx(stretch, rel=0.02)


@pytest.mark.parametrize("rate", [8_000, RATE, 96_000])
def test_a_harmonic_tone_is_not_stretched(rate: int) -> None:
    found = stretch_of(tone(220.0, 12, rate=rate), rate=rate)
    assert found.measured.all()
    # A hundredth of the lowest string of a piano.
    assert abs(float(found.values)) < 1e-6


def test_a_strings_stretching_is_found_in_noise() -> None:
    # Noise 40 dB below the string.
    string = stretched(110.0, 3e-4, 14)
    noisy = string + 0.1 * string.square().mean().sqrt() * noise()[0].double()
    assert float(stretch_of(noisy).values) == pytest.approx(3e-4, rel=0.05)


def test_what_has_no_five_partials_on_the_law_has_no_stretching() -> None:
    bell = sum(torch.sin(2 * torch.pi * 300 * ratio * times_s()) for ratio in (1.0, 2.76, 5.4, 8.93, 13.34))
    sounds = oddities()
    others = [sounds[name].double() for name in ("silence", "offset", "noise", "click", "faint")]
    found = stretch_of(tone(440.0, 1), torch.as_tensor(bell) / 8, *others)
    assert found.measured.tolist() == [False] * 7
    assert found.values.tolist() == [0.0] * 7


@pytest.mark.parametrize("num_samples", [0, 1, 2, 300])
def test_short_clips_have_no_stretching(num_samples: int) -> None:
    audio = torch.ones(2, num_samples)
    pitch_hz = Readings.of(torch.full((2,), 100.0), torch.tensor([True, True]))
    found = inharmonicity(audio, energy_envelope(audio, RATE, pitch_hz.values), pitch_hz)
    assert not found.measured.any()


def test_a_strings_stretching_does_not_depend_on_its_batch() -> None:
    strings = [stretched(pitch_hz, 1e-3, 10) for pitch_hz in (110.0, 330.0, 60.0)]
    together, alone = stretch_of(*strings), stretch_of(strings[1])
    assert float(together.values[1]) == pytest.approx(float(alone.values[0]), rel=1e-9)
