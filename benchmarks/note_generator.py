"""How near are the notes of the shipped generator to notes of instruments that it never heard?

    python benchmarks/note_generator.py [--model NAME] [--clips 1500] [--pitches 500] [--out FILE.json]

The yardstick is other real notes. Held-out notes (of the last tenth of each family's instruments in the corpora `notes`
and `soundfont`) are compared as sets with four others, each of as many clips with the same choice of labels:

    real         notes of the instruments that were learned from: how far real instruments lie from other real ones
    generated    the model's, for the labels of the held-out notes
    one latent   the same, all of one latent: what a generator is worth that ignores it
    untrained    those of the network with fresh weights

All are at a peak of 1. Pitch is the share that YIN (`dsp.pitch`), which learned nothing, finds within 50 cents of the
label. Needs FluidSynth and a General MIDI SoundFont.
"""

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retimbre.core.memory import keep_freed_memory
from retimbre.dsp.level import normalise_peak
from retimbre.dsp.pitch import note_pitch
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.listening.base import Embedder
from retimbre.listening.catalog import embedder
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.catalog import DISTANCES
from retimbre.workflows.training.gan_pool import ClipPool, clip_pool
from retimbre.workflows.training.gan_run import GanDataConfig

AT_ONCE = 64
CORPORA = {"both": ("notes", "soundfont"), "notes": ("notes",), "soundfont": ("soundfont",)}
EMBEDDERS = ("statistics", "listener")
MEASURES = ("kad", "fad", "prdc")
NEAR_CENTS = 50.0


@torch.inference_mode()
def generated(sounds: SoundGenerator, pool: ClipPool, *, one_latent: bool = False) -> Tensor:
    latents = sounds.draw_latents(1 if one_latent else len(pool), seed=11).expand(len(pool), -1)
    return torch.cat(
        [
            sounds(latents[rows], {name: classes[rows] for name, classes in pool.labels.items()})
            for rows in torch.arange(len(pool)).split(AT_ONCE)
        ]
    )


@torch.inference_mode()
def heard(by: Embedder, clips: Tensor) -> Vectors:
    return Vectors.of(torch.cat([by(some) for some in clips.split(AT_ONCE)]))


def in_tune(clips: Tensor, pool: ClipPool, most: int, sample_rate: int) -> tuple[int, int]:
    """How many of how many notes have the pitch of their label."""
    # Evenly among all, since one corpus follows on the other.
    rows = torch.linspace(0, len(clips) - 1, min(most, len(clips))).long()
    keys = [int(pool.classes["pitch"][place]) for place in pool.labels["pitch"][rows].tolist()]
    found_hz = [note_pitch(clip, sample_rate).pitch_hz for clip in clips[rows]]
    near = [
        found > 0 and abs(1_200 * math.log2(found / 440) - 100 * (key - 69)) < NEAR_CENTS
        for key, found in zip(keys, found_hz, strict=True)
    ]
    return sum(near), len(near)


def distances(real: Mapping[str, Vectors], name: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for measure in MEASURES:
        values = DISTANCES[measure].measure(real["held out"], real[name], Bootstrap(resamples=200)).values
        for part, value in values.items():
            key = measure if part == "value" else f"{measure} {part}"
            found[key] = [round(each, 4) for each in (value.value, value.low, value.high)]
    return found


def measured(sounds: SoundGenerator, untrained: SoundGenerator, corpora: Any, args: Any) -> dict[str, Any]:
    data = GanDataConfig(corpora=corpora, notes=args.clips)
    pools = {
        part: clip_pool(data, sounds.config, part, most=args.clips, seed=0) for part in ("train", "test")
    }
    held_out = pools["test"]
    sets = {
        "held out": normalise_peak(held_out.audio(torch.arange(len(held_out)))),
        "real": normalise_peak(pools["train"].audio(torch.arange(len(pools["train"])))),
        "generated": generated(sounds, held_out),
        "one latent": generated(sounds, held_out, one_latent=True),
        "untrained": generated(untrained, held_out),
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
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="note-generator")
    parser.add_argument("--clips", type=int, default=1_500, help="of each corpus")
    parser.add_argument("--pitches", type=int, default=500, help="notes whose pitch is sought")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    keep_freed_memory()
    sounds = load_generator(args.model)
    torch.manual_seed(0)
    untrained = SoundGenerator(sounds.config, sounds.classes, sounds.statistics).eval()
    result: dict[str, dict[str, Any]] = {
        label: measured(sounds, untrained, corpora, args) for label, corpora in CORPORA.items()
    }
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for label, rows in result.items():
        print(f"\n{label}: {rows['held out']['clips']} held-out notes")
        for name in ("held out", "real", "generated", "one latent", "untrained"):
            row = rows[name]
            print(f"  {name:10}  in tune {row['in tune']} of {row['of']}", end="")
            for each in EMBEDDERS:
                for measure in ("kad", "fad", "prdc recall", "prdc coverage"):
                    if each in row:
                        value, low, high = row[each][measure]
                        print(f"  {each} {measure} {value:.3f} ({low:.3f} to {high:.3f})", end="")
            print()


if __name__ == "__main__":
    main()
