"""A SoundFont of a few kilobytes, written field by field: one looped sine under as many program numbers as wanted.

The layout is that of the SoundFont 2.04 specification: names and versions (INFO), 16-bit samples (sdta), and nine
tables that lead from a program number over an instrument to a sample (pdta), each with a last entry that is not used.
"""

import math
import struct
from typing import NamedTuple

RATE = 32_000
PERIODS, PERIOD = 20, 64  # 500 Hz, which is 21 cents above B4, MIDI 71
ROOT_KEY, CORRECTION_CENTS = 71, -21


class LoopedWave(NamedTuple):
    """A sample: 16-bit values, the first one of its loop and the one after its last, and what key it is."""

    values: list
    loop: tuple
    rate: int
    key: int
    correction_cents: int


def sine():
    """The sample of every program, unless another is given."""
    values = [round(20_000 * math.sin(2 * math.pi * place / PERIOD)) for place in range(PERIODS * PERIOD)]
    return LoopedWave(values, (PERIOD, len(values) - PERIOD), RATE, ROOT_KEY, CORRECTION_CENTS)


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def listed(name, *chunks):
    return chunk(b"LIST", name + b"".join(chunks))


def ended(text):
    """A text with a zero byte at its end, or two: texts have even lengths."""
    return text.encode() + b"\0" * (2 - len(text) % 2)


def named(text):
    return text.encode().ljust(20, b"\0")


def write_tiny_soundfont(path, programs=(0,), name="Tiny", wave=None):
    """Writes it."""
    wave = wave or sine()
    count = len(wave.values)
    samples = (
        struct.pack(f"<{count}h", *wave.values) + b"\0" * 92
    )  # 46 silent samples follow, as the specification asks
    presets = [
        named(f"program {number}") + struct.pack("<HHHIII", number, 0, place, 0, 0, 0)
        for place, number in enumerate(programs)
    ]
    end = len(presets)
    tables = {
        b"phdr": b"".join(presets) + named("EOP") + struct.pack("<HHHIII", 0, 0, end, 0, 0, 0),
        b"pbag": b"".join(struct.pack("<HH", place, 0) for place in range(end + 1)),
        b"pmod": b"\0" * 10,
        b"pgen": struct.pack("<HH", 41, 0) * end + b"\0" * 4,  # generator 41: the instrument
        b"inst": named("sine") + struct.pack("<H", 0) + named("EOI") + struct.pack("<H", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        b"imod": b"\0" * 10,
        b"igen": struct.pack("<HHHH", 54, 1, 53, 0) + b"\0" * 4,  # 54: loop while held; 53: the sample
        b"shdr": named("sine")
        + struct.pack("<IIIIIBbHH", 0, count, *wave.loop, wave.rate, wave.key, wave.correction_cents, 0, 1)
        + named("EOS")
        + b"\0" * 26,
    }
    info = listed(
        b"INFO",
        chunk(b"ifil", struct.pack("<HH", 2, 1)),
        chunk(b"isng", ended("EMU8000")),
        chunk(b"INAM", ended(name)),
        chunk(b"ICOP", ended("nobody")),
    )
    body = (
        b"sfbk"
        + info
        + listed(b"sdta", chunk(b"smpl", samples))
        + listed(b"pdta", *(chunk(*table) for table in tables.items()))
    )
    path.write_bytes(chunk(b"RIFF", body))
    return path
