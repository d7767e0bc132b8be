"""Which knobs are searched, at which levels, and which are held: a small file instead of a program.

A data set, or a network that is trained on it, seldom needs every knob of an instrument at every value. A
parameter file says which ones, in JSON:

    {
      "synth": "fm",
      "fixed": {"A": 1.0, "release": 0.2},
      "searched": {"C": "semitones 16 from A4", "M": "steps 8 from 1 to 30", "D": [0, 0.5, 1.5], "attack": "$times"},
      "define": {"times": "steps 16"},
      "others": "search"
    }

Levels are the values that the classes of a knob stand for: a list of ascending numbers, or a phrase. The grammar:

    levels := [number, ...] | "all" | "steps" N [ "from" LOW "to" HIGH ] | "semitones" N [ "from" BASE ]
            | "switch" N | "$" NAME
    BASE   := a note such as A4, C#3 or Bb2, or a frequency in hertz; A4 if left out

`all` keeps the knob's own levels. `steps` spaces N levels evenly over the knob's travel, or from LOW to HIGH (by
ratio on a knob whose scale is logarithmic). `semitones` puts N levels a semitone apart. `switch` puts N levels at
the middles of N equal shares of the travel, where a plug-in's switch with N positions is safe from rounding.
`$NAME` stands for what `define` says. A knob in neither list is searched at its own levels or, with
`"others": "fix"`, held at its default.

The earlier system's form is read too: `parameters`, a list of `{id, name, values}`, and `fixed_parameters`, a list
of `{id, name, value}`.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, final

import torch

from retimbre.core.config import build
from retimbre.core.errors import ConfigError, near_miss
from retimbre.synth.knobs import Continuous, Parameter
from retimbre.synth.parameters import ParameterSpace

MOST_LEVELS = 4096  # classes of one knob: a one-hot label of more is a slip of the keyboard

_SEMITONES_ABOVE_C = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_A4_MIDI, _A4_HZ = 69, 440.0
_NOTE = re.compile(r"([A-Ga-g])([#b]?)(-?\d)")


@final
@dataclasses.dataclass(frozen=True)
class ParameterFile:
    """What a parameter file says; the module's opening explains each part."""

    searched: dict[str, str | tuple[float, ...]] = dataclasses.field(default_factory=dict)
    fixed: dict[str, float | str] = dataclasses.field(default_factory=dict)
    define: dict[str, str | tuple[float, ...]] = dataclasses.field(default_factory=dict)
    synth: str = ""
    others: Literal["search", "fix"] = "search"


def read_parameter_file(path: str | Path) -> ParameterFile:
    """Reads a parameter file.

    Raises:
        ConfigError: It cannot be read, or has entries that are not understood.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a JSON file: {error}") from error
    try:
        table = _from_earlier_form(table)
        _check_entries(table)
        return build(ParameterFile, table, "parameters")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def narrow(space: ParameterSpace, file: ParameterFile) -> ParameterSpace:
    """The space with the file's levels and fixed values.

    Raises:
        ConfigError: A knob is unknown or named twice, or its levels or value do not fit it; the message names it.
    """
    for name in file.searched:
        if name in file.fixed:
            raise ConfigError(f"{name} is both searched and fixed")
    levels = {
        name: expanded
        for name, phrase in file.searched.items()
        if (expanded := expand(space[name], phrase, file.define))
    }
    fixed = dict(file.fixed)
    if file.others == "fix":
        left = (parameter for parameter in space.searched if parameter.name not in file.searched)
        fixed = {parameter.name: parameter.default for parameter in left} | fixed
    return space.with_levels(levels).with_fixed(fixed)


def narrowing(space: ParameterSpace) -> dict[str, Any]:
    """What distinguishes a space from the synthesizer's own, for a JSON file: its levels and fixed values."""
    levels = {knob.name: list(knob.class_values()) for knob in space.searched if isinstance(knob, Continuous)}
    return {"levels": levels, "fixed": dict(space.fixed)}


def narrowed(space: ParameterSpace, record: Mapping[str, Any]) -> ParameterSpace:
    """The space that `narrowing` recorded.

    Raises:
        ConfigError: The synthesizer has no such knob, or its range has changed.
    """
    levels = {name: tuple(values) for name, values in record["levels"].items()}
    return space.with_levels(levels).with_fixed(record["fixed"])


def expand(
    parameter: Parameter,
    levels: str | tuple[float, ...],
    define: Mapping[str, str | tuple[float, ...]],
) -> tuple[float, ...]:
    """The values that a phrase or a list stands for; empty for `all`, which changes nothing.

    Raises:
        ConfigError: The phrase is not in the language; the message names the parameter.
    """
    phrase = _substitute(parameter.name, levels, define)
    if not isinstance(phrase, str):
        return _checked_count(parameter.name, tuple(float(value) for value in phrase))
    word, *rest = phrase.split() or [""]
    if word == "all" and not rest:
        return ()
    if word not in _PHRASES:
        known = [*_PHRASES, "all"]
        raise ConfigError(
            f"{parameter.name}: {phrase!r} is not a way to say levels; {near_miss(word, known)}"
        )
    if not isinstance(parameter, Continuous):
        raise ConfigError(f"{parameter.name} has its own steps: it takes 'all', not {phrase!r}")
    usage, make = _PHRASES[word]
    match = re.fullmatch(usage, " ".join(rest))
    if match is None:
        raise ConfigError(f"{parameter.name}: {phrase!r} is not {word} {_USAGE[word]}")
    return make(parameter, _count(parameter.name, match["count"]), match)


