"""How many times faster than they last are notes generated, one by one, many at once, and as a piece of music?

    python benchmarks/generate.py [--quick] [--device cpu|cuda]

Everything runs on one thread, and notes last one second: 61 keys, 5 velocities and 11 families at 16 kHz. Networks but
that of the shipped generator have fresh weights, since speed does not depend on them. Each generator is timed from
latents and labels to samples, representation and all, alone and sixteen at a time, and the same again from its features
on: the yardstick, what the network costs beside the way back to sound. `piece` is a piece of three minutes and 1,000
notes of 96 kinds, mixed and brought to its level; its factor is seconds of music per second. `walk` is the same piece
with a timbre that moves, so that every note is made anew.

Times are of the processor, not of the clock, so that other work on the machine does not count (on a GPU: of the clock);
each is the best of several repeats after one that does not count.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from retimbre.core.memory import keep_freed_memory
from retimbre.gan.config import CriticEntry, GanConfig
from retimbre.gan.networks.dense import DenseCriticConfig
from retimbre.gan.networks.frames import FramesGeneratorConfig
from retimbre.gan.networks.progressive import ProgressiveGeneratorConfig
from retimbre.gan.networks.residual import ResidualGeneratorConfig
from retimbre.gan.networks.wavegan import WaveGanGeneratorConfig
from retimbre.gan.sounds import SoundGenerator, load_generator
from retimbre.workflows.generate.ensemble import Ensemble, stations_of
from retimbre.workflows.generate.latent_file import LatentChoice
from retimbre.workflows.generate.mixdown import added_up
from retimbre.workflows.generate.player import Player, any_class
from retimbre.workflows.generate.score import PlannedNote, PlayOptions, velocity_gain

RATE = 16_000
CLASSES = {
    "pitch": tuple(str(key) for key in range(24, 85)),
    "velocity": ("25", "50", "75", "100", "127"),
    "family": tuple(f"family {number}" for number in range(11)),
}
# 256 bins and 64 frames; 16,128 samples are a whole number of hops.
SPECTRUM = {"n_fft": 512, "hop_length": 256, "edges": "no-dc"}
SPECTRAL = {"representation": "mag-if", "settings": SPECTRUM, "num_samples": 16_128}

SHIPPED = "note-generator"
FRESH: dict[str, tuple[Any, dict[str, Any]]] = {
    "residual, mag-if": (ResidualGeneratorConfig(channels=(128, 96, 64, 32), template=("pitch",)), SPECTRAL),
    "residual, mag-if, default size": (ResidualGeneratorConfig(), SPECTRAL),
    "frames, mag-if": (FramesGeneratorConfig(width=128, template=False), SPECTRAL),
    "frames, mag-if, default size": (FramesGeneratorConfig(), SPECTRAL),
    "progressive, mag-if": (ProgressiveGeneratorConfig(depths=(64, 64, 64, 32, 32)), SPECTRAL),
    "wavegan": (WaveGanGeneratorConfig(), {"num_samples": 16_384}),
}

PIECE_NOTES, PIECE_KINDS, PIECE_S = 1_000, 96, 180.0


def generator(name: str) -> SoundGenerator:
    """The shipped one, or a fresh one."""
    if name == SHIPPED:
        return load_generator(name)
    network, settings = FRESH[name]
    config = GanConfig(
        generator=network,
        critics=(CriticEntry(DenseCriticConfig()),),
        attributes=("pitch", "velocity", "family"),
        sample_rate=RATE,
        **settings,
    )
    torch.manual_seed(0)
    return SoundGenerator(config, CLASSES).eval()


def seconds_of(work: Callable[[], Any], repeats: int, clock: Callable[[], float]) -> float:
    """The best of several repeats, after one that does not count."""
    work()
    best = math.inf
    for _ in range(repeats):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def piece() -> list[PlannedNote]:
    """Notes at even distances that last between a tenth of a second and two seconds."""
    kinds = [(24 + 5 * (kind % 12), int(CLASSES["velocity"][kind % 5])) for kind in range(PIECE_KINDS)]
    return [
        PlannedNote(
            number=number,
            onset=round(number * PIECE_S / PIECE_NOTES * RATE),
            gate_samples=round((0.1 + 1.9 * (number * 0.618 % 1.0)) * RATE),
            classes=(
                ("pitch", str(kinds[number % PIECE_KINDS][0])),
                ("velocity", str(kinds[number % PIECE_KINDS][1])),
            ),
            gain=velocity_gain(kinds[number % PIECE_KINDS][1]),
        )
        for number in range(PIECE_NOTES)
    ]


def play(player: Player, notes: list[PlannedNote], how: PlayOptions) -> None:
    ensemble = Ensemble(player, how, {}, stations_of(player, how, LatentChoice(), len(notes)))
    for _ in added_up(ensemble.sounding(notes)):
        pass


def factors(sounds: SoundGenerator, device: torch.device, repeats: int) -> dict[str, float]:
    """Seconds of sound per second, of each way of generating."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    player = Player(sounds.to(device), "benchmark", device=device)
    note_s = sounds.num_samples / RATE
    found: dict[str, float] = {}
    for count in (1, 16):
        latents = sounds.draw_latents(count, seed=0)
        asked = any_class(player, {}, count, 0)
        made_s = seconds_of(lambda latents=latents, asked=asked: player.play(latents, asked), repeats, clock)
        labels = {name: each.to(device) for name, each in sounds.labels(count, asked).items()}
        with torch.inference_mode():
            features = sounds.network.enlarge(sounds.network(latents.to(device), labels))
            heard_s = seconds_of(lambda features=features: sounds.heard(features).cpu(), repeats, clock)
        found |= {f"batch {count}": count * note_s / made_s, f"decode {count}": count * note_s / heard_s}
    notes = piece()
    for name, how in {"piece": PlayOptions(), "walk": PlayOptions(timbre="walk")}.items():
        few = notes if name == "piece" else notes[:200]
        spent_s = seconds_of(lambda few=few, how=how: play(player, few, how), max(1, repeats // 10), clock)
        found[name] = PIECE_S * len(few) / PIECE_NOTES / spent_s
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--only", default="", help="generators whose names begin like this")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    print(f"torch {torch.__version__}, one thread, {device.type}; times real time")
    columns = ("batch 1", "batch 16", "decode 1", "decode 16", "piece", "walk")
    print(f"\n{'generator':<36}{'parameters':>12}" + "".join(f"{name:>11}" for name in columns))
    for name in (SHIPPED, *FRESH):
        if not name.startswith(options.only):
            continue
        sounds = generator(name)
        size = sum(weights.numel() for weights in sounds.parameters())
        found = factors(sounds, device, 5 if options.quick else 30)
        print(f"{name:<36}{size:>12,}" + "".join(f"{found[column]:>11.0f}" for column in columns), flush=True)


if __name__ == "__main__":
    main()
