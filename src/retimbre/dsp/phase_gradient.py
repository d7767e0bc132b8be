"""How fast the phase of a spectrogram grows in time and in frequency, read off its magnitudes alone.

With a Gaussian window the short-time Fourier transform is, up to a known factor, an analytic function of time and
frequency taken together as one complex number. The logarithm of its magnitude and its phase are then tied to each other
as real and imaginary part are: the slope of one across is the slope of the other along. So phase increments follow from
differences of log-magnitudes:

    growth per sample    omega + (d log m / d omega) / gamma          (omega: the bin's frequency, radians per sample)
    growth per radian    -gamma (d log m / d time) - centre           (centre: of the window in its frame, in samples)

`gamma`, in squared samples (per radian), says how long the window is: 2 pi times the variance of exp(-pi t^2 / gamma)
over the number pi. Other windows are treated as the Gaussian that fits them best, which is wrong by some percent.

Differences need neighbours on both sides, and a spectrogram ends. In frequency it does not: below 0 Hz it is its own
mirror image. In time, the first frame of a note holds its onset, most of the energy and the steepest slope, and a
one-sided difference there is the largest error of the whole method. But the logarithm of the magnitude of an analytic
function obeys Poisson's equation between its zeros. In the strip between the first two frames its values on both edges
are known, and these determine it inside; the slope at the edge follows (the Dirichlet-to-Neumann map of the strip),
wave by wave along frequency. Zeros in between are neglected. On recorded notes this takes 3 dB off the error.

References:
    Prusa, Balazs and Sondergaard (2017), "A noniterative method for reconstruction of phase from STFT magnitude",
    https://doi.org/10.1109/TASLP.2017.2678166 (gradients, and the constants of the windows in table I)
    Portnoff (1979), "Magnitude-phase relationships for short-time Fourier transforms based on Gaussian analysis
    windows", https://doi.org/10.1109/ICASSP.1979.1170695
"""

import math

import torch
from jaxtyping import Float32
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.phase_forest import Grid
from retimbre.dsp.stft import GAUSSIAN_EDGE, StftSettings

# gamma over the squared window length: the closest Gaussian of each window.
GAUSSIAN_EQUIVALENTS = {
    "hann": 0.25645,
    "hamming": 0.29794,
    "blackman": 0.17954,
    "gaussian": math.pi / (4.0 * math.log(1.0 / GAUSSIAN_EDGE)),
}
# -180 dB below the loudest cell: no recording goes there, and a float32 still has its logarithm.
_FAINTEST = 1e-9


def gaussian_equivalent(settings: StftSettings) -> float:
    """The constant gamma of the window, in squared samples.

    Raises:
        ConfigError: The window is like no Gaussian.
    """
    if settings.window not in GAUSSIAN_EQUIVALENTS:
        takes = ", ".join(sorted(GAUSSIAN_EQUIVALENTS))
        raise ConfigError(f"phase gradients need a window like a Gaussian ({takes}), got {settings.window!r}")
    return GAUSSIAN_EQUIVALENTS[settings.window] * (settings.win_length or settings.n_fft) ** 2


def phase_increments(magnitudes: Float32[Tensor, "batch frames bins"], settings: StftSettings) -> Grid:
    """Phase increments in turns between neighbouring cells, and the magnitudes relative to each clip's loudest cell."""
    loudest = magnitudes.amax(dim=(1, 2), keepdim=True)
    values = magnitudes / torch.where(loudest > 0.0, loudest, 1.0)
    log_values = values.clamp_min(_FAINTEST).log()
    return Grid(values, _in_time(log_values, settings), _in_frequency(log_values, settings))


def _in_time(
    log_values: Float32[Tensor, "batch frames bins"], settings: StftSettings
) -> Float32[Tensor, "batch frames bins"]:
    """From each frame to the next: the mean of the instantaneous frequencies at both, times the hop."""
    # Sums of two frames, differences of bins two apart; by symmetry there is no slope at the first and last bin.
    both = log_values[:, :-1] + log_values[:, 1:]
    turns = torch.zeros_like(log_values)
    turns[:, :-1, 1:-1] = both[..., 2:] - both[..., :-2]
    turns *= settings.hop_length * settings.n_fft / (8.0 * math.pi * gaussian_equivalent(settings))
    bins = torch.arange(settings.num_bins, device=log_values.device)
    return turns.add_((bins * settings.hop_length % settings.n_fft) / settings.n_fft)


def _in_frequency(
    log_values: Float32[Tensor, "batch frames bins"], settings: StftSettings
) -> Float32[Tensor, "batch frames bins"]:
    """From each bin to the next: minus the mean of the group delays at both, in frames."""
    gamma, n_fft = gaussian_equivalent(settings), settings.n_fft
    both = log_values[..., :-1] + log_values[..., 1:]
    turns = torch.zeros_like(log_values)
    turns[:, 1:-1, :-1] = both[:, 2:] - both[:, :-2]
    if log_values.shape[1] > 1:
        for edge, inner, sign in ((0, 1, 1.0), (-1, -2, -1.0)):
            slope = edge_slope(log_values[:, edge], log_values[:, inner], settings)
            # The two-sided difference over two hops of the sum of two bins, in the same units.
            turns[:, edge, :-1] = (slope[:, :-1] + slope[:, 1:]) * (2.0 * sign * settings.hop_length)
    turns *= -gamma / (8.0 * math.pi * settings.hop_length * n_fft)
    win_length = settings.win_length or n_fft
    centre = (n_fft - win_length) // 2 + win_length / 2.0
    return turns.sub_(centre / n_fft)


def edge_slope(
    edge: Float32[Tensor, "batch bins"], inner: Float32[Tensor, "batch bins"], settings: StftSettings
) -> Float32[Tensor, "batch bins"]:
    """The slope per sample of log-magnitude at a frame, towards the next frame, from these two frames alone.

    In the strip between them the logarithm u solves Poisson's equation, whose right side is that of a Gaussian,
    -2 pi / gamma. A wave of k radians per sample along frequency, measured in the samples that make both axes alike,
    goes as sinh on its way through a strip of width h, so it has the slope

        k (inner / sinh(k h) - edge / tanh(k h)),

    and the right side adds pi h / gamma.
    """
    gamma, n_fft, hop = gaussian_equivalent(settings), settings.n_fft, settings.hop_length
    waves = [torch.fft.rfft(_mirrored(each, n_fft)) for each in (edge, inner)]
    # A bin is gamma / n_fft samples wide. The mean, k = 0, has the limits 1 / h; a small k stands for it.
    steps = torch.arange(waves[0].shape[-1], dtype=torch.float64, device=edge.device)
    phase = (steps * (2.0 * math.pi * hop / gamma)).clamp_min(1e-6)
    slope = waves[1] * (phase / phase.sinh()).float() - waves[0] * (phase / phase.tanh()).float()
    return torch.fft.irfft(slope / hop, n=n_fft)[:, : settings.num_bins] + math.pi * hop / gamma


def _mirrored(values: Float32[Tensor, "batch bins"], n_fft: int) -> Float32[Tensor, "batch n_fft"]:
    return torch.cat([values, values[:, 1 : n_fft - values.shape[1] + 1].flip(1)], dim=1)
