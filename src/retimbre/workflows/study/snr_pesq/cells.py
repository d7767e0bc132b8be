"""One sound through one channel of one representation, over all SNRs and repeats: a cell of the study.

A cell is a file, written whole after every SNR, so that a study that is stopped or killed loses at most the SNR it was
at. What is in it depends on the seed and on the cell alone, not on which process computed it or in what order; a
further SNR or more repeats join what is there.

    {"facts": {...},                                 what the figures depend on
     "clean": 4.64,                                  PESQ of the round trip without noise
     "rows": [{"snr_db": 0.0, "repeat": 0, "pesq": 1.21, "problem": ""}, ...]}

Where PESQ can give no figure, `pesq` is null and `problem` says why. A file that is damaged counts as none: the cell is
done again.
"""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, ExistsError
from retimbre.core.files import write_json
from retimbre.core.random import generator
from retimbre.dsp import audiofile
from retimbre.dsp.level import peak
from retimbre.metrics.speech import library_version, pesq_of_pair
from retimbre.representation.base import Representation
from retimbre.workflows.study.snr_pesq.fronts import Front
from retimbre.workflows.study.snr_pesq.noise import noise_at_snr, with_noise

Row = dict[str, Any]

# What a row holds, and as which type.
_COLUMNS = {"snr_db": (int, float), "repeat": int, "pesq": (int, float, type(None)), "problem": str}


@final
@dataclasses.dataclass(frozen=True)
class Grid:
    """What every cell is computed at.

    Attributes:
        snrs_db: Signal-to-noise ratios in the channel.
        repeats: Draws of noise at each.
        seed: Of the draws.
        deadline_s: The time, as `time.time` gives it, after which no SNR is begun.
    """

    snrs_db: tuple[float, ...]
    repeats: int
    seed: int
    deadline_s: float = float("inf")


@final
@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of the study; see the head of this module.

    Attributes:
        folder: The study's.
        sound: The name of the sound, whose excerpt lies in the folder.
        digest: Of its samples.
        front: The representation.
        channel: The channel's number and name.
        sample_rate: Of the sound, in Hz.
        grid: SNRs and repeats.
        wavs: Whether the first sound of each SNR is kept to listen to.
    """

    folder: Path
    sound: str
    digest: str
    front: Front
    channel: tuple[int, str]
    sample_rate: int
    grid: Grid
    wavs: bool

    @property
    def name(self) -> str:
        """Sound, representation and channel, as a path."""
        return f"{self.sound}/{self.front.name}/{self.channel[1]}"

    @property
    def path(self) -> Path:
        """The file of the cell."""
        return self.folder / "cells" / f"{self.name}.json"

    def wav(self, snr_db: float) -> Path:
        """The file of the first repeat at an SNR."""
        return self.folder / "wavs" / self.name / f"{snr_db:05.1f}_db.wav"

    def rows(self) -> list[Row]:
        """What is done of the grid, in its order."""
        known = {(row["snr_db"], row["repeat"]): row for row in self._read()["rows"]}
        wanted = [(snr, repeat) for snr in self.grid.snrs_db for repeat in range(self.grid.repeats)]
        return [known[address] for address in wanted if address in known]

    def clean(self) -> float | None:
        """PESQ of the round trip without noise, if that is done and PESQ could judge it."""
        return self._read()["clean"]

    @property
    def finished(self) -> bool:
        """Whether the whole grid is done."""
        return len(self.rows()) == len(self.grid.snrs_db) * self.grid.repeats

    @torch.no_grad()
    def run(self) -> str:
        """Does what is missing of the grid, as far as time allows, and says how far it got.

        Raises:
            ExistsError: The file is of another seed, sound or representation.
        """
        started_s = time.time()
        again = ", again because its file was damaged" if self._is_damaged else ""
        content = self._read()
        missing = self._missing(content["rows"])
        if not missing:
            return f"{self.name}: done before"
        trip = _RoundTrip(self)
        if not content["rows"]:
            content["clean"] = trip.clean()
        done = 0
        for snr_db, repeats in missing:
            if time.time() >= self.grid.deadline_s:
                return (
                    f"{self.name}: stopped, {len(missing) - done} of {len(self.grid.snrs_db)} SNRs are left"
                )
            content["rows"] += [trip.row(snr_db, repeat) for repeat in repeats]
            write_json(self.path, content)
            done += 1
        return f"{self.name}: {done} SNRs in {time.time() - started_s:.1f} s{again}"

    def transform(self) -> Representation:
        """The representation for this sound's rate."""
        return self.front.transform(self.sample_rate)

    @property
    def _is_damaged(self) -> bool:
        return self.path.is_file() and _content_of(self.path) is None

    def _read(self) -> dict[str, Any]:
        """The content of the file; an empty one where there is none, or a damaged one."""
        facts = {
            "seed": self.grid.seed,
            "sound": self.digest,
            "representation": self.transform().identity(),
            "channel": self.channel[0],
            "averages": self.front.averages,
            "pesq": library_version(),
        }
        content = _content_of(self.path)
        if content is None:
            return {"facts": facts, "clean": None, "rows": []}
        differing = sorted(key for key in facts if content["facts"].get(key) != facts[key])
        if differing:
            raise ExistsError(f"{self.path} is of another {' and '.join(differing)}; take another folder")
        return content

    def _missing(self, rows: Sequence[Row]) -> list[tuple[float, list[int]]]:
        """The SNRs that lack repeats, with these."""
        known = {(row["snr_db"], row["repeat"]) for row in rows}
        lacking = [
            (snr, [repeat for repeat in range(self.grid.repeats) if (snr, repeat) not in known])
            for snr in self.grid.snrs_db
        ]
        return [(snr, repeats) for snr, repeats in lacking if repeats]


