import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import AudioError
from retimbre.dsp import audiofile
from retimbre.dsp.audiostream import open_stream


def write(path, samples, rate=16_000, subtype="FLOAT"):
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def noise(*shape):
    return (0.2 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("rate", [None, 16_000, 44_100, 11_025])
@pytest.mark.parametrize("channels", [1, 2])
def test_segments_joined_are_what_reading_at_once_gives(tmp_path, rate, channels):
    path = write(tmp_path / "a.wav", noise(30_001, channels))
    stream, whole = open_stream(path, sample_rate=rate), audiofile.read(path, sample_rate=rate).samples
    joined = torch.cat(list(stream.segments(7000, 7000)))
    assert stream.num_samples == len(whole)
    torch.testing.assert_close(joined[: len(whole)], whole, atol=0, rtol=0)
    assert not joined[len(whole) :].any()


def test_overlapping_segments_share_their_samples(tmp_path):
    path = write(tmp_path / "a.wav", noise(10_000))
    whole = audiofile.read(path).samples
    segments = list(open_stream(path).segments(3000, 2500))
    assert len(segments) == 4
    for index, segment in enumerate(segments):
        expected = whole[2500 * index : 2500 * index + 3000]
        torch.testing.assert_close(segment[: len(expected)], expected, atol=0, rtol=0)


@pytest.mark.parametrize("num_samples", [1, 99, 100, 101, 200])
def test_no_segment_is_missing_or_empty_at_the_end(tmp_path, num_samples):
    path = write(tmp_path / "a.wav", noise(num_samples) + 0.5)
    segments = list(open_stream(path).segments(100, 100))
    assert len(segments) == -(-num_samples // 100)
    assert all(len(segment) == 100 and segment.any() for segment in segments)


def test_what_the_door_does_to_a_sound_is_done_and_said_here_too(tmp_path):
    side = noise(5000)
    cancelling = write(tmp_path / "stereo.wav", np.stack([side, -side], axis=1))
    loud = write(tmp_path / "loud.wav", 4 * noise(5000))
    for path in (cancelling, loud):
        stream, sound = open_stream(path), audiofile.read(path)
        assert stream.remarks == sound.remarks
        assert len(stream.remarks) == 1
        torch.testing.assert_close(next(stream.segments(5000, 5000)), sound.samples)


def test_a_file_without_samples_or_with_nan_is_refused(tmp_path):
    bad = noise(500)
    bad[77] = np.nan
    with pytest.raises(AudioError, match=r"1 samples are NaN or infinite, the first at 0\.005 s"):
        open_stream(write(tmp_path / "nan.wav", bad))
    with pytest.raises(AudioError, match="holds no samples"):
        open_stream(write(tmp_path / "none.wav", noise(0)))
    with pytest.raises(AudioError, match="takes 1000"):
        open_stream(write(tmp_path / "a.wav", noise(9)), sample_rate=12)
