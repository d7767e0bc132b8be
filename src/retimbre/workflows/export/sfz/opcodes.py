"""What an SFZ file may say: a table of its words, and a reader that finds what is wrong in a file.

SFZ is a text that tells a sampler which sound file to play for which key. It has headers in angle brackets and words
with values, called opcodes:

    <group> sw_last=24
    <region> sample=samples/violin_060.wav lokey=59 hikey=61 pitch_keycenter=60

A region is one sound file and the keys and velocities that play it. What stands under a group holds for all regions
after it, and what stands under global for the whole file, unless a region says otherwise. Samplers pass over what they
do not know without a word, so a misspelt opcode is heard only as a wrong sound. That is why files are checked here.

The table has the opcodes that this program writes, with the version of the format that brought them and the values
that they take, as the format's documentation lists them: `tune` is a whole number of cents within a semitone, and the
sample at `loop_end` is still played.

References:
    The SFZ format, opcodes, https://sfzformat.com/opcodes/ (its machine-readable syntax table)
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from retimbre.core.errors import near_miss

Version = Literal["SFZ v1", "SFZ v2", "ARIA"]

_HIGHEST_SAMPLE = 2**32


@final
@dataclass(frozen=True)
class Opcode:
    """A word of the format.

    Attributes:
        version: Which version of the format, or which sampler, brought it.
        kind: What its value is.
        low: The least number.
        high: The greatest.
        choices: The words that it takes, where it takes words.
    """

    version: Version
    kind: Literal["integer", "real", "text", "choice"]
    low: float = 0.0
    high: float = 127.0
    choices: tuple[str, ...] = ()

    def refusal(self, value: str) -> str:
        """Why a value is none for this opcode; empty if it is."""
        if self.kind == "text":
            return "" if value else "takes a text"
        if self.kind == "choice":
            return "" if value in self.choices else f"takes {', '.join(self.choices)}"
        number = _number(value, whole=self.kind == "integer")
        if number is None:
            return f"takes {'a whole number' if self.kind == 'integer' else 'a number'}"
        return "" if self.low <= number <= self.high else f"takes {self.low:g} to {self.high:g}"


HEADERS: dict[str, Version] = {"global": "SFZ v2", "group": "SFZ v1", "region": "SFZ v1"}
"""The headers that are written, and the version that brought each."""

OPCODES: dict[str, Opcode] = {
    "sample": Opcode("SFZ v1", "text"),
    "lokey": Opcode("SFZ v1", "integer"),
    "hikey": Opcode("SFZ v1", "integer"),
    "lovel": Opcode("SFZ v1", "integer", low=1),
    "hivel": Opcode("SFZ v1", "integer", low=1),
    "pitch_keycenter": Opcode("SFZ v1", "integer"),
    "tune": Opcode("SFZ v1", "integer", low=-100, high=100),
    "amp_veltrack": Opcode("SFZ v1", "real", low=-100, high=100),
    "ampeg_release": Opcode("SFZ v1", "real", high=100),
    "loop_mode": Opcode(
        "SFZ v1", "choice", choices=("no_loop", "one_shot", "loop_continuous", "loop_sustain")
    ),
    "loop_start": Opcode("SFZ v1", "integer", high=_HIGHEST_SAMPLE),
    "loop_end": Opcode("SFZ v1", "integer", high=_HIGHEST_SAMPLE),
    "sw_lokey": Opcode("SFZ v1", "integer"),
    "sw_hikey": Opcode("SFZ v1", "integer"),
    "sw_last": Opcode("SFZ v1", "integer"),
    "sw_default": Opcode("SFZ v2", "integer"),
    "sw_label": Opcode("ARIA", "text"),
}
"""The opcodes that are written. Those of ARIA only name things on a screen, and other samplers pass them over."""

_COMMENT = re.compile(r"//[^\n]*")
_HEADER = re.compile(r"<([^<>\s]*)>")
# A value ends where the next opcode or header begins: names of files may have spaces.
_OPCODE = re.compile(r"([^\s=<>]+)=(.*?)(?=\s+[^\s=<>]+=|\s*<|\s*\n|\s*$)", re.DOTALL)

# Opcodes that bound a range between them.
_RANGES = (("lokey", "hikey"), ("lovel", "hivel"), ("loop_start", "loop_end"), ("sw_lokey", "sw_hikey"))


def problems(text: str, folder: Path | None = None) -> list[str]:
    """What is wrong in an SFZ file, a line each; none for a file that every sampler of the format can read.

    Args:
        text: Of the file.
        folder: Where it lies, to look for its samples; None does not look.
    """
    found = [line for header, opcodes in sections(text) for line in _in_section(header, opcodes)]
    playable = regions(text)
    if not playable:
        found.append("there is no <region>, so nothing is ever played")
    for number, region in enumerate(playable, start=1):
        found += [f"region {number}: {line}" for line in _in_region(region, folder)]
    return found


def sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each header of a file with the opcodes right under it, in order; what stands before the first is under ''."""
    plain = _COMMENT.sub("", text)
    pieces = _HEADER.split(plain)
    names = ["", *pieces[1::2]]
    for name, body in zip(names, pieces[0::2], strict=True):
        if name or body.strip():
            yield name, {match[1]: match[2].strip() for match in _OPCODE.finditer(body)}


def regions(text: str) -> list[dict[str, str]]:
    """The regions of a file, each with all that holds for it."""
    everywhere: dict[str, str] = {}
    group: dict[str, str] = {}
    found: list[dict[str, str]] = []
    for header, opcodes in sections(text):
        if header == "global":
            everywhere, group = opcodes, {}
        elif header == "group":
            group = opcodes
        elif header == "region":
            found.append({**everywhere, **group, **opcodes})
    return found


def _in_section(header: str, opcodes: Mapping[str, str]) -> Iterator[str]:
    if header not in HEADERS:
        yield f"<{header}>: no such header; {near_miss(header, HEADERS)}"
    for name, value in opcodes.items():
        if name not in OPCODES:
            yield f"{name}={value}: no such opcode; {near_miss(name, OPCODES)}"
        elif refusal := OPCODES[name].refusal(value):
            yield f"{name}={value}: {refusal}"


def _in_region(region: Mapping[str, str], folder: Path | None) -> Iterator[str]:
    if "sample" not in region:
        yield "has no sample"
    elif folder is not None and not (folder / region["sample"]).is_file():
        yield f"{region['sample']} is not there"
    numbers = {name: _number(value, whole=False) for name, value in region.items()}
    for low, high in _RANGES:
        first, last = numbers.get(low), numbers.get(high)
        if first is not None and last is not None and first > last:
            yield f"{low}={region[low]} is above {high}={region[high]}"
    yield from _in_switches({name: number for name, number in numbers.items() if number is not None})


def _in_switches(numbers: Mapping[str, float]) -> Iterator[str]:
    """A key that switches timbres must be among the switches, and must not play notes."""
    if "sw_last" not in numbers:
        return
    lowest, highest = numbers.get("sw_lokey", 0.0), numbers.get("sw_hikey", 127.0)
    if not lowest <= numbers["sw_last"] <= highest:
        yield f"sw_last={numbers['sw_last']:g} is not among the key switches {lowest:g} to {highest:g}"
    if numbers.get("lokey", 0.0) <= highest and numbers.get("hikey", 127.0) >= lowest:
        yield f"the key switches {lowest:g} to {highest:g} are keys that it plays, too"


def _number(value: str, *, whole: bool) -> float | None:
    pattern = r"[+-]?\d+" if whole else r"[+-]?(\d+(\.\d*)?|\.\d+)"
    return float(value) if re.fullmatch(pattern, value) else None
