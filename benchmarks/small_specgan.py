"""How near are the notes of the shipped SpecGAN to notes of instruments that it never heard?

    python benchmarks/small_specgan.py [--model NAME] [--clips 1000] [--pitches 300] [--out FILE.json]

As `note_generator.py`, but with the clips that the model's run file describes: the held-out part of these is compared
as a set with notes of the instruments that were learned from (how far real instruments lie from other real ones), with
the same held-out notes through the representation (magnitudes, phases found anew: the best that any network can reach),
with the model's for the same labels, and with those of the network before it learned anything.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from note_generator import EMBEDDERS, distances, generated, heard, in_tune
from torch import Tensor

from retimbre.core.config import build
from retimbre.dsp.level import normalise_peak
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.listening.catalog import embedder
from retimbre.workflows.training.gan_pool import ClipPool, clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig


def pools_of(sounds: SoundGenerator, clips: int) -> dict[str, ClipPool]:
    """As many clips that were learned from as there are held-out ones, in the same order of labels or nearly so."""
    learned = build(GanDataConfig, sounds.facts["data"], "data")
    data = dataclasses.replace(learned, shuffled_labels=False)
    return {
        part: clip_pool(data, sounds.config, part, most=clips, seed=sounds.facts["seed"])
        for part in ("train", "test")
    }


@torch.inference_mode()
def through(sounds: SoundGenerator, clips: Tensor) -> Tensor:
    """Clips as features and back."""
    return torch.cat([sounds.heard(sounds.representation.encode(some)) for some in clips.split(64)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="small-specgan")
    parser.add_argument("--clips", type=int, default=1_000)
    parser.add_argument("--pitches", type=int, default=300, help="notes whose pitch is sought")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    sounds = load_generator(args.model)
    torch.manual_seed(0)
    untrained = SoundGenerator(sounds.config, sounds.classes, sounds.statistics).eval()
    pools = pools_of(sounds, args.clips)
    held_out = pools["test"].audio(torch.arange(len(pools["test"])))
    sets = {
        "held out": held_out,
        "real": pools["train"].audio(torch.arange(len(pools["train"]))),
        "through": normalise_peak(through(sounds, held_out)),
        "generated": normalise_peak(generated(sounds, pools["test"])),
        "untrained": normalise_peak(generated(untrained, pools["test"])),
    }
    result: dict[str, Any] = {}
    for name, clips in sets.items():
        pool = pools["train" if name == "real" else "test"]
        right, asked = in_tune(clips, pool, args.pitches, sounds.sample_rate)
        result[name] = {"clips": len(clips), "in tune": right, "of": asked}
    for each in EMBEDDERS:
        ears = embedder(each, sounds.sample_rate)
        vectors = {name: heard(ears, clips) for name, clips in sets.items()}
        for name in list(sets)[1:]:
            result[name][each] = distances(vectors, name)
    text = json.dumps(result, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
