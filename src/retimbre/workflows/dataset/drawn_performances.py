"""A folder of performances that are drawn and played here, in MAESTRO's layout: `retimbre data performances`.

Each piece is a MIDI file and its sound, of the same name, and a table says which part each is of. So the folder is read
by `retimbre data maestro` like the recordings of a competition. Pieces are made one by one and the table is written
last, over all that are there; a call that was stopped goes on where it was, and a larger number adds pieces to those
that are there.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import final

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, ExistsError
from retimbre.core.files import csv_text, fingerprint, sha256_of, write_json, write_text
from retimbre.corpora.performances.performer import perform, write_performance
from retimbre.corpora.performances.score import draw_piece
from retimbre.corpora.soundfont.corpus import find_soundfont
from retimbre.corpora.soundfont.player import RATES_HZ, FluidSynthPlayer
from retimbre.dsp import audiofile

TABLE_FILE, HEADER_FILE = "maestro-performances.csv", "performances.json"

_FORMAT = "retimbre performances"
_EVERY = 10  # of so many pieces, one is for validation and one for the test
_COLUMNS = (
    "canonical_composer",
    "canonical_title",
    "split",
    "year",
    "midi_filename",
    "audio_filename",
    "duration",
)
_LONGEST_S = 3600.0

Progress = Callable[[int, int], None]


@final
@dataclasses.dataclass(frozen=True)
class PerformancePlan:
    """What is made.

    Attributes:
        pieces: How many.
        seconds: Length of each.
        soundfont: The `.sf2` file; empty looks where packages put one.
    """

    pieces: int = 60
    seconds: float = 60.0
    sample_rate: int = 16_000
    seed: int = 0
    soundfont: str = ""

    def __post_init__(self) -> None:
        """Refuses no pieces, and lengths and rates that nobody plays."""
        if self.pieces < 1:
            raise ConfigError(f"pieces is {self.pieces}, but takes 1 or more")
        if not 1.0 <= self.seconds <= _LONGEST_S:
            raise ConfigError(f"seconds is {self.seconds:g}, but takes 1 to {_LONGEST_S:g}")
        if not RATES_HZ[0] <= self.sample_rate <= RATES_HZ[1]:
            raise ConfigError(
                f"sample_rate is {self.sample_rate}, but FluidSynth takes {RATES_HZ[0]:,} to {RATES_HZ[1]:,} Hz"
            )


@final
@dataclasses.dataclass(frozen=True)
class Drawn:
    """What was made.

    Attributes:
        written: Pieces that were made now.
        splits: Pieces of each part.
    """

    folder: Path
    pieces: int
    written: int
    seconds: float
    sample_rate: int
    splits: dict[str, int]
    fingerprint: str


def make_performances(
    out: str | Path, plan: PerformancePlan | None = None, progress: Progress | None = None
) -> Drawn:
    """Makes the pieces, or those that are missing.

    Raises:
        MissingExtra: FluidSynth or its Python binding is not installed.
        DatasetError: There is no SoundFont, or it is none.
        ExistsError: The folder holds other pieces.
    """
    out, plan = Path(out), plan or PerformancePlan()
    found = find_soundfont(plan.soundfont)
    about = {
        "format": _FORMAT,
        **{name: value for name, value in dump(plan).items() if name not in ("pieces", "soundfont")},
        "soundfont": sha256_of(found),
    }
    digest = fingerprint(about)
    _claim(out, about, digest)
    written = 0
    with FluidSynthPlayer(found, plan.sample_rate) as player:
        for number in range(plan.pieces):
            written += _write_piece(out, player, plan, number)
            if progress:
                progress(number + 1, plan.pieces)
    rows = [_row(number, plan) for number in range(plan.pieces)]
    write_text(out / TABLE_FILE, csv_text([_COLUMNS, *rows]))
    splits = {part: sum(row[2] == part for row in rows) for part in ("train", "validation", "test")}
    return Drawn(out, plan.pieces, written, plan.seconds, plan.sample_rate, splits, digest)


def _claim(out: Path, about: dict[str, object], digest: str) -> None:
    """Takes a folder that is free, or has pieces of these settings."""
    header = out / HEADER_FILE
    if header.is_file() and f'"{digest}"' in header.read_text(encoding="utf-8"):
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExistsError(
            f"{out} holds something else than performances of these settings; choose another folder"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_json(header, {**about, "fingerprint": digest})


def _write_piece(out: Path, player: FluidSynthPlayer, plan: PerformancePlan, number: int) -> bool:
    """Writes a piece unless it is there; returns whether it was written. The sound comes last, and whole."""
    sound = out / f"{_name(number)}.wav"
    if sound.is_file():
        return False
    movements = draw_piece(plan.seed, number, plan.seconds)
    write_performance(out / f"{_name(number)}.midi", movements)
    audio = perform(player, movements, round(plan.seconds * plan.sample_rate))
    audiofile.write(sound, audio, plan.sample_rate, integers=True)
    return True


def _row(number: int, plan: PerformancePlan) -> tuple[object, ...]:
    part = {_EVERY - 2: "validation", _EVERY - 1: "test"}.get(number % _EVERY, "train")
    name = _name(number)
    return "drawn", name, part, 0, f"{name}.midi", f"{name}.wav", plan.seconds


def _name(number: int) -> str:
    return f"piece-{number:05d}"
