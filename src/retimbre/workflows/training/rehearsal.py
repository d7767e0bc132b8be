"""What a run will cost, from a few of its steps: seconds, clips per second, hours, and memory.

Steps of a run need not be alike. A gradient penalty doubles the time of the steps that have it; a network that grows
begins with steps that cost a tenth of its last ones. So a kind of run names one step of each sort and how many there
are of it (`kind.Trial`), each is made and timed, and the hours are their sum. The first time sets up kernels for the
sizes of that step, so it counts only where a step takes so long that this makes no difference.

Memory is what the device had to give at its fullest: on a GPU what PyTorch took of it, on the CPU the whole process,
libraries and all, and the clips that the run will hold there.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from retimbre.workflows.training.kind import Prepared, Trial

try:
    import resource  # Unix has it
except ImportError:
    resource = None

# A step is made until this much is known of it: other programs disturb short ones.
_MOST_REPEATS, _ENOUGH_S = 5, 1.0
_LONG_S = 20.0  # a step that is not made again

# What a process took at its fullest is counted in KiB, but on one system in bytes.
_RESIDENT_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def cost_of(
    prepared: Prepared[Any], trials: Sequence[Trial], device: torch.device, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Makes each of these steps a few times and tells what the whole run takes; nothing is written.

    Args:
        prepared: What is trained.
        trials: The steps.
        device: Where they are made.
        tell: Told of each sort of step before it is made: those of large networks take minutes.

    Returns:
        The last loss; the seconds of a step (`render_s`, `update_s`), or a row of `trials` for every sort of step;
        `images_per_second` and `hours` of the run; `peak_memory_mb`.
    """
    losses: list[float] = []
    rows: list[dict[str, Any]] = []
    for number, trial in enumerate(trials, start=1):
        tell(f"trying a step of {len(trials)} sorts, {number}: {trial.name} ({trial.clips} clips)")
        loss, row = _timed(prepared, trial, device)
        losses.append(loss)
        rows.append(row)
    seconds = sum(row["steps"] * (row["render_s"] + row["update_s"]) for row in rows)
    one = {name: rows[0][name] for name in ("render_s", "update_s")}
    return {
        "loss": losses[-1],
        **(one if len(rows) == 1 else {"trials": list(rows)}),
        "images_per_second": round(sum(trial.count * trial.clips for trial in trials) / seconds, 1),
        "hours": round(seconds / 3600, 2),
        "peak_memory_mb": _peak_memory_mb(device, prepared.clips_mb),
    }


def _timed(prepared: Prepared[Any], trial: Trial, device: torch.device) -> tuple[float, dict[str, Any]]:
    """The loss of a step, and the median seconds of making its batch and of its update."""
    first = _made(prepared, trial.step, device)
    made = [first] if first[2] >= _LONG_S else []
    while len(made) < _MOST_REPEATS and sum(update_s for _, _, update_s in made) < _ENOUGH_S:
        made.append(_made(prepared, trial.step, device))
    losses, render_s, update_s = zip(*made, strict=True)
    return losses[-1], {
        "sort": trial.name,
        "steps": trial.count,
        "clips": trial.clips,
        "render_s": round(statistics.median(render_s), 4),
        "update_s": round(statistics.median(update_s), 4),
    }


def _made(prepared: Prepared[Any], step: int, device: torch.device) -> tuple[float, float, float]:
    """The loss of a step, and the seconds of making its batch and of its update."""
    begun_s = _now_s(device)
    batch = prepared.batch_at(step)
    rendered_s = _now_s(device)
    loss = float(prepared.task.update(batch, step=step)["loss"])
    return loss, rendered_s - begun_s, _now_s(device) - rendered_s


def _now_s(device: torch.device) -> float:
    """The time when all that was asked of a device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


def _peak_memory_mb(device: torch.device, clips_mb: float) -> int | None:
    """With the clips that are to come, on the processor; None where the system does not count it."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6)
    if resource is None:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RESIDENT_UNIT_BYTES / 1e6 + clips_mb)
