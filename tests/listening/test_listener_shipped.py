"""The listener that comes with the package: its file, its card, and that it hears what a note is."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from retimbre.listening.catalog import embedder
from retimbre.listening.listener import Listener, load_listener
from retimbre.training.shipped import shipped_checkpoints
from retimbre.workflows.evaluation.sets.clips import ClipOptions, open_clips

RATE = 16_000


@pytest.fixture(scope="module")
def listener() -> Listener:
    return load_listener()


def plucked(pitch: int, *, seconds: float = 1.0, cents: float = 0.0) -> Tensor:
    """A decaying note of harmonics that fall by 9 dB per octave."""
    hz = 440.0 * 2 ** ((pitch + cents / 100 - 69) / 12)
    time_s = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    numbers = range(1, min(40, int(RATE / 2 / hz)) + 1)
    waves = [number**-1.5 * torch.sin(2 * math.pi * number * hz * time_s) for number in numbers]
    return (torch.stack(waves).sum(dim=0) * torch.exp(-2 * time_s)).float()


def heard_pitches(listener: Listener, clips: list[Tensor]) -> list[int]:
    with torch.no_grad():
        answers = listener(torch.stack(clips)).logits["pitch"].argmax(dim=1).tolist()
    return [int(listener.classes["pitch"][answer]) for answer in answers]


def test_its_file_is_small_and_is_the_one_that_its_card_describes() -> None:
    path = shipped_checkpoints()["listener"]
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size < 2_000_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert card["parameters"] == sum(weights.numel() for weights in load_listener().parameters())


def test_it_names_the_pitch_of_notes_that_no_corpus_has(listener: Listener) -> None:
    pitches = list(range(33, 97, 3))
    assert heard_pitches(listener, [plucked(pitch) for pitch in pitches]) == pitches


@pytest.mark.parametrize("cents", [-25.0, 25.0])
def test_a_quarter_of_a_semitone_out_of_tune_is_the_same_pitch(cents: float, listener: Listener) -> None:
    pitches = [40, 52, 64, 76]
    assert heard_pitches(listener, [plucked(pitch, cents=cents) for pitch in pitches]) == pitches


@pytest.mark.parametrize("seconds", [0.25, 4.0])
def test_short_and_long_clips_are_heard_alike(seconds: float, listener: Listener) -> None:
    pitches = [48, 60, 72]
    assert heard_pitches(listener, [plucked(pitch, seconds=seconds) for pitch in pitches]) == pitches


def test_noise_forty_decibels_below_changes_no_pitch(listener: Listener) -> None:
    pitches = [45, 57, 69]
    noise = torch.randn(3, RATE, generator=torch.Generator().manual_seed(0))
    clips = [
        clip + 0.01 * clip.square().mean().sqrt() * row
        for clip, row in zip(map(plucked, pitches), noise, strict=True)
    ]
    assert heard_pitches(listener, clips) == pitches


EXAMPLES = Path(__file__).parents[2] / "examples"

# The keys are in examples/README.md; the octave of the synthesizer's C is that of its lowest strong partial, 32.4 Hz.
RECORDED = {"rhodes_g3": 55, "french_horn_f3": 53, "electric_bass_c2": 36, "synth_bass_c": 24}


@pytest.mark.parametrize("name", RECORDED)
def test_it_names_the_pitch_of_real_notes_to_a_semitone(name: str, listener: Listener) -> None:
    clips = open_clips(EXAMPLES / f"{name}.flac", ClipOptions(RATE, seconds=0))
    (heard,) = heard_pitches(listener, [clips.audio([0])[0]])
    assert abs(heard - RECORDED[name]) <= 1


@pytest.mark.parametrize("name", ["rhodes_g3", "french_horn_f3", "electric_bass_c2"])
def test_the_first_second_of_a_real_note_is_enough(name: str, listener: Listener) -> None:
    clips = open_clips(EXAMPLES / f"{name}.flac", ClipOptions(RATE, seconds=1.0))
    (heard,) = heard_pitches(listener, [clips.audio([0])[0]])
    assert abs(heard - RECORDED[name]) <= 1


def test_the_embedder_is_its_embedding_at_any_rate(listener: Listener) -> None:
    clip = plucked(60)[None]
    with torch.no_grad():
        torch.testing.assert_close(embedder("listener", RATE)(clip), listener(clip).embedding)
    assert embedder("listener", 44_100)(torch.zeros(1, 4410)).shape == (1, 64)


def test_two_timbres_are_further_apart_than_two_takes_of_one(listener: Listener) -> None:
    pluck, sine = plucked(60), torch.sin(2 * math.pi * 261.63 * torch.arange(RATE) / RATE)
    with torch.no_grad():
        one, again, other = listener(torch.stack([pluck, plucked(60, cents=5.0), sine])).embedding
    assert float((one - again).norm()) < 0.2 * float((one - other).norm())
