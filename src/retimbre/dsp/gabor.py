"""Constant-Q and other transforms with bands of any width, batched, differentiable and exactly invertible.

A short-time Fourier transform cuts time into equal pieces and so has the same resolution at all frequencies. Ears and
scores do not: an octave has twelve notes whether it is 30 Hz wide or 3 kHz. A non-stationary Gabor transform cuts the
*spectrum* of the whole sound into bands of any width instead. Each is windowed, shifted down to 0 Hz and transformed
back to time, which gives the band as a complex signal at a rate that is just enough for its width:

    c[k, m] = sum over j of X[centre_k + j] w_k[j] exp(2 pi i j m / M_k)     X the spectrum, 0 <= m < M_k

Its magnitude is the envelope of the band and its phase turns with the distance from the band's centre; value m belongs
to the time m / M_k of the length of the sound. Wide bands, which are high ones on a scale of pitch, are fine in time,
narrow ones fine in frequency. Coefficients come *ragged*, each band at its own rate, or as a *matrix*, all at the rate
of the widest, which is easier to look at and several times as many numbers.

`gabor_frame.py` has the windows, and those of the inverse, which is exact: windows are narrower than M_k lines, so
nothing is lost when a band is resampled (the painless case). The transform is of the whole sound: it needs all of it at
once, and its end meets its beginning as on a tape loop.

It is fast because bands of one length are transformed together, lengths are powers of two and three quarters of them,
and lines are moved between spectrum and bands by gathering in both directions (`spreading.py`).

References:
    Velasco, Holighaus, Doerfler and Grill (2011), "Constructing an invertible constant-Q transform with non-stationary
    Gabor frames", DAFx-11.
    Holighaus, Doerfler, Velasco and Grill (2013), "A framework for invertible, real-time constant-Q transforms",
    https://doi.org/10.1109/TASL.2012.2234114
    Necciari, Balazs, Holighaus and Soendergaard (2013), "The ERBlet transform", https://doi.org/10.1109/ICASSP.2013.6637697
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp.gabor_frame import GaborFrame, GaborSettings, gabor_frame
from retimbre.dsp.spreading import gather, spread

# Neighbouring bands of one length: one such tensor per length.
Groups = tuple[Complex[Tensor, "batch _ _"], ...]


def gabor(audio: Float[Tensor, "batch samples"], settings: GaborSettings) -> Groups:
    """The coefficients of a sound, from low bands to high ones, as groups of neighbouring bands of one length.

    The first group is the band around 0 Hz and the last one that around half the sample rate; both are real. Stack the
    groups along their bands for a matrix, or flatten and string them together for ragged bands.

    Raises:
        AudioError: The sound has no samples.
        ConfigError: `settings.frames` is too few for a sound this long.
    """
    num_samples = audio.shape[-1]
    if num_samples < 1:
        raise AudioError("a sound of no samples has no bands")
    frame = gabor_frame(settings, num_samples, audio.dtype, audio.device)
    spectrum = torch.fft.rfft(audio, n=frame.num_samples)
    first, *inner, last = spread(spectrum, frame.analysis).split(frame.parts, dim=1)
    groups = [
        # "forward" puts the factor 1 / M on the other direction; here the windows have it.
        torch.fft.ifft(part.unflatten(1, shape), norm="forward")
        for part, shape in zip(inner, frame.groups, strict=True)
    ]
    return (_end_band(first, frame.frames[0]), *groups, _end_band(last.conj(), frame.frames[-1]))


def inverse_gabor(
    groups: Groups, settings: GaborSettings, *, num_samples: int
) -> Float[Tensor, "batch samples"]:
    """Undoes `gabor`; for coefficients that belong to no sound, the sound that fits them best in least squares.

    Args:
        groups: What `gabor` gave, with the same settings. The imaginary part of the first and last is ignored.
        settings: The settings of the analysis.
        num_samples: The length of the sound that was analysed.

    Raises:
        ConfigError: The coefficients are not those of a sound this long.
    """
    dtype = groups[0].real.dtype
    frame = gabor_frame(settings, num_samples, dtype, groups[0].device)
    _check_shapes(groups, frame, num_samples)
    first, *inner, last = groups
    lines = [
        torch.fft.rfft(first[:, 0].real),
        *(torch.fft.fft(group).flatten(1) for group in inner),
        torch.fft.rfft(last[:, 0].real).conj(),
    ]
    spectrum = gather(torch.cat(lines, dim=1), frame.synthesis)
    return torch.fft.irfft(spectrum, n=frame.num_samples)[:, :num_samples]


def matrix_of(groups: Groups) -> Complex[Tensor, "batch bands frames"]:
    """The coefficients of bands of one length as a matrix."""
    return torch.cat(groups, dim=1)


def groups_of_matrix(
    matrix: Complex[Tensor, "batch bands frames"],
) -> Groups:
    """Undoes `matrix_of`."""
    return matrix[:, :1], matrix[:, 1:-1], matrix[:, -1:]


def group_shapes(settings: GaborSettings, num_samples: int) -> tuple[tuple[int, int], ...]:
    """Bands and frames of each group that a sound of that length gives."""
    frame = gabor_frame(settings, num_samples, torch.float32, torch.device("cpu"))
    return ((1, frame.frames[0]), *frame.groups, (1, frame.frames[-1]))


def frame_bounds(settings: GaborSettings, num_samples: int) -> tuple[float, float]:
    """The least and largest quotient of the energy of coefficients and of sound, over all sounds of that length.

    Equal ones belong to a tight frame. The root of their quotient is the most by which an error in the coefficients can
    grow relative to the sound when it is rebuilt.
    """
    return gabor_frame(settings, num_samples, torch.float32, torch.device("cpu")).bounds


def _end_band(lines: Complex[Tensor, "batch lines"], num_frames: int) -> Complex[Tensor, "batch 1 frames"]:
    """A band at 0 Hz or half the sample rate from one half of its lines; the other half is its mirror image."""
    real = torch.fft.irfft(lines, n=num_frames, norm="forward")
    return torch.complex(real, torch.zeros_like(real))[:, None]


def _check_shapes(groups: Groups, frame: GaborFrame, num_samples: int) -> None:
    wanted = [(1, frame.frames[0]), *frame.groups, (1, frame.frames[-1])]
    got = [tuple(group.shape[1:]) for group in groups]
    if got != wanted:
        raise ConfigError(
            f"coefficients of (bands, frames) = {got} are not those of {num_samples} samples, which are {wanted}"
        )
