"""Every deliberate exception of the program, as one tree.

    RetimbreError
    ├── UserError            the caller's mistake: one line at the command line, exit status 2
    │   ├── AudioError       a sound that cannot be read or used
    │   ├── ConfigError      an unknown option, a value out of range, a name that is in no catalog
    │   ├── PatchError       a patch file that cannot be read or does not fit its synthesizer
    │   ├── MidiError        a MIDI file that cannot be read or has nothing to play
    │   ├── DatasetError     a data set that is missing, foreign or damaged
    │   ├── CheckpointError  a checkpoint that is missing, foreign or damaged
    │   ├── ExistsError      something is already there, and nothing is overwritten without --force
    │   └── MissingExtra     an optional library is needed; the message names what to install
    └── PartialFailure       some of several inputs failed and the rest is done: exit status 1

Catch `RetimbreError` to catch them all. A message names the thing, what it got and what it takes, in one line.
"""

import difflib
from collections.abc import Iterable


class RetimbreError(Exception):
    """Root of every deliberate exception."""


class UserError(RetimbreError):
    """The caller's mistake."""


class AudioError(UserError):
    """A sound that cannot be read or used."""


class ConfigError(UserError):
    """An option, name or value that is not understood."""


class PatchError(UserError):
    """A patch that cannot be read or does not fit its synthesizer."""


class MidiError(UserError):
    """A MIDI file that cannot be read or has nothing to play."""


class DatasetError(UserError):
    """A data set that is missing, foreign or damaged."""


class CheckpointError(UserError):
    """A checkpoint that is missing, foreign or damaged."""


class ExistsError(UserError):
    """Something is already there and would be overwritten."""


class MissingExtra(UserError):
    """An optional library is needed."""

    def __init__(self, library: str, *, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {library}: pip install 'retimbre[{extra}]'")


class PartialFailure(RetimbreError):
    """Some of several inputs failed; the rest is done."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: the closest known one, or the list of all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
