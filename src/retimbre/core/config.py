"""Configuration: a run file becomes frozen dataclasses, strictly, and back.

A run file is TOML (or JSON) that says everything a run depends on. Each thing that is configured has a frozen
dataclass, and a table of the file becomes an instance of it. Strictly: an option that does not exist is an error that
offers the nearest one, a number in quotes is not a number, and nothing is guessed. What was read can be written back
(`dump`, `write_toml`), which is how a run folder records what it ran.

    [train]                      @dataclass(frozen=True)
    steps = 2000                 class TrainConfig:
    batch_size = 64                  steps: int
                                     batch_size: int = 32

    build(TrainConfig, read_run_file(path)["train"], "train")

A field may be a plain value, a literal, an enumeration, a path, a dataclass, or a list, tuple, dictionary or union of
these. In a union of dataclasses that each have a literal field `kind`, a table's `kind` says which one it is, and
without it the first one is meant. A range is written into the type, `Annotated[int, Field(gt=0)]`, or checked in
`__post_init__` with a ValueError.
"""

import contextlib
import dataclasses
import enum
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic
import tomli_w

from retimbre.core.errors import ConfigError, near_miss
from retimbre.core.files import write_text

Config = TypeVar("Config")


def build(cls: type[Config], table: Any, where: str) -> Config:
    """An instance of the dataclass `cls` from a table of a run file.

    Args:
        cls: a dataclass, whose fields may be dataclasses in turn.
        table: plain values, as TOML and JSON have them.
        where: the table's name in the run file, for messages; empty for the whole file.

    Raises:
        ConfigError: An option is unknown, missing or of the wrong type, or a value is out of range.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{_place(where)} should be a table of options, not {table!r}")
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # pyright: ignore[reportArgumentType]
    for name in table:
        if name not in fields:
            raise ConfigError(f"{_place(where)} has no option {name!r}; {near_miss(str(name), fields)}")
    for name, field in fields.items():
        if name not in table and _is_required(field):
            raise ConfigError(f"{_place(where)} needs the option {name!r}")
    values = {name: _value(hints[name], value, where, name) for name, value in table.items()}
    try:
        with named(where):
            return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{_place(where)} {error}") from error


@contextlib.contextmanager
def named(where: str) -> Iterator[None]:
    """Has refusals say which table of a run file they are about, if they do not begin with one."""
    try:
        yield
    except ConfigError as error:
        if not where or str(error).startswith("["):
            raise
        raise type(error)(f"{_place(where)} {error}") from error


def dump(config: Any) -> dict[str, Any]:
    """The table that `build` makes an equal instance from. Fields that are None are left out: TOML has no null."""
    table = _plain(config)
    if not isinstance(table, dict):
        raise TypeError(f"only a dataclass or a mapping has options, not {config!r}")
    return table


def read_run_file(path: Path) -> dict[str, Any]:
    """The tables of a run file, TOML or JSON by its suffix.

    Raises:
        ConfigError: The file is missing, is neither kind, or cannot be parsed.
    """
    if path.suffix not in {".toml", ".json"}:
        raise ConfigError(f"{path}: a run file ends in .toml or .json")
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # what tomllib and json raise, and what undecodable bytes raise
        raise ConfigError(f"{path}: not a {path.suffix[1:].upper()} file: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: a run file holds tables of options, not {type(table).__name__}")
    return table


def apply_overrides(table: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `table` with options set from texts such as `train.steps=100`.

    The value is read as TOML (`100`, `0.5`, `true`, `[1, 2]`, `"text"`); what is not TOML is text as it stands.

    Raises:
        ConfigError: A text has no name or no `=`, or its name leads through an option that is not a table.
    """
    result = _plain(table)
    for override in overrides:
        name, equals, text = override.partition("=")
        keys = [key.strip() for key in name.split(".")]
        if not equals or not all(keys):
            raise ConfigError(f"an override is written TABLE.OPTION=VALUE, not {override!r}")
        inner = result
        for depth, key in enumerate(keys[:-1], start=1):
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{override!r}: {'.'.join(keys[:depth])!r} is an option, not a table")
        inner[keys[-1]] = parse_value(text)
    return result


