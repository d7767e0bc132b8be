"""How loud a sound is, and making it louder, softer, longer or shorter.

Level is measured two ways: the peak is the largest absolute sample, which decides whether a file clips; the root mean
square (RMS) is the square root of the average power, closer to how loud a steady sound is. Both are amplitudes, and
amplitudes span such a range that they are told in decibels: 20 log10(amplitude), so 0 dB is full scale (an amplitude
of 1), -6 dB is half of it, and silence would be minus infinity, which is why every conversion has a floor.
"""

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR_DB = -120.0
"""Where decibels stop by default: below the noise of 16-bit audio (-98 dB), above that of float32."""

# Samples per second of the short-term level in `active_region`: blocks of 5 ms, a tenth of the shortest audible note.
_BLOCKS_PER_SECOND = 200


def rms(samples: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch"]:
    """Root mean square of each row, accumulated in float64. Its gradient at silence is zero."""
    power = samples.double().square().mean(dim=-1)
    smallest = torch.finfo(torch.float64).tiny
    return torch.where(power > 0, power.clamp_min(smallest).sqrt(), 0.0).to(samples.dtype)


def peak(samples: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch"]:
    """Largest absolute sample of each row."""
    return samples.abs().amax(dim=-1)


def to_db(amplitude: Float[Tensor, "*shape"], *, floor_db: float = FLOOR_DB) -> Float[Tensor, "*shape"]:
    """Amplitude in decibels, no lower than `floor_db`. Signs are ignored; gradients are zero at the floor."""
    return 20 * amplitude.abs().clamp_min(10 ** (floor_db / 20)).log10()


def from_db(level_db: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Amplitude of a level in decibels."""
    return 10 ** (level_db / 20)


def normalise_peak(
    samples: Float[Tensor, "*batch samples"], *, to: float = 1.0
) -> Float[Tensor, "*batch samples"]:
    """Scales each row so that its largest absolute sample is `to`. A silent row stays silent."""
    largest = peak(samples).unsqueeze(-1)
    return samples * torch.where(largest > 0, to / largest.clamp_min(torch.finfo(samples.dtype).tiny), 1.0)


def match_level(
    reference: Float[Tensor, "*batch samples"], estimate: Float[Tensor, "*batch other"]
) -> Float[Tensor, "*batch"]:
    """The gain that brings each row of the estimate to the RMS of the reference's row.

    A silent estimate, which no gain can help, gets 1.
    """
    heard = rms(estimate)
    smallest = torch.finfo(heard.dtype).tiny
    return torch.where(heard > 0, rms(reference) / heard.clamp_min(smallest), 1.0)


def fade_out(samples: Float[Tensor, "*batch samples"], *, fraction: float) -> Float[Tensor, "*batch samples"]:
    """Fades the last `fraction` (0 to 1) of each row along half a cosine period, from 1 down to exactly 0.

    Raises:
        ValueError: the fraction is not within 0 to 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"a fade covers a fraction from 0 to 1 of the sound, got {fraction}")
    num_samples = samples.shape[-1]
    num_faded = round(fraction * num_samples)
    turn = torch.linspace(0, torch.pi, num_faded + 1, dtype=samples.dtype, device=samples.device)[1:]
    kept = torch.ones(num_samples - num_faded, dtype=samples.dtype, device=samples.device)
    return samples * torch.cat([kept, 0.5 + 0.5 * turn.cos()])


def fit_length(samples: Float[Tensor, "*batch samples"], num_samples: int) -> Float[Tensor, "*batch fitted"]:
    """Exactly `num_samples` of each row: what is too long is cut at its end, what is too short is padded with zeros.

    Raises:
        ValueError: `num_samples` is negative.
    """
    if num_samples < 0:
        raise ValueError(f"a length in samples is not negative, got {num_samples}")
    missing = num_samples - samples.shape[-1]
    return torch.nn.functional.pad(samples, (0, missing)) if missing > 0 else samples[..., :num_samples]


def is_silent(samples: Float[Tensor, " samples"], *, floor_db: float = -80.0) -> bool:
    """Whether no sample rises above `floor_db` (full scale is 0 dB); a sound without samples is silent."""
    return samples.numel() == 0 or float(peak(samples)) <= 10 ** (floor_db / 20)


def active_region(
    samples: Float[Tensor, " samples"], sample_rate: int, *, floor_db: float = -60.0
) -> tuple[int, int]:
    """Where a sound begins and ends, `(start, stop)` in samples, so that `samples[start:stop]` has no silence around.

    Blocks of 5 ms are active when their largest sample is within `floor_db` of the whole sound's largest. Silence, and
    a sound without samples, gives `(0, 0)`.
    """
    if samples.numel() == 0 or float(peak(samples)) == 0:
        return 0, 0
    block = max(1, sample_rate // _BLOCKS_PER_SECOND)
    num_blocks = -(-len(samples) // block)
    loudness = peak(fit_length(samples, num_blocks * block).reshape(num_blocks, block))
    active = torch.nonzero(loudness >= loudness.max() * 10 ** (floor_db / 20)).flatten()
    return int(active[0]) * block, min(len(samples), (int(active[-1]) + 1) * block)
