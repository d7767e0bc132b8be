"""Laws of the generator that plays harmonics, partials and noise, and of the synthesizer that it plays."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.pitch import note_pitch
from retimbre.gan.base import Form
from retimbre.gan.networks.additive import harmonics_of, noise_of, partials_of
from retimbre.gan.networks.harmonic import HarmonicGenerator, HarmonicGeneratorConfig

SMALL: dict[str, Any] = {"width": 16, "depth": 2}
RATE = 16_000
PITCHES = (24, 45, 60, 84)


def generator(num_samples: int = 8_000, **settings: Any) -> HarmonicGenerator:
    torch.manual_seed(0)
    classes = {"pitch": tuple(str(pitch) for pitch in PITCHES)}
    built = HarmonicGeneratorConfig(**SMALL | settings).build(Form((1, num_samples), classes, 4))
    assert isinstance(built, HarmonicGenerator)
    return built.eval()


def latents(count: int) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(1))


def steady_phase(frequency_hz: float, num_samples: int) -> Tensor:
    return torch.arange(num_samples)[None] * (frequency_hz / RATE)


def test_an_untrained_generator_is_in_tune_at_every_pitch() -> None:
    made = generator()
    with torch.no_grad():
        notes = made(latents(len(PITCHES)), {"pitch": torch.arange(len(PITCHES))})
    for pitch, note in zip(PITCHES, notes, strict=True):
        wanted_hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        # Its own vibrato, glide and tuning start out small: by 5 cents at most is it tuned otherwise.
        assert abs(1_200 * math.log2(note_pitch(note[0], RATE).pitch_hz / wanted_hz)) < 20.0


def test_notes_peak_at_one_and_have_the_length_asked_for() -> None:
    for num_samples in (1, 127, 128, 129, 4_000):
        with torch.no_grad():
            note = generator(num_samples)(latents(2), {"pitch": torch.tensor([0, 3])})
        assert note.shape == (2, 1, num_samples)
        # The first sample of a note may be 0, and is then all there is of a note of one.
        if num_samples > 1:
            torch.testing.assert_close(note.abs().amax(dim=2), torch.ones(2, 1), atol=1e-6, rtol=0.0)


def test_weights_that_are_nan_are_heard_as_nan_and_do_not_end_the_program() -> None:
    """As a place in the table a NaN is far below 0: an error without a name on a CPU, and worse on a GPU."""
    made = generator(2_000)
    torch.nn.init.constant_(made.motion.bias, math.nan)
    with torch.no_grad():
        assert bool(made(latents(2), {"pitch": torch.tensor([0, 3])}).isnan().all())


def test_equal_latents_make_equal_notes_noise_included() -> None:
    made, told = generator(2_000), {"pitch": torch.tensor([1, 1, 1])}
    with torch.no_grad():
        notes = made(latents(2)[[0, 1, 0]], told)
    # Rows of a batch are computed in one product, whose sums need not be in one order.
    torch.testing.assert_close(notes[0], notes[2], atol=1e-5, rtol=0.0)
    assert float((notes[0] - notes[1]).abs().max()) > 0.01


def test_a_harmonic_that_is_told_to_sound_has_its_frequency_and_level() -> None:
    amplitude = torch.zeros(1, 9, 20)
    amplitude[:, :, 6] = 0.5
    tone = harmonics_of(amplitude, steady_phase(250.0, 1_024), 128)[0].double()
    spectrum = torch.fft.rfft(tone).abs() / 512
    # 7 * 250 Hz is bin 112 of 1024 at 16 kHz. Straight lines between 18 points of a cycle take off 0.5 %.
    assert float(spectrum[112]) == pytest.approx(0.5, rel=0.01)
    assert float(spectrum.square().sum() - spectrum[112].square()) < 1e-4


def test_levels_rise_in_a_straight_line_from_frame_to_frame() -> None:
    steady, rising = torch.ones(1, 5, 3), torch.linspace(0.0, 1.0, 5)[None, :, None].expand(1, 5, 3)
    phase = steady_phase(300.0, 512)
    ramp = torch.arange(512) / 512
    # Float32 rounding of places in a table: some 1e-5 of a cycle.
    torch.testing.assert_close(
        harmonics_of(rising, phase, 128), ramp * harmonics_of(steady, phase, 128), atol=1e-4, rtol=0.0
    )
    step = torch.full((1, 3), 0.1)
    torch.testing.assert_close(
        partials_of(rising, step, 128), ramp * partials_of(steady, step, 128), atol=1e-4, rtol=0.0
    )


def test_a_partial_is_a_sine_from_phase_zero() -> None:
    amplitude, step = torch.tensor([[[0.7]] * 9]), torch.tensor([[0.3]])
    expected = 0.7 * torch.sin(0.3 * torch.arange(1_024))
    # Float32 rounding of an angle of 300.
    torch.testing.assert_close(partials_of(amplitude, step, 128)[0], expected, atol=1e-4, rtol=0.0)


def test_noise_has_the_power_of_its_gain_and_lies_in_its_bins() -> None:
    gain = torch.zeros(2, 65, 65)
    gain[:, :, 16:33] = 0.5
    sound = noise_of(gain, torch.tensor([0, 900])).double()
    spectrum = torch.fft.rfft(sound).abs().square().mean(dim=0)
    inside = spectrum[len(spectrum) * 15 // 64 : len(spectrum) * 33 // 64]
    assert float(inside.sum() / spectrum.sum()) > 0.99
    # 17 of 64 bins at a power of 0.25. Some 1,000 independent cells: a deviation of 5 %.
    assert float(sound.square().mean()) == pytest.approx(0.25 * 17 / 64, rel=0.2)
    correlation = torch.corrcoef(sound)[0, 1]
    assert abs(float(correlation)) < 0.1


def test_levels_have_the_gradient_that_finite_differences_measure() -> None:
    torch.manual_seed(0)
    amplitude = torch.rand(1, 4, 5, dtype=torch.float64, requires_grad=True)
    phase = (steady_phase(437.0, 24).double() + 0.01).requires_grad_()
    # Away from the corners of the straight lines a table is linear in the phase, so small steps measure exactly.
    assert torch.autograd.gradcheck(
        lambda a, p: harmonics_of(a, p, 8), (amplitude, phase), eps=1e-7, atol=1e-4
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kernel": 4}, "kernel"),
        ({"bands": 1}, "bands"),
        ({"hop_length": 0}, "hop_length"),
        ({"width": 0}, "width"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        HarmonicGeneratorConfig(**settings)


def test_a_spectrogram_and_notes_without_pitch_are_refused() -> None:
    pitched = {"pitch": ("60",)}
    with pytest.raises(ConfigError, match="waveform"):
        HarmonicGeneratorConfig().build(Form((2, 9, 8), pitched, 4))
    with pytest.raises(ConfigError, match="pitch"):
        HarmonicGeneratorConfig().build(Form((1, 100), {"family": ("brass",)}, 4))


def test_what_was_heard_without_gradients_can_be_learned_from_afterwards() -> None:
    # Tables are kept from the first call on; one of an odd size has not been made before.
    made, told = generator(500, hop_length=50), {"pitch": torch.tensor([1])}
    with torch.inference_mode():
        made(latents(1), told)
    made(latents(1), told).square().sum().backward()
    assert made.levels.weight.grad is not None
