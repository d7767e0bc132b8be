"""From the bytes of a sound file to one channel of float32, block by block.

A file's header is never believed. It may promise gigabytes that are not there, or seconds that are damaged; so frames
are read in small blocks until they end, and only what was read is kept. Several channels become one by their mean,
the mix that a mono loudspeaker makes, unless they cancel there (a stereo effect that turns one side over does this):
then a second pass takes the loudest channel instead. What was met on the way is kept in a `MonoMix`.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, final

import numpy as np
import soundfile
from numpy.typing import NDArray

from retimbre.core.errors import AudioError

SUFFIXES = (".aif", ".aiff", ".flac", ".mp3", ".ogg", ".wav")
"""The endings that a search through a folder takes for sound files."""

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 768_000
"""Rates outside these bounds come from damaged headers: no converter runs at them."""

# Frames read at once: small, so that a damaged FLAC file is kept to within a tenth of a second of the damage.
_BLOCK_FRAMES = 4_096

# Channels cancel when their mean has this share (-20 dB) of the energy that unrelated channels would have left:
# a pair in opposite phase whose sides agree within a tenth.
_CANCELLED = 0.01

# Three equal samples in a row at full scale: a wave that was cut off there, where a peak would have one or two.
_CLIPPED_RUN = 3

# The largest positive sample of an integer encoding. In any other encoding full scale is 1.
_LARGEST = {"PCM_S8": 127 / 128, "PCM_U8": 127 / 128, "PCM_16": 32_767 / 32_768, "PCM_24": 1 - 2**-23}
_UNKNOWN_SIZE = 0x7FFF_0000  # programs that write WAV into a pipe claim this many bytes or more

Mix = Literal["mono", "mean", "loudest"]
"""How one channel was made: there was only one; the mean of all; or the loudest, since the mean would cancel."""


@final
@dataclasses.dataclass(frozen=True)
class SoundInfo:
    """What a file's header says, which need not be true: `frames` and `seconds` are a promise.

    Attributes:
        format: The container, in libsndfile's words: `WAV`, `FLAC`, `OGG` ...
        subtype: The encoding of the samples, in libsndfile's words: `PCM_16`, `FLOAT`, `VORBIS` ...
    """

    path: Path
    format: str
    subtype: str
    sample_rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Promised duration."""
        return self.frames / self.sample_rate


@final
@dataclasses.dataclass(frozen=True, eq=False)
class MonoMix:
    """One channel at the file's own rate, and what was met while reading it.

    Attributes:
        samples: Finite numbers, at least one, not scaled.
        clipped: Whether any channel stays at full scale for three samples or more.
        truncated: Whether the frames ended before the header's promise and before the seconds asked for.
    """

    info: SoundInfo
    samples: NDArray[np.float32]
    mix: Mix
    clipped: bool
    truncated: bool


def read_info(path: Path) -> SoundInfo:
    """Reads a file's header alone; AudioError when the file is missing, a folder, empty, or not audio."""
    with _opened(path) as file:
        return _info(path, file)


def mix_down(path: Path, *, max_seconds: float, start_s: float = 0.0) -> MonoMix:
    """Reads `max_seconds` (infinity: all) of a file from `start_s` on, as one channel.

    Raises:
        AudioError: the file cannot be opened, holds no frames, or holds samples that are not numbers.
    """
    tally, info = _pass(path, (start_s, max_seconds), channel=None)
    mix: Mix = "mono" if info.channels == 1 else "mean"
    if tally.cancels:
        tally, info = _pass(path, (start_s, max_seconds), channel=int(tally.energy.argmax()))
        mix = "loudest"
    left = info.frames - round(start_s * info.sample_rate)
    is_short = tally.num_frames < _frames_in(max_seconds, info.sample_rate)
    truncated = is_short and (tally.num_frames < left or _is_cut_off(path))
    return MonoMix(info, np.concatenate(tally.mixed), mix, tally.clipped, truncated)


