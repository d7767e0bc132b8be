"""Names of generated files, from which whatever reads a folder of sounds can tell the notes.

A set of notes carries its labels in its file names, as NSynth does: family, number, key and velocity. `evaluate` reads
names in that manner (`evaluation/sets/labels.py`), so a folder of generated notes can be measured like a recorded one,
without a table beside it. Numbers of sounds have four digits (or two, on a grid) and keys three, so that the one is
never taken for the other.
"""

import re

from retimbre.corpora.nsynth.entries import FAMILIES
from retimbre.workflows.generate.player import Asked

_UNSAFE = re.compile(r"[^\w.]+")


def note_name(beginning: str, asked: Asked, row: int) -> str:
    """A name with key and velocity at its end, as far as they are known: `grid_00_03-060-100`, `grid_00_03_060`."""
    if "pitch" not in asked:
        return beginning
    pitch = int(asked["pitch"][row])
    if "velocity" in asked:
        return f"{beginning}-{pitch:03d}-{int(asked['velocity'][row]):03d}"
    return f"{beginning}_{pitch:03d}"


def random_name(asked: Asked, row: int) -> str:
    """A name that tells all that it can: `brass_generated_0007-060-100`, `random_0007_060`, `random_seven_0007`.

    A family that NSynth has takes the place where NSynth's names tell it.
    """
    labels = {name: values[row] for name, values in asked.items()}
    if {"family", "pitch", "velocity"} <= labels.keys() and labels["family"] in FAMILIES:
        return note_name(f"{labels['family']}_generated_{row:04d}", asked, row)
    words = [_UNSAFE.sub("_", value) for name, value in labels.items() if name not in ("pitch", "velocity")]
    return note_name("_".join(["random", *words, f"{row:04d}"]), asked, row)
