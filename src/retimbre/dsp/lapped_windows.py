"""Windows whose overlapped copies give a sound back exactly: the prototypes of lapped transforms.

A lapped transform with N bands cuts a sound into frames of 2 K N samples, one every N samples, and keeps N numbers of
each: no more numbers than samples (see `lapped.py`). That loses nothing if the window p, read as 2 K rows of N
samples, is orthonormal to itself shifted by whole pairs of rows. For every column n and every shift s below K,

    sum over m of p[m, n] p[m + 2 s, n] = 1 if s = 0, else 0

With K = 1 that is p[0, n] ** 2 + p[1, n] ** 2 = 1, the condition of Princen and Bradley, which the sine window and the
Kaiser-Bessel derived window meet by construction. Longer windows separate the bands better. The usual one is a Kaiser
window times a sinc, whose cutoff is tuned until the condition almost holds; the sound then comes back with errors
some 55 dB below it. Here this prototype is only the start: a few Newton steps of least norm move it onto the
condition, by well under a hundredth of its height, and from then on nothing is lost but rounding. Of filters
longer than an overlap of 8 one in thirty has no such window near it; these are refused, and another beta will do.

References:
    Princen & Bradley (1986), "Analysis/synthesis filter bank design based on time domain aliasing cancellation",
    https://doi.org/10.1109/TASSP.1986.1164954
    Malvar (1992), "Extended lapped transforms: properties, applications, and fast algorithms",
    https://doi.org/10.1109/78.165664
    Lin & Vaidyanathan (1998), "A Kaiser window approach for the design of prototype filters of cosine modulated
    filterbanks", https://doi.org/10.1109/97.681427
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError

# Newton doubles the correct digits with every step: from 2 to more than a float64 has takes four. Near a window where
# the linear system loses rank it creeps, and takes up to about thirty.
_NEWTON_STEPS = 60
# The condition holds up to rounding: 1e-14, of a sound, is 280 dB.
_ROUNDING = 2e-15

# Where the cutoff is looked for, in units of half a band, and how finely; and about how many samples of candidates are
# held at once, 32 MB.
_CUTOFFS = (0.9, 1.8, 451)
_SAMPLES_AT_ONCE = 2**22


def sine_window(num_bands: int) -> Float[Tensor, "2 bands"]:
    """Half a period of a sine, as two rows: the smoothest window of the MDCT, with the narrowest main lobe."""
    sample = torch.arange(2 * num_bands, dtype=torch.float64)
    return torch.sin(math.pi / (2 * num_bands) * (sample + 0.5)).reshape(2, num_bands)


def kaiser_bessel_derived_window(num_bands: int, beta: float) -> Float[Tensor, "2 bands"]:
    """The running sum of a Kaiser window, square-rooted: far bands are rejected more, neighbours less, than by a sine.

    Args:
        num_bands: Bands of the transform.
        beta: Of the Kaiser window; larger rejects more. AAC takes 4 pi, AC-3 5 pi.
    """
    kaiser = torch.kaiser_window(num_bands + 1, periodic=False, beta=beta, dtype=torch.float64)
    rising = (kaiser.cumsum(0)[:-1] / kaiser.sum()).sqrt()
    return torch.stack([rising, rising.flip(0)])


def kaiser_prototype(num_bands: int, overlap: int, beta: float) -> Float[Tensor, "rows bands"]:
    """A Kaiser window times the sinc that comes closest to losing nothing, as 2 * overlap rows; not yet exact."""
    length = 2 * overlap * num_bands
    sample = torch.arange(length, dtype=torch.float64) - (length - 1) / 2
    kaiser = torch.kaiser_window(length, periodic=False, beta=beta, dtype=torch.float64)
    cutoffs = torch.linspace(*_CUTOFFS, dtype=torch.float64)[:, None] / (2 * num_bands)

    def candidates(chosen: Float[Tensor, "some 1"]) -> Float[Tensor, "some rows bands"]:
        windows = torch.special.sinc(chosen * sample) * kaiser
        windows = windows * (num_bands / windows.square().sum(dim=-1, keepdim=True)).sqrt()
        return windows.reshape(-1, 2 * overlap, num_bands)

    defects = [
        _defect(candidates(chosen).transpose(1, 2)).abs().amax(dim=(1, 2))
        for chosen in cutoffs.split(max(1, _SAMPLES_AT_ONCE // length))
    ]
    best = int(torch.cat(defects).argmin())
    return candidates(cutoffs[best : best + 1])[0]


@functools.lru_cache(maxsize=32)
def paraunitary_window(num_bands: int, overlap: int, beta: float) -> Float[Tensor, "rows bands"]:
    """The Kaiser prototype, moved by Newton's method onto the condition of no loss.

    Every column is a small system of its own: 2 * overlap unknowns and `overlap` equations, of which the smallest
    change that solves their linearisation is taken at each step. The window is symmetric, so half of the columns
    give the other half.

    Args:
        num_bands: Bands of the transform; even.
        overlap: Half of the frame's length in bands, K.
        beta: Of the Kaiser window that it starts from.

    Raises:
        ConfigError: There is no such window near the prototype.
    """
    with torch.inference_mode(False):
        columns = kaiser_prototype(num_bands, overlap, beta)[:, : num_bands // 2].T
        for _ in range(_NEWTON_STEPS):
            defect = _defect(columns)
            if float(defect.abs().max()) <= _ROUNDING:
                break
            columns = columns - (torch.linalg.pinv(_jacobian(columns)) @ defect[..., None])[..., 0]
        else:
            raise ConfigError(
                f"near the Kaiser prototype of {num_bands} bands, overlap {overlap} and beta {beta:g} there is no "
                "window that loses nothing; take another beta or a smaller overlap"
            )
        half = columns.T
        # p[2 K N - 1 - i] = p[i]: row and column turn over together.
        return torch.cat([half, half.flip(0, 1)], dim=1).contiguous()


def _defect(columns: Float[Tensor, "*batch columns rows"]) -> Float[Tensor, "*batch columns shifts"]:
    """By how much each column misses the condition, for every shift."""
    rows = columns.shape[-1]
    products = [(columns[..., : rows - 2 * s] * columns[..., 2 * s :]).sum(-1) for s in range(rows // 2)]
    products[0] = products[0] - 1.0
    return torch.stack(products, dim=-1)


def _jacobian(columns: Float[Tensor, "columns rows"]) -> Float[Tensor, "columns shifts rows"]:
    """The derivative of the defect by the rows of each column."""
    num_columns, rows = columns.shape
    slope = columns.new_zeros(num_columns, rows // 2, rows)
    for s in range(rows // 2):
        slope[:, s, : rows - 2 * s] += columns[:, 2 * s :]
        slope[:, s, 2 * s :] += columns[:, : rows - 2 * s]
    return slope
