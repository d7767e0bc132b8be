"""A piano of strings plays the keys that it is told, in tune and in time, before it has learned anything."""

import math

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.pitch import note_pitch
from retimbre.gan.base import Form, Generator
from retimbre.gan.networks.told.midi_harmonic import MidiHarmonicGeneratorConfig

RATE, CHUNK = 16_000, 16_384
FORM = Form((1, CHUNK), {}, 4, {"midi": (1024, 89)})


@pytest.fixture(scope="module")
def piano() -> Generator:
    torch.manual_seed(0)
    return MidiHarmonicGeneratorConfig(width=8, depth=1).build(FORM).eval()


def played(piano: Generator, states: Tensor) -> Tensor:
    with torch.no_grad():
        return piano(torch.zeros(1, 4), {"midi": states[None]})[0, 0]


def held(key: int, begin: int, end: int, velocity: float = 0.8) -> Tensor:
    states = torch.zeros(1024, 89)
    states[begin:end, key - 21] = velocity
    return states


@pytest.mark.parametrize("key", [48, 60, 72, 84])
def test_a_key_sounds_at_its_pitch(piano: Generator, key: int) -> None:
    sound = played(piano, held(key, 512, 1024))
    expected_hz = 440.0 * 2.0 ** ((key - 69) / 12)
    # Half a cycle per chunk: 0.49 Hz, which is 6.5 cents at C3; stiff strings are a little sharp as a whole.
    assert abs(1200 * math.log2(note_pitch(sound, RATE).pitch_hz / expected_hz)) < 12


def test_a_stroke_begins_where_it_is_told(piano: Generator) -> None:
    sound = played(piano, held(60, 512 + 200, 1024))
    level = sound.abs().unfold(0, 128, 128).amax(dim=1)
    # States of 32 samples, frames of 128, each of which rises for as long.
    assert abs(int((level > 0.2 * level.max()).nonzero()[0]) - 200 // 4) <= 2


def test_a_harder_stroke_is_louder_and_a_damped_string_is_silent(piano: Generator) -> None:
    soft, hard = (played(piano, held(60, 512, 1024, each)).square().mean() for each in (0.3, 0.9))
    assert hard > 4 * soft
    quiet = played(piano, torch.zeros(1024, 89))
    released = played(piano, held(60, 512, 600))
    pedal = held(60, 512, 600)
    pedal[:, 88] = 1.0
    tail = slice(10_000, None)
    assert (released - quiet)[tail].abs().max() < 0.02 * (played(piano, pedal) - quiet)[tail].abs().max()


def test_the_keys_of_the_chunk_before_are_heard(piano: Generator) -> None:
    struck_before = held(60, 300, 1024)
    quiet = played(piano, torch.zeros(1024, 89))
    assert (played(piano, struck_before) - quiet)[:2000].abs().max() > 0.01


def test_a_held_note_goes_on_in_phase_in_the_next_chunk(piano: Generator) -> None:
    # Every partial has a whole number of cycles in a chunk: where one ends the next begins.
    first, second = played(piano, held(60, 600, 1024)), played(piano, held(60, 88, 1024))
    quiet = played(piano, torch.zeros(1024, 89))
    joined = torch.cat([(first - quiet)[-64:], (second - quiet)[:64]])
    bends = joined.diff(n=2).abs()
    assert bends[62:64].max() < 2.0 * bends[:50].max()


def test_other_features_and_lengths_are_refused() -> None:
    build = MidiHarmonicGeneratorConfig().build
    with pytest.raises(ConfigError, match="representation 'waveform'"):
        build(Form((2, 8, 8), {}, 4, {"midi": (512, 89)}))
    with pytest.raises(ConfigError, match="an even number of frames"):
        build(Form((1, 16_000), {}, 4, {"midi": (512, 89)}))
