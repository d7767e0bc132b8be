"""The envelope generator that comes with the package: its file, its card, and how near its envelopes are."""

import hashlib
import json

import pytest
import torch
from torch import Tensor

from retimbre.corpora.envelopes.corpus import EnvelopeCorpus, EnvelopeSettings, envelopes
from retimbre.corpora.envelopes.curves import drawn_curves
from retimbre.gan.conditions import ENVELOPE, SOUND
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.metrics.notes.envelope import envelope_error_db
from retimbre.training.shipped import shipped_checkpoints

NAME = "envelope"
PERIOD = 128 / 12
ROWS = torch.arange(60) + (1 << 33)  # none of them was trained on


@pytest.fixture(scope="module")
def sounds() -> SoundGenerator:
    return load_generator(NAME)


def followed(power: Tensor) -> Tensor:
    """Power under a Hann window of two periods, which takes out the wave and nothing else."""
    window = torch.hann_window(round(2 * PERIOD) + 2, periodic=False, dtype=torch.float64)
    return torch.nn.functional.conv1d(power.double()[:, None], window[None, None] / window.sum())[:, 0]


def error_db(sounds: SoundGenerator, sound: Tensor, curve: Tensor) -> float:
    """The RMS over clips of the difference from the curve times the level of the sound."""
    with torch.no_grad():
        made = sounds.network(
            sounds.draw_latents(len(sound), seed=0), {SOUND: sound[:, None], ENVELOPE: curve}
        )
    asked = curve.square() * sound.square().mean(dim=1, keepdim=True)
    found = envelope_error_db(followed(made[:, 0].square()), followed(asked)).known
    return float(found.square().mean().sqrt())


def test_its_file_is_small_and_is_the_one_that_its_card_describes(sounds: SoundGenerator) -> None:
    path = shipped_checkpoints()[NAME]
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size < 200_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert card["parameters"] == sum(weights.numel() for weights in sounds.network.parameters())


@pytest.mark.parametrize(
    ("carriers", "noise", "most_db"),
    [
        (("triangle", "pulse", "fm", "wavetable"), 0.05, 1.0),
        (("sine",), 0.3, 2.0),
        (("inverted-sawtooth",), 0.05, 2.0),
    ],
    ids=["held-out waves", "noisy sine", "inverted sawtooth"],
)
def test_waves_that_it_never_heard_come_out_under_the_envelope(
    sounds: SoundGenerator, carriers: tuple[str, ...], noise: float, most_db: float
) -> None:
    settings = EnvelopeSettings(carriers=carriers, noise=noise, seed=4)
    batch = EnvelopeCorpus(settings).batch(ROWS)
    curve = envelopes(batch.labels.values, settings.num_samples, has_decay=False).float()
    assert error_db(sounds, batch.basic, curve) < most_db


def test_any_curve_is_followed(sounds: SoundGenerator) -> None:
    batch = EnvelopeCorpus(EnvelopeSettings(carriers=("fm", "wavetable"), noise=0.0, seed=5)).batch(ROWS)
    assert error_db(sounds, batch.basic, drawn_curves(5, ROWS, 128).float()) < 1.0
