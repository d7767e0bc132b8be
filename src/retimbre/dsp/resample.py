"""Changing the sample rate without changing the sound.

Samples taken at one rate describe every frequency below half of it, the Nyquist frequency, and none above. Taking new
samples at another rate means evaluating the curve that the old ones describe; when the new rate is lower, everything
above its Nyquist frequency must be filtered away first, or it would fold back as tones that were never there. The
filter here is soxr's "HQ" recipe: flat to about 91 % of the lower Nyquist frequency, rejecting by more than 100 dB
above it, linear phase, and with its delay removed, so that a sound stays where it is in time.
"""

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor


def resampled_length(num_samples: int, from_hz: float, to_hz: float) -> int:
    """How many samples a resampled sound has: the same duration to the nearest sample, and never none from some."""
    return max(min(num_samples, 1), round(num_samples * to_hz / from_hz))


def resample(
    samples: Float[Tensor, "*batch samples"], from_hz: int, to_hz: int
) -> Float[Tensor, "*batch resampled"]:
    """Resamples each row of a tensor.

    The result has `resampled_length(samples, from_hz, to_hz)` samples, in the same dtype and on the same device; the
    work is done on the CPU. Equal rates return the input itself.

    Raises:
        ValueError: a rate is not positive, or the input needs a gradient, which would be lost without a word.

    References:
        The SoX resampler library, https://sourceforge.net/projects/soxr/
    """
    if from_hz <= 0 or to_hz <= 0:
        raise ValueError(f"sample rates are positive, got {from_hz} and {to_hz}")
    if samples.requires_grad:
        raise ValueError("resampling has no gradient; detach the samples first")
    if from_hz == to_hz:
        return samples
    length = resampled_length(samples.shape[-1], from_hz, to_hz)
    rows = samples.detach().cpu().reshape(samples.shape[:-1].numel(), samples.shape[-1]).numpy()
    resampled = np.zeros((len(rows), length), dtype=rows.dtype)
    for row, target in zip(rows, resampled, strict=True):
        values = soxr.resample(row, from_hz, to_hz, quality="HQ")[:length]
        target[: len(values)] = values
    return torch.from_numpy(resampled).to(samples.device).reshape(*samples.shape[:-1], length)
