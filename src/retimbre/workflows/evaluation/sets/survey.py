"""A first look at the files of a set: which can be used, how they differ, and what each holds.

A number about two folders is worth nothing if the folders are not what they seem: half the clips silent, resampled from
telephone quality, or one recording a hundred times. So every file is decoded once before anything is measured. Nothing
is kept but a few facts and the SHA-256 of the samples, so a look costs the memory of one file; and what is found is
told, since a set that was quietly tidied up is judged too kindly.

Silent clips stay in: a generator that fails into silence has to pay for it.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length, is_silent

LONGEST_S = 30.0
"""No clip is longer: what follows is not read."""

# How many names a remark gives before it only counts.
_MOST_NAMED = 3


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ReadClip:
    """A file as a clip.

    Attributes:
        samples: Of the set's rate and length.
        source_rate: The file's own rate, in Hz.
        blemishes: What was met at the door: clipped, cut short, cancelling channels, louder than full scale.
        channels: How many the file has.
    """

    samples: Float[Tensor, " samples"]
    source_rate: int
    blemishes: tuple[str, ...]
    channels: int


@final
@dataclasses.dataclass(frozen=True)
class SurveyedFile:
    """What is known of a file that can be used.

    Attributes:
        digest: The SHA-256 of its samples as they are heard, in hexadecimal.
        source_rate: Its own rate, in Hz.
        traits: What it shares with others that a reader should know, a word or two each.
    """

    path: Path
    digest: str
    source_rate: int
    traits: tuple[str, ...]


@final
@dataclasses.dataclass(frozen=True)
class Survey:
    """What a look at some files found.

    Attributes:
        files: Those that can be used, in their order.
        num_samples: The length of every clip.
        remarks: On the set as a whole, a clause each.
        failures: Why each of the rest cannot be used, a line each.
    """

    files: tuple[SurveyedFile, ...]
    num_samples: int
    remarks: tuple[str, ...]
    failures: tuple[str, ...]


def read_clip(path: Path, sample_rate: int, num_samples: int) -> ReadClip:
    """Reads a file as a clip: one channel, cut or followed by zeros.

    Raises:
        AudioError: The file cannot be used.
    """
    try:
        sound = audiofile.read(path, sample_rate=sample_rate, max_seconds=num_samples / sample_rate)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from error
    return ReadClip(fit_length(sound.samples, num_samples), sound.source_rate, sound.remarks, sound.channels)


def digest_of(samples: Float[Tensor, " samples"]) -> str:
    """The SHA-256 of the samples as 32-bit floats, in hexadecimal."""
    return hashlib.sha256(samples.contiguous().numpy().tobytes()).hexdigest()


def survey_files(paths: Sequence[Path], sample_rate: int, seconds: float) -> Survey:
    """Looks at files.

    Args:
        paths: Sound files.
        sample_rate: Of the clips, in Hz.
        seconds: Of the clips; 0 for the longest file's length, as its header has it, up to `LONGEST_S`.
    """
    lengths_s = {path: _promised_s(path) for path in paths}
    wanted_s = seconds or min(max(lengths_s.values()), LONGEST_S)
    num_samples = max(round(wanted_s * sample_rate), 1)

    def look(path: Path) -> SurveyedFile | str:
        try:
            clip = read_clip(path, sample_rate, num_samples)
        except AudioError as error:
            return str(error)
        return surveyed(path, clip, lengths_s[path] - num_samples / sample_rate, sample_rate)

    looks = [
        look(path) for path in paths
    ]  # threads would wait for each other: most of it is Python's own work
    files = tuple(each for each in looks if isinstance(each, SurveyedFile))
    failures = tuple(each for each in looks if isinstance(each, str))
    return Survey(files, num_samples, remarks_on(files, sample_rate, num_samples), failures)


def surveyed(path: Path, clip: ReadClip, excess_s: float, sample_rate: int) -> SurveyedFile:
    """What is worth knowing of a clip; `excess_s` is how much longer its source is."""
    return SurveyedFile(path, digest_of(clip.samples), clip.source_rate, _traits(clip, excess_s, sample_rate))


def _promised_s(path: Path) -> float:
    """What the header says; nothing for a file that will be refused when it is decoded."""
    try:
        return audiofile.probe(path).seconds
    except (AudioError, OSError):
        return 0.0


def _traits(clip: ReadClip, excess_s: float, sample_rate: int) -> tuple[str, ...]:
    one_sample_s = 1.0 / sample_rate
    found = {
        _SILENT: is_silent(clip.samples),
        _CUT: excess_s > one_sample_s,
        _PADDED: excess_s < -one_sample_s,
        _MIXED: clip.channels > 1,
        _BLEMISHED: bool(clip.blemishes),
    }
    return tuple(trait for trait, applies in found.items() if applies)


_SILENT = "silent: nothing in it rises above -80 dB of full scale"
_CUT = "longer, and cut"
_PADDED = "shorter, and followed by zeros"
_MIXED = "of several channels, mixed to one"
_BLEMISHED = "clipped, cut short, scaled down to full scale or of cancelling channels"


def remarks_on(files: Sequence[SurveyedFile], sample_rate: int, num_samples: int) -> tuple[str, ...]:
    """What a reader should know of a set as a whole, a clause each."""
    about = []
    for trait in (_SILENT, _CUT, _PADDED, _MIXED, _BLEMISHED):
        having = [file.path for file in files if trait in file.traits]
        if having:
            length = f" ({num_samples / sample_rate:g} s)" if trait in {_CUT, _PADDED} else ""
            about.append(f"{_share(len(having), len(files))} {trait}{length}{_named(having, len(files))}")
    return (*about, *_rate_remarks(files, sample_rate), *_repetition(files))


def _rate_remarks(files: Sequence[SurveyedFile], sample_rate: int) -> list[str]:
    """Files of other rates than the set's: a lower one leaves the top of the spectrum empty."""
    others = Counter(file.source_rate for file in files if file.source_rate != sample_rate)
    return [
        f"{_share(count, len(files))} of {rate} Hz, resampled to {sample_rate} Hz"
        + (f": nothing in it lies above {rate // 2} Hz" if rate < sample_rate else "")
        for rate, count in sorted(others.items())
    ]


def _repetition(files: Sequence[SurveyedFile]) -> list[str]:
    repeated = len(files) - len({file.digest for file in files})
    return [f"{repeated} of {len(files)} clips repeat another one sample by sample"] if repeated else []


def _share(count: int, total: int) -> str:
    return f"{count} of {total} clips {'is' if count == 1 else 'are'}"


def _named(paths: Sequence[Path], total: int) -> str:
    """A few of the names, unless it is all of them."""
    if len(paths) == total:
        return ""
    names = ", ".join(path.name for path in paths[:_MOST_NAMED])
    return f": {names}{' and others' if len(paths) > _MOST_NAMED else ''}"
