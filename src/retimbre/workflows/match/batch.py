"""Matching sounds: the verb. Many files run side by side, and one bad file never stops the rest.

A sound is matched in memory (`sound`) and then written (`files`, `page`); a folder appears whole.
Several sounds are given to processes of their own, which share nothing: each reads its file, searches with one
thread, and sends back what a summary needs. What goes wrong with a sound is its result, told at the end; the others
go on.
"""

import dataclasses
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, final

import torch

from retimbre.core.errors import RetimbreError
from retimbre.core.files import whole_folder
from retimbre.core.memory import keep_freed_memory
from retimbre.dsp.audiofile import find_sounds
from retimbre.workflows.match.curves import refuse_curves, with_curves, write_curves
from retimbre.workflows.match.files import (
    INDEX_FILE,
    REPORT_FILE,
    match_table,
    plan_folders,
    refuse_to_overwrite,
    write_candidates,
    write_table,
)
from retimbre.workflows.match.melody import with_melody, write_melody
from retimbre.workflows.match.models import load_models
from retimbre.workflows.match.page import METRICS, index_rows, write_page
from retimbre.workflows.match.sound import MatchOptions, Progress, ignore, match_sound
from retimbre.workflows.report.index import IndexRow, write_index

__all__ = ["MatchOptions", "MatchRun", "SoundResult", "match"]

_NOT_BEGUN = "not begun: interrupted"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class SoundResult:
    """What became of one sound.

    Attributes:
        folder: Where its files are.
        table: What `match.json` holds; empty if it failed.
        failure: Why there is no match, one line; empty if there is one.
        rows: Its lines in the index of a batch.
    """

    sound: Path
    folder: Path
    table: dict[str, Any]
    failure: str
    rows: tuple[IndexRow, ...]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class MatchRun:
    """What became of all sounds, in the order of their names.

    Attributes:
        index: The page that lists them; None for a single sound.
    """

    results: tuple[SoundResult, ...]
    index: Path | None

    @property
    def failed(self) -> tuple[SoundResult, ...]:
        """The sounds without a match."""
        return tuple(result for result in self.results if result.failure)


def match(
    sounds: str | Path | Iterable[str | Path],
    out: str | Path,
    options: MatchOptions,
    *,
    workers: int = 0,
    force: bool = False,
    progress: Progress = ignore,
) -> MatchRun:
    """Finds patches that sound like each of some files, and writes a folder with candidates and a report for each.

        match("piano.wav", "matched", MatchOptions(synth="subtractive"))

    Args:
        sounds: A file or a folder, or several.
        out: The folder to write to.
        workers: How many sounds are matched at the same time; 0 for as many as there are processor cores.
        force: Whether earlier matches are replaced.
        progress: Called with the number of sounds, or the share of one, done since the last call.

    Raises:
        AudioError: There is no sound, or the only one cannot be used.
        ExistsError: Something is there already.
        CheckpointError: A model cannot be read, or is for another synthesizer.
    """
    paths = find_sounds([sounds] if isinstance(sounds, str | Path) else sounds)
    folders = plan_folders(paths, Path(out))
    refuse_to_overwrite(folders.values(), force=force)
    keep_freed_memory()
    load_models(options.synth, options.models)  # so that a bad model is one error, not one for each sound
    refuse_curves(options)
    cores = min(available_cores(), torch.get_num_threads())  # OMP_NUM_THREADS is the user's word
    workers = min(workers or cores, len(paths))
    options = dataclasses.replace(options, threads=max(1, cores // workers))
    if len(paths) == 1:
        return MatchRun((match_one(paths[0], folders[paths[0]], options, progress),), None)
    run = _in_processes if workers > 1 else _one_by_one
    results = {result.sound: result for result in run(folders, options, workers, progress)}
    ordered = tuple(results[path] for path in paths)
    index = Path(out) / INDEX_FILE
    write_index(
        index, f"{options.synth} matches", [row for result in ordered for row in result.rows], METRICS
    )
    return MatchRun(ordered, index)


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def match_one(sound: Path, folder: Path, options: MatchOptions, progress: Progress = ignore) -> SoundResult:
    """Matches one sound and writes its folder; errors as `match_sound`."""
    refuse_curves(options, sound)
    found = with_curves(with_melody(match_sound(sound, options, progress=progress)))
    with whole_folder(folder) as aside:
        write_candidates(aside, found)
        write_melody(aside, found)
        write_curves(aside, found)
        write_page(aside / REPORT_FILE, found)
        write_table(aside, found)
    rows = index_rows(found, f"{folder.name}/{REPORT_FILE}")
    return SoundResult(sound, folder, match_table(found), "", tuple(rows))


def _one_by_one(
    folders: dict[Path, Path], options: MatchOptions, workers: int, progress: Progress
) -> Iterator[SoundResult]:
    interrupted = False
    for sound, folder in folders.items():
        if interrupted:
            yield _failed(sound, folder, _NOT_BEGUN)
            continue
        try:
            result = match_one(sound, folder, options)
            interrupted = bool(result.table["interrupted"])
            yield result
        except (RetimbreError, OSError, RuntimeError, ValueError) as error:
            yield _failed(sound, folder, _reason(error))
        except KeyboardInterrupt:
            interrupted = True
            yield _failed(sound, folder, "interrupted")
        progress(1.0)


def _in_processes(
    folders: dict[Path, Path], options: MatchOptions, workers: int, progress: Progress
) -> Iterator[SoundResult]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_process) as pool:
        futures = {
            pool.submit(match_one, sound, folder, options): (sound, folder)
            for sound, folder in folders.items()
        }
        done: set[Future[SoundResult]] = set()
        try:
            for future in as_completed(futures):
                done.add(future)
                yield _outcome(future, *futures[future])
                progress(1.0)
        except KeyboardInterrupt:  # the processes get it too, and end with the best they have
            pool.shutdown(wait=True, cancel_futures=True)
            yield from (_outcome(future, *place) for future, place in futures.items() if future not in done)


def _begin_process() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()


def _outcome(future: Future[SoundResult], sound: Path, folder: Path) -> SoundResult:
    if future.cancelled():
        return _failed(sound, folder, _NOT_BEGUN)
    error = future.exception()
    return future.result() if error is None else _failed(sound, folder, _reason(error))


def _failed(sound: Path, folder: Path, reason: str) -> SoundResult:
    return SoundResult(sound, folder, {}, reason, (IndexRow(sound.name, "", {}, "", reason),))


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def summary(results: Sequence[SoundResult]) -> list[dict[str, Any]]:
    """One row for each sound and model: the scores of its best candidate, or why there is none."""
    rows: list[dict[str, Any]] = []
    for result in results:
        if result.failure:
            rows.append({"sound": result.sound.name, "failure": result.failure})
        rows += [
            {"sound": result.sound.name, "model": model["model"], **model["scores"]}
            for model in result.table.get("models", [])
        ]
    return rows