@final
@dataclasses.dataclass(frozen=True)
class Survey:
    """What a pass over a whole file found out, without keeping its samples.

    Attributes:
        num_frames: Frames that can be read, whatever the header says.
        channel: The one that stands for all because they cancel in the mean; None for the mean.
        peak: Largest absolute sample of the channel or mean.
        clipped: Whether any channel stays at full scale for three samples or more.
    """

    info: SoundInfo
    num_frames: int
    channel: int | None
    peak: float
    clipped: bool

    @property
    def mix(self) -> Mix:
        """How one channel is made."""
        if self.info.channels == 1:
            return "mono"
        return "mean" if self.channel is None else "loudest"

    @property
    def truncated(self) -> bool:
        """Whether the frames end before the header's promise."""
        return self.num_frames < self.info.frames or _is_cut_off(self.info.path)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples of the channel or mean, at the file's own rate, a small block at a time."""
        with _opened(self.info.path) as file:
            for block in _blocks(file, self.num_frames):
                yield _mixed(block, self.channel)


def survey(path: Path) -> Survey:
    """Goes through a whole file in bounded memory; what it finds says how to read the samples.

    Raises:
        AudioError: the file cannot be opened, holds no frames, or holds samples that are not numbers.
    """
    everything = (0.0, math.inf)
    channel = None
    tally, info = _pass(path, everything, channel=None, keep=False)
    if tally.cancels:
        channel = int(tally.energy.argmax())
        tally, info = _pass(path, everything, channel=channel, keep=False)
    return Survey(info, tally.num_frames, channel, tally.peak, tally.clipped)


@final
@dataclasses.dataclass
class _Tally:
    """What one pass over a file's frames has seen so far; `mixed` holds the samples if they are to be kept."""

    energy: NDArray[np.float64]
    mixed: list[NDArray[np.float32]]
    last: NDArray[np.float32]
    keep: bool = True
    mixed_energy: float = 0.0
    peak: float = 0.0
    num_bad: int = 0
    first_bad: int = 0
    num_frames: int = 0
    clipped: bool = False

    def add(self, block: NDArray[np.float32], *, channel: int | None, full_scale: float) -> None:
        """Takes in the next frames [frames, channels], mixed to their mean or reduced to one channel."""
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            self.first_bad = self.first_bad if self.num_bad else self.num_frames + int(bad.argmax())
            self.num_bad += int(bad.sum())
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        joined = np.concatenate([self.last, block])
        self.clipped = self.clipped or _stays_at(joined, full_scale)
        self.last = joined[1 - _CLIPPED_RUN :]
        self.energy += np.square(block, dtype=np.float64).sum(axis=0)
        mono = _mixed(block, channel)
        if self.keep:
            self.mixed.append(mono)
        self.mixed_energy += float(np.square(mono, dtype=np.float64).sum())
        self.peak = max(self.peak, float(np.abs(mono).max()))
        self.num_frames += len(block)

    @property
    def cancels(self) -> bool:
        """Whether the mean of the channels has lost the sound that the channels hold."""
        unrelated = float(self.energy.sum()) / len(self.energy) ** 2
        return self.mixed_energy < _CANCELLED * unrelated


def _mixed(block: NDArray[np.float32], channel: int | None) -> NDArray[np.float32]:
    """Frames [frames, channels] as one channel: their mean, or one of them."""
    mono = block.mean(axis=1, dtype=np.float64) if channel is None else block[:, channel]
    return mono.astype(np.float32)


def loudest_at(path: Path) -> float:
    """Where the loudest block of a file is, in seconds from its start: read block by block, in bounded memory.

    Raises:
        AudioError: the file cannot be opened.
    """
    position, loudest, most = 0, 0, -1.0
    with _opened(path) as file:
        for block in _blocks(file, math.inf):
            energy = float(np.square(np.nan_to_num(block), dtype=np.float64).mean())
            if energy > most:
                loudest, most = position, energy
            position += len(block)
        return loudest / file.samplerate


