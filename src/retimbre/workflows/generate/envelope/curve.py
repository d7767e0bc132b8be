"""The envelope that a sound is to have: four numbers, or a curve from a file.

*Stages* are what synthesizers have knobs for. Attack, decay and release are fractions of the sound, the sustain is a
level: the gain rises from 0 to 1, falls to the sustain, stays there and falls to 0, along straight lines; without a
decay it jumps. The formula is that of the envelope corpus (`corpora.envelopes`), to the sample.

A *curve file* holds any gains from 0 to 1: numbers, which are spread evenly from the first sample of the sound to the
last, or pairs of a time in seconds and a gain. Between two of them the gain runs straight; before the first and after
the last it stays. JSON (`.json`) has a list of numbers or of pairs; in text (`.csv`, `.txt`) each line has one or the
other, and a first line in words is passed over.

Either becomes a list of corners, so the gain of any stretch of a sound can be worked out by itself, and a sound of an
hour needs no more memory than one of a second.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError

SUFFIXES = (".csv", ".txt", ".json")
_MOST_CORNERS = 1 << 20

Corner = tuple[float, float]
"""A place and the gain there."""


@final
@dataclasses.dataclass(frozen=True)
class Stages:
    """Attack, decay, sustain and release.

    Attributes:
        attack: Part of the sound over which the gain rises.
        decay: Part over which it falls to the sustain; 0 for no such stage.
        sustain: Gain between attack or decay and release.
        release: Part over which it falls to 0; 0 for none.
    """

    attack: float = 0.0
    decay: float = 0.0
    sustain: float = 1.0
    release: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what lies outside 0 to 1, and stages that are longer than the sound."""
        for name, value in dataclasses.asdict(self).items():
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"{name} is {value:g}; takes a number from 0 to 1")
        total = self.attack + self.decay + self.release
        if total > 1.0 + 1e-9:
            raise ConfigError(
                f"attack, decay and release are {self.attack:g} + {self.decay:g} + {self.release:g} = {total:g} of "
                "the sound; takes 1 at most"
            )

    def corners(self, num_samples: int, sample_rate: int) -> list[Corner]:
        """Places in samples, ascending, and the gains there; where stages add up to the whole, the last gives way."""
        attack = min(math.floor(self.attack * num_samples) + 1, num_samples)
        decay = math.floor(self.decay * num_samples) + 1 if self.decay else 0
        decay = min(decay, num_samples - attack)
        held = attack + decay
        release_start = num_samples - min(
            math.floor(self.release * num_samples) + 1, num_samples - attack - decay
        )
        corners = [(0.0, 0.0), (attack - 1.0, 1.0)] if attack > 1 else [(0.0, 0.0)]
        if decay:
            corners += [(attack, 1.0), (held - 1.0, self.sustain if decay > 1 else 1.0)]
        if held < release_start:
            corners += [(held, self.sustain), (release_start - 1.0, self.sustain)]
        if release_start < num_samples:
            last = self.sustain if release_start == num_samples - 1 else 0.0
            corners += [(release_start, self.sustain), (num_samples - 1.0, last)]
        return corners


@final
@dataclasses.dataclass(frozen=True)
class Curve:
    """A curve from a file.

    Attributes:
        source: The file, for errors.
        gains: 0 to 1.
        times_s: When each gain is reached, ascending; empty for gains that are spread evenly.
    """

    source: str
    gains: tuple[float, ...]
    times_s: tuple[float, ...] = ()

    def corners(self, num_samples: int, sample_rate: int) -> list[Corner]:
        """Places in samples, ascending, and the gains there.

        Raises:
            ConfigError: It goes on after the sound ends.
        """
        seconds = num_samples / sample_rate
        # Half a sample is what two programs may differ by in the length of one sound.
        if self.times_s and self.times_s[-1] > seconds + 0.5 / sample_rate:
            raise ConfigError(
                f"{self.source}: the curve ends at {self.times_s[-1]:g} s, but the sound at {seconds:g} s; takes a "
                "curve as long as the sound or shorter"
            )
        if self.times_s:
            places = [time_s * sample_rate for time_s in self.times_s]
        else:
            places = np.linspace(0.0, num_samples - 1.0, len(self.gains)).tolist()
        return list(zip(places, self.gains, strict=True))


Wanted = Stages | Curve
"""An envelope."""


def gain_between(corners: Sequence[Corner], first: int, stop: int) -> Float[Tensor, " samples"]:
    """The gains of the samples from `first` to before `stop`, in float64."""
    places, gains = np.array(corners, np.float64).T
    return torch.from_numpy(np.interp(np.arange(first, stop), places, gains))


def read_curve(path: str | Path) -> Curve:
    """A curve file.

    Raises:
        ConfigError: It is missing, no text, empty, or holds anything but gains from 0 to 1 and ascending times.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{path}: a curve is a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {type(error).__name__}") from error
    rows = _json_rows(path, text) if path.suffix.lower() == ".json" else _text_rows(path, text)
    if not rows:
        raise ConfigError(f"{path}: holds no gains; takes one at least")
    if len(rows) > _MOST_CORNERS:
        raise ConfigError(f"{path}: holds {len(rows):,} gains; takes {_MOST_CORNERS:,} at most")
    return _curve(path, rows)


def _curve(path: Path, rows: list[list[float]]) -> Curve:
    widths = {len(row) for row in rows}
    if widths not in ({1}, {2}):
        raise ConfigError(
            f"{path}: takes one gain in each place, or a time and a gain in each, not a mixture"
        )
    for number, row in enumerate(rows, start=1):
        if not 0.0 <= row[-1] <= 1.0:
            raise ConfigError(f"{path}: gain {number} is {row[-1]:g}; takes numbers from 0 to 1")
    gains = tuple(row[-1] for row in rows)
    if widths == {1}:
        return Curve(str(path), gains)
    times_s = tuple(row[0] for row in rows)
    if not all(math.isfinite(time_s) and time_s >= 0.0 for time_s in times_s):
        raise ConfigError(
            f"{path}: a time is below 0 or not a number; takes seconds from the sound's beginning"
        )
    if list(times_s) != sorted(times_s):
        raise ConfigError(f"{path}: its times do not ascend")
    return Curve(str(path), gains, times_s)


def _json_rows(path: Path, text: str) -> list[list[float]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(content, list):
        raise ConfigError(f"{path}: takes a list of gains, or of pairs of a time and a gain")
    return [_numbers(path, entry if isinstance(entry, list) else [entry]) for entry in content]


def _text_rows(path: Path, text: str) -> list[list[float]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    cells = [line.replace(",", " ").replace(";", " ").split() for line in lines]
    if cells and not any(_is_number(cell) for cell in cells[0]):
        cells = cells[1:]
    if len(cells) == 1 and len(cells[0]) > 1:
        cells = [[cell] for cell in cells[0]]  # all of them in one line
    return [_numbers(path, row) for row in cells]


def _numbers(path: Path, entries: Sequence[Any]) -> list[float]:
    found: list[float] = []
    for entry in entries:
        if isinstance(entry, bool) or not _is_number(entry):
            raise ConfigError(f"{path}: {str(entry)[:40]!r} is not a number")
        found.append(float(entry))
    return found


def _is_number(entry: Any) -> bool:
    if isinstance(entry, int | float):
        return True
    try:
        float(entry)
    except (TypeError, ValueError):
        return False
    return True
