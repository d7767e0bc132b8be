"""Which sounds the study of phase recovery can use.

A file that cannot be read is refused; the study goes on without it and ends with an error. Silence and sounds shorter
than a frame are left out without one: every method gives silence back, and a single frame has no neighbour that its
phases must agree with, so either would only flatter the means.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.dsp.audiofile import find_sounds, read
from retimbre.dsp.level import is_silent

SAMPLE_RATE = 16_000
# As long as a note of NSynth.
MOST_SECONDS = 4.0
N_FFT = 1024


@final
@dataclasses.dataclass(frozen=True)
class Sounds:
    """The files that are studied, and a line for each that is not.

    Attributes:
        used: Every method hears these.
        refused: Files that could not be read, with the reason.
        left_out: Sounds that say nothing of a method, with the reason.
    """

    used: tuple[Path, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]


def choose(paths: Iterable[Path]) -> Sounds:
    """Reads all sounds among files and folders once, and parts those of use from the others.

    Raises:
        AudioError: There are none, or none is of use; the message has the first reason.
    """
    used: list[Path] = []
    refused: list[str] = []
    left_out: list[str] = []
    for path in find_sounds(paths):
        try:
            samples = listen(path)
        except AudioError as error:
            refused.append(str(error))
            continue
        if is_silent(samples):
            left_out.append(
                f"{path}: silent: nothing in its first {MOST_SECONDS:g} s rises above -80 dB of full scale"
            )
        elif len(samples) < N_FFT:
            left_out.append(f"{path}: {len(samples)} samples, shorter than a frame of {N_FFT}")
        else:
            used.append(path)
    if not used:
        reasons = [*refused, *left_out]
        raise AudioError(reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""))
    return Sounds(tuple(used), tuple(refused), tuple(left_out))


def listen(path: Path) -> Float[Tensor, " samples"]:
    """What is studied of a sound: its first seconds.

    Raises:
        AudioError: It cannot be read.
    """
    return read(path, sample_rate=SAMPLE_RATE, max_seconds=MOST_SECONDS).samples