def _substitute(name: str, levels: Any, define: Mapping[str, Any]) -> str | tuple[float, ...]:
    seen: list[str] = []
    while isinstance(levels, str) and levels.startswith("$"):
        key = levels[1:]
        if key in seen:
            raise ConfigError(f"{name}: ${key} is defined by itself")
        if key not in define:
            raise ConfigError(f"{name}: ${key} is not defined; {near_miss(key, define)}")
        seen.append(key)
        levels = define[key]
    return levels


def _steps(parameter: Continuous, count: int, match: re.Match[str]) -> tuple[float, ...]:
    low, high = parameter.low, parameter.high
    if match["low"]:
        low, high = parameter.check(match["low"]), parameter.check(match["high"])
    if low >= high:
        raise ConfigError(f"{parameter.name}: steps go up, not from {low:g} to {high:g}")
    first, last = parameter.to_unit(torch.tensor([low, high], dtype=torch.float64)).tolist()
    if count == 1:
        return tuple(parameter.to_value(torch.tensor([(first + last) / 2], dtype=torch.float64)).tolist())
    inner = parameter.to_value(torch.linspace(first, last, count, dtype=torch.float64)).tolist()[1:-1]
    return (low, *inner, high)  # the ends as they were written, not as a logarithm and back gives them


def _semitones(parameter: Continuous, count: int, match: re.Match[str]) -> tuple[float, ...]:
    base_hz = _frequency(parameter.name, match["base"] or "A4")
    return tuple(base_hz * 2.0 ** (index / 12) for index in range(count))


def _switch(parameter: Continuous, count: int, match: re.Match[str]) -> tuple[float, ...]:
    turns = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return tuple(parameter.to_value(turns).tolist())


_PHRASES = {
    "steps": (r"(?P<count>\S+)(?: from (?P<low>\S+) to (?P<high>\S+))?", _steps),
    "semitones": (r"(?P<count>\S+)(?: from (?P<base>\S+))?", _semitones),
    "switch": (r"(?P<count>\S+)", _switch),
}
_USAGE = {"steps": "N [from LOW to HIGH]", "semitones": "N [from BASE]", "switch": "N"}


def _frequency(name: str, text: str) -> float:
    note = _NOTE.fullmatch(text)
    if note is None:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{name}: {text!r} is neither a note such as A4 nor a frequency") from None
    letter, accidental, octave = note.groups()
    semitone = _SEMITONES_ABOVE_C[letter.upper()] + {"#": 1, "b": -1, "": 0}[accidental]
    midi = semitone + 12 * (int(octave) + 1)
    return _A4_HZ * 2.0 ** ((midi - _A4_MIDI) / 12)


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_LEVELS:
        raise ConfigError(f"{name}: a number of levels is 1 to {MOST_LEVELS}, not {text!r}")
    return int(text)


def _checked_count(name: str, levels: tuple[float, ...]) -> tuple[float, ...]:
    if not 1 <= len(levels) <= MOST_LEVELS:
        raise ConfigError(f"{name} has {len(levels)} levels, but takes 1 to {MOST_LEVELS}")
    return levels


def _from_earlier_form(table: Any) -> Any:
    """The two lists of the earlier system as this one's mappings; anything else as it is."""
    if not isinstance(table, Mapping) or "parameters" not in table:
        return table
    rest = {key: table[key] for key in table if key not in {"parameters", "fixed_parameters"}}
    return {
        "searched": _by_name(table["parameters"], "values"),
        "fixed": _by_name(table.get("fixed_parameters", []), "value"),
        **rest,
    }


def _check_entries(table: Any) -> None:
    """Refuses levels and values of a wrong kind by the name of their parameter."""
    if not isinstance(table, Mapping):
        return
    for group, takes in (("searched", "a list of numbers or a phrase"), ("fixed", "a number or a choice")):
        entries = table.get(group, {})
        if not isinstance(entries, Mapping):
            raise ConfigError(f"{group} is a table of parameters, not {entries!r}")
        for name, value in entries.items():
            is_list = isinstance(value, list) and all(_is_number(item) for item in value)
            if not (isinstance(value, str) or (is_list if group == "searched" else _is_number(value))):
                raise ConfigError(f"{name}: {group} takes {takes}, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_name(entries: Any, key: str) -> dict[str, Any]:
    if not isinstance(entries, list):
        raise ConfigError(f"a list of {{id, name, {key}}} is expected, not {entries!r}")
    named: dict[str, Any] = {}
    for entry in entries:
        if not isinstance(entry, Mapping) or not {"name", key} <= entry.keys() <= {"id", "name", key}:
            raise ConfigError(f"an entry is {{id, name, {key}}}, not {entry!r}")
        if entry["name"] in named:
            raise ConfigError(f"{entry['name']} is listed twice")
        named[str(entry["name"])] = entry[key]
    return named