def parse_value(text: str) -> Any:
    """A value from the command line: read as TOML, or the text itself where that is not TOML."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break in the text could smuggle in further keys; then it is text.
    return parsed["value"] if parsed.keys() == {"value"} else text


def write_toml(path: Path, table: Mapping[str, Any]) -> None:
    """Writes a whole TOML file that `read_run_file` reads back."""
    write_text(path, tomli_w.dumps(_plain(table)))


def _place(where: str) -> str:
    return f"[{where}]" if where else "the run file"


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str, name: str) -> Any:
    """One option's value as its type; dataclasses inside it are built here, so that their errors have a place too."""
    inner = f"{where}.{name}" if where else name
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, inner)
    if not _holds_dataclass(hint):
        return _leaf(hint, value, where, name)
    if origin is list and isinstance(value, list):
        return [_value(arguments[0], item, inner, str(index)) for index, item in enumerate(value)]
    if origin is tuple and isinstance(value, list) and arguments[1:] == (...,):
        return tuple(_value(arguments[0], item, inner, str(index)) for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], item, inner, key) for key, item in value.items()}
    if origin in {typing.Union, types.UnionType}:
        return _one_of(arguments, value, where, name)
    raise ConfigError(f"{_place(where)} {name!r} should be {_kind(origin)}, not {value!r}")


def _one_of(hints: tuple[Any, ...], value: Any, where: str, name: str) -> Any:
    """The first member of a union that takes the value; with one dataclass for tables, its error is the message."""
    is_table = isinstance(value, dict)
    candidates = [hint for hint in hints if is_table == dataclasses.is_dataclass(hint)] or list(hints)
    kinds = [_kinds_of(hint) for hint in candidates]
    if is_table and all(kinds):
        known = {kind: hint for hint, names in zip(candidates, kinds, strict=True) for kind in names}
        wanted = value.get("kind", kinds[0][0])
        if not isinstance(wanted, str) or wanted not in known:
            inner = f"{where}.{name}" if where else name
            raise ConfigError(f"{_place(inner)} has no kind {wanted!r}; {near_miss(str(wanted), known)}")
        candidates = [known[wanted]]
    for candidate in candidates[:-1]:
        try:
            return _value(candidate, value, where, name)
        except ConfigError:  # the next member may take it; the last one's error is reported
            continue
    return _value(candidates[-1], value, where, name)


def _kinds_of(hint: Any) -> tuple[str, ...]:
    """What the `kind` of a dataclass can be; empty if it has no such literal field."""
    hints = typing.get_type_hints(hint) if dataclasses.is_dataclass(hint) else {}
    return typing.get_args(hints["kind"]) if typing.get_origin(hints.get("kind")) is Literal else ()


def _holds_dataclass(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint) or any(_holds_dataclass(inner) for inner in typing.get_args(hint))


def _leaf(hint: Any, value: Any, where: str, name: str) -> Any:
    # JSON's strict mode is the one that fits a file: a list is a tuple there and a text is a path or an enumeration,
    # yet "3" is no number and 3.5 no integer.
    text = json.dumps(value, default=str)
    try:
        return pydantic.TypeAdapter(hint).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join([name, *(str(part) for part in first["loc"] if isinstance(part, int))])
        message = first["msg"].removeprefix("Value error, ")
        if message.startswith("Input should be "):
            message = message.replace("Input should", "should", 1)
        raise ConfigError(f"{_place(where)} {path!r} {message}, not {first['input']!r}") from None


def _kind(origin: Any) -> str:
    return {dict: "a table of tables", list: "a list of tables", tuple: "a list of tables"}.get(
        origin, "a table"
    )


def _plain(value: Any) -> Any:
    """Values as TOML and JSON have them, copied."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
