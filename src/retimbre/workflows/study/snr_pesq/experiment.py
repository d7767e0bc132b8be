"""How much noise each representation of speech tolerates: an experiment that can be stopped and continued.

White noise is added to one channel of a representation, the sound is made audible again, and PESQ says how far it is
from the clean one. A representation whose curve lies high forgives a network its errors.

    OUT/sounds/             the excerpts, as they were judged
    OUT/cells/              a file for each sound, representation and channel; see `cells.py`
    OUT/wavs/               what the first draw of noise sounds like at each SNR
    OUT/results.csv         a row for each sound, representation, channel, SNR and repeat
    OUT/curves.csv          a row for each point of each curve, with its interval
    OUT/standings.csv       a row for each curve
    OUT/wide.png narrow.png the curves
    OUT/study.json  report.html

References:
    The experiment is that of "audio-synthesis" (Google interns, 2020), https://github.com/googleinterns/audio-synthesis
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, final

from retimbre.core.errors import ConfigError, ExistsError, PartialFailure
from retimbre.core.files import write_json, write_text
from retimbre.dsp import audiofile
from retimbre.metrics.speech import LONGEST_S, SHORTEST_S, Band, library_version
from retimbre.training.devices import describe
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.jobs import run_jobs
from retimbre.workflows.study.rows import rows_csv
from retimbre.workflows.study.snr_pesq.cells import Cell, Grid
from retimbre.workflows.study.snr_pesq.curves import cell_rows, curves, point_rows, standing_rows
from retimbre.workflows.study.snr_pesq.fronts import MIDDLE_SETTING, Front, few_fronts, fronts, overlap_of
from retimbre.workflows.study.snr_pesq.page import write_pages
from retimbre.workflows.study.snr_pesq.speech import Speech, read_all, vowels

Wavs = Literal["few", "all", "none"]

SNRS_DB = tuple(float(snr) for snr in range(0, 47, 2))
"""The SNRs of the experiment."""

# The SNRs at which the table of standings gives scores, where the grid has them.
_TOLD_DB = (0.0, 10.0, 20.0, 30.0, 40.0)


@final
@dataclasses.dataclass(frozen=True)
class SnrPesqOptions:
    """What is measured.

    Attributes:
        sounds: Recordings of speech, files or folders; without any, vowels are made.
        representations: Names as in `fronts.py`; without any, all of the study.
        snrs_db: Signal-to-noise ratios in the noisy channel.
        repeats: Draws of noise at each.
        seconds: How much of each sound is used, from its start.
        seed: Of the draws.
        workers: Processes side by side.
        minutes: Wall time after which no more is begun, to be continued; 0 for no end.
        wavs: Which sounds are kept: those of the first recording of each version of PESQ in one setting, all, none.
        budget: `full`, or `smoke` for what takes a minute: every tenth SNR, two repeats, three seconds, one setting.
    """

    sounds: tuple[Path, ...] = ()
    representations: tuple[str, ...] = ()
    snrs_db: tuple[float, ...] = SNRS_DB
    repeats: int = 20
    seconds: float = 8.0
    seed: int = 0
    workers: int = 1
    minutes: float = 0.0
    wavs: Wavs = "few"
    budget: Literal["smoke", "full"] = "full"

    def __post_init__(self) -> None:
        """Refuses what cannot be measured."""
        if self.repeats < 1 or self.workers < 1 or self.minutes < 0.0:
            got = f"{self.repeats}, {self.workers} and {self.minutes:g}"
            raise ConfigError(f"repeats, workers and minutes are {got}, but they take 1, 1 and 0 or more")
        if not SHORTEST_S <= self.seconds <= LONGEST_S:
            raise ConfigError(
                f"PESQ takes {SHORTEST_S:g} to {LONGEST_S:g} s of a sound, not {self.seconds:g}"
            )
        if not self.snrs_db or len(set(self.snrs_db)) < len(self.snrs_db):
            raise ConfigError(f"the study takes SNRs that differ, at least one, not {list(self.snrs_db)}")

    def within_budget(self) -> "SnrPesqOptions":
        """The same, or a small part of it for the smoke budget."""
        if self.budget == "full":
            return self
        smaller = min(self.repeats, 2), min(self.seconds, 3.0)
        return dataclasses.replace(self, snrs_db=self.snrs_db[::10], repeats=smaller[0], seconds=smaller[1])

    def chosen(self) -> list[Front]:
        """The representations that are compared."""
        return (
            few_fronts()
            if self.budget == "smoke" and not self.representations
            else fronts(self.representations)
        )


def study_snr_pesq(
    out: str | Path,
    options: SnrPesqOptions | None = None,
    *,
    tell: Callable[[str], object] = lambda line: None,
    advance: Callable[[float, float], object] = lambda done, total: None,
) -> dict[str, Any]:
    """Measures all curves of the experiment, or goes on with it.

    Args:
        out: The study's folder.
        options: What is measured; everything, on made vowels, if left out.
        tell: Told a line as each part ends.
        advance: Told how many parts are done, and of how many, as each ends.

    Returns:
        `sounds` with their version of PESQ, `refused` sounds with the reason, `standings`, `curves`, `unfinished` parts
        and `failed` ones with the reason.

    Raises:
        AudioError: No sound can be used.
        ConfigError: There is no such representation, or it cannot be turned back into sound.
        ExistsError: The folder holds figures of another seed, sound or representation, or is a file.
        MissingExtra: The library of PESQ is not installed.
    """
    folder, options = study_folder(out), (options or SnrPesqOptions()).within_budget()
    library_version()
    chosen = options.chosen()
    sounds, refused = _sounds(options)
    for line in [*refused, *(f"{each.name}: {remark}" for each in sounds for remark in each.remarks)]:
        tell(line)
    _keep_excerpts(folder, sounds)
    cells = plan(folder, sounds, chosen, options)
    parts = [cell for cell in cells if not cell.finished]
    told = _Counter(tell, advance, len(parts))
    failures = run_jobs(parts, options.workers, told)
    return conclude(folder, sounds, cells, Outcome(options, refused, failures))


def plan(
    folder: Path, sounds: Sequence[Speech], chosen: Sequence[Front], options: SnrPesqOptions
) -> list[Cell]:
    """Every cell of the study: all channels of all representations, for each sound."""
    deadline_s = time.time() + options.minutes * 60.0 if options.minutes else float("inf")
    grid = Grid(options.snrs_db, options.repeats, options.seed, deadline_s)
    firsts = {each.band: each.name for each in reversed(sounds)}
    return [
        Cell(
            folder,
            sound.name,
            sound.digest,
            front,
            channel,
            sound.sample_rate,
            grid,
            wavs=options.wavs == "all"
            or (options.wavs == "few" and sound.name in firsts.values() and _stands_for_others(front)),
        )
        for sound in sounds
        for front in chosen
        for channel in enumerate(front.channels(sound.sample_rate))
    ]


@final
@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a study was asked, which sounds it refused and which parts failed."""

    options: SnrPesqOptions
    refused: Sequence[str]
    failures: Sequence[str]

    def error(self) -> PartialFailure | None:
        """The error to end with where some of the sounds or parts failed."""
        lines = [*self.refused, *self.failures]
        return (
            PartialFailure(f"{len(lines)} sounds or parts of the study failed: {lines[0]}") if lines else None
        )


