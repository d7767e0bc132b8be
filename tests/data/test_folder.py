import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retimbre.core.errors import AudioError, ConfigError
from retimbre.data.folder import Cutting, cut_file, window_starts
from retimbre.dsp import audiofile

RATE = 1000


def tone(seconds, rate, frequency_hz=50.0):
    return 0.5 * torch.sin(2 * math.pi * frequency_hz * torch.arange(round(seconds * rate)) / rate)


@given(num_samples=st.integers(100, 5000), hop=st.integers(1, 400))
def test_full_windows_are_1_plus_floor_of_what_is_left_over_hop(num_samples, hop):
    cutting = Cutting(RATE, 0.1, short="drop", long="window", hop_s=hop / RATE)
    assert len(window_starts(num_samples, cutting)) == 1 + (num_samples - 100) // hop


@given(num_samples=st.integers(1, 5000), hop=st.integers(1, 100))
def test_padded_windows_that_touch_leave_no_sample_out(num_samples, hop):
    starts = window_starts(num_samples, Cutting(RATE, 0.1, long="window", hop_s=hop / RATE))
    assert starts[0] == 0
    assert starts[-1] + 100 >= num_samples
    assert starts[-1] < num_samples


@given(num_samples=st.integers(0, 99))
def test_short_recordings_are_padded_or_dropped_as_asked(num_samples):
    assert window_starts(num_samples, Cutting(RATE, 0.1, short="drop")) == ()
    assert window_starts(num_samples, Cutting(RATE, 0.1, short="pad")) == ((0,) if num_samples else ())


def test_a_recording_of_exactly_a_clip_s_length_is_one_clip_in_every_mode():
    for long in ("trim", "window"):
        for short in ("pad", "drop"):
            assert window_starts(100, Cutting(RATE, 0.1, short=short, long=long, hop_s=0.03)) == (0,)


def test_windows_are_the_stretches_of_the_recording_that_they_say(tmp_path):
    samples = tone(1.1, 8000)
    audiofile.write(tmp_path / "long.wav", samples, 8000)
    cut = cut_file(tmp_path / "long.wav", Cutting(8000, 0.25, long="window", hop_s=0.2))
    assert cut.starts == (0, 1600, 3200, 4800, 6400, 8000)
    for clip, start, length in zip(cut.audio, cut.starts, cut.lengths, strict=True):
        assert torch.equal(clip[:length], samples[start : start + 2000])
        assert not clip[length:].any()


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_a_clip_s_level_does_not_depend_on_the_recording_s_rate(tmp_path, rate):
    audiofile.write(tmp_path / "tone.wav", tone(1.5, rate, 200.0), rate)
    clip = cut_file(tmp_path / "tone.wav", Cutting(16384, 1.0)).audio[0]
    inner = clip[1000:-1000]
    # 0.1 dB: the resampler's passband ripple and the ends left out.
    assert float(inner.square().mean().sqrt()) == pytest.approx(0.5 / math.sqrt(2), rel=0.012)
    assert clip.shape == (16384,)


def test_trimming_reads_enough_for_a_clean_end(tmp_path):
    audiofile.write(tmp_path / "tone.wav", tone(3.0, 44100, 200.0), 44100)
    whole = audiofile.read(tmp_path / "tone.wav", sample_rate=16384).samples[:16384]
    clip = cut_file(tmp_path / "tone.wav", Cutting(16384, 1.0)).audio[0]
    torch.testing.assert_close(clip, whole, rtol=0, atol=1e-5)  # -100 dB, the resampler's own error


def test_normalising_and_fading_do_what_they_say(tmp_path):
    audiofile.write(tmp_path / "tone.wav", -0.25 * torch.ones(8000), 8000)
    plain = Cutting(8000, 1.0)
    loud = cut_file(tmp_path / "tone.wav", Cutting(8000, 1.0, normalise=True)).audio[0]
    faded = cut_file(tmp_path / "tone.wav", Cutting(8000, 1.0, fade=True)).audio[0]
    assert float(loud.abs().max()) == 1.0
    assert torch.equal(faded[:5600], cut_file(tmp_path / "tone.wav", plain).audio[0][:5600])
    assert float(faded[-1]) == pytest.approx(0.0, abs=1e-7)
    assert (faded[5600:].abs().diff() <= 0).all()


def test_a_silent_recording_is_kept_and_said_to_be_silent(tmp_path):
    audiofile.write(tmp_path / "silence.wav", torch.zeros(8000), 8000)
    cut = cut_file(tmp_path / "silence.wav", Cutting(8000, 1.0, normalise=True))
    assert "silent" in cut.remarks
    assert not cut.audio.any()


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="a clip is"):
        Cutting(8000, 0.0)
    with pytest.raises(ConfigError, match="hop"):
        Cutting(8000, 1.0, long="window", hop_s=0.0)
    with pytest.raises(AudioError, match=r"missing\.wav"):
        cut_file(tmp_path / "missing.wav", Cutting())
