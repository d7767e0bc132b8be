"""Reading what listeners sent back: files of answers, checked line by line against the pack that they belong to.

What is wrong is refused with its file and line, never repaired: an answer to another pack, a sound that is not in it, a
score off the scale, one listener scoring one sound twice with different results. What is merely incomplete is kept and
counted: a listener who stopped early has opinions all the same.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from retimbre.core.errors import DatasetError
from retimbre.metrics.opinions import Opinions
from retimbre.workflows.study.listening.manifest import SCALES, Pack

REQUIRED = ("pack", "listener", "sound", "score")
"""The columns that are read; others may stand beside them."""


@final
@dataclass(frozen=True)
class Answer:
    """One score.

    Attributes:
        place: The file and the line it stands in.
    """

    listener: str
    sound: str
    score: int
    place: str


@final
@dataclass(frozen=True, eq=False)
class Answers:
    """All scores of a test.

    Attributes:
        opinions: Their numbers are the places in the three lists.
        items: The names of what the sounds are of.
        remarks: What the reader of the results should know.
    """

    opinions: Opinions
    listeners: tuple[str, ...]
    items: tuple[str, ...]
    systems: tuple[str, ...]
    remarks: tuple[str, ...]


def answer_files(paths: Iterable[Path]) -> list[Path]:
    """The files of answers among files and folders of them, each once and in order.

    Raises:
        DatasetError: A path is not there, a folder holds no CSV file, or nothing was named.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DatasetError(f"{path} is not there")
        found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not found:
            raise DatasetError(f"{path} holds no .csv file of answers")
        files += [each for each in found if each not in files]
    if not files:
        raise DatasetError("there are no files of answers: name them with --scores")
    return files


def read_answers(pack: Pack, files: Sequence[Path]) -> Answers:
    """Reads and checks all answers to a pack.

    Raises:
        DatasetError: A file cannot be read, or a line in it is wrong; the first is named and the others are counted.
    """
    met: dict[tuple[str, str], Answer] = {}
    wrong: list[str] = []
    repeated = 0
    for file in files:
        for answer in _lines(pack, file, wrong):
            before = met.setdefault((answer.listener, answer.sound), answer)
            if before is answer:
                continue
            repeated += 1
            if before.score != answer.score:
                wrong.append(
                    f"{answer.place}: {answer.listener} scores {answer.sound} {answer.score}, but {before.score} in "
                    f"{before.place}; two listeners of one name?"
                )
    if wrong:
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise DatasetError(wrong[0] + others)
    if not met:
        raise DatasetError(f"{files[0]}: there are no scores in it")
    return _answers(pack, list(met.values()), repeated)


def _lines(pack: Pack, file: Path, wrong: list[str]) -> list[Answer]:
    """The answers of a file that are right; what is wrong is added to the list."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file} cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
    if missing:
        raise DatasetError(
            f"{file} has no column {missing[0]!r}; a file of answers has {', '.join(REQUIRED)}"
        )
    answers: list[Answer] = []
    try:
        for row in reader:
            place = f"{file}:{reader.line_num}"
            values = {name: (row[name] or "").strip() for name in REQUIRED}
            complaint = _complaint(pack, values)
            if complaint:
                wrong.append(f"{place}: {complaint}")
            else:
                answers.append(Answer(values["listener"], values["sound"], int(values["score"]), place))
    except csv.Error as error:
        raise DatasetError(f"{file}:{reader.line_num}: {error}") from error
    return answers


def _complaint(pack: Pack, values: dict[str, str]) -> str:
    """What is wrong with a line; nothing if it is right."""
    lowest, highest = SCALES[pack.mode]
    if values["pack"] != pack.identity:
        return f"is of the pack {values['pack']!r}, not of {pack.identity!r}"
    if not values["listener"]:
        return "has no listener"
    if values["sound"] not in pack.sounds:
        return f"{values['sound']!r} is no sound that is scored in this pack"
    score = values["score"]
    if not (score.isascii() and score.isdigit() and lowest <= int(score[:9]) <= highest):
        return f"the score is {score!r}; it takes a whole number from {lowest} to {highest}"
    return ""


def _answers(pack: Pack, found: Sequence[Answer], repeated: int) -> Answers:
    listeners = sorted({each.listener for each in found})
    items = sorted({sound.item for sound in pack.sounds.values()})
    sounds = [pack.sounds[each.sound] for each in found]
    opinions = Opinions(
        torch.tensor([each.score for each in found], dtype=torch.float64),
        torch.tensor([listeners.index(each.listener) for each in found]),
        torch.tensor([items.index(sound.item) for sound in sounds]),
        torch.tensor([pack.systems.index(sound.system) for sound in sounds]),
    )
    return Answers(
        opinions, tuple(listeners), tuple(items), pack.systems, tuple(_remarks(pack, found, repeated))
    )


def _remarks(pack: Pack, found: Sequence[Answer], repeated: int) -> list[str]:
    lines = [f"{repeated} scores were sent twice and count once"] if repeated else []
    for listener in sorted({each.listener for each in found}):
        scores = [each.score for each in found if each.listener == listener]
        if len(scores) < len(pack.sounds):
            lines.append(f"{listener} scored {len(scores)} of {len(pack.sounds)} sounds")
        if len(scores) > 1 and len(set(scores)) == 1:
            lines.append(f"{listener} gave every sound the score {scores[0]}")
    return lines
