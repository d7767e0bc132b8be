"""The journal of a run: every number that training reports, as rows of a CSV file.

One row is one number: after which step, of which split of the data (train or validation), under which name, and how
many seconds the run had then taken. This long form needs no knowledge of the names in advance, so its columns never
change, and any spreadsheet or data-frame turns it into curves. The seconds stand last and apart: they are the only
thing in which a resumed run may differ from an unbroken one.

Reading a number from a GPU makes the program wait for all the work queued there. `Readings` therefore keeps the values
of each step on their device and reads them together, when a row is due. Nothing is lost by the delay: a loss that was
not finite is reported with the step at which it was measured.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor

from retimbre.core.errors import MissingExtra, RetimbreError, UserError
from retimbre.core.files import csv_text, write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# Values are read from their device at least this often, which bounds the memory they hold there and the number of
# steps that a diverged run goes on for.
_MAX_UNREAD_STEPS = 256


class Row(NamedTuple):
    """One number of a run. `row[:4]` is what a repeated run repeats."""

    step: int
    split: str
    name: str
    value: float
    seconds: float


class TensorBoard:
    """A mirror of the journal in TensorBoard's own format, under the tags `train/loss`, `validation/accuracy`, ..."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def resume_at(self, step: int) -> None:
        """Starts a file that hides what an earlier one says of later steps. Raises MissingExtra without TensorBoard."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import
        except ImportError as error:
            raise MissingExtra("tensorboard", extra="tensorboard", purpose="mirroring the journal") from error
        self.close()
        self._writer = SummaryWriter(str(self.folder), purge_step=step + 1)

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows; `resume_at` comes first."""
        if self._writer is None:
            raise RuntimeError("TensorBoard.append before TensorBoard.resume_at")
        for row in rows:
            self._writer.add_scalar(f"{row.split}/{row.name}", row.value, row.step)
        self._writer.flush()

    def close(self) -> None:
        """Closes the file, if one is open."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Journal:
    """The journal file of one run, and its mirror if there is one."""

    def __init__(self, path: Path, *, mirror: TensorBoard | None = None) -> None:
        self.path = path
        self.mirror = mirror

    def resume_at(self, step: int) -> None:
        """Makes the file ready for what follows a step: drops the rows of later steps, or starts it with its columns.

        Raises:
            UserError: the file there is no journal.
            MissingExtra: a mirror is asked for and TensorBoard is not installed.
        """
        if self.mirror is not None:
            self.mirror.resume_at(step)
        rows = read_journal(self.path) if self.path.exists() else []
        write_text(self.path, csv_text([Row._fields, *(row for row in rows if row.step <= step)]))

    def append(self, step: int, split: str, values: Mapping[str, float], *, seconds: float) -> None:
        """Adds one row per value, in one write of whole lines.

        Args:
            step: the step after which the values were measured.
            split: `train` or `validation`.
            values: by name; in any units, which the names say.
            seconds: how long the run has taken, all its sessions together.
        """
        # Rounded, since nobody reads a clock to the nanosecond; the values keep every bit.
        rows = [Row(step, split, name, float(value), round(seconds, 3)) for name, value in values.items()]
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_text(rows))
        if self.mirror is not None:
            self.mirror.append(rows)


def read_journal(path: Path) -> list[Row]:
    """The rows of a journal, oldest first. A last line without its end, as a power cut leaves it, is not read.

    Raises:
        UserError: no such file, or no journal.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such journal")
    with path.open(encoding="utf-8", newline="", errors="replace") as file:
        text = file.read()
    lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
    if not lines:
        return []
    if tuple(lines[0]) != Row._fields:
        raise UserError(
            f"{path}: no journal: its columns are {','.join(lines[0])[:80]!r}, not {','.join(Row._fields)}"
        )
    return [_parse_row(path, number, line) for number, line in enumerate(lines[1:], start=2)]


def curve(rows: Iterable[Row], split: str, name: str) -> tuple[list[int], list[float]]:
    """The steps and the values of one quantity, to plot one against the other."""
    points = [(row.step, row.value) for row in rows if row.split == split and row.name == name]
    return [step for step, _ in points], [value for _, value in points]


class Readings:
    """What each step measured since the last row, left on its device until it is wanted."""

    def __init__(self) -> None:
        self._read: dict[str, list[tuple[int, float]]] = {}
        self._unread: dict[str, list[tuple[int, Tensor]]] = {}
        self._unread_steps = 0

    def add(self, step: int, values: Mapping[str, float | Shaped[Tensor, "..."]]) -> None:
        """Notes the values of a step: numbers, or tensors of one element, which are copied but not read.

        A name may be absent at some steps; its mean is then over the others.

        Raises:
            RetimbreError: enough steps were waiting to be read, and `settle` found one that diverged.
        """
        for name, value in values.items():
            if isinstance(value, Tensor):
                # Copied: a captured graph or a careful task writes its next loss into the same memory. float64 holds
                # every narrower number exactly.
                kept = value.detach().to(torch.float64, copy=True).reshape(())
                self._unread.setdefault(name, []).append((step, kept))
            else:
                self._read.setdefault(name, []).append((step, float(value)))
        self._unread_steps += 1
        if self._unread_steps >= _MAX_UNREAD_STEPS:
            self.settle()

    def settle(self) -> None:
        """Reads all values from their devices, and makes sure that they are numbers.

        Raises:
            RetimbreError: one is NaN or infinite; the message names the first such step and quantity.
        """
        for name, pairs in self._unread.items():
            values = torch.stack([value for _, value in pairs]).tolist()
            steps = [step for step, _ in pairs]
            self._read.setdefault(name, []).extend(zip(steps, values, strict=True))
        self._unread.clear()
        self._unread_steps = 0
        bad = [
            (step, name, x) for name, pairs in self._read.items() for step, x in pairs if not math.isfinite(x)
        ]
        if bad:
            step, name, value = min(bad)
            raise RetimbreError(f"training diverged: {name!r} is {value} at step {step}; it must be finite")

    def take_means(self) -> dict[str, float]:
        """The mean of each quantity over the steps since it was last asked; then forgets them. Raises as `settle`."""
        self.settle()
        means = {name: math.fsum(x for _, x in pairs) / len(pairs) for name, pairs in self._read.items()}
        self._read.clear()
        return means

    def state_dict(self) -> dict[str, Any]:
        """The waiting values, so that a run stopped between two rows writes the second as if it had not been."""
        self.settle()
        return {name: [list(pair) for pair in pairs] for name, pairs in self._read.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up the values of `state_dict`; forgets its own."""
        self._unread.clear()
        self._unread_steps = 0
        self._read = {name: [(int(step), float(x)) for step, x in pairs] for name, pairs in state.items()}


def _parse_row(path: Path, number: int, line: list[str]) -> Row:
    try:
        step, split, name, value, seconds = line
        return Row(int(step), split, name, float(value), float(seconds))
    except ValueError as error:
        raise UserError(f"{path}: line {number} is no journal row: {','.join(line)[:80]!r}") from error
