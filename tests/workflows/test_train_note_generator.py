"""The harmonic generator learns notes from end to end, on a toy, and its timbre follows the family.

Its pitch is played and not learned, so a control that learned from shuffled labels plays the right pitch too; what it
cannot have is the family.
"""

import json
import math
from pathlib import Path

import pytest
import torch

from retimbre.dsp.pitch import note_pitch
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.gan.task import ClipBatch
from retimbre.listening.statistics import BandStatistics
from retimbre.workflows.training import gan
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

RUN_FILE = Path(__file__).parents[2] / "runs/toy/note-generator.toml"


def family_means(vectors: torch.Tensor, family: torch.Tensor) -> torch.Tensor:
    """The mean of each family from the mean of them all."""
    means = torch.stack([vectors[family == each].mean(dim=0) for each in family.unique()])
    return means - means.mean(dim=0)


def follows_families(sounds: SoundGenerator, held_out: list[ClipBatch]) -> float:
    """How alike generated and held-out families lie around the mean of all: 1 for alike, 0 by chance."""
    embed = BandStatistics(sounds.sample_rate)
    labels = {name: torch.cat([batch.labels[name][0] for batch in held_out]) for name in held_out[0].labels}
    real = torch.cat([embed(batch.audio[0]) for batch in held_out])
    with torch.inference_mode():
        made = embed(sounds(sounds.draw_latents(len(real), seed=0), labels))
    scale = real.std(dim=0).clamp_min(1e-6)
    places = [family_means(each / scale, labels["family"]).flatten() for each in (real, made)]
    return torch.nn.functional.cosine_similarity(*places, dim=0).item()


@pytest.mark.slow
def test_a_small_note_generator_nears_held_out_notes_and_follows_the_family_and_plays_the_pitch(
    tmp_path: Path,
) -> None:
    config = read_run(RUN_FILE, [])
    assert isinstance(config, GanRun)
    begun = gan.prepare(config, Session(tmp_path / "run", "cpu"))
    held_out = list(begun.validation())
    untrained = begun.task.validate(held_out)["kad"]
    manifest = train(RUN_FILE, tmp_path / "run", device="cpu")
    assert manifest["validation"]["kad"] < 0.8 * untrained
    assert json.loads((tmp_path / "run/run.json").read_text())["finished"]
    train(RUN_FILE, tmp_path / "control", overrides=["data.shuffled_labels=true"], device="cpu")
    trained, control = (load_generator(tmp_path / name) for name in ("run", "control"))
    follows = follows_families(trained, held_out)
    assert follows > follows_families(control, held_out) + 0.1
    assert follows > 0.2

    pitches = [int(name) for name in trained.classes["pitch"]]
    latent = trained.draw_latents(len(pitches), seed=0)
    with torch.inference_mode():
        notes = trained(latent, trained.labels(len(pitches), {"pitch": pitches}))
    off_cents = [
        abs(
            1200.0
            * math.log2(note_pitch(note, trained.sample_rate).pitch_hz / (440.0 * 2 ** ((key - 69) / 12)))
        )
        for note, key in zip(notes, pitches, strict=True)
    ]
    assert sum(each < 50.0 for each in off_cents) >= len(pitches) - 2
