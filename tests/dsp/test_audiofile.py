"""Laws of the door: what is written comes back, and what is read is one finite channel at the rate asked for."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from full_disk import files_end_after
from hypothesis import given, settings
from hypothesis import strategies as st

from retimbre.core.errors import AudioError
from retimbre.dsp.audiofile import encode_flac, find_sounds, probe, read, write
from retimbre.dsp.level import rms

# Rates of telephones, of NSynth, of CDs, of the AKWF wavetables' headers, and of studios.
RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 75_264, 96_000, 192_000]


def tone(
    frequency_hz: float, sample_rate: int, *, seconds: float = 0.25, amplitude: float = 0.5
) -> torch.Tensor:
    time_s = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return (amplitude * torch.sin(2 * math.pi * frequency_hz * time_s)).float()


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=300),
    st.integers(1_000, 768_000),
)
@settings(max_examples=50, deadline=None)
def test_a_float_file_gives_back_every_sample_at_any_rate(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], sample_rate: int
) -> None:
    path = tmp_path_factory.mktemp("door") / "sound.wav"
    samples = torch.tensor(values)
    write(path, samples, sample_rate)
    sound = read(path)
    assert torch.equal(sound.samples, samples)
    assert sound.sample_rate == sound.source_rate == sample_rate
    assert (sound.gain, sound.mix, sound.truncated) == (1.0, "mono", False)


@pytest.mark.parametrize("name", ["sound.wav", "sound.flac", "SOUND.WAV"])
def test_integers_come_back_within_half_a_step(tmp_path: Path, name: str) -> None:
    samples = torch.linspace(-1, 1, 10_001)
    write(tmp_path / name, samples, 44_100, integers=True)
    sound = read(tmp_path / name)
    assert sound.subtype == "PCM_16"
    # Full scale itself is a whole step off: the largest 16-bit integer is 32,767 of 32,768.
    torch.testing.assert_close(sound.samples[:-1], samples[:-1], atol=0.5001 / 32_768, rtol=0)
    torch.testing.assert_close(sound.samples[-1], samples[-1], atol=1.0001 / 32_768, rtol=0)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("wanted", [16_000, 44_100])
def test_a_file_of_any_rate_is_read_at_the_rate_asked_for(
    tmp_path: Path, sample_rate: int, wanted: int
) -> None:
    write(tmp_path / "a.wav", tone(1_000, sample_rate), sample_rate)
    sound = read(tmp_path / "a.wav", sample_rate=wanted)
    assert (sound.sample_rate, sound.source_rate) == (wanted, sample_rate)
    assert len(sound.samples) == round(round(0.25 * sample_rate) * wanted / sample_rate)
    # The ends of a cut tone ring; between them the tone is the same to -60 dB of full scale.
    inner = slice(wanted // 20, wanted // 5)
    torch.testing.assert_close(sound.samples[inner], tone(1_000, wanted)[inner], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        (".wav", "PCM_U8"),
        (".wav", "PCM_16"),
        (".wav", "PCM_24"),
        (".wav", "PCM_32"),
        (".wav", "FLOAT"),
        (".wav", "DOUBLE"),
        (".wav", "ULAW"),
        (".aiff", "PCM_S8"),
        (".aiff", "PCM_16"),
        (".flac", "PCM_24"),
    ],
)
def test_every_encoding_is_the_same_sound(tmp_path: Path, suffix: str, subtype: str) -> None:
    samples = tone(440, 44_100, seconds=0.5)
    path = tmp_path / f"sound{suffix}"
    soundfile.write(path, samples.numpy(), 44_100, subtype=subtype)
    sound = read(path)
    assert sound.subtype == subtype
    assert sound.samples.dtype == torch.float32
    # 8 bits leave an error of -48 dB of full scale, u-law of -37 dB of this tone.
    error = sound.samples[2_000:20_000] - samples[2_000:20_000]
    assert float(rms(error) / rms(samples)) < 0.03


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_encodings_keep_level_and_pitch(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / f"sound{suffix}", tone(440, 44_100, seconds=0.5).numpy(), 44_100)
    samples = read(tmp_path / f"sound{suffix}").samples
    assert len(samples) == pytest.approx(22_050, abs=1_152)  # one MP3 frame
    middle = samples[4_410:17_640]
    assert float(rms(middle)) == pytest.approx(0.5 / math.sqrt(2), rel=0.01)
    assert int(torch.fft.rfft(middle).abs().argmax()) == 132  # 440 Hz in 0.3 s


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def test_reading_in_blocks_is_reading_at_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sound{suffix}"
    soundfile.write(path, tone(440, 44_100, seconds=1).numpy(), 44_100)
    at_once, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read(path).samples.numpy(), at_once)


@given(st.integers(1, 6), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_channels_become_their_mean(
    tmp_path_factory: pytest.TempPathFactory, channels: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("door") / "sound.wav"
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (9_000, channels)).astype(np.float32)
    soundfile.write(path, values, 44_100, subtype="FLOAT")
    sound = read(path)
    assert (sound.channels, sound.mix) == (channels, "mono" if channels == 1 else "mean")
    np.testing.assert_allclose(sound.samples.numpy(), values.mean(axis=1), atol=1e-6)


def test_channels_that_cancel_leave_the_louder_one_and_a_remark(tmp_path: Path) -> None:
    left = tone(300, 44_100)
    soundfile.write(
        tmp_path / "a.wav", torch.stack([0.97 * left, -left], dim=1).numpy(), 44_100, subtype="FLOAT"
    )
    sound = read(tmp_path / "a.wav")
    assert sound.mix == "loudest"
    assert torch.equal(sound.samples, -left)
    assert any("cancel" in remark for remark in sound.remarks)


def test_a_sound_on_one_side_only_is_no_cancellation(tmp_path: Path) -> None:
    left = tone(300, 44_100)
    soundfile.write(tmp_path / "a.wav", torch.stack([left, 0 * left], dim=1).numpy(), 44_100)
    assert read(tmp_path / "a.wav").mix == "mean"


def test_silence_on_all_channels_is_read_as_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 44_100)
    assert not read(tmp_path / "a.wav").samples.any()


def test_a_float_file_louder_than_full_scale_is_scaled_and_says_by_how_much(tmp_path: Path) -> None:
    samples = tone(300, 44_100, amplitude=4.0)
    write(tmp_path / "a.wav", samples, 44_100)
    sound = read(tmp_path / "a.wav")
    assert sound.gain == pytest.approx(0.25, rel=1e-3)
    torch.testing.assert_close(sound.samples, samples * sound.gain)
    assert not sound.clipped
    assert any("full scale" in remark for remark in sound.remarks)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(("amplitude", "clipped"), [(0.9, False), (3.0, True)])
def test_clipping_is_noticed_in_every_encoding(
    tmp_path: Path, subtype: str, amplitude: float, *, clipped: bool
) -> None:
    samples = tone(441, 44_100, amplitude=amplitude).clamp(-1, 1)
    soundfile.write(tmp_path / "a.wav", samples.numpy(), 44_100, subtype=subtype)
    assert read(tmp_path / "a.wav").clipped == clipped


@pytest.mark.parametrize("start", range(4_090, 4_100))
def test_clipping_is_noticed_across_the_seams_of_blocks(tmp_path: Path, start: int) -> None:
    samples = torch.zeros(10_000)
    samples[start : start + 3] = 1.0
    write(tmp_path / "a.wav", samples, 44_100)
    assert read(tmp_path / "a.wav").clipped


@pytest.mark.parametrize("seconds", [0.0001, 0.1, 0.25, 1.0])
def test_no_more_is_read_than_asked_for(tmp_path: Path, seconds: float) -> None:
    samples = tone(440, 16_000)
    write(tmp_path / "a.wav", samples, 16_000)
    sound = read(tmp_path / "a.wav", max_seconds=seconds)
    assert torch.equal(sound.samples, samples[: round(seconds * 16_000)])
    assert not sound.truncated


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_reading_no_time_at_all_is_refused(tmp_path: Path, seconds: float) -> None:
    write(tmp_path / "a.wav", tone(440, 16_000), 16_000)
    with pytest.raises(AudioError, match="positive"):
        read(tmp_path / "a.wav", max_seconds=seconds)


def test_one_sample_survives_every_change_of_rate(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", torch.tensor([0.5]), 192_000)
    assert len(read(tmp_path / "a.wav", sample_rate=8_000).samples) == 1


def test_the_header_tells_what_reading_finds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros((4_410, 2)), 44_100)
    info = probe(tmp_path / "a.flac")
    assert (info.format, info.subtype, info.channels, info.frames) == ("FLAC", "PCM_16", 2, 4_410)
    assert info.seconds == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["sound.wav", "sound.flac"])
def test_what_is_no_number_never_reaches_a_file(tmp_path: Path, name: str, bad: float) -> None:
    with pytest.raises(ValueError, match="1 of 3 samples"):
        write(tmp_path / name, torch.tensor([0.0, bad, 0.0]), 44_100)
    with pytest.raises(ValueError, match="1 of 3 samples"):
        encode_flac(torch.tensor([0.0, bad, 0.0]), 44_100)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write(path, torch.tensor([0.5]), 44_100)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="at most 1"):
        write(path, torch.tensor([1.5]), 44_100)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_float_file_does_not_tell_when_it_was_written(tmp_path: Path) -> None:
    samples = tone(440, 16_000)
    write(tmp_path / "ours.wav", samples, 16_000)
    soundfile.write(tmp_path / "theirs.wav", samples.numpy(), 16_000, subtype="FLOAT")
    ours, theirs = ((tmp_path / f"{name}.wav").read_bytes() for name in ("ours", "theirs"))
    # The library's own file has the time in seconds there, in the chunk of the peak; nothing else differs.
    assert theirs[48:52] == b"PEAK"
    assert ours[60:64] == bytes(4)
    assert ours[:60] + ours[64:] == theirs[:60] + theirs[64:]


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_full_disk_is_one_error_that_names_the_file_and_leaves_the_old_one(
    ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"sound.{ending}"
    write(path, tone(440.0, 8_000), 8_000)
    before = path.read_bytes()
    noise = torch.rand(50_000, generator=torch.Generator().manual_seed(0)) - 0.5
    with (
        files_end_after(20_000),
        pytest.raises(OSError, match=f"sound.{ending}: cannot be written") as refused,
    ):
        write(path, noise, 8_000)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_only_wav_and_flac_are_written(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"\.wav or \.flac, not '\.mp3'"):
        write(tmp_path / "a.mp3", torch.zeros(10), 44_100)
    with pytest.raises(ValueError, match="one row"):
        write(tmp_path / "a.wav", torch.zeros(0), 44_100)


@pytest.mark.parametrize("amplitude", [0.1, 1.0, 2.5])
def test_flac_in_memory_is_the_sound_within_full_scale(amplitude: float) -> None:
    samples = tone(440, 16_000, amplitude=amplitude)
    values, rate = soundfile.read(io.BytesIO(encode_flac(samples, 16_000)), dtype="float32")
    assert rate == 16_000
    expected = samples / max(1.0, float(samples.abs().max()))
    np.testing.assert_allclose(values, expected.numpy(), atol=1.0001 / 32_768)


def test_files_and_folders_are_found_once_each_and_sorted(tmp_path: Path) -> None:
    for name in ("b/deep/2.WAV", "b/1.flac", "b/notes.txt", "b/.hidden.wav", "b/.git/3.wav", "a.xyz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    named = [tmp_path / "missing.wav", tmp_path / "a.xyz", tmp_path / "b" / "1.flac"]
    found = find_sounds([tmp_path / "b", *named])
    names = ["a.xyz", "b/1.flac", "b/deep/2.WAV", "missing.wav"]
    assert [path.relative_to(tmp_path).as_posix() for path in found] == names


def test_nothing_found_is_said(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no sound files in"):
        find_sounds([tmp_path])
