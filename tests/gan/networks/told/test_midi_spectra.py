"""A keyboard of learned spectra: what is built in, what is not, and that a critic's verdict moves the right keys."""

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Form
from retimbre.gan.networks.told.midi_spectra import MidiSpectraGenerator, MidiSpectraGeneratorConfig

BINS, FRAMES = 40, 17
FORM = Form((1, BINS, FRAMES), {}, 4, {"midi": (1024, 89)})


@pytest.fixture(scope="module")
def keyboard() -> MidiSpectraGenerator:
    """A fresh one, whose network over frames adds the same to all frames, so that only keys are heard."""
    torch.manual_seed(0)
    built = MidiSpectraGeneratorConfig(width=8, depth=1).build(FORM)
    assert isinstance(built, MidiSpectraGenerator)
    torch.nn.init.zeros_(built.colour.weight)
    return built


def magnitudes(keyboard: MidiSpectraGenerator, states: Tensor) -> Tensor:
    """What keys add, `[bins, frames]`: the features taken back to magnitudes, less those of silence."""
    with torch.no_grad():
        features = keyboard(torch.zeros(2, 4), {"midi": torch.stack([states, torch.zeros_like(states)])})[
            :, 0
        ]
        played, silent = ((features - keyboard.offset) / keyboard.gain).expm1()
    return played - silent


def held(key: int, begin: int, end: int, velocity: float = 0.8) -> Tensor:
    states = torch.zeros(1024, 89)
    states[begin:end, key - 21] = velocity
    return states


def test_nothing_says_beforehand_where_the_partials_of_a_key_lie(keyboard: MidiSpectraGenerator) -> None:
    # Spectra are noise: those of a key and of its octave are as unlike as those of any two.
    spectra = keyboard.spectra.detach().mean(dim=0)
    alike = torch.corrcoef(spectra)
    octaves = alike.diagonal(offset=12).mean()
    # Means over 76 pairs of spectra with 40 bins: a deviation of 1 / sqrt(76 * 40) = 0.018 around 0.
    assert octaves.abs() < 4 * 0.018
    assert keyboard.course.abs().max() == 0


def test_keys_that_sound_together_add_up(keyboard: MidiSpectraGenerator) -> None:
    low, high = held(50, 600, 1024), held(61, 700, 900, 0.4)
    together = magnitudes(keyboard, low + high)
    torch.testing.assert_close(
        together, magnitudes(keyboard, low) + magnitudes(keyboard, high), atol=1e-4, rtol=1e-4
    )


def test_a_key_is_heard_from_its_stroke_on_and_falls_and_falls_faster_under_the_damper(
    keyboard: MidiSpectraGenerator,
) -> None:
    rung, stopped = (magnitudes(keyboard, held(60, 512 + 256, end)).mean(dim=0) for end in (1024, 512 + 288))
    # Struck in the middle, frame 8; a frame sees two frames around it.
    assert rung[:6].abs().max() < 1e-5
    assert (rung[8:] > 0).all()
    assert (rung[11:15].diff() < 0).all()
    assert stopped[14] < 0.2 * rung[14]
    pedal = held(60, 512 + 256, 512 + 288)
    pedal[:, 88] = 1.0
    torch.testing.assert_close(magnitudes(keyboard, pedal).mean(dim=0), rung, atol=1e-6, rtol=1e-5)


def test_a_harder_stroke_is_louder(keyboard: MidiSpectraGenerator) -> None:
    soft, hard = (magnitudes(keyboard, held(60, 512, 1024, each)).mean() for each in (0.3, 0.9))
    assert hard > 2 * soft


def test_what_a_critic_minds_moves_the_spectra_of_the_keys_that_sound_and_no_others(
    keyboard: MidiSpectraGenerator,
) -> None:
    keyboard.zero_grad()
    states = held(50, 600, 1024) + held(61, 700, 900)
    keyboard(torch.zeros(1, 4), {"midi": states[None]})[0, 0, 7].sum().backward()
    moved = keyboard.spectra.grad
    assert moved is not None
    keys = [50 - 21, 61 - 21]
    assert (moved[:, keys, 7] > 0).all()
    moved[:, keys, 7] = 0.0
    assert (moved == 0).all()


def test_sums_over_keys_are_exact_in_mixed_precision(keyboard: MidiSpectraGenerator) -> None:
    told = {"midi": held(60, 512, 1024)[None]}
    with torch.no_grad():
        exact = keyboard(torch.zeros(1, 4), told)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = keyboard(torch.zeros(1, 4), told)
    # The network over frames is silent here, so nothing is left to be rounded.
    torch.testing.assert_close(mixed.float(), exact, atol=1e-5, rtol=1e-5)


def test_other_features_and_untold_keys_are_refused() -> None:
    build = MidiSpectraGeneratorConfig().build
    with pytest.raises(ConfigError, match="features with 1 channel, bins and frames"):
        build(Form((2, 8, 8), {}, 4, {"midi": (512, 89)}))
    with pytest.raises(ConfigError, match="plays from MIDI states and is told none"):
        build(Form((1, 8, 8), {}, 4))
    with pytest.raises(ConfigError, match="moments is 0"):
        MidiSpectraGeneratorConfig(moments=0)
