"""Recordings beside the pairs of a run: the table [sounds] of a run file, from a folder to notes that a network hears.

Each recording is read as `retimbre match` reads it: the stretch that is one note, its pitch, its gate. What cannot be
read, and what is silent, is passed over and named. What training heard is remembered by its content, in the model
itself, so that `retimbre evaluate recordings` can leave it out: a score on sounds that were learned from says nothing.

Files are parted three ways. Those that match a pattern of `held_out` are never looked at. Of the others a share, chosen
by the hash of each name and even over sub-folders, serves validation, by which the best weights are picked; the rest
is learned from. A set made by `retimbre data folder` has such parts already; its test part is never looked at.

A run hears the same recordings from its first session to its last. Its folder keeps their fingerprints, and a session
that finds others is refused: the model would not know of what it heard earlier and no longer finds.
"""

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError
from retimbre.core.files import sha256_of, write_json
from retimbre.data.dataset import RecordedSet
from retimbre.data.manifest import HEADER_FILE, Fractions
from retimbre.data.splits import Split, split_by_name
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.matching.inverter import Inverter, read_inverter
from retimbre.matching.self_supervised import (
    Listening,
    SoundLossConfig,
    Sounds,
    check_gradient,
)
from retimbre.matching.target import Target, TargetSettings, find_target, read_target

# Recordings are known again by as many digits of the SHA-256 of their files: by chance alike, once in 10^19 pairs.
_DIGITS = 16

# In a run folder: the fingerprints of what was heard since the run began, by part.
RECORD_FILE = "sounds.json"
# What the model that a run began with had heard.
BEGUN_WITH_FILE = "begun_with.json"


@dataclasses.dataclass(frozen=True)
class SoundsConfig:
    """[sounds]: recordings without labels that an inverter also learns from."""

    folder: str = ""
    """Recordings, or a set made by `retimbre data folder`; empty for none."""
    held_out: tuple[str, ...] = ()
    """Patterns of file names, as `brass_*`, that are not looked at."""
    validation: float = 0.1
    """Share of the other files by which the best weights are picked."""
    loss: SoundLossConfig = dataclasses.field(default_factory=SoundLossConfig)
    """[sounds.loss]: how the distance to a recording is made a loss."""

    def __post_init__(self) -> None:
        """Refuses a share that leaves nothing."""
        if not 0.0 <= self.validation < 1.0:
            raise ConfigError(f"[sounds] validation is {self.validation:g}, but takes 0 or more and under 1")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Recordings:
    """What was found in a folder of recordings.

    Attributes:
        heard: Names of the recordings that training looks at, validation included.
        by_part: The fingerprints of their files, by which they are known again, sorted in each part.
        passed_over: What is wrong with each of the others, one line that names it.
    """

    train: Sounds
    validation: Sounds
    heard: tuple[str, ...]
    by_part: Mapping[str, tuple[str, ...]]
    passed_over: tuple[str, ...]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Those of both parts, sorted, each once."""
        return tuple(sorted(set[str]().union(*self.by_part.values())))

    def summary(self) -> dict[str, Any]:
        """How many there are, as a rehearsal tells it."""
        return {
            "recordings": len(self.train),
            "recordings_for_validation": len(self.validation),
            "passed_over": list(self.passed_over),
        }

    def facts(self) -> dict[str, Any]:
        """What should be known of the model that heard them."""
        return self.summary() | {"heard": list(self.fingerprints)}


@final
@dataclasses.dataclass(frozen=True)
class _Entry:
    """A recording that may be looked at: its name, its part, where it is and how its file is known again."""

    name: str
    part: Split
    path: Path
    clip: int
    fingerprint: str


def listening_of(config: SoundsConfig, inverter: Inverter, seed: int) -> Listening | None:
    """What a task needs to learn from the recordings of a run; None for a run without.

    Raises:
        ConfigError: The synthesizer cannot teach anything by its sound, or too few recordings are left.
        AudioError: There is no recording.
        DatasetError: The data set is damaged.
    """
    if not config.folder:
        return None
    check_gradient(inverter)
    # A session hears the folder as it is now, whatever an earlier session of the same process has read.
    recordings_of.cache_clear()
    found = recordings_of(config, inverter.config.sample_rate, inverter.num_samples)
    train, validation = (dataclasses.replace(sounds, seed=seed) for sounds in (found.train, found.validation))
    return Listening(config.loss, train, validation)


@functools.lru_cache(maxsize=4)
def recordings_of(config: SoundsConfig, sample_rate: int, num_samples: int) -> Recordings:
    """Reads the recordings of a run, once in a session: pitch and gate of a note take a twentieth of a second.

    Raises:
        ConfigError: Too few recordings are left.
        AudioError: There is no recording.
        DatasetError: The data set is damaged.
    """
    targets: dict[str, list[Target]] = {"train": [], "validation": []}
    heard: list[_Entry] = []
    passed_over: list[str] = []
    for entry, target in _read(config):
        if isinstance(target, Target):
            targets[entry.part].append(target)
            heard.append(entry)
        else:
            passed_over.append(str(target))
    if not all(targets.values()):
        first = f"; the first: {passed_over[0]}" if passed_over else ""
        raise ConfigError(
            f"[sounds] {config.folder}: takes a recording or more to learn from and one for validation, but "
            f"{len(targets['train'])} and {len(targets['validation'])} are left, {len(passed_over)} cannot be used"
            f"{first}"
        )
    train, validation = (_sounds(targets[part], sample_rate, num_samples) for part in targets)
    return Recordings(
        train,
        validation,
        tuple(entry.name for entry in heard),
        {part: tuple(sorted(entry.fingerprint for entry in heard if entry.part == part)) for part in targets},
        tuple(passed_over),
    )


def check_unchanged(run: Path, found: Recordings) -> None:
    """Makes sure that a run, if it has begun, began with these recordings.

    Raises:
        ExistsError: It began with others, or with a recording in the other part.
        CheckpointError: The record of the run is damaged.
    """
    path = run / RECORD_FILE
    if not path.exists():
        return
    before, now = _counted(_record(path)), _counted(found.by_part)
    changed = {fingerprint for _, fingerprint in (before - now) + (now - before)}
    if changed:
        raise ExistsError(
            f"{run}: {len(changed)} of the recordings learned from have changed since this run began (removed, added, "
            "edited, or moved between training and validation); name another folder with --out"
        )


def keep_record(run: Path, found: Recordings) -> None:
    """Writes down with which recordings a run goes on, unless it is written already; for the first process alone."""
    path = run / RECORD_FILE
    if not path.exists():
        write_json(path, {part: list(fingerprints) for part, fingerprints in found.by_part.items()})


def keep_inheritance(run: Path, model: str) -> None:
    """Writes down what the model that a run begins with has heard; for the first process alone."""
    path = run / BEGUN_WITH_FILE
    if not path.exists():
        _, facts = read_inverter(model)
        write_json(path, {"model": model, "heard": facts.get("sounds", {}).get("heard", [])})


def with_inheritance(run: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a run's model; what the model that it began with has heard, it has heard too."""
    path = run / BEGUN_WITH_FILE
    inherited = json.loads(path.read_text(encoding="utf-8"))["heard"] if path.is_file() else []
    if not inherited:
        return dict(facts)
    sounds = facts.get("sounds", {})
    return {**facts, "sounds": {**sounds, "heard": sorted({*sounds.get("heard", []), *inherited})}}


