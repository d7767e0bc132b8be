import math

import pytest
import torch

from retimbre.dsp.pitch import note_pitch
from retimbre.matching.propose import OSCILLATORS, NoteHint, even_pool, joined, loudest_oscillator_hz
from retimbre.synth.base import REFERENCE_PITCH_HZ
from retimbre.synth.catalog import SYNTHS

SURE = NoteHint(pitch_hz=220.0, confidence=0.95, gate_s=0.5, seconds=1.0)
UNSURE = NoteHint(pitch_hz=220.0, confidence=0.1, gate_s=0.5, seconds=1.0)


@pytest.mark.parametrize("name", SYNTHS)
def test_the_same_seed_proposes_the_same_patches(name: str) -> None:
    pools = [
        even_pool(name, SYNTHS[name].space, SURE, 20, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(pools[0].unit, pools[1].unit)
    assert torch.equal(pools[0].pitch_hz, pools[1].pitch_hz)
    assert not torch.equal(pools[0].unit, pools[2].unit)


@pytest.mark.parametrize("name", SYNTHS)
def test_every_proposal_is_a_patch_and_a_note_within_the_sound(name: str) -> None:
    pool = even_pool(name, SYNTHS[name].space, UNSURE, 50, torch.Generator().manual_seed(0))
    assert pool.unit.shape == (50, SYNTHS[name].space.width)
    assert bool(((pool.unit >= 0) & (pool.unit <= 1)).all())
    assert bool((pool.gate_s <= UNSURE.seconds).all())
    assert bool((pool.gate_s > 0).all())


@pytest.mark.parametrize("name", OSCILLATORS)
def test_the_loudest_oscillator_of_a_transposing_voice_lands_on_the_pitch(name: str) -> None:
    space = SYNTHS[name].space
    pool = even_pool(name, space, SURE, 50, torch.Generator().manual_seed(0))
    loudest_hz = loudest_oscillator_hz(space.from_unit(pool.unit), OSCILLATORS[name])
    octaves = torch.log2(loudest_hz * pool.pitch_hz / REFERENCE_PITCH_HZ / SURE.pitch_hz)
    assert torch.allclose(octaves, octaves.round(), atol=1e-4)  # on it or whole octaves from it
    assert float((octaves.abs() < 0.01).float().mean()) > 0.7


def test_every_voice_whose_pitch_is_a_knob_is_known_to_transpose() -> None:
    # A voice is one if its own note at the reference key is not the note's pitch.
    for name, synth in SYNTHS.items():
        knobs = synth.space.from_values({})
        pool = even_pool(name, synth.space, SURE, 1, torch.Generator().manual_seed(0))
        note = joined(pool).note()
        sound = synth.render(knobs, note, num_samples=synth.sample_rate // 2)[0]
        heard = note_pitch(sound, synth.sample_rate)
        follows = abs(math.log2(heard.pitch_hz / float(note.pitch_hz[0]))) < 0.05
        assert follows != (name in OSCILLATORS) or name in {"fm4", "inversynth"}


def test_a_sure_pitch_is_played_and_an_unsure_one_is_one_guess_of_many() -> None:
    space = SYNTHS["subtractive"].space
    sure, unsure = (
        even_pool("subtractive", space, hint, 200, torch.Generator().manual_seed(0)).pitch_hz
        for hint in (SURE, UNSURE)
    )
    assert float((sure == 220.0).float().mean()) > 0.85
    assert float((unsure == 220.0).float().mean()) < 0.6
    assert float(unsure.max() / unsure.min()) > 30.0  # five octaves


def test_the_first_proposal_is_played_as_it_was_heard() -> None:
    pool = even_pool("subtractive", SYNTHS["subtractive"].space, UNSURE, 8, torch.Generator().manual_seed(0))
    assert float(pool.pitch_hz[0]) == 220.0
    assert float(pool.gate_s[0]) == 0.5
