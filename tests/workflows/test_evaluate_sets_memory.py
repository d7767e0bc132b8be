"""What a measure of sets keeps in memory: no sound that it has heard, and a few kilobytes for every clip."""

import functools
import os
import subprocess
import sys

import pytest

KB_PER_CLIP = {"fad": 6.0, "kid": 3.0, "kad": 2.0, "imq": 3.0, "mind": 8.5, "prdc": 6.0, "ndb": 6.0}
"""As docs/evaluation.md has it, with 64 numbers for a clip and 200 draws; a second of sound would be 64."""

MEASURED = """
import os
import sys
import torch
from retimbre.listening.base import Embedder
from retimbre.listening.catalog import EMBEDDERS, EmbedderEntry
from retimbre.workflows.evaluation.sets.clips import About, Clips
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure

torch.set_num_threads(1)
FEW, MANY = 2100, 4100  # from 2,048 on KAD chooses its bandwidth among as many, and pairs come in full blocks


class Noises(Clips):
    '''A second of noise for each clip, cut anew from a long one whenever it is asked for; no two begin alike.'''

    def __init__(self, count, seed):
        super().__init__(About("noises", 16_000, 16_000, tuple(map(str, range(count)))))
        self.seed = seed
        self.noise = torch.randn(64 * MANY + 16_000, generator=torch.Generator().manual_seed(seed))

    def audio(self, rows):
        return torch.stack([self.noise[64 * row : 64 * row + 16_000] for row in rows])

    @property
    def key(self):
        return f"noises {self.seed} {len(self)}"


class Beginning(Embedder):
    '''The first samples: as many numbers as the shipped listener's embedding has, and no work.'''

    dim = 64

    def forward(self, audio):
        return audio[:, :64].clone()

    def settings(self):
        return {}


def peak_kb():
    # Not getrusage: its peak begins with that of the process which started this one.
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def kb_per_clip(metric):
    options = MeasureOptions(embedder="beginning", cache="none", device="cpu")
    measure(metric, Noises(FEW, 0), Noises(FEW, 1), options)
    before = peak_kb()
    measure(metric, Noises(MANY, 0), Noises(MANY, 1), options)
    return (peak_kb() - before) / (2 * (MANY - FEW))


EMBEDDERS["beginning"] = EmbedderEntry("The first samples", Beginning)
for metric in sys.argv[1:]:
    # A child for each, whose peak begins with what this process holds: the library, which takes seconds to import.
    child = os.fork()
    if child == 0:
        print(metric, kb_per_clip(metric), flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{metric} failed")
"""

QUICK = ("fad",)
SLOW = tuple(name for name in KB_PER_CLIP if name not in QUICK)


@functools.cache
def measured(metrics: tuple[str, ...]) -> dict[str, float]:
    """Kilobytes for a clip, of measures that are tried one after another."""
    # Blocks that are freed go back to the system at once, or the peak is that of the allocator's habits.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", MEASURED, *metrics]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return {name: float(number) for name, number in map(str.split, ran.stdout.splitlines())}


@pytest.mark.parametrize("metric", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_two_thousand_clips_more_cost_kilobytes_each_and_not_their_sounds(metric: str) -> None:
    per_clip_kb = measured(QUICK if metric in QUICK else SLOW)[metric]
    # Peaks come in whole blocks, and where they fall changes with the system's library.
    assert 0.5 < per_clip_kb < 2 * KB_PER_CLIP[metric]
