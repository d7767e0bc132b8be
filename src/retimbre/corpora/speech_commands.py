"""Speech Commands: a word per folder, an utterance per file, and two lists of what is held out.

    yes/0a7c2a8d_nohash_0.wav      the word, the speaker, and which of the speaker's tries it is
    validation_list.txt            one `word/file.wav` per line; testing_list.txt likewise; the rest is for training

The lists keep a speaker in one part, and so they are kept. Where both are missing, the speakers are parted anew. The
ten digits are the usual subset ("SC09") for generating speech; other words are a matter of saying so. Utterances are
at most a second long; at 16 kHz they are padded to 16,384 samples, a power of two, as the networks that were trained
on them had it.

References:
    Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, 2018,
    https://arxiv.org/abs/1804.03209
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

from retimbre.core.config import dump
from retimbre.core.errors import ConfigError, DatasetError, near_miss
from retimbre.corpora.folder import named_up_to
from retimbre.corpora.quota import at_most
from retimbre.data.folder import Cutting
from retimbre.data.source import Reject, Scan, Source
from retimbre.data.splits import Split

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LISTS: dict[str, Split] = {"validation_list.txt": "validation", "testing_list.txt": "test"}

DIGITS_CAP = 1850
"""Utterances of each digit in the earlier system's set: about as many as the rarest one has in the first version."""

SPEECH_CUTTING = Cutting(sample_rate=16_000, seconds=16_384 / 16_000)

# Between the speaker and the number of the try in a file's name.
_MARK = "_nohash_"


@final
@dataclasses.dataclass(frozen=True)
class SpeechFilters:
    """Which utterances are wanted.

    Attributes:
        words: None at all stands for every word there is.
        cap: At most so many of each word, drawn; 0 takes all.
        seed: Of the draw.
    """

    words: tuple[str, ...] = DIGITS
    cap: int = DIGITS_CAP
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cap < 0:
            raise ConfigError(f"a cap is 0 for all utterances or a number of them, not {self.cap}")
        if len(set(self.words)) < len(self.words):
            raise ConfigError(f"each word is named once, not {', '.join(self.words)}")


def scan_speech_commands(raw: Path, filters: SpeechFilters) -> Scan:
    """The wanted utterances of a folder in the layout of Speech Commands.

    Raises:
        DatasetError: The folder is not in that layout.
        ConfigError: Not one of the words is there.
    """
    there = _words_in(raw)
    words = filters.words or there
    present = [word for word in words if word in there]
    if not present:
        raise ConfigError(f"{raw} has no folder for {words[0]!r}; {near_miss(words[0], there)}")
    rejects = [
        Reject(str(raw / word), "failed", "the word has no folder") for word in words if word not in there
    ]
    parts = _parts(raw)
    files = {
        f"{word}/{path.name}": path for word in present for path in (raw / word).iterdir() if path.is_file()
    }
    sounds = {name: path for name, path in sorted(files.items()) if path.suffix.lower() == ".wav"}
    rejects += [
        Reject(str(raw / name), "failed", "it is listed as held out, but there is no such file")
        for name in sorted(parts)
        if name not in sounds and name.partition("/")[0] in present
    ]
    strangers = [path for name, path in files.items() if name not in sounds]
    rejects += named_up_to(strangers, "no .wav file")
    wanted = _capped(sounds, filters)
    sources = [_source(name, path, parts) for name, path in sounds.items() if name in wanted]
    return Scan(tuple(sources), tuple(rejects), dump(filters))


def _words_in(raw: Path) -> tuple[str, ...]:
    """The folders that hold utterances; those that begin with `_` hold background noise."""
    if not raw.is_dir():
        raise DatasetError(f"{raw} is no folder; takes one with a folder per word")
    words = sorted(path.name for path in raw.iterdir() if path.is_dir() and path.name[0] not in "._")
    if not words:
        raise DatasetError(f"{raw} has no folder in it; takes one with a folder per word")
    return tuple(words)


def _parts(raw: Path) -> dict[str, Split]:
    """The part of every utterance that a list names, as `word/file.wav`; nothing where there are no lists.

    Raises:
        DatasetError: A list cannot be read, or an utterance is in both.
    """
    parts: dict[str, Split] = {}
    for file, part in LISTS.items():
        for name in _lines(raw / file):
            if parts.get(name, part) != part:
                raise DatasetError(f"{raw}: {name} is in both lists, {' and '.join(LISTS)}")
            parts[name] = part
    return parts


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    for line in text.splitlines():
        if line.strip():
            yield line.strip()


def _capped(sounds: Mapping[str, Path], filters: SpeechFilters) -> set[str]:
    if not filters.cap:
        return set(sounds)
    return at_most({name: name.partition("/")[0] for name in sounds}, filters.cap, seed=filters.seed)


def _source(name: str, path: Path, parts: Mapping[str, Split]) -> Source:
    word, _, file = name.partition("/")
    speaker, _, attempt = Path(file).stem.partition(_MARK)
    return Source(
        path=path,
        name=name,
        label=word,
        attributes={"speaker": speaker, "attempt": int(attempt) if attempt.isdecimal() else -1},
        split=parts.get(name, "train") if parts else None,
        group=speaker,
    )
