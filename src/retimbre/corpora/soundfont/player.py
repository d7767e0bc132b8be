"""FluidSynth behind one small class: a SoundFont and a program in, the sound of one note out.

A SoundFont holds recordings and how to play them: which recording at which pitch and velocity, its loop, its envelopes
and filters. FluidSynth plays them. Its voices are used again for later notes and keep something of the earlier ones (in
some versions even their amplitude), so every note gets a synthesizer of its own, to which the one loaded
SoundFont is lent. Reverberation and chorus are off, and samples are taken as floats, because the integers are dithered.

The library and its Python binding are optional (the extra `soundfont`). FluidSynth reports to the terminal; here a file
is looked at before FluidSynth sees it, so that what is wrong is one line.

References:
    FluidSynth 2 developer documentation, https://www.fluidsynth.org/api/
    SoundFont Technical Specification 2.04, E-mu Systems, 2006
"""

import contextlib
import ctypes
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import DatasetError, MissingExtra
from retimbre.data.midi import SUSTAIN_PEDAL, Movement

BLOCK_SAMPLES = 64
"""What FluidSynth renders at once; times within a note are multiples of it."""

RATES_HZ = (8_000, 96_000)
"""The sample rates that FluidSynth takes; of others it would only complain, and render at 44,100 Hz."""

_GAIN = 0.6  # leaves most notes of General MIDI sets with peaks of 0.1 to 0.5
_SETTINGS = {
    "synth.reverb.active": 0,
    "synth.chorus.active": 0,
    "synth.cpu-cores": 1,
    "synth.polyphony": 32,  # one note takes two to eight voices
}
_PIECE_VOICES = 256  # of a piece under the pedal
_CHANNEL = 0
_MELODIC_BANK = 0
_RIFF_HEADER_BYTES = 12
_PARTS = (b"INFO", b"sdta", b"pdta")
_INFO_BYTES = 65_536  # the names and rights of a SoundFont stand at its start


