"""Reels: several sounds of one system in one file, for a listener with nothing but a loudspeaker.

An earlier program compared its models by such files: ten of each, of five sounds with half a second of silence
between. Here no two reels of a system share a sound, and the same reel of two systems has the same items in the same
order. They lie in folders that are named after the systems, so they are for who makes the test, not for the listeners.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp import audiofile
from retimbre.workflows.match.files import safe_name
from retimbre.workflows.study.listening.stimuli import SCORED, Stimulus

REELS_FOLDER = "reels"
GAP_S = 0.5
"""Silence between two sounds of a reel or a playlist."""


def joined(sounds: Sequence[Float[Tensor, " samples"]], sample_rate: int) -> Iterator[Tensor]:
    """Sounds one after the other with silence between, as pieces `[samples]` of one sound."""
    gap = torch.zeros(round(GAP_S * sample_rate))
    for place, sound in enumerate(sounds):
        if place:
            yield gap
        yield sound


def write_reels(
    folder: Path, sounds: Sequence[Stimulus], files: Mapping[str, Path], length: int
) -> dict[str, list[list[str]]]:
    """Writes the reels of all systems and anchors.

    Args:
        folder: Of the pack.
        sounds: All sounds of the pack.
        files: Where each lies, by its name.
        length: Sounds in a reel; the last one of a system may have fewer.

    Returns:
        For each system the names of the sounds of each of its reels, in their order.
    """
    told: dict[str, list[list[str]]] = {}
    scored = [sound for sound in sounds if sound.role == SCORED]
    for system in sorted({sound.system for sound in scored}):
        own = sorted((each for each in scored if each.system == system), key=lambda each: each.trial)
        reels = [own[start : start + length] for start in range(0, len(own), length)]
        for number, reel in enumerate(reels, start=1):
            read = [audiofile.read(files[each.name]) for each in reel]
            rate = read[0].sample_rate
            path = folder / REELS_FOLDER / safe_name(system) / f"{number:03d}.wav"
            audiofile.write_pieces(path, joined([each.samples for each in read], rate), rate, integers=True)
        told[system] = [[each.name for each in reel] for reel in reels]
    return told
