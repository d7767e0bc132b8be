"""Laws of bad input: one line that names the file and the reason, whatever the bytes; headers are never believed."""

import io
import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from retimbre.core.errors import AudioError
from retimbre.dsp.audiofile import probe, read


def wav(*, rate: int = 8_000, channels: int = 1, frames: int = 100, promised_bytes: int = -1) -> bytes:
    """A 16-bit WAV file by hand, whose header may lie."""
    data = b"\x01\x02" * frames * channels
    promised = len(data) if promised_bytes < 0 else promised_bytes
    bytes_per_second = rate * channels * 2 % 2**32
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, bytes_per_second, channels * 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", min(36 + promised, 2**32 - 1), b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", promised) + data


def flac(num_samples: int = 44_100) -> bytes:
    """A FLAC file of noise."""
    memory = io.BytesIO()
    soundfile.write(memory, np.random.default_rng(0).uniform(-0.5, 0.5, num_samples), 44_100, format="FLAC")
    return memory.getvalue()


def write_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def write_samples(*samples: float) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, np.array(samples), 8_000, format="WAV", subtype="DOUBLE")


BAD = {
    "missing": (lambda path: None, "no such file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "empty": (write_bytes(b""), r"is empty \(0 bytes\)"),
    "text": (write_bytes(b"not a sound at all\n" * 100), "not a sound file"),
    "zeros": (write_bytes(bytes(4_096)), "not a sound file"),
    "a header alone": (write_bytes(wav(frames=0)), "holds no samples"),
    "half a header": (write_bytes(wav()[:20]), "not a sound file"),
    "no frames promised": (write_bytes(wav(promised_bytes=0)), "holds no samples"),
    "no channels": (write_bytes(wav(channels=0, frames=0)), "not a sound file"),
    "rate 0": (write_bytes(wav(rate=0)), "not a sound file"),
    "rate 1": (write_bytes(wav(rate=1)), "sample rate 1 Hz; takes 1000 to 768000 Hz"),
    "rate 2 GHz": (write_bytes(wav(rate=2**31 - 1)), "sample rate 2147483647 Hz"),
    "NaN": (
        write_samples(0, float("nan"), float("nan"), 1),
        "2 samples are NaN or infinite, the first at 0.000 s",
    ),
    "infinity": (
        write_samples(*[0] * 800, float("inf")),
        "1 samples are NaN or infinite, the first at 0.100 s",
    ),
    "beyond float32": (write_samples(0, 1e300), "1 samples are NaN or infinite"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_gets_one_line_that_names_it(tmp_path: Path, kind: str) -> None:
    make, reason = BAD[kind]
    path = tmp_path / "the sound.wav"
    make(path)
    with pytest.raises(AudioError, match=reason) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_raw_file_is_no_sound_file(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(100))
    with pytest.raises(AudioError, match="not a sound file"):
        read(tmp_path / "a.raw")


@given(
    st.binary(max_size=2_000),
    st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3\x03", b"\xff\xfb"]),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_sound_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, magic: bytes
) -> None:
    path = tmp_path_factory.mktemp("door") / "sound.wav"
    path.write_bytes(magic + content)
    try:
        sound = read(path)
    except AudioError:
        return
    assert bool(sound.samples.isfinite().all())


@given(st.integers(0, 43), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_header_gives_a_finite_sound_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("door") / "sound.wav"
    content = bytearray(wav())
    content[position] = value
    path.write_bytes(content)
    try:
        sound = read(path)
    except AudioError:
        return
    assert bool(sound.samples.isfinite().all())
    assert float(sound.samples.abs().max()) <= 1


@pytest.mark.parametrize("promised_bytes", [2**31, 2**32 - 1])
def test_a_wav_header_that_promises_gigabytes_costs_what_is_there(
    tmp_path: Path, promised_bytes: int
) -> None:
    (tmp_path / "a.wav").write_bytes(wav(promised_bytes=promised_bytes))
    assert _peak_megabytes(tmp_path / "a.wav") < 5
    assert len(read(tmp_path / "a.wav").samples) == 100


def test_a_flac_header_that_promises_days_costs_what_is_there(tmp_path: Path) -> None:
    content = bytearray(flac())
    content[21] |= 0x0F  # the 36 bits of STREAMINFO that count the samples: 2^36 - 1, 18 days
    content[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(content)
    assert probe(tmp_path / "a.flac").frames == 2**36 - 1
    assert _peak_megabytes(tmp_path / "a.flac") < 5
    sound = read(tmp_path / "a.flac")
    assert sound.truncated
    assert 40_000 <= len(sound.samples) <= 44_100


def _peak_megabytes(path: Path) -> float:
    tracemalloc.start()
    read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_breaks_off_is_kept_as_far_as_it_goes(tmp_path: Path, share: float) -> None:
    content = flac()
    (tmp_path / "a.flac").write_bytes(content[: round(share * len(content))])
    sound = read(tmp_path / "a.flac")
    assert sound.truncated
    assert any("cut short" in remark for remark in sound.remarks)
    # Noise takes the same bytes everywhere; two blocks of 4,096 frames may be lost at the break.
    assert len(sound.samples) == pytest.approx(share * 44_100, abs=2 * 4_096)


@pytest.mark.parametrize(
    ("kept", "claimed", "is_cut"), [(60_000, 0, True), (60_000, 0xFFFF_FFFF, False), (64_043, 0, False)]
)
def test_a_wav_file_that_breaks_off_says_so_unless_its_header_never_knew_its_size(
    tmp_path: Path, kept: int, claimed: int, is_cut: bool
) -> None:
    # A sound of 32,000 samples: 44 bytes of header and 64,000 of samples, of which the last byte may lack.
    soundfile.write(tmp_path / "a.wav", np.full(32_000, 0.1), 16_000, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes()[:kept])
    if claimed:
        content[4:8] = claimed.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    assert read(tmp_path / "a.wav").truncated == is_cut
    assert not read(tmp_path / "a.wav", max_seconds=0.5).truncated


@pytest.mark.slow
def test_the_start_of_a_long_file_takes_little_memory(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "hour.wav", "w", 8_000, 2) as file:
        minute = np.zeros((60 * 8_000, 2), np.int16)
        for _ in range(60):
            file.write(minute)
    tracemalloc.start()
    sound = read(tmp_path / "hour.wav", max_seconds=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sound.seconds == 4
    assert peak < 2e6
