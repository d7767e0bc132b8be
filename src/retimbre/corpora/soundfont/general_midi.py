"""The programs of General MIDI that are notes of one of NSynth's families, and which SoundFont has them.

General MIDI numbers 128 instruments in sixteen groups of eight, and most groups are a family of NSynth's under another
name. What is left out has no family there (sound effects, drums, ensembles with attacks of seconds).

References:
    MIDI Association, General MIDI System Level 1, 1991, https://midi.org/general-midi
"""

import dataclasses
from typing import final

ACOUSTIC, ELECTRONIC, SYNTHETIC = "acoustic", "electronic", "synthetic"


@final
@dataclasses.dataclass(frozen=True)
class Program:
    """A General MIDI instrument.

    Attributes:
        number: From 0.
        family: NSynth's.
        source: How the instrument makes its sound: acoustic, electronic or synthetic.
    """

    number: int
    family: str
    source: str

    @property
    def instrument_name(self) -> str:
        """In NSynth's manner, the program number last."""
        return f"{self.family}_{self.source}_{self.number:03d}"


# Family, source, and the programs from one number to another, both included.
_GROUPS = (
    ("keyboard", ACOUSTIC, 0, 3),
    ("keyboard", ELECTRONIC, 4, 5),
    ("keyboard", ACOUSTIC, 6, 6),
    ("keyboard", ELECTRONIC, 7, 7),
    ("mallet", ACOUSTIC, 8, 15),
    ("organ", ELECTRONIC, 16, 18),
    ("organ", ACOUSTIC, 19, 20),
    ("reed", ACOUSTIC, 21, 23),
    ("guitar", ACOUSTIC, 24, 25),
    ("guitar", ELECTRONIC, 26, 31),
    ("bass", ACOUSTIC, 32, 32),
    ("bass", ELECTRONIC, 33, 37),
    ("bass", SYNTHETIC, 38, 39),
    ("string", ACOUSTIC, 40, 46),
    ("string", ACOUSTIC, 48, 49),
    ("string", SYNTHETIC, 50, 51),
    ("vocal", ACOUSTIC, 52, 53),
    ("vocal", SYNTHETIC, 54, 54),
    ("brass", ACOUSTIC, 56, 61),
    ("brass", SYNTHETIC, 62, 63),
    ("reed", ACOUSTIC, 64, 71),
    ("flute", ACOUSTIC, 72, 79),
    ("synth_lead", SYNTHETIC, 80, 87),
)

PROGRAMS: tuple[Program, ...] = tuple(
    Program(number, family, source)
    for family, source, first, last in _GROUPS
    for number in range(first, last + 1)
)
