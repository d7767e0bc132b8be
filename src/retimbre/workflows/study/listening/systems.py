"""What is compared in a listening test: systems, each a set of sounds by key.

A system is whatever makes sounds: a generator with the folder of its outputs, an inverter with its answers to real
sounds, the real sounds themselves. A sound's key is its place below the folder without the ending, as `pitch_060` or
`seed3/pitch_060`. Generators that were given the same latent, seed or pitch write the same names, so equal keys mean
sounds of the same thing: those are compared with each other.
"""

import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.workflows.study.listening.sounds import Excerpt, excerpt_of

REAL = "real"
"""The name of the real sounds among the systems; the anchors made of them begin with it."""


class System(abc.ABC):
    """Sounds by key. Final subclasses are frozen dataclasses with a `name`."""

    name: str

    @property
    @abc.abstractmethod
    def keys(self) -> tuple[str, ...]:
        """The keys of its sounds, sorted."""

    @property
    @abc.abstractmethod
    def source(self) -> str:
        """Where its sounds come from, for the manifest."""

    @abc.abstractmethod
    def excerpt(self, key: str, seconds: float) -> Excerpt:
        """The first `seconds` of one of its sounds, at the sound's own rate.

        Raises:
            AudioError: It cannot be read.
        """


@final
@dataclass(frozen=True)
class SoundFolder(System):
    """The sound files in a folder.

    Attributes:
        files: By key.
    """

    name: str
    folder: Path
    files: dict[str, Path]

    @property
    def keys(self) -> tuple[str, ...]:
        """See `System`."""
        return tuple(sorted(self.files))

    @property
    def source(self) -> str:
        """The folder."""
        return str(self.folder)

    def excerpt(self, key: str, seconds: float) -> Excerpt:
        """See `System`."""
        return excerpt_of(self.files[key], seconds)


def open_folder(name: str, folder: Path) -> SoundFolder:
    """A folder of sounds as a system.

    Raises:
        AudioError: There is no sound in it.
        ConfigError: It is no folder, or two of its files have one key.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder of sounds")
    files: dict[str, Path] = {}
    for path in audiofile.find_sounds([folder]):
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in files:
            raise ConfigError(f"{path} and {files[key]} are two sounds of one name; keep one of them")
        files[key] = path
    return SoundFolder(name, folder, files)


def check_names(names: Iterable[str]) -> None:
    """Refuses names that are empty, that repeat, or that are those of the real sounds.

    Raises:
        ConfigError: One of these.
    """
    met: set[str] = set()
    for name in names:
        if not name or name == REAL or name.startswith(f"{REAL}-"):
            raise ConfigError(
                f"a system cannot be called {name!r}; {REAL!r} and what begins with it are the real sounds"
            )
        if name in met:
            raise ConfigError(f"two systems are called {name!r}; write NAME=FOLDER to tell them apart")
        met.add(name)


def split_name(text: str) -> tuple[str, str]:
    """The name and the place of a system as it was written: NAME=PLACE, or a place that gives its last part."""
    name, equals, place = text.partition("=")
    if equals and "/" not in name:
        return name, place
    return Path(text).resolve().name if Path(text).is_dir() else Path(text).stem, text


def shared_keys(systems: Sequence[System]) -> tuple[str, ...]:
    """The keys that all systems have, sorted."""
    return tuple(sorted(set[str].intersection(*(set(each.keys) for each in systems))))
