"""The short-time Fourier transform, and the one map from magnitudes to decibels.

A sound is cut into overlapping frames, each frame is faded in and out by a window and Fourier transformed. Column t of
the result says which frequencies sound around the time t * hop_length. Four choices define it: how long a frame is
(`win_length`: longer resolves frequency, shorter resolves time), how often one starts (`hop_length`), on how many
points it is transformed (`n_fft`, at least the window; more interpolates between bins), and what happens at the ends of
the sound. With `center`, frame t has its middle on sample t * hop_length and the sound is padded by half a frame at
each end; without, frame t starts there. `StftSettings` holds the choices, so that analysis and synthesis cannot
disagree about the window. The conventions are those of librosa 0.11.

Loudness is heard in ratios, so spectra are compared in decibels, and the decibels of silence are minus infinity.
`LogMagnitude` is the only place where that is dealt with: it adds a floor in power, which is smooth, keeps gradients
finite for silence, and can be undone.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError, near_miss
from retimbre.dsp.pieces import in_pieces

# What is left of the Gaussian window where it is cut off, a compromise: less widens its bands, more raises sidelobes.
GAUSSIAN_EDGE = 0.003


def _gaussian_window(length: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    place = 2.0 * torch.arange(length, dtype=torch.float64, device=device) / length - 1.0
    return torch.exp(math.log(GAUSSIAN_EDGE) * place.square()).to(dtype)


WINDOWS: dict[str, Callable[..., Tensor]] = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
    "gaussian": _gaussian_window,
    "rectangular": torch.ones,
}
PAD_MODES = ("constant", "reflect")
# A frame of over 20 s at any rate in use; more resolve nothing that changes, and their windows alone fill the memory.
MOST_POINTS = 1 << 20
# Below what any sound file can hold; it keeps the derivative of the square root finite.
_SMALLEST_POWER = 1e-30


@dataclass(frozen=True)
class StftSettings:
    """What defines a short-time Fourier transform.

    Attributes:
        n_fft: Points of the Fourier transform; the spectrum has n_fft // 2 + 1 bins.
        hop_length: Samples from one frame to the next.
        win_length: Samples of the window, centred in the n_fft points; 0 stands for n_fft.
        window: A name in `WINDOWS`. All windows are periodic, as spectral analysis wants them.
        center: Whether frame t is centred on sample t * hop_length (the ends padded) or starts there.
        pad_mode: What the ends are padded with if `center`: "constant" (silence) or "reflect".

    Raises:
        ConfigError: A length that makes no sense, an unknown window or an unknown padding.
    """

    n_fft: int = 1024
    hop_length: int = 256
    win_length: int = 0
    window: str = "hann"
    center: bool = True
    pad_mode: str = "constant"

    def __post_init__(self) -> None:
        """Refuses settings that define no transform."""
        if self.n_fft < 1 or self.hop_length < 1:
            raise ConfigError(
                f"n_fft and hop_length must be at least 1, got {self.n_fft} and {self.hop_length}"
            )
        if max(self.n_fft, self.hop_length) > MOST_POINTS:
            raise ConfigError(
                f"n_fft and hop_length are at most {MOST_POINTS:,} samples, "
                f"got {self.n_fft:,} and {self.hop_length:,}"
            )
        if not 0 <= self.win_length <= self.n_fft:
            raise ConfigError(
                f"win_length must lie between 0 and n_fft = {self.n_fft}, got {self.win_length}"
            )
        if self.window not in WINDOWS:
            raise ConfigError(f"unknown window {self.window!r}; {near_miss(self.window, WINDOWS)}")
        if self.pad_mode not in PAD_MODES:
            raise ConfigError(f"unknown pad_mode {self.pad_mode!r}; {near_miss(self.pad_mode, PAD_MODES)}")

    @property
    def num_bins(self) -> int:
        """Frequencies of a spectrum: 0 Hz up to half the sample rate."""
        return self.n_fft // 2 + 1

    def num_frames(self, num_samples: int) -> int:
        """Frames that a sound of `num_samples` gives; one at least, since a short sound is padded with silence."""
        half = self.n_fft // 2 if self.center else 0
        num_samples = max(num_samples, _samples_needed(self.n_fft, half, self.pad_mode))
        return 1 + (num_samples + 2 * half - self.n_fft) // self.hop_length


def _samples_needed(frame_length: int, half: int, pad_mode: str) -> int:
    """The shortest sound that gives a frame once `half` is padded at each end."""
    # A reflection needs one sample more than it copies.
    return half + 1 if half and pad_mode == "reflect" else frame_length - 2 * half


@functools.lru_cache(maxsize=256)
def _cached_window(
    name: str, win_length: int, n_fft: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    # Tensors made in inference mode could not take part in a later backward pass.
    with torch.inference_mode(False):
        window = WINDOWS[name](win_length, dtype=dtype, device=device)
        left = (n_fft - win_length) // 2
        return functional.pad(window, (left, n_fft - win_length - left))


def analysis_window(settings: StftSettings, like: Tensor) -> Float[Tensor, " n_fft"]:
    """The window in n_fft points, on the device and in the dtype of `like`. Shared: never change it in place."""
    win_length = settings.win_length or settings.n_fft
    return _cached_window(settings.window, win_length, settings.n_fft, like.dtype, like.device)


def pad_ends(
    audio: Float[Tensor, "batch samples"],
    frame_length: int,
    *,
    center: bool = True,
    pad_mode: str = "constant",
) -> Float[Tensor, "batch padded"]:
    """Pads a sound for framing: by half a frame at each end if `center`, and with silence up to one frame at least."""
    half = frame_length // 2 if center else 0
    needed = _samples_needed(frame_length, half, pad_mode)
    audio = _pad_end(audio, max(needed - audio.shape[-1], 0))
    return functional.pad(audio[:, None], (half, half), mode=pad_mode)[:, 0] if half else audio


def frame(
    audio: Float[Tensor, "batch samples"], frame_length: int, hop_length: int, *, center: bool = True
) -> Float[Tensor, "batch frames frame_length"]:
    """Cuts a sound into overlapping frames, a view without copying; the ends are padded with silence if `center`."""
    return pad_ends(audio, frame_length, center=center).unfold(-1, frame_length, hop_length)


def stft(
    audio: Float[Tensor, "batch samples"], settings: StftSettings
) -> Complex[Tensor, "batch bins frames"]:
    """The short-time Fourier transform: complex, unscaled (a full-scale sine peaks at about half the window's sum)."""
    n_fft, hop_length, window = settings.n_fft, settings.hop_length, analysis_window(settings, audio)

    def transform(piece: Float[Tensor, "piece samples"]) -> Complex[Tensor, "piece frames bins"]:
        padded = pad_ends(piece, n_fft, center=settings.center, pad_mode=settings.pad_mode)
        if torch.compiler.is_compiling():
            # A graph for another program: there is an operator for all of it, while players of graphs lose accuracy
            # in single transforms whose length is no power of two.
            spectrum = torch.stft(padded, n_fft, hop_length, window=window, center=False, return_complex=True)
            return spectrum.transpose(1, 2)
        return torch.fft.rfft(padded.unfold(-1, n_fft, hop_length) * window)

    return in_pieces(
        transform, audio, values_per_item=n_fft * settings.num_frames(audio.shape[-1])
    ).transpose(1, 2)


def istft(
    spectrum: Complex[Tensor, "batch bins frames"], settings: StftSettings, *, num_samples: int
) -> Float[Tensor, "batch samples"]:
    """Undoes `stft`: least-squares overlap-add, exact wherever some window is not zero.

    For a spectrum that belongs to no sound it gives the sound whose spectrum is closest in mean square. Where every
    window is zero (the first sample of a Hann window without `center`) the sound is unknown and comes back as zero.

    Args:
        spectrum: What `stft` gave, with the same settings.
        settings: The settings of the analysis.
        num_samples: The length of the sound; samples that no frame covers are zero.

    References:
        Griffin & Lim (1984), "Signal estimation from modified short-time Fourier transform", equation 6,
        https://doi.org/10.1109/TASSP.1984.1164317
    """
    num_frames = spectrum.shape[-1]
    audio = in_pieces(
        lambda piece: _overlap_add(torch.fft.irfft(piece, n=settings.n_fft), settings),
        spectrum.transpose(1, 2),
        values_per_item=num_frames * settings.n_fft,
    )
    start = settings.n_fft // 2 if settings.center else 0
    wanted = slice(start, start + num_samples)
    audio = audio[:, wanted] * _reciprocal_energy(settings, num_frames, audio.dtype, audio.device)[wanted]
    return _pad_end(audio, num_samples - audio.shape[-1])


def _overlap_add(
    frames: Float[Tensor, "batch frames n_fft"], settings: StftSettings
) -> Float[Tensor, "batch samples"]:
    """Adds up windowed frames, each a hop after the one before; the last hop may be filled up with silence."""
    hop_length, window = settings.hop_length, analysis_window(settings, frames)
    hops_per_frame = -(-settings.n_fft // hop_length)
    missing = hops_per_frame * hop_length - settings.n_fft
    # Cut into hops, the r-th part of every frame lands r hops later: a few long sums instead of many short ones.
    parts = _pad_end(frames, missing).unflatten(-1, (hops_per_frame, hop_length))
    weights = _pad_end(window, missing).view(hops_per_frame, hop_length)
    batch, num_frames = frames.shape[:2]
    audio = frames.new_zeros(batch, num_frames + hops_per_frame - 1, hop_length)
    for index in range(hops_per_frame):
        audio[:, index : index + num_frames].addcmul_(parts[:, :, index], weights[index])
    return audio.flatten(1)


def _pad_end(values: Float[Tensor, "*batch samples"], missing: int) -> Float[Tensor, "*batch padded"]:
    # Padding with nothing would copy.
    return functional.pad(values, (0, missing)) if missing else values


@functools.lru_cache(maxsize=8)
def _reciprocal_energy(
    settings: StftSettings, num_frames: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, " samples"]:
    """One over the sum of the squared windows over each sample; zero where all of them are."""
    with torch.inference_mode(False), torch.no_grad():
        window = analysis_window(settings, torch.empty(0, dtype=dtype, device=device))
        energy = _overlap_add(window.expand(1, num_frames, -1), settings)[0]
        covered = energy > torch.finfo(dtype).eps
        return torch.where(covered, 1.0 / torch.where(covered, energy, 1.0), 0.0)


@functools.lru_cache(maxsize=256)
def least_coverage(settings: StftSettings) -> float:
    """The least sum of squared windows over a sample of a clip, in units of the largest squared window.

    Rounding errors grow by one over its square root when the transform is undone; at zero, samples are lost.
    Frames after the first are centred (or start) every `hop_length` samples, up to the last sample and beyond.
    """
    hop_length, n_fft = settings.hop_length, settings.n_fft
    # Between the middles of two frames; or, where the first frames have none before them, the whole first frame.
    num_frames, start, width = (
        (2, n_fft // 2, hop_length) if settings.center else (2 + n_fft // hop_length, 0, n_fft)
    )
    coverage = torch.zeros((num_frames - 1) * hop_length + n_fft, dtype=torch.float64)
    for index in range(num_frames):
        coverage[index * hop_length :][:n_fft] += _window_energy(settings)
    return float(coverage[start : start + max(width, hop_length)].min())


@functools.lru_cache(maxsize=256)
def reach(settings: StftSettings, least: float) -> int:
    """How many samples after the middle of a frame the squared window is still `least` of its largest value."""
    after = _window_energy(settings)[settings.n_fft // 2 :]
    return int((after >= least).cumprod(0).sum()) - 1


def _window_energy(settings: StftSettings) -> Float[Tensor, " n_fft"]:
    energy = analysis_window(settings, torch.empty(0, dtype=torch.float64)).square()
    return energy / energy.max()


def power(
    audio: Float[Tensor, "batch samples"], settings: StftSettings
) -> Float[Tensor, "batch bins frames"]:
    """Squared magnitude of the short-time Fourier transform; smooth everywhere, silence included."""
    spectrum = stft(audio, settings)
    return spectrum.real.square() + spectrum.imag.square()


def magnitude(
    audio: Float[Tensor, "batch samples"], settings: StftSettings
) -> Float[Tensor, "batch bins frames"]:
    """Magnitude of the short-time Fourier transform, 1e-15 at least: so its gradient at silence is zero, not NaN."""
    return power(audio, settings).clamp_min(_SMALLEST_POWER).sqrt()


@dataclass(frozen=True)
class LogMagnitude:
    """The map from magnitudes to decibels, with a floor that keeps it finite, smooth and invertible.

        decibels = 10 log10(magnitude ** 2 + floor ** 2),    floor = 10 ** (floor_db / 20)

    Far above the floor these are plain decibels relative to magnitude 1; zero maps to `floor_db`. The slope is zero at
    zero and nowhere steeper than 4.35 / floor decibels per unit.

    Attributes:
        floor_db: The decibels of silence.
    """

    floor_db: float = -80.0

    def __post_init__(self) -> None:
        """Refuses a floor whose power a float32 cannot hold (its smallest normal number is 1.2e-38)."""
        if not (math.isfinite(self.floor_db) and self.floor_db >= -370.0):
            raise ConfigError(f"floor_db must be a number of decibels from -370 up, got {self.floor_db}")

    def __call__(self, magnitude: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Magnitudes to decibels."""
        return self.of_power(magnitude.square())

    def of_power(self, power: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Squared magnitudes to decibels."""
        return 10.0 * torch.log10(power + 10.0 ** (self.floor_db / 10.0))

    def inverse(self, decibels: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Decibels back to magnitudes; what lies under the floor becomes zero."""
        power = torch.pow(10.0, decibels / 10.0) - 10.0 ** (self.floor_db / 10.0)
        return power.clamp_min(0.0).sqrt()
