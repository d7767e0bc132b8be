"""The SpecGAN that comes with the package: its file, its card, and that it plays the notes that it is asked for."""

import hashlib
import json
import math

import pytest
import torch

from retimbre.dsp.pitch import note_pitch
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.training.shipped import shipped_checkpoints


@pytest.fixture(scope="module")
def sounds() -> SoundGenerator:
    return load_generator("small-specgan")


def test_its_file_is_small_and_is_the_one_that_its_card_describes(sounds: SoundGenerator) -> None:
    path = shipped_checkpoints()["small-specgan"]
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size < 2_500_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert card["parameters"] == sum(weights.numel() for weights in sounds.network.parameters())


def test_it_plays_the_pitch_that_it_is_told(sounds: SoundGenerator) -> None:
    pitches = [*range(60, 73), *range(60, 73)]
    labels = sounds.labels(26, {"pitch": pitches, "family": ["keyboard"] * 13 + ["mallet"] * 13})
    with torch.no_grad():
        clips = sounds(sounds.draw_latents(26, seed=1), labels)
    assert bool(clips.isfinite().all())
    keys = [69 + 12 * math.log2(max(note_pitch(clip, 8000).pitch_hz, 1.0) / 440) for clip in clips]
    near = [abs(key - pitch) < 0.5 for key, pitch in zip(keys, pitches, strict=True)]
    # 139 of 150 in its card, where 147 of 150 real notes are; of 26, four standard deviations below that are 18.
    assert sum(near) >= 18


def test_latents_are_timbres(sounds: SoundGenerator) -> None:
    labels = sounds.labels(8, {"pitch": 66, "family": "keyboard"})
    with torch.no_grad():
        clips = sounds(sounds.draw_latents(8, seed=2), labels)
    spectra = torch.nn.functional.normalize(torch.fft.rfft(clips).abs(), dim=1)
    alike = (spectra @ spectra.mT)[~torch.eye(8, dtype=torch.bool)]
    # Of one clip with itself it is 1.
    assert alike.max().item() < 0.99
