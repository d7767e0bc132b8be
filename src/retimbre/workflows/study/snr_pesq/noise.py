"""White noise in one channel of a representation, at a given distance below it.

A network that generates a representation makes errors in it. The simplest model of these errors is white noise, and
its natural measure is the signal-to-noise ratio (SNR) within the channel it falls on: the power of the channel over
the power of the noise, in decibels. Noise at an SNR of 20 dB has a standard deviation of a tenth of the channel's root
mean square, whatever the channel holds: samples, magnitudes or radians.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.dsp.level import rms


def noise_at_snr(
    channel: Float[Tensor, "*shape"], snr_db: float, random: torch.Generator, *, averages: int = 1
) -> Float[Tensor, "*shape"]:
    """Gaussian noise whose expected power lies `snr_db` below that of the channel; none for a channel of zeros.

    Args:
        channel: The values that the noise is to be added to.
        snr_db: Of one draw.
        random: Where it is drawn from.
        averages: How many draws the mean is taken of, which divides its power by as many. A representation that
            says everything so many times over averages its noise like that.
    """
    drawn = torch.randn((averages, *channel.shape), generator=random).mean(dim=0).to(channel)
    return rms(channel.flatten()) * 10.0 ** (-snr_db / 20.0) * drawn


def with_noise(
    features: Float[Tensor, "1 channels ..."], channel: int, noise: Float[Tensor, "..."]
) -> Float[Tensor, "1 channels ..."]:
    """A copy of the features of one sound with noise in that channel alone."""
    noisy = features.clone()
    noisy[0, channel] += noise
    return noisy
