import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.dsp.warping import Warping, centre_phase, mel_warp_matrix


def spectra(num_bins, frames=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, num_bins, frames, dtype=torch.complex128, generator=generator)


@pytest.mark.parametrize(("n_fft", "n_mels"), [(1024, 512), (2048, 1024), (512, 128), (64, 200)])
def test_smooth_bands_cover_every_bin_and_are_never_empty(n_fft, n_mels):
    matrix = mel_warp_matrix(Warping(16_000, n_fft, n_mels))
    torch.testing.assert_close(matrix.sum(1), torch.ones(n_mels, dtype=torch.float64))
    assert (matrix.sum(0) > 0).all()


def test_warping_and_unwarping_twice_is_as_good_as_once():
    # The way back is a pseudo-inverse, so what has once been warped and unwarped stays as it is.
    warping = Warping(16_000, 1024, 512)
    once = warping.unwarp(warping.warp(spectra(513)))
    torch.testing.assert_close(warping.unwarp(warping.warp(once)), once)


def test_with_bands_enough_nothing_is_lost():
    warping = Warping(16_000, 512, 1024)
    assert warping.exact
    torch.testing.assert_close(warping.unwarp(warping.warp(spectra(257))), spectra(257))


def test_with_few_bands_it_does_not_claim_to_be_exact():
    assert not Warping(16_000, 1024, 512).exact
    assert not Warping(16_000, 1024, 513).exact
    assert not Warping(16_000, 512, 1024, "tensorflow").exact  # whose bands leave 0 Hz out


def test_an_error_in_the_bands_is_not_blown_up_on_the_way_back():
    # Directions weakened more than a hundredfold are given up rather than amplified.
    for n_fft, n_mels in ((1024, 256), (1024, 512), (2048, 1024), (512, 256)):
        warping = Warping(16_000, n_fft, n_mels)
        ones = torch.linalg.svdvals(mel_warp_matrix(warping))
        generator = torch.Generator().manual_seed(1)
        error = torch.randn(1, n_mels, 3, dtype=torch.complex128, generator=generator)
        gain = float(warping.unwarp(error).norm() / error.norm())
        assert gain <= 100.0 / float(ones[0])


def test_phases_at_the_middle_of_a_frame_agree_under_a_tone_s_peak():
    n_fft = 512
    tone = torch.cos(2 * torch.pi * 40.3 / n_fft * torch.arange(n_fft, dtype=torch.float64) + 0.7)
    window = torch.hann_window(n_fft, dtype=torch.float64)
    spectrum = centre_phase(torch.fft.rfft(tone * window)[None, :, None])[0, :, 0]
    assert (
        float((spectrum[41] / spectrum[40]).angle().abs()) < 0.02
    )  # radians; leakage of the negative frequency
    torch.testing.assert_close(centre_phase(centre_phase(spectra(9))), spectra(9))


def test_tensorflow_bands_are_those_of_its_definition():
    # linear_to_mel_weight_matrix(4, 8, 16000, 0, 8000), worked out by its formulas in scalar arithmetic.
    import math

    def mel(hz):
        return 1127.0 * math.log(1.0 + hz / 700.0)

    corners = [mel(8000.0) * index / 5 for index in range(6)]
    bins = [mel(8000.0 * index / 7) for index in range(8)]
    expected = torch.zeros(4, 9, dtype=torch.float64)
    for band in range(4):
        for index in range(1, 8):
            rising = (bins[index] - corners[band]) / (corners[band + 1] - corners[band])
            falling = (corners[band + 2] - bins[index]) / (corners[band + 2] - corners[band + 1])
            expected[band, index] = max(0.0, min(rising, falling))
    torch.testing.assert_close(mel_warp_matrix(Warping(16_000, 16, 4, "tensorflow")), expected)


@pytest.mark.parametrize(("n_fft", "n_mels"), [(1024, 1), (1023, 64), (0, 64)])
def test_settings_that_give_no_bands_are_refused(n_fft, n_mels):
    with pytest.raises(ConfigError, match="mel bands take"):
        Warping(16_000, n_fft, n_mels)