def conclude(
    folder: Path, sounds: Sequence[Speech], cells: Sequence[Cell], outcome: Outcome
) -> dict[str, Any]:
    """Writes tables, figures and the page of all that is done."""
    options = outcome.options
    bands: dict[str, Band] = {sound.name: sound.band for sound in sounds}
    found = curves(cells, bands)
    standings = standing_rows(found, [snr for snr in _TOLD_DB if snr in options.snrs_db])
    result: dict[str, Any] = {
        "snrs_db": list(options.snrs_db),
        "repeats": options.repeats,
        "seconds": options.seconds,
        "seed": options.seed,
        "sounds": [_about(sound) for sound in sounds],
        "refused": list(outcome.refused),
        "standings": standings,
        "curves": point_rows(found),
        "unfinished": [cell.name for cell in cells if not cell.finished],
        "failed": list(outcome.failures),
        "pesq": library_version(),
        "hardware": describe(),
    }
    write_text(folder / "results.csv", rows_csv(cell_rows(cells, bands)))
    write_text(folder / "curves.csv", rows_csv(result["curves"]))
    write_text(folder / "standings.csv", rows_csv(standings))
    write_json(folder / "study.json", result)
    write_pages(folder, result, found, cells)
    return result


class _Counter:
    """Passes a line on, and counts it."""

    def __init__(
        self, tell: Callable[[str], object], advance: Callable[[float, float], object], total: int
    ) -> None:
        self._tell, self._advance, self._total, self._done = tell, advance, total, 0

    def __call__(self, line: str) -> None:
        self._done += 1
        self._tell(line)
        self._advance(self._done, self._total)


def _sounds(options: SnrPesqOptions) -> tuple[list[Speech], list[str]]:
    if options.sounds:
        return read_all(options.sounds, options.seconds)
    return [vowels(rate, options.seconds) for rate in (16_000, 8_000)], []


def _keep_excerpts(folder: Path, sounds: Iterable[Speech]) -> None:
    """Writes what is judged, from where every process reads it."""
    for sound in sounds:
        path = folder / "sounds" / f"{sound.name}.wav"
        if path.is_file():
            kept = audiofile.read(path)
            if dataclasses.replace(sound, samples=kept.samples).digest != sound.digest:
                raise ExistsError(f"{path} holds another excerpt; take another folder")
        else:
            audiofile.write(path, sound.samples, sound.sample_rate)


def _stands_for_others(front: Front) -> bool:
    return front.setting in {"", MIDDLE_SETTING, str(overlap_of(MIDDLE_SETTING))}


def _about(sound: Speech) -> dict[str, Any]:
    return {
        "name": sound.name,
        "band": sound.band,
        "sample_rate": sound.sample_rate,
        "seconds": len(sound.samples) / sound.sample_rate,
        "remarks": list(sound.remarks),
        "made": sound.made,
    }