@final
class FluidSynthPlayer:
    """One SoundFont, loaded; a context manager, since the library holds it in memory of its own."""

    def __init__(self, path: Path, sample_rate: int) -> None:
        check_soundfont(path)
        self._library = _Library(load_library())
        self._sample_rate = sample_rate
        self._keeper = self._library.synth(sample_rate)
        self._number = self._keeper.sfload(str(path))
        if self._number < 0:
            self._keeper.delete()
            raise DatasetError(f"{path}: FluidSynth cannot load this SoundFont")
        self._sound_font = self._library.sound_font(self._keeper.synth, self._number)

    def __enter__(self) -> "FluidSynthPlayer":
        return self

    def __exit__(self, *failure: object) -> None:
        self._keeper.delete()

    def has_program(self, program: int) -> bool:
        """Whether the SoundFont has a melodic program."""
        return self._keeper.sfpreset_name(self._number, _MELODIC_BANK, program) is not None

    def play(
        self, program: int, pitch: int, velocity: int, *, held_samples: int, num_samples: int
    ) -> Float[Tensor, " samples"]:
        """One note, its two channels averaged; the key comes up after `held_samples`, rounded to whole blocks."""
        synth = self._library.synth(self._sample_rate)
        number = self._library.lend(synth.synth, self._sound_font)
        synth.program_select(_CHANNEL, number, _MELODIC_BANK, program)
        synth.noteon(_CHANNEL, pitch, velocity)
        held = self._library.render(synth.synth, round(held_samples / BLOCK_SAMPLES))
        synth.noteoff(_CHANNEL, pitch)
        rest = self._library.render(synth.synth, -(-max(0, num_samples - held.shape[1]) // BLOCK_SAMPLES))
        self._library.take_back(synth.synth, self._sound_font)
        synth.delete()
        return torch.from_numpy(np.concatenate([held, rest], axis=1)[:, :num_samples].mean(0))

    def perform(
        self, program: int, movements: Sequence[Movement], num_samples: int
    ) -> Float[Tensor, " samples"]:
        """A piece, its two channels averaged, by one synthesizer; movements are heeded at the next whole block."""
        synth = self._library.synth(self._sample_rate)
        synth.setting("synth.polyphony", _PIECE_VOICES)
        number = self._library.lend(synth.synth, self._sound_font)
        synth.program_select(_CHANNEL, number, _MELODIC_BANK, program)
        pieces: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        done, last = 0, -(-num_samples // BLOCK_SAMPLES)
        for movement in movements:
            place = min(last, round(movement.at_s * self._sample_rate / BLOCK_SAMPLES))
            if place > done:
                pieces.append(self._library.render(synth.synth, place - done))
                done = place
            _move(synth, movement)
        pieces.append(self._library.render(synth.synth, last - done))
        self._library.take_back(synth.synth, self._sound_font)
        synth.delete()
        return torch.from_numpy(np.concatenate(pieces, axis=1)[:, :num_samples].mean(0))


def _move(synth: Any, movement: Movement) -> None:
    """Strikes a key, lets it go, or moves the pedal."""
    if movement.key is None:
        synth.cc(_CHANNEL, SUSTAIN_PEDAL, movement.value)
    elif movement.value:
        synth.noteon(_CHANNEL, movement.key, movement.value)
    else:
        synth.noteoff(_CHANNEL, movement.key)


@final
class _Library:
    """The functions of FluidSynth that are needed here, among them those that the Python binding does not name."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding
        pointer, number = ctypes.c_void_p, ctypes.c_int
        synth, sound_font = ("synth", pointer, 1), ("sound_font", pointer, 1)
        channel = (("buffer", pointer, 1), ("offset", number, 1), ("step", number, 1))
        function = binding.cfunc
        self.sound_font = function("fluid_synth_get_sfont_by_id", pointer, synth, ("number", number, 1))
        self.lend = function("fluid_synth_add_sfont", number, synth, sound_font)
        self.take_back = function("fluid_synth_remove_sfont", number, synth, sound_font)
        self._write = function(
            "fluid_synth_write_float", number, synth, ("length", number, 1), *channel, *channel
        )

    def synth(self, sample_rate: int) -> Any:
        """A new synthesizer without a SoundFont."""
        return self._binding.Synth(gain=_GAIN, samplerate=sample_rate, channels=16, **_SETTINGS)

    def render(self, synth: Any, blocks: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The next blocks of two channels."""
        buffer = np.zeros((2, blocks * BLOCK_SAMPLES), dtype=np.float32)
        left, right = (channel.ctypes.data_as(ctypes.c_void_p) for channel in buffer)
        self._write(synth, buffer.shape[1], left, 0, 1, right, 0, 1)
        return buffer


def load_library() -> Any:
    """The Python binding with FluidSynth behind it, told to be quiet.

    Raises:
        MissingExtra: One of the two is not there.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # where CI is set, the binding prints what it found
            import fluidsynth
    except (ImportError, OSError) as error:
        raise MissingExtra(
            "pyfluidsynth and the library FluidSynth 2 (Debian: apt install libfluidsynth3)",
            extra="soundfont",
            purpose="playing a SoundFont",
        ) from error
    prototype = (("level", ctypes.c_int, 1), ("function", ctypes.c_void_p, 1), ("data", ctypes.c_void_p, 1))
    quieten: Any = fluidsynth.cfunc("fluid_set_log_function", ctypes.c_void_p, *prototype)
    for level in range(5 if quieten else 0):
        quieten(level, None, None)
    return fluidsynth


def check_soundfont(path: Path) -> None:
    """Refuses what is no SoundFont or only the beginning of one, before FluidSynth tells the terminal.

    Raises:
        DatasetError: The file cannot be read, is something else, or is cut short.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_RIFF_HEADER_BYTES)
            size = file.seek(0, io.SEEK_END)
            lists = _lists(file, size)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    if len(header) < _RIFF_HEADER_BYTES or header[:4] != b"RIFF" or header[8:] != b"sfbk":
        raise DatasetError(f"{path}: not a SoundFont (a RIFF file of type sfbk)")
    promised = struct.unpack("<I", header[4:8])[0] + 8
    if size < promised:
        raise DatasetError(f"{path}: cut short: {size:,} bytes of the {promised:,} that its header promises")
    if lists != _PARTS:
        found = ", ".join(part.decode("latin-1") for part in lists) or "nothing"
        raise DatasetError(f"{path}: not a SoundFont: takes the lists INFO, sdta, pdta, but has {found}")


def _lists(file: BinaryIO, size: int) -> tuple[bytes, ...]:
    """The types of the lists that a RIFF file holds, as far as they can be followed."""
    found, place = [], _RIFF_HEADER_BYTES
    while place + _RIFF_HEADER_BYTES <= size:
        file.seek(place)
        mark, length, kind = struct.unpack("<4sI4s", file.read(_RIFF_HEADER_BYTES))
        if mark != b"LIST":
            break
        found.append(kind)
        place += 8 + length + length % 2
    return tuple(found)


def read_info(path: Path) -> dict[str, str]:
    """What a SoundFont says about itself: `INAM` its name, `ICOP` its copyright, and others, by their chunk names."""
    with path.open("rb") as file:
        start = file.read(_INFO_BYTES)[_RIFF_HEADER_BYTES:]
    if start[:4] != b"LIST" or start[8:12] != b"INFO":
        return {}
    end = 8 + struct.unpack("<I", start[4:8])[0]
    found, place = {}, 12
    while place + 8 <= min(end, len(start)):
        length = struct.unpack("<I", start[place + 4 : place + 8])[0]
        text = start[place + 8 : place + 8 + length].split(b"\0")[0]
        found[start[place : place + 4].decode("latin-1")] = text.decode("latin-1").strip()
        place += 8 + length + length % 2
    return found
