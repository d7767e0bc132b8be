"""Whether a generator repeats what it was trained on.

The nearest training sound of a generated one is found twice over. In an embedding (`metrics.distances.neighbours`)
the nearest sound is the most similar one. On the waveform the question is sharper: is this the same recording,
perhaps louder, turned over, or a little later? Normalised cross-correlation answers it: the largest absolute
correlation of the two over all shifts is 1 for a copy, and the distance here is 1 less that. What a shift pushes out
of the clip counts against it.

Correlating every pair at every shift would take one Fourier transform per pair. But a correlation is a sum of
products of spectra, so the product of their magnitudes bounds it for every shift at once; that is one matrix product
for all pairs. Only the training sounds with the highest bounds are correlated, and a copy always has a bound of 1. So
copies are found for certain, while of sounds that are none the distance may be that of one of the nearest rather than
the nearest.

How near is too near depends on the sounds: two takes of one piano key are nearly copies. So the threshold comes from
real sounds that are no copies: it is the distance that one in a hundred of them falls below.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.metrics.notes.readings import Readings

# Of each block of training sounds, so many are correlated with each clip.
_CANDIDATES = 8
_CLIPS_AT_ONCE = 16

NEAR_COPY_SHARE = 0.01
"""Real sounds that are no copies fall below the threshold this often."""

SURE_COPY = 1e-3
"""What is nearer than this is a copy whatever the threshold: a correlation above 0.999."""


@final
@dataclass(frozen=True, eq=False)
class NearestWaveforms:
    """The nearest training sound of each clip.

    Attributes:
        distance: 1 less the largest absolute correlation over all shifts: 0 for a copy. Silent clips have none, nor
            have clips that there is no other training sound for.
        index: Which training sound it is; -1 where nothing is correlated at all.
    """

    distance: Readings
    index: Int[Tensor, " clips"]


@torch.no_grad()
def nearest_waveforms(
    estimate: Float[Tensor, "clips samples"],
    training: Iterable[Tensor],
    *,
    own: Int[Tensor, " clips"] | None = None,
) -> NearestWaveforms:
    """Searches training sounds of the same length and rate, given in blocks, for each clip's nearest.

    Args:
        estimate: The clips.
        training: Blocks of training sounds `[sounds samples]`; memory holds one block at a time.
        own: The index of each clip where the clips are training sounds themselves, which are then passed over.

    Raises:
        ValueError: Lengths differ.
    """
    spectrum = _unit_spectrum(estimate)
    best = torch.zeros(len(estimate), device=estimate.device)
    index = torch.full((len(estimate),), -1, device=estimate.device)
    own = index if own is None else own.to(estimate.device)
    first = 0
    for block in training:
        if block.shape[-1] != estimate.shape[-1]:
            raise ValueError(f"clips of {estimate.shape[-1]} samples, training sounds of {block.shape[-1]}")
        correlation, within = _nearest_in(spectrum, _unit_spectrum(block), own - first)
        better = correlation > best
        best = torch.where(better, correlation, best)
        index = torch.where(better, within + first, index)
        first += len(block)
    sounding = estimate.abs().amax(dim=-1) > 0 if estimate.shape[-1] else torch.zeros_like(best) > 0
    compared = first > ((own >= 0) & (own < first)).long()
    return NearestWaveforms(Readings.of((1.0 - best).double(), sounding & compared), index.cpu())


def near_copy_threshold(real: Readings) -> float:
    """The distance that one in a hundred real sounds falls below, from their nearest distances.

    Raises:
        ConfigError: No real sound has a distance.
    """
    if not len(real.known):
        raise ConfigError("a threshold for copies takes real sounds that are not silent; there are none")
    return max(float(real.known.quantile(NEAR_COPY_SHARE)), SURE_COPY)


def near_copies(distance: Readings, threshold: float) -> Readings:
    """1 for each clip that is nearer to a training sound than the threshold, else 0."""
    return Readings.of((distance.values < threshold).double(), distance.measured)


def _unit_spectrum(audio: Float[Tensor, "clips samples"]) -> Complex[Tensor, "clips bins"]:
    """The spectrum of each clip at unit energy, long enough that no shift wraps around; 0 for silence."""
    audio = audio.float()
    if audio.shape[-1] == 0:
        return torch.zeros(len(audio), 2, dtype=torch.complex64)
    peak = audio.abs().amax(dim=-1, keepdim=True)
    levelled = audio / peak.clamp_min(torch.finfo(torch.float32).tiny)
    energy = levelled.double().square().sum(dim=-1, keepdim=True).clamp_min(1e-300)
    n_fft = 2 ** math.ceil(math.log2(max(2 * audio.shape[-1] - 1, 2)))
    return torch.fft.rfft((levelled / energy.sqrt()).float(), n_fft)


def _nearest_in(
    spectrum: Complex[Tensor, "clips bins"],
    block: Complex[Tensor, "sounds bins"],
    own: Int[Tensor, " clips"],
) -> tuple[Float[Tensor, " clips"], Int[Tensor, " clips"]]:
    """The largest correlation of each clip with any sound of a block, and which sound."""
    bound = spectrum.abs() @ block.abs().T
    columns = torch.arange(len(block), device=bound.device)
    bound = torch.where(columns == own[:, None], -1.0, bound)
    candidates = bound.topk(min(_CANDIDATES, len(block)), dim=-1).indices
    correlation = torch.cat(
        [
            _correlation(part[:, None], block[rows])
            for part, rows in zip(
                spectrum.split(_CLIPS_AT_ONCE), candidates.split(_CLIPS_AT_ONCE), strict=True
            )
        ]
    )
    correlation = torch.where(candidates == own[:, None], 0.0, correlation)
    best, place = correlation.max(dim=-1)
    return best, candidates.gather(1, place[:, None])[:, 0]


def _correlation(
    clips: Complex[Tensor, "clips 1 bins"], sounds: Complex[Tensor, "clips sounds bins"]
) -> Float[Tensor, "clips sounds"]:
    """The largest absolute correlation over all shifts, between whole samples by a parabola."""
    over_shifts = torch.fft.irfft(clips * sounds.conj()).abs()
    top, at = over_shifts.max(dim=-1)
    around = functional.pad(over_shifts, (1, 1), mode="circular")
    below, above = (around.gather(-1, (at + step)[..., None])[..., 0] for step in (0, 2))
    bend = (2 * top - below - above).clamp_min(1e-12)
    return (top + (above - below).square() / (8 * bend)).clamp(0.0, 1.0)
