"""The paper's counts of features, and single measurements against sounds whose answer is known."""

import math

import pytest
import torch

from retimbre.listening.frame_features import NUM_WITH_DERIVATIVES, frame_features, with_derivatives
from retimbre.listening.handcrafted import NUM_MEASUREMENTS, NUM_SEGMENTS, Handcrafted, segments
from retimbre.listening.segment_statistics import NUM_SUMMARIES, summaries

RATE_HZ = 16_384
SETTINGS = Handcrafted(RATE_HZ).stft_settings


def tone(hz: float) -> torch.Tensor:
    return torch.sin(2.0 * math.pi * hz * torch.arange(RATE_HZ) / RATE_HZ)[None]


def test_the_counts_are_the_paper_s() -> None:
    assert NUM_MEASUREMENTS == 319_200
    frames = frame_features(tone(440.0), RATE_HZ, SETTINGS)
    assert frames.shape == (1, 64, 32)
    courses = with_derivatives(frames)
    assert courses.shape == (1, 64, NUM_WITH_DERIVATIVES)
    assert NUM_WITH_DERIVATIVES == 224
    cut = segments(courses)
    assert cut.shape == (1, NUM_SEGMENTS, 224, 16)
    assert summaries(cut).shape == (1, 25, 224, NUM_SUMMARIES)
    assert Handcrafted(RATE_HZ).measurements(tone(440.0)).numel() == NUM_MEASUREMENTS


@pytest.mark.parametrize("hz", [440.0, 880.0, 1760.0, 3520.0])
def test_a_tone_has_its_centroid_its_semitone_and_its_crossings(hz: float) -> None:
    middle = frame_features(tone(hz), RATE_HZ, SETTINGS)[0, 32]
    chroma, centroid, crossings = middle[13:25], float(middle[26]), float(middle[31])
    # A bin is 32 Hz: 0.1 octaves at 440 Hz.
    assert centroid == pytest.approx(math.log2(hz / 440.0), abs=0.1)
    assert float(chroma.sum()) == pytest.approx(1.0, abs=1e-4)
    assert crossings == pytest.approx(
        2.0 * hz / RATE_HZ, abs=2.5 / 512
    )  # one crossing more or less at each end
    if hz >= 880.0:  # lower tones share their main lobe with the neighbours
        assert int(chroma.argmax()) == 0


def test_noise_is_flat_and_a_tone_is_not() -> None:
    noise = torch.randn(1, RATE_HZ, generator=torch.Generator().manual_seed(0))
    flatness = [float(frame_features(each, RATE_HZ, SETTINGS)[0, 32, 28]) for each in (noise, tone(1000.0))]
    # The geometric mean of exponentially distributed powers is exp(-0.577) = 0.56 of their mean.
    assert flatness[0] == pytest.approx(0.56, abs=0.15)
    assert flatness[1] < 0.01


def test_a_steady_value_has_no_derivatives_and_a_rising_one_has_the_first_alone() -> None:
    steady, rising = torch.ones(1, 20, 1), torch.arange(20.0)[None, :, None]
    assert not with_derivatives(steady)[0, :, 1:].any()
    inner = with_derivatives(rising)[0, 4:16]
    assert inner[:, 1::2].unique(dim=0).tolist() == [[2.0, 4.0, 8.0]]
    assert not inner[:, 2::2].any()


def test_summaries_of_a_known_course_are_as_computed_by_hand() -> None:
    course = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0, 0.0, 9.0, 8.0, 6.0, 7.0])
    found = summaries(course)
    deviation = math.sqrt(sum((value - 4.5) ** 2 for value in range(10)) / 10)
    assert found[:3].tolist() == pytest.approx([4.5, deviation, 0.0], abs=1e-5)
    # Sorted it is 0 to 9: the deciles are tenths of 9.
    assert found[4:15].tolist() == pytest.approx([0.9 * tenth for tenth in range(11)], abs=1e-5)
    assert found[15:17].tolist() == pytest.approx([9.0, 4.5], abs=1e-5)
    # It changes by -2, 1, 3, -1, -4, 9, -1, -2, 1.
    changes = [24 / 9, 9.0, math.sqrt(118 / 9 - (4 / 9) ** 2), 4.0]
    assert found[19:23].tolist() == pytest.approx(changes, abs=1e-5)
    assert found[26:28].tolist() == pytest.approx([6 / 9, 5 / 9], abs=1e-5)
    assert found[45:47].tolist() == [3.0, 7.0]


def test_a_course_that_stands_still_has_finite_summaries_and_moves_nowhere() -> None:
    found = summaries(torch.full((3, 16), -20.0))
    assert found.isfinite().all()
    assert found[:, 0].tolist() == [-20.0] * 3
    assert not found[:, 1:4].any()
    assert not found[:, 19:26].abs().gt(1e-3).any()
