"""Generators as sets: what they are asked for, and what becomes of rates, lengths and levels."""

import json
from pathlib import Path

import pytest
import torch
from small_generators import DIGITS, NOTES, RATE, SAMPLES, generator_file

from retimbre.core.errors import CheckpointError
from retimbre.dsp import audiofile
from retimbre.dsp.level import peak
from retimbre.gan.sounds import load_generator
from retimbre.training import checkpoint
from retimbre.workflows.evaluation.note_scores import NoteSets, evaluate_notes
from retimbre.workflows.evaluation.sets.clips import ClipLabels, ClipOptions, HeldClips
from retimbre.workflows.evaluation.sets.folders import SetOptions, measure_sounds
from retimbre.workflows.evaluation.sets.measure import MeasureOptions
from retimbre.workflows.evaluation.sets.models import answers_real, sounds_of

OWN = ClipOptions(sample_rate=RATE, seconds=SAMPLES / RATE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generator_file(tmp_path_factory.mktemp("generator") / "model.safetensors")


def real_clips(count: int = 6, rate: int = RATE, num_samples: int = SAMPLES, **labels) -> HeldClips:
    """Clips of different peaks."""
    audio = torch.linspace(0.1, 0.9, count)[:, None] * torch.ones(num_samples).cos()
    return HeldClips("real", audio, rate, labels=ClipLabels(**labels))


LABELS = {
    "pitch": (55, 60, 60, 61, 67, 57),
    "velocity": (25, 75, 127, 127, 25, 75),
    "family": ("brass", "brass", "reed", "keyboard", "reed", "brass"),
}


def test_a_generator_is_asked_for_the_labels_of_the_real_clips(model: Path) -> None:
    sounds = sounds_of(model, real_clips(**LABELS), OWN)
    assert sounds.labels == ClipLabels(**LABELS)
    generator = load_generator(model)
    latents = generator.draw_latents(6, seed=0, purpose="evaluation")
    with torch.inference_mode():
        expected = generator(latents, generator.labels(6, LABELS))
    scaled = expected * (peak(real_clips().audio(range(6))) / peak(expected))[:, None]
    assert (sounds.audio(range(6)) - scaled).abs().max() < 1e-6
    assert sounds.remarks == ("each sound has the peak of the real clip whose labels it was asked for",)


def test_what_is_not_known_is_drawn_and_told(model: Path) -> None:
    sounds = sounds_of(
        model, real_clips(pitch=(20, 60, 60, 61, 67, 99), velocity=(1, 50, 64, 90, 127, 102)), OWN
    )
    assert sounds.labels.pitch[1:5] == (60, 60, 61, 67)
    assert all(55 <= pitch <= 67 for pitch in sounds.labels.pitch)
    assert sounds.labels.velocity == (25, 25, 75, 75, 127, 127)
    assert set(sounds.labels.family) <= set(NOTES["family"])
    assert sounds.remarks[:2] == (
        "the generator does not know the pitch of 2 of 6 real clips; another was drawn",
        "the generator does not know the velocity of 5 of 6 real clips; the nearest one was asked for",
    )


def test_other_rates_and_lengths_are_brought_to_those_of_the_real_clips(model: Path) -> None:
    real = real_clips(3, rate=16_000, num_samples=10_000)
    sounds = sounds_of(model, real, OWN)
    assert (sounds.sample_rate, sounds.num_samples) == (16_000, 10_000)
    assert sounds.about.source_rates == (RATE,)
    assert "made at 8000 Hz and resampled to 16000 Hz" in sounds.remarks
    assert "made 0.25 s long and followed by zeros: clips have 0.625 s" in sounds.remarks
    audio = sounds.audio(range(3))
    assert audio[:, :4_000].abs().amax(1).min() > 0
    assert not audio[:, 4_000:].any()
    assert torch.allclose(peak(audio), peak(real.audio(range(3))), rtol=1e-6)
    cut = sounds_of(model, real_clips(3, num_samples=100), OWN)
    assert cut.num_samples == 100
    assert "made 0.25 s long and cut: clips have 0.0125 s" in cut.remarks


def test_without_real_clips_labels_are_drawn_and_levels_are_the_generator_s(model: Path) -> None:
    sounds = sounds_of(model, None, ClipOptions(RATE, seconds=0, most=40))
    assert (len(sounds), sounds.num_samples) == (40, SAMPLES)
    assert len(set(sounds.labels.pitch)) > 8
    assert set(sounds.labels.family) == set(NOTES["family"])
    assert len(sounds_of(model, None, OWN)) == 1_024
    # The set is a function of its size alone, and begins alike whatever the size.
    assert torch.equal(sounds.audio(range(16)), sounds_of(model, None, OWN).audio(range(16)))


def test_a_generator_of_no_notes_has_sounds_without_keys(tmp_path: Path) -> None:
    for name, classes in {"digits": DIGITS, "none": {}}.items():
        path = generator_file(tmp_path / f"{name}.safetensors", classes)
        sounds = sounds_of(path, real_clips(**LABELS), OWN)
        assert len(sounds) == 6
        assert sounds.labels == ClipLabels()


def test_a_generator_does_not_hear_the_real_clips_so_they_are_not_halved(model: Path) -> None:
    assert not answers_real(model)


def test_the_measures_of_sets_and_of_notes_take_a_generator(model: Path, tmp_path: Path) -> None:
    for row, samples in enumerate(real_clips(8).audio(range(8))):
        audiofile.write(tmp_path / f"real/note_{row:02d}-{55 + row:03d}-075.wav", samples, RATE)
    hearing = MeasureOptions(resamples=20, cache="")
    result = measure_sounds("kad", model, tmp_path / "out", SetOptions(str(tmp_path / "real"), OWN, hearing))
    assert (result["n"], result["settings"]["sets"]["fake"]["n"]) == (8, 8)
    assert json.loads((tmp_path / "out/scores.json").read_text())["value"] == result["value"]
    notes = evaluate_notes(NoteSets(str(model), real=str(tmp_path / "real"), clips=OWN))
    assert notes["settings"]["fake"]["clips"] == 8
    alone = evaluate_notes(NoteSets(str(model), clips=ClipOptions(RATE, 0.25, most=12)))
    assert alone["settings"]["fake"]["clips"] == 12


def test_other_kinds_of_models_are_still_told_apart(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "other.safetensors", {}, kind="label-autoencoder", metadata={})
    with pytest.raises(CheckpointError, match="those that do: inverter, generator"):
        sounds_of(tmp_path / "other.safetensors", None, OWN)
