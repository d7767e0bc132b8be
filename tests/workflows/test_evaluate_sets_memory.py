"""What a measure of sets keeps in memory: no sound that it has heard, and a few kilobytes for every clip."""

import os
import subprocess
import sys

import pytest

KB_PER_CLIP = {"fad": 6.0, "kid": 3.0, "kad": 2.0, "imq": 3.0, "mind": 8.5, "prdc": 6.0, "ndb": 6.0}
"""As docs/evaluation.md has it, with 64 numbers for a clip and 200 draws; a second of sound would be 64."""

MEASURED = """
import sys
import torch
from retimbre.listening.base import Embedder
from retimbre.listening.catalog import EMBEDDERS, EmbedderEntry
from retimbre.workflows.evaluation.sets.clips import About, Clips
from retimbre.workflows.evaluation.sets.measure import MeasureOptions, measure

torch.set_num_threads(1)
FEW, MANY = 2100, 4100  # from 2,048 on KAD chooses its bandwidth among as many, and pairs come in full blocks


class Noises(Clips):
    '''A second of noise for each clip, made whenever it is asked for.'''

    def __init__(self, count, seed):
        super().__init__(About("noises", 16_000, 16_000, tuple(map(str, range(count)))))
        self.seed = seed

    def audio(self, rows):
        drawn = [torch.Generator().manual_seed(self.seed * 10**6 + row) for row in rows]
        return torch.stack([torch.randn(16_000, generator=each) for each in drawn])

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


EMBEDDERS["beginning"] = EmbedderEntry("The first samples", Beginning)
options = MeasureOptions(embedder="beginning", cache="none", device="cpu")
measure(sys.argv[1], Noises(FEW, 0), Noises(FEW, 1), options)
before = peak_kb()
measure(sys.argv[1], Noises(MANY, 0), Noises(MANY, 1), options)
print((peak_kb() - before) / (2 * (MANY - FEW)))
"""


@pytest.mark.parametrize(
    "metric", ["fad", *(pytest.param(name, marks=pytest.mark.slow) for name in KB_PER_CLIP if name != "fad")]
)
def test_two_thousand_clips_more_cost_kilobytes_each_and_not_their_sounds(metric: str) -> None:
    # Blocks that are freed go back to the system at once, or the peak is that of the allocator's habits.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, metric], env=environment, capture_output=True, text=True, check=True
    )
    per_clip_kb = float(ran.stdout)
    # Peaks come in whole blocks, and where they fall changes with the system's library.
    assert 0.5 < per_clip_kb < 2 * KB_PER_CLIP[metric]