def _content_of(path: Path) -> dict[str, Any] | None:
    """The content of a cell's file; None where there is none that can be understood."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if _is_cell(content) else None


def _is_cell(content: Any) -> bool:
    if not isinstance(content, dict) or not {"facts", "clean", "rows"} <= content.keys():
        return False
    rows = content["rows"]
    return (
        isinstance(content["facts"], dict)
        and isinstance(content["clean"], (int, float, type(None)))
        and isinstance(rows, list)
        and all(isinstance(row, dict) and _is_row(row) for row in rows)
    )


def _is_row(row: Row) -> bool:
    return all(column in row and isinstance(row[column], kind) for column, kind in _COLUMNS.items())


@final
class _RoundTrip:
    """A sound there and back, with noise between."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._audio = audiofile.read(cell.folder / "sounds" / f"{cell.sound}.wav").samples
        self._transform = cell.transform()
        self._features = self._transform.encode(self._audio[None])

    def clean(self) -> float | None:
        """PESQ without noise."""
        return self._judged(self._decoded(self._features))[0]

    def row(self, snr_db: float, repeat: int) -> Row:
        """One draw of noise, judged; the first is kept to listen to if the cell says so."""
        cell, number = self._cell, self._cell.channel[0]
        # The address counts in thousandths of a decibel, because it takes whole numbers.
        random = generator(
            cell.grid.seed, f"snr-pesq {cell.name} {cell.digest}", round(1000 * snr_db), repeat
        )
        noise = noise_at_snr(self._features[0, number], snr_db, random, averages=cell.front.averages)
        audio = self._decoded(with_noise(self._features, number, noise))
        if cell.wavs and repeat == 0 and bool(audio.isfinite().all()):
            loudest = max(1.0, float(peak(audio)))
            audiofile.write(cell.wav(snr_db), audio / loudest, cell.sample_rate, integers=True)
        score, problem = self._judged(audio)
        return {"snr_db": snr_db, "repeat": repeat, "pesq": score, "problem": problem}

    def _decoded(self, features: Float[Tensor, "1 channels ..."]) -> Float[Tensor, " samples"]:
        return self._transform.decode(features, num_samples=len(self._audio))[0]

    def _judged(self, audio: Float[Tensor, " samples"]) -> tuple[float | None, str]:
        try:
            return pesq_of_pair(self._audio, audio, self._cell.sample_rate), ""
        except AudioError as error:
            return None, str(error)
