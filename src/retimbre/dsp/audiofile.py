"""The one door through which sound files come and go.

A sound file is a header (rate, channels, encoding, and a promise of how many frames follow) and the frames. Nothing
behind this door knows about any of that: inside, a sound is one channel of float32 at one rate. So `read` mixes the
channels to one, resamples, and says in its `Sound` what it met on the way; `write` puts a sound back, whole or not
at all.

What cannot be used raises one `AudioError` line: missing, a folder, empty, not audio, no frames, or samples that are
not numbers. What can be used with a remark (clipped, cut short, channels that cancel, louder than full scale) is
used, and `Sound.remarks` says so.
"""

import dataclasses
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import final

import numpy as np
import soundfile
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.core.files import whole_file
from retimbre.dsp.decode import SUFFIXES, Mix, SoundInfo, check_rate, mix_down, read_info
from retimbre.dsp.resample import resample

__all__ = [
    "Sound",
    "SoundInfo",
    "encode_flac",
    "find_sounds",
    "probe",
    "read",
    "remarks_on",
    "write",
    "write_pieces",
]

_FORMATS = {".wav": "WAV", ".flac": "FLAC"}

# Where libsndfile puts the chunk of the peak in a WAV file of floats: after those of the format and the length.
_PEAK_PLACE = 48


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Sound:
    """One channel of audio, and what happened to it at the door.

    Attributes:
        samples: At `sample_rate`, in [-1, 1] but for the little that resampling adds between full-scale samples.
        source_rate: The file's own rate, hertz.
        channels: How many the file has.
        subtype: The file's encoding, in libsndfile's words.
        clipped: Whether any channel stays at full scale for three samples or more.
        mix: How the channels became one.
        gain: What the samples were multiplied by: 1, or less when a float file is louder than full scale.
        truncated: Whether the file broke off before the end that its header promises.
    """

    samples: Float[Tensor, " samples"]
    sample_rate: int
    path: Path
    source_rate: int
    channels: int
    subtype: str
    clipped: bool
    mix: Mix
    gain: float
    truncated: bool

    @property
    def seconds(self) -> float:
        """Duration of the samples."""
        return len(self.samples) / self.sample_rate

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a listener should know, one clause each; empty for a sound without blemish."""
        ends_at_s = self.seconds if self.truncated else None
        return remarks_on(self.mix, self.gain, clipped=self.clipped, ends_at_s=ends_at_s)


def remarks_on(mix: Mix, gain: float, *, clipped: bool, ends_at_s: float | None) -> tuple[str, ...]:
    """What a listener should know of a file that was read; `ends_at_s` is where it broke off, None if it did not."""
    broken = "" if ends_at_s is None else f"{ends_at_s:.2f}"
    clauses = {
        "clipped: it stays at full scale for several samples": clipped,
        f"cut short: it ends after {broken} s, before its header says": bool(broken),
        "its channels cancel in the mean; the loudest one was taken": mix == "loudest",
        f"louder than full scale; scaled by {gain:.3g}": gain != 1,
    }
    return tuple(clause for clause, applies in clauses.items() if applies)


def read(
    path: str | Path,
    *,
    sample_rate: int | None = None,
    max_seconds: float | None = None,
    start_s: float = 0.0,
) -> Sound:
    """Reads a sound as one channel.

    Args:
        path: A file in any format that libsndfile reads: WAV, FLAC, OGG, MP3, AIFF and others.
        sample_rate: The rate wanted; None keeps the file's own.
        max_seconds: How much to read; what follows is not touched. None reads all.
        start_s: Where to begin, in seconds.

    Raises:
        AudioError: the file cannot be used; the message names it and says why.
    """
    if max_seconds is not None and not max_seconds > 0:
        raise AudioError(f"max_seconds is {max_seconds}; it takes a positive number")
    if sample_rate is not None:
        check_rate(sample_rate, "the rate to read at")
    most_s = float("inf") if max_seconds is None else max_seconds
    mono = mix_down(Path(path), max_seconds=most_s, start_s=start_s)
    rate = mono.info.sample_rate if sample_rate is None else sample_rate
    gain = 1 / max(1.0, float(np.abs(mono.samples).max()))
    samples = torch.from_numpy(mono.samples * np.float32(gain))
    return Sound(
        samples=resample(samples, mono.info.sample_rate, rate),
        sample_rate=rate,
        path=Path(path),
        source_rate=mono.info.sample_rate,
        channels=mono.info.channels,
        subtype=mono.info.subtype,
        clipped=mono.clipped,
        mix=mono.mix,
        gain=gain,
        truncated=mono.truncated,
    )


def probe(path: str | Path) -> SoundInfo:
    """Reads a file's header alone.

    Raises:
        AudioError: the file is missing, a folder, empty, or not audio.
    """
    return read_info(Path(path))


def find_sounds(paths: Iterable[str | Path]) -> list[Path]:
    """All sound files among files and folders, sorted, each once.

    A file named outright is taken whatever its ending, and even when it is missing: `read` then says so, and a batch
    lists it. Folders are searched to the bottom for the endings in `SUFFIXES`; hidden files are passed over.

    Raises:
        AudioError: there are none.
    """
    paths = [Path(path) for path in paths]
    found = {Path(os.path.normpath(path)) for path in paths if not path.is_dir()}
    for folder in paths:
        if folder.is_dir():
            found.update(path for path in folder.rglob("*") if _is_sound(path, folder))
    if not found:
        names = ", ".join(str(path) for path in paths) or "nothing"
        raise AudioError(f"no sound files in {names}; looked for {' '.join(SUFFIXES)}")
    return sorted(found)


def write(
    path: str | Path, samples: Float[Tensor, " samples"], sample_rate: int, *, integers: bool = False
) -> None:
    """Writes a sound: the file appears whole or not at all.

    A `.wav` holds float32, so that nothing is lost, and samples beyond full scale (1) are kept as they are; most
    players clip those. With `integers` it holds 16-bit integers. A `.flac` always holds 16-bit integers.

    Raises:
        ValueError: samples that are not numbers, none at all, or beyond full scale where integers are written.
        AudioError: the path ends in neither `.wav` nor `.flac`, or the rate is out of bounds.
        OSError: the file cannot be written, as on a full disk; one that was there stays.
    """
    write_pieces(path, [samples], sample_rate, integers=integers)


def write_pieces(
    path: str | Path, pieces: Iterable[Tensor], sample_rate: int, *, integers: bool = False
) -> None:
    """Writes a sound that comes in pieces `[samples]`, as `write` does, without ever holding all of it.

    Raises:
        ValueError: as `write`, for any piece.
        AudioError: as `write`.
        OSError: as `write`.
    """
    path = Path(path)
    container = _FORMATS.get(path.suffix.lower())
    if container is None:
        raise AudioError(f"{path}: sounds are written as {' or '.join(_FORMATS)}, not {path.suffix!r}")
    check_rate(sample_rate, str(path))
    integers = integers or container == "FLAC"
    subtype = "PCM_16" if integers else "FLOAT"
    with whole_file(path) as aside:
        try:
            with soundfile.SoundFile(aside, "w", sample_rate, 1, subtype, format=container) as file:
                for piece in pieces:
                    values = _finite(piece)
                    file.write(_to_int16(values) if integers else values)
        except soundfile.LibsndfileError as error:  # its own exception for a full disk, too
            raise OSError(f"{path}: cannot be written (is the disk full?): {error.error_string}") from error
        if not integers:
            _forget_when(aside)


def encode_flac(samples: Float[Tensor, " samples"], sample_rate: int) -> bytes:
    """The bytes of a 16-bit FLAC file, for reports that carry their sounds inside.

    A sound louder than full scale is scaled to a peak of 1; any other keeps its level.

    Raises:
        ValueError: samples that are not numbers, or none at all.
        AudioError: the rate is out of bounds.
    """
    check_rate(sample_rate, "a FLAC sound")
    values = _finite(samples)
    values = _to_int16(values / max(1.0, float(np.abs(values).max())))
    memory = io.BytesIO()
    soundfile.write(memory, values, sample_rate, format="FLAC", subtype="PCM_16")
    return memory.getvalue()


def _forget_when(path: Path) -> None:
    """Zeroes the time of day that libsndfile notes beside the peak of a float file: equal sounds are equal files."""
    with path.open("r+b") as file:
        if file.read(_PEAK_PLACE + 4).endswith(b"PEAK"):
            # The chunk is its name, its size, a version and the time, four bytes each.
            file.seek(_PEAK_PLACE + 12)
            file.write(bytes(4))


def _is_sound(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def _finite(samples: Float[Tensor, " samples"]) -> NDArray[np.float32]:
    """The samples for a file; NaN never gets there."""
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"a sound to write is one row of samples, got shape {tuple(samples.shape)}")
    values = samples.detach().cpu().to(torch.float32).numpy()
    num_bad = int((~np.isfinite(values)).sum())
    if num_bad:
        raise ValueError(f"{num_bad} of {len(values)} samples to write are NaN or infinite")
    return values


def _to_int16(values: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounds to 16-bit integers; exactly 1 becomes 32,767, the largest there is."""
    peak = float(np.abs(values).max())
    if peak > 1:
        raise ValueError(f"the peak is {peak:.4g}; integers hold at most 1, so scale it or write floats")
    return np.clip(np.round(values * 32_768), -32_768, 32_767).astype(np.int16)
