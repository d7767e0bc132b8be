"""In what do two data sets differ? The names of their options, for whoever is told that a folder holds another set."""

from collections.abc import Mapping
from typing import Any

from retimbre.core.config import dump
from retimbre.data.manifest import Header

# More names than these would hide what the message is about.
_MOST_NAMES = 8


def differing_options(there: Header, wanted: Header) -> list[str]:
    """The options in which two headers differ, such as `sampling.seed`."""
    names = differing_names(dump(there), dump(wanted))
    return [name.removeprefix("options.") for name in names if name != "made_by"]


def differing_names(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The dotted names of the values in which two nested tables differ."""
    left, right = _flat(there), _flat(wanted)
    absent = object()
    return [name for name in {**left, **right} if left.get(name, absent) != right.get(name, absent)]


def told(names: list[str]) -> str:
    """Names for a message; the option `sources` is a fingerprint, and stands for the files that a set is made of."""
    words = ["files" if name == "sources" else name for name in names]
    more = f" and {len(words) - _MOST_NAMES} more" if len(words) > _MOST_NAMES else ""
    return ", ".join(words[:_MOST_NAMES]) + more


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
