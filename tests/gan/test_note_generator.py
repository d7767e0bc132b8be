"""The note generator that comes with the package: its file, its card, and that it plays the notes it is asked for."""

import hashlib
import json
import math
import time

import pytest
import torch
from torch import Tensor

from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.plan import NotesSettings
from retimbre.dsp.pitch import note_pitch
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.listening.statistics import BandStatistics
from retimbre.training.shipped import shipped_checkpoints

NAME = "note-generator"
LATENTS_PER_FAMILY = 6


@pytest.fixture(scope="module")
def sounds() -> SoundGenerator:
    return load_generator(NAME)


def played(sounds: SoundGenerator, *, seed: int, **wanted: list[str] | list[int]) -> Tensor:
    count = len(next(iter(wanted.values())))
    with torch.inference_mode():
        return sounds(sounds.draw_latents(count, seed=seed), sounds.labels(count, wanted))


def cents_off(note: Tensor, pitch: int, sample_rate: int) -> float:
    heard_hz = note_pitch(note, sample_rate).pitch_hz
    return 1_200 * math.log2(max(heard_hz, 1.0) / (440 * 2 ** ((pitch - 69) / 12)))


def test_its_file_is_small_and_is_the_one_that_its_card_describes() -> None:
    path = shipped_checkpoints()[NAME]
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size < 3_500_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert card["parameters"] == sum(weights.numel() for weights in load_generator(NAME).parameters())
    assert card["parameters"] <= 2_000_000


def test_it_plays_61_pitches_of_11_families_at_5_velocities(sounds: SoundGenerator) -> None:
    sizes = {name: len(names) for name, names in sounds.classes.items()}
    assert sizes == {"pitch": 61, "velocity": 5, "family": 11}


def test_every_pitch_is_in_tune(sounds: SoundGenerator) -> None:
    pitches = [int(name) for name in sounds.classes["pitch"]]
    families = [sounds.classes["family"][place % 11] for place in range(len(pitches))]
    notes = played(sounds, seed=0, pitch=pitches, family=families)
    assert notes.isfinite().all()
    near = [
        abs(cents_off(note, pitch, sounds.sample_rate)) < 50.0
        for note, pitch in zip(notes, pitches, strict=True)
    ]
    # Of real notes, the same estimator finds 96 in 100 at the pitch of their label.
    assert sum(near) >= 0.9 * len(near)


def test_its_timbres_are_as_many_as_those_of_as_many_instruments(sounds: SoundGenerator) -> None:
    families = [name for name in sounds.classes["family"] for _ in range(LATENTS_PER_FAMILY)]
    notes = played(sounds, seed=1, family=families)
    pitch = sounds.classes["pitch"][len(sounds.classes["pitch"]) // 2]
    corpus = NotesCorpus(
        NotesSettings(
            seconds=sounds.num_samples / sounds.sample_rate,
            instruments=LATENTS_PER_FAMILY,
            lowest_pitch=int(pitch),
            highest_pitch=int(pitch),
            velocities=(75,),
        )
    )
    real = corpus.audio(torch.arange(len(corpus)))
    heard = [BandStatistics(sounds.sample_rate)(each).double() for each in (real, notes)]
    of_real, of_notes = (torch.cdist(each, each) for each in heard)
    others = of_real[~torch.eye(len(real), dtype=torch.bool)]
    apart = float(others.median()) / 2
    # Eleven families of six instruments each; a generator that had collapsed would have one timbre per family.
    assert num_apart(of_notes, apart) >= 0.5 * num_apart(of_real, apart)


def num_apart(distances: Tensor, least: float) -> int:
    """How many sounds can be chosen, one after another, that are no nearer to each other than that."""
    chosen: list[int] = []
    for row in range(len(distances)):
        if all(float(distances[row, other]) >= least for other in chosen):
            chosen.append(row)
    return len(chosen)


def test_a_velocity_is_heard_as_brightness(sounds: SoundGenerator) -> None:
    latent = sounds.draw_latents(1, seed=2).expand(11, -1)
    centroids = []
    for velocity in (25, 127):
        labels = sounds.labels(11, {"velocity": velocity, "family": list(sounds.classes["family"])})
        with torch.inference_mode():
            power = torch.fft.rfft(sounds(latent, labels)).abs().square()
        centroids.append((power * torch.arange(power.shape[1])).sum(dim=1) / power.sum(dim=1))
    # Instruments get brighter when played harder; not every one of the eleven has to.
    assert int((centroids[1] > centroids[0]).sum()) >= 7


@pytest.mark.parametrize("batch", [1, 16])
def test_a_second_of_sound_takes_a_fiftieth_of_a_second_of_one_core(
    sounds: SoundGenerator, batch: int
) -> None:
    latent, labels = sounds.draw_latents(batch, seed=3), sounds.labels(batch, {})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            sounds(latent, labels)
            seconds = []
            for _ in range(4):
                start = time.process_time()
                sounds(latent, labels)
                seconds.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    # The least of four: what else the machine does makes it slower, never faster.
    assert batch * sounds.num_samples / sounds.sample_rate / min(seconds) > 50.0