def _pass(
    path: Path, stretch_s: tuple[float, float], *, channel: int | None, keep: bool = True
) -> tuple[_Tally, SoundInfo]:
    """Goes through a stretch once; refuses one without frames or with samples that are not numbers."""
    start_s, seconds = stretch_s
    with _opened(path) as file:
        info = _info(path, file)
        tally = _Tally(np.zeros(info.channels), [], np.zeros((0, info.channels), np.float32), keep)
        for _ in _blocks(file, round(start_s * info.sample_rate)):
            pass  # a stream is read straight on: what comes before is decoded and dropped
        for block in _blocks(file, _frames_in(seconds, info.sample_rate)):
            tally.add(block, channel=channel, full_scale=_LARGEST.get(info.subtype, 1.0))
    if tally.num_frames == 0:
        raise AudioError(f"{path}: holds no samples that can be read")
    if tally.num_bad:
        first_s = tally.first_bad / info.sample_rate
        raise AudioError(f"{path}: {tally.num_bad} samples are NaN or infinite, the first at {first_s:.3f} s")
    return tally, info


@final
class _Stream(soundfile.SoundFile):
    """A file that is read straight on.

    soundfile seeks to the next frame after every read of a file that it may seek in. An MP3 frame needs bits of those
    before it, so that a seek loses them and the sound is damaged; and in a FLAC file that breaks off a seek fails.
    """

    def seekable(self) -> bool:
        """No: whatever the file could."""
        return False


def _blocks(file: _Stream, num_frames: float) -> Iterator[NDArray[np.float32]]:
    """Frames [frames, channels] from the start: `num_frames` of them, or as many as there are undamaged."""
    while num_frames > 0:
        try:
            block = file.read(int(min(_BLOCK_FRAMES, num_frames)), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            return  # Damaged from here on. What came before is a sound; `MonoMix.truncated` tells.
        if len(block) == 0:
            return
        num_frames -= len(block)
        yield np.asarray(block, dtype=np.float32)


def _is_cut_off(path: Path) -> bool:
    """Whether a WAV file is more than a padding byte shorter than its header says, which libsndfile passes over."""
    with path.open("rb") as file:
        head = file.read(8)
    promised = int.from_bytes(head[4:], "little") + len(head) - 1
    return head[:4] == b"RIFF" and path.stat().st_size < promised < _UNKNOWN_SIZE


def _frames_in(seconds: float, sample_rate: int) -> float:
    """Frames to read for so many seconds, one at least; infinity for infinity."""
    return max(1, round(seconds * sample_rate)) if math.isfinite(seconds) else seconds


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Stream]:
    """Opens a file for reading, or raises the AudioError that says why it cannot be."""
    _check_readable(path)
    try:
        file = _Stream(path)
    except (soundfile.LibsndfileError, TypeError) as error:
        # TypeError: a `.raw` file, which soundfile will not open without being told its rate.
        takes = " ".join(SUFFIXES)
        raise AudioError(f"{path}: not a sound file that can be read (takes {takes})") from error
    with file:
        check_rate(file.samplerate, str(path))
        yield file


def _check_readable(path: Path) -> None:
    """Refuses what no decoder should be shown; a pipe, for one, would wait for ever."""
    if path.is_dir():
        raise AudioError(f"{path}: is a folder, not a sound file")
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if not path.is_file():
        raise AudioError(f"{path}: is not a regular file")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path}: may not be read (permissions)")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: is empty (0 bytes)")


def check_rate(rate_hz: int, name: str) -> None:
    """Refuses a sample rate out of bounds; `name` is what has it."""
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(f"{name}: sample rate {rate_hz} Hz; takes {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz")


def _info(path: Path, file: _Stream) -> SoundInfo:
    return SoundInfo(path, file.format, file.subtype, file.samplerate, file.channels, file.frames)


def _stays_at(block: NDArray[np.float32], full_scale: float) -> bool:
    """Whether any channel of [frames, channels] holds one value at full scale for `_CLIPPED_RUN` frames."""
    if len(block) < _CLIPPED_RUN or max(block.max(), -block.min()) < full_scale:
        return False
    runs = np.lib.stride_tricks.sliding_window_view(block, _CLIPPED_RUN, axis=0)
    return bool(((np.abs(runs[..., 0]) >= full_scale) & (runs == runs[..., :1]).all(axis=-1)).any())
