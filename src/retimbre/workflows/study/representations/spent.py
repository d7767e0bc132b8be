"""How long the processor worked: the clock of the study, and what a training took beside its budget.

On a CPU everything is timed by the seconds that the processor spends on this process, so that a busy machine takes
nothing from anyone; on a GPU, which has no such clock, by wall time.

How many updates a contestant makes is planned from the time that an update takes (`pace.py`). Whether the plan was kept
is told by the seconds that the processor spent on the training in the end, from the first update to the last,
validations included. They may exceed the budget: an update is timed at its fastest, and a machine that does other
things beside is slower even in these seconds, as programs share its caches and its memory.

A training that is stopped and continued adds up its sessions in a file. A session that is killed leaves none, and then
nothing is told, rather than too little.
"""

import json
import time
from pathlib import Path
from typing import final

import torch

from retimbre.core.files import write_json

SPENT_FILE = "spent.json"


def spent_s(device: torch.device) -> float:
    """Seconds of the process, or on a GPU of the clock when all that was asked for is done; differences count."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


@final
class CoreClock:
    """What a session of a training has taken so far.

    Attributes:
        seconds: Of the process, all its threads together.
        updates: Of the session.
    """

    def __init__(self) -> None:
        self.seconds, self.updates, self._begun_s = 0.0, 0, 0.0

    def begin(self, census: object) -> None:
        """Starts the clock; called before the first update with what is trained on."""
        self._begun_s = time.process_time()

    def tick(self, progress: object) -> None:
        """Reads the clock after an update."""
        self.updates += 1
        self.seconds = time.process_time() - self._begun_s


def add_session(run: Path, clock: CoreClock) -> None:
    """Adds what a session took to the file in the folder of its run."""
    seconds, updates = _spent(run / SPENT_FILE)
    spent = {"core_seconds": seconds + clock.seconds, "updates": updates + clock.updates}
    write_json(run / SPENT_FILE, spent)


def core_seconds(run: Path, updates: int) -> float | None:
    """Seconds of a core that all updates of a run took; None where the sessions that are known made another number."""
    seconds, known = _spent(run / SPENT_FILE)
    return round(seconds, 1) if known == updates else None


def _spent(path: Path) -> tuple[float, int]:
    """Seconds and updates of a file; none where there is no such file, or nothing to be understood in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return float(content["core_seconds"]), int(content["updates"])
    except (FileNotFoundError, ValueError, RecursionError, LookupError, TypeError):
        return 0.0, 0