def _record(path: Path) -> dict[str, tuple[str, ...]]:
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
        return {str(part): tuple(map(str, fingerprints)) for part, fingerprints in parts.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"{path}: the record of the recordings heard is damaged; name another folder with --out"
        ) from error


def _counted(by_part: Mapping[str, tuple[str, ...]]) -> Counter[tuple[str, str]]:
    return Counter(
        (part, fingerprint) for part, fingerprints in by_part.items() for fingerprint in fingerprints
    )


def fingerprint_of(path: Path) -> str:
    """By what a recording is known again."""
    return sha256_of(path)[:_DIGITS]


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a recording, by its name or its path below the folder, matches one of some patterns."""
    return any(fnmatch(name, pattern) or fnmatch(Path(name).name, pattern) for pattern in patterns)


def _read(config: SoundsConfig) -> Iterator[tuple[_Entry, Target | AudioError]]:
    """Every recording that may be looked at, as a note or as what is wrong with it."""
    folder = Path(config.folder)
    if (folder / HEADER_FILE).is_file():
        yield from _read_set(RecordedSet.open(folder), config.held_out)
        return
    for entry in _entries(folder, config):
        try:
            yield entry, read_target(entry.path)
        except AudioError as error:
            yield entry, error


def _entries(folder: Path, config: SoundsConfig) -> list[_Entry]:
    """The recordings of a folder that are not held out, with their parts; a part is even over sub-folders."""
    paths = audiofile.find_sounds([folder])
    names = [path.relative_to(folder).as_posix() if path != folder else path.name for path in paths]
    kept = [index for index, name in enumerate(names) if not matches(name, config.held_out)]
    labels = [Path(names[index]).parent.as_posix() for index in kept]
    parts = split_by_name([names[index] for index in kept], labels, Fractions(config.validation, 0.0))
    return [
        _Entry(names[index], part, paths[index], 0, _fingerprint(paths[index]))
        for index, part in zip(kept, parts, strict=True)
    ]


def _fingerprint(path: Path) -> str:
    try:
        return fingerprint_of(path)
    except OSError:  # it cannot be read as a sound either, which is told then
        return ""


def _read_set(recorded: RecordedSet, held_out: Sequence[str]) -> Iterator[tuple[_Entry, Target | AudioError]]:
    """The clips of a data set outside its test part, each searched for its note."""
    rate = recorded.header.sample_rate
    for row, clip in enumerate(recorded.clips):
        if clip.split == "test" or matches(clip.source, held_out):
            continue
        entry = _Entry(clip.source, clip.split, recorded.folder / clip.source, row, clip.sha256[:_DIGITS])
        samples = recorded.audio(torch.tensor([row]))[0]
        try:
            yield entry, find_target(_sound_of(samples, rate, entry.path), TargetSettings())
        except AudioError as error:
            yield entry, error


def _sound_of(samples: Float[Tensor, " samples"], sample_rate: int, path: Path) -> audiofile.Sound:
    """A clip of a data set as a sound that has come through the door already."""
    return audiofile.Sound(
        samples=samples,
        sample_rate=sample_rate,
        path=path,
        source_rate=sample_rate,
        channels=1,
        subtype="FLOAT",
        clipped=False,
        mix="mono",
        gain=1.0,
        truncated=False,
    )


def _sounds(targets: Sequence[Target], sample_rate: int, num_samples: int) -> Sounds:
    """Notes at an inverter's rate and length: longer ones are cut, shorter ones end in silence."""
    clips = [
        fit_length(resample(target.samples, target.sample_rate, sample_rate), num_samples)
        for target in targets
    ]
    hints = [target.hint for target in targets]
    return Sounds(
        audio=torch.stack(clips) if clips else torch.empty(0, num_samples),
        pitch_hz=torch.tensor([hint.pitch_hz for hint in hints]),
        gate_s=torch.tensor([min(hint.gate_s, hint.seconds) for hint in hints]),
    )
