"""Draws docs/pictures/envelopes.png, for docs/envelopes.md: the five cases that the earlier envelope system showed.

    python scripts/make_envelopes.py

Three digits are the classes of attack, sustain and release: 222 is 40 %, 0.4 and 40 %. The first three cases are waves
that system trained on; the noisy sine and the inverted sawtooth it did not, nor did the shipped generators. One of
these is told the curve of each envelope, the other the three classes.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from retimbre.core.files import whole_file
from retimbre.corpora.envelopes.corpus import EnvelopeCorpus, EnvelopeSettings, envelopes
from retimbre.gan.conditions import ENVELOPE, SOUND
from retimbre.gan.sounds import SoundGenerator, load_generator

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "envelopes.png"
MODELS = {"envelope": "told the curve", "envelope-classes": "told the classes"}
LENGTH = 128
# Title, wave, noise at a sample, and the places of attack, sustain and release in their lists.
CASES = (
    ("sine, 222", "sine", 0.05, (2, 2, 2)),
    ("square, 110", "square", 0.05, (1, 1, 0)),
    ("sawtooth, 000", "sawtooth", 0.05, (0, 0, 0)),
    ("noisy sine, 222", "sine", 0.3, (2, 2, 2)),
    ("inverted sawtooth, 222", "inverted-sawtooth", 0.05, (2, 2, 2)),
)
BEFORE, AFTER, ASKED = "#8a939b", "#0b6e75", "#c05621"


def curve_of(places: tuple[int, int, int]) -> torch.Tensor:
    """The gain of each sample for the places of attack, sustain and release, `[1, samples]`."""
    settings = EnvelopeSettings()
    attack, sustain, release = (
        values[place]
        for values, place in zip(
            (settings.attacks, settings.sustains, settings.releases), places, strict=True
        )
    )
    values = torch.tensor([[attack, 0.0, sustain, release]], dtype=torch.float64)
    return envelopes(values, LENGTH, has_decay=False).float()


def reshaped(sounds: SoundGenerator, sound: torch.Tensor, places: tuple[int, int, int]) -> torch.Tensor:
    """What a generator makes of a sound, `[samples]`, from whichever of curve and classes it is told."""
    stages = {
        stage: torch.tensor([place])
        for stage, place in zip(("attack", "sustain", "release"), places, strict=True)
    }
    with torch.no_grad():
        latent = sounds.draw_latents(1, seed=0)
        return sounds.network(latent, {SOUND: sound[None], ENVELOPE: curve_of(places), **stages})[0, 0]


def draw(axes: Axes, wave: torch.Tensor, curve: torch.Tensor, colour: str) -> None:
    """A wave between the envelope asked for and its mirror image."""
    place = np.arange(LENGTH)
    for side in (1.0, -1.0):
        axes.plot(place, side * curve.numpy(), color=ASKED, linewidth=1.6, alpha=0.6)
    axes.plot(place, wave.numpy(), color=colour, linewidth=0.9)
    axes.set_ylim(-1.4, 1.4)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draws the picture."""
    generators = {label: load_generator(name) for name, label in MODELS.items()}
    figure = Figure(figsize=(13, 5.6), layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(1 + len(generators), len(CASES), sharex=True, sharey=True)
    for column, (title, wave, noise, places) in enumerate(CASES):
        settings = EnvelopeSettings(carriers=(wave,), noise=noise, seed=11)
        sound = EnvelopeCorpus(settings).batch(torch.tensor([column])).basic
        draw(grid[0, column], sound[0], torch.ones(LENGTH), BEFORE)
        for row, sounds in enumerate(generators.values(), start=1):
            draw(grid[row, column], reshaped(sounds, sound, places), curve_of(places)[0], AFTER)
        grid[0, column].set_title(title, fontsize=9, loc="left")
        grid[-1, column].set_xlabel("sample", fontsize=8)
    for row, label in enumerate(("as it was", *generators)):
        grid[row, 0].set_ylabel(label, fontsize=8)
    with whole_file(PICTURE) as aside:
        canvas.print_png(aside)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
