"""The envelope generators that come with the package: files, cards, and how near their envelopes are."""

import dataclasses
import hashlib
import json

import pytest
import torch
from torch import Tensor

from retimbre.corpora.envelopes.corpus import (
    EnvelopeBatch,
    EnvelopeCorpus,
    EnvelopeSettings,
    envelopes,
)
from retimbre.corpora.envelopes.curves import drawn_curves
from retimbre.gan.conditions import ENVELOPE, SOUND
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.metrics.notes.envelope import envelope_error_db
from retimbre.training.shipped import shipped_checkpoints

CURVE, CLASSES = "envelope", "envelope-classes"
ROWS = torch.arange(60) + (1 << 33)  # none of them was trained on


@pytest.fixture(scope="module")
def shipped() -> dict[str, SoundGenerator]:
    return {name: load_generator(name) for name in (CURVE, CLASSES)}


def followed(power: Tensor) -> Tensor:
    """Power under a Hann window of two periods, which takes out the wave and nothing else."""
    period = 128 / 12
    window = torch.hann_window(round(2 * period) + 2, periodic=False, dtype=torch.float64)
    return torch.nn.functional.conv1d(power.double()[:, None], window[None, None] / window.sum())[:, 0]


def error_db(sounds: SoundGenerator, batch: EnvelopeBatch, curve: Tensor) -> float:
    """The RMS over clips of the difference from the curve times the level of the sound."""
    sound = batch.basic
    stages = dict(zip(("attack", "sustain", "release"), batch.labels.classes.unbind(1), strict=True))
    with torch.no_grad():
        made = sounds.network(
            sounds.draw_latents(len(sound), seed=0), {SOUND: sound[:, None], ENVELOPE: curve, **stages}
        )
    asked = curve.square() * sound.square().mean(dim=1, keepdim=True)
    found = envelope_error_db(followed(made[:, 0].square()), followed(asked)).known
    return float(found.square().mean().sqrt())


@pytest.mark.parametrize("name", [CURVE, CLASSES])
def test_each_file_is_small_and_is_the_one_that_its_card_describes(
    shipped: dict[str, SoundGenerator], name: str
) -> None:
    path = shipped_checkpoints()[name]
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size < 200_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert card["parameters"] == sum(weights.numel() for weights in shipped[name].network.parameters())


@pytest.mark.parametrize("name", [CURVE, CLASSES])
@pytest.mark.parametrize(
    ("carriers", "noise", "most_db"),
    [
        (("triangle", "pulse", "fm", "wavetable"), 0.05, 1.0),
        (("sine",), 0.3, 2.0),
        (("inverted-sawtooth",), 0.05, 2.0),
    ],
    ids=["held-out waves", "noisy sine", "inverted sawtooth"],
)
def test_waves_that_were_never_heard_come_out_under_the_envelope(
    shipped: dict[str, SoundGenerator], name: str, carriers: tuple[str, ...], noise: float, most_db: float
) -> None:
    settings = EnvelopeSettings(carriers=carriers, noise=noise, seed=4)
    batch = EnvelopeCorpus(settings).batch(ROWS)
    curve = envelopes(batch.labels.values, settings.num_samples, has_decay=False).float()
    assert error_db(shipped[name], batch, curve) < most_db


def test_any_curve_is_followed(shipped: dict[str, SoundGenerator]) -> None:
    batch = EnvelopeCorpus(EnvelopeSettings(carriers=("fm", "wavetable"), noise=0.0, seed=5)).batch(ROWS)
    assert error_db(shipped[CURVE], batch, drawn_curves(5, ROWS, 128).float()) < 1.0


def test_classes_are_told_apart(shipped: dict[str, SoundGenerator]) -> None:
    batch = EnvelopeCorpus(EnvelopeSettings(carriers=("triangle", "pulse"), seed=6)).batch(ROWS)
    others = dataclasses.replace(batch.labels, classes=batch.labels.classes.roll(1, 0))
    curve = envelopes(batch.labels.values, 128, has_decay=False).float()
    # The envelopes of two random classes are several decibels apart.
    assert error_db(shipped[CLASSES], dataclasses.replace(batch, labels=others), curve) > 3.0
