"""Sound from magnitudes: finding the phases that a spectrogram has lost.

A magnitude spectrogram of overlapping frames says almost everything about a sound, since each sample is seen by several
frames that have to agree. Two ways back are offered, which can be combined:

- Griffin and Lim's: start from any phases, turn the spectrum into sound and the sound into a spectrum, keep the new
  phases and put the given magnitudes back, and again. Each such projection brings the spectrum nearer to that
  of some sound. The fast variant steps a bit further in the direction of the last change.
- Phase gradients: read off the magnitudes how the phase grows between neighbouring cells (`phase_gradient`) and sum
  that up along the loudest paths (`phase_forest`). This needs no iterations; a projection or two polish the result.

How well it went is the spectral convergence: the distance between the given magnitudes and those of the sound found,
relative to the given ones, in decibels. It needs no reference, and 0 dB is silence.

Phase recovery must use the window of the analysis: another one gives a worse sound without a word, which is why every
function takes the same `StftSettings` as `stft` does. The overall sign of a sound cannot be told from magnitudes.

References:
    Griffin and Lim (1984), "Signal estimation from modified short-time Fourier transform",
    https://doi.org/10.1109/TASSP.1984.1164317
    Perraudin, Balazs and Sondergaard (2013), "A fast Griffin-Lim algorithm",
    https://doi.org/10.1109/WASPAA.2013.6701851
    Prusa, Balazs and Sondergaard (2017), "A noniterative method for reconstruction of phase from STFT magnitude",
    https://doi.org/10.1109/TASLP.2017.2678166
"""

import abc
import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.dsp.phase_forest import integrate
from retimbre.dsp.phase_gradient import gaussian_equivalent, phase_increments
from retimbre.dsp.stft import StftSettings, analysis_window, magnitude, pad_ends

# Clips are worked on in groups of about so many cells, which fit the cache of a core; a GPU takes far more at once.
_CELLS_AT_ONCE = {"cpu": 2**18, "cuda": 2**26}
# A cell with less than this share of the loudest one's power has no direction: at -160 dB a float32 has nothing left.
# The slope of a direction is one over its length and multiplies from one projection to the next.
_SMALLEST_POWER = 1e-16
_SMALLEST_MAGNITUDE = 1e-30


class PhaseMethod(abc.ABC):
    """A way from magnitudes to sound. Final subclasses are frozen dataclasses."""

    @abc.abstractmethod
    def recover(
        self, magnitudes: Float[Tensor, "batch bins frames"], settings: StftSettings, *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """A sound of `num_samples` whose spectrum has about these magnitudes.

        Clip i depends on item i alone. Gradients with respect to the magnitudes are finite.

        Args:
            magnitudes: Zero or more, as `stft.magnitude` gives them, or a network.
            settings: Those of the analysis, its window included.
            num_samples: The length of the sound; samples that no frame covers are zero.
        """


@final
@dataclass(frozen=True)
class GriffinLim(PhaseMethod):
    """Fast Griffin-Lim from random phases.

    Attributes:
        iterations: Projections before the last synthesis; 32 is usual.
        momentum: How far each step overshoots, from 0 (Griffin and Lim's own) to below 1.
        seed: Of the phases at the start, which are the same for every clip.

    Raises:
        ConfigError: A negative number of iterations, or a momentum outside [0, 1).
    """

    iterations: int = 32
    momentum: float = 0.99
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what does not converge."""
        _check_count("iterations", self.iterations)
        if not 0.0 <= self.momentum < 1.0:
            raise ConfigError(f"momentum must lie in [0, 1), got {self.momentum}")

    def recover(
        self, magnitudes: Float[Tensor, "batch bins frames"], settings: StftSettings, *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """See `PhaseMethod`; gradients go through all iterations."""
        start = random_phases(magnitudes, self.seed)
        return project(magnitudes, start, settings, method=self, num_samples=num_samples)


@final
@dataclass(frozen=True)
class PhaseGradients(PhaseMethod):
    """Phase gradient heap integration (PGHI), then projections.

    Attributes:
        projections: Steps of Griffin and Lim's method afterwards; the first gains most, 3 to 4 dB on notes.
        tolerance: Cells fainter than this share of the clip's loudest get random phases instead.
        seed: Of those.

    Raises:
        ConfigError: A negative number of projections, or a tolerance outside (0, 1).
    """

    projections: int = 1
    tolerance: float = 1e-5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        _check_count("projections", self.projections)
        if not 0.0 < self.tolerance < 1.0:
            raise ConfigError(f"tolerance must lie between 0 and 1, got {self.tolerance}")

    def recover(
        self, magnitudes: Float[Tensor, "batch bins frames"], settings: StftSettings, *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """See `PhaseMethod`; the phases count as constants, gradients go through magnitudes and projections.

        Raises:
            ConfigError: The window is like no Gaussian.
        """
        start = integrated_phases(magnitudes, settings, tolerance=self.tolerance, seed=self.seed)
        steps = GriffinLim(self.projections, momentum=0.0)
        return project(magnitudes, start, settings, method=steps, num_samples=num_samples)


def _check_count(name: str, count: int) -> None:
    if count < 0:
        raise ConfigError(f"{name} must be at least 0, got {count}")


def random_phases(
    magnitudes: Float[Tensor, "batch bins frames"], seed: int
) -> Float[Tensor, "batch bins frames"]:
    """Phases in radians, uniform over the circle, the same for every clip of a batch."""
    shape = (magnitudes.shape[2], magnitudes.shape[1])
    turns = torch.rand(shape, generator=generator(seed, "random phases"))
    return (turns * (2.0 * math.pi)).to(magnitudes).T.expand_as(magnitudes)


@torch.no_grad()
def integrated_phases(
    magnitudes: Float[Tensor, "batch bins frames"],
    settings: StftSettings,
    *,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> Float[Tensor, "batch bins frames"]:
    """Phases in radians from phase gradients; cells fainter than `tolerance` times the loudest get random ones.

    Computed in float32, which is exact to 1e-3 radians over hundreds of frames, whatever the dtype.

    Raises:
        ConfigError: The window is like no Gaussian.
    """
    gaussian_equivalent(settings)
    random = random_phases(magnitudes[:1], seed).transpose(1, 2)
    found = []
    for group in _groups(magnitudes):
        grid = phase_increments(group.transpose(1, 2).float().contiguous(), settings)
        turns, active = integrate(grid, tolerance)
        found.append(torch.where(active, turns.to(random) * (2.0 * math.pi), random))
    return torch.cat(found).transpose(1, 2)


def project(
    magnitudes: Float[Tensor, "batch bins frames"],
    phases: Float[Tensor, "batch bins frames"],
    settings: StftSettings,
    *,
    method: GriffinLim,
    num_samples: int,
) -> Float[Tensor, "batch samples"]:
    """Fast Griffin-Lim from given phases in radians, and the sound of the result."""
    frames = _Framing(settings, magnitudes.shape[2], num_samples)
    found = [
        _iterate(each.transpose(1, 2).contiguous(), start.transpose(1, 2), frames, method)
        for each, start in zip(_groups(magnitudes), _groups(phases), strict=True)
    ]
    return torch.cat(found)


def _groups(values: Float[Tensor, "batch bins frames"]) -> tuple[Tensor, ...]:
    at_once = _CELLS_AT_ONCE.get(values.device.type, _CELLS_AT_ONCE["cpu"])
    return values.split(max(at_once // values[0].numel(), 1))


def _iterate(
    magnitudes: Float[Tensor, "batch frames bins"],
    phases: Float[Tensor, "batch frames bins"],
    framing: "_Framing",
    method: GriffinLim,
) -> Float[Tensor, "batch samples"]:
    overshoot = method.momentum / (1.0 + method.momentum)
    # Twice the magnitudes are twice the sound, so the unit is free, and has no gradient of its own.
    loudest = magnitudes.detach().amax(dim=(1, 2), keepdim=True).clamp_min(_SMALLEST_MAGNITUDE)
    magnitudes = magnitudes / loudest
    spectrum = torch.complex(magnitudes * phases.cos(), magnitudes * phases.sin())
    last: Tensor | None = None
    for _ in range(method.iterations):
        found = framing.analyse(framing.synthesise(spectrum))
        ahead = found if last is None or not overshoot else torch.sub(found, last, alpha=overshoot)
        last = found
        power = ahead.real.square() + ahead.imag.square()
        spectrum = ahead * (magnitudes * power.clamp_min(_SMALLEST_POWER).rsqrt())
    return framing.synthesise(spectrum) * loudest[:, 0]


@final
@dataclass(frozen=True)
class _Framing:
    """The transform of `stft` and back, frames first: faster in a loop, since every frame is one piece of memory."""

    settings: StftSettings
    num_frames: int
    num_samples: int

    def analyse(self, audio: Float[Tensor, "batch samples"]) -> Complex[Tensor, "batch frames bins"]:
        settings = self.settings
        padded = pad_ends(audio, settings.n_fft, center=settings.center, pad_mode=settings.pad_mode)
        missing = self._length - padded.shape[1]
        padded = torch.nn.functional.pad(padded, (0, missing))
        frames = padded.unfold(1, settings.n_fft, settings.hop_length)
        return torch.fft.rfft(frames * analysis_window(settings, audio))

    def synthesise(self, spectrum: Complex[Tensor, "batch frames bins"]) -> Float[Tensor, "batch samples"]:
        frames = torch.fft.irfft(spectrum, n=self.settings.n_fft)
        window = analysis_window(self.settings, frames)
        energy = self._overlap_add(window.square().expand(1, self.num_frames, -1))
        covered = energy > torch.finfo(energy.dtype).eps
        weight = torch.where(covered, 1.0 / torch.where(covered, energy, 1.0), 0.0)
        audio = self._overlap_add(frames * window) * weight
        start = self.settings.n_fft // 2 if self.settings.center else 0
        audio = audio[:, start : start + self.num_samples]
        return torch.nn.functional.pad(audio, (0, self.num_samples - audio.shape[1]))

    @property
    def _length(self) -> int:
        return self.settings.n_fft + self.settings.hop_length * (self.num_frames - 1)

    def _overlap_add(self, frames: Float[Tensor, "batch frames n_fft"]) -> Float[Tensor, "batch padded"]:
        """Sums overlapping frames: all first hops side by side, then all second ones a hop later, and so on."""
        hop = self.settings.hop_length
        pieces = -(-self.settings.n_fft // hop)
        batch, count, n_fft = frames.shape
        if pieces * hop != n_fft:
            frames = torch.nn.functional.pad(frames, (0, pieces * hop - n_fft))
        frames = frames.view(batch, count, pieces, hop)
        total = frames.new_zeros(batch, count + pieces - 1, hop)
        for piece in range(pieces):
            total[:, piece : piece + count] += frames[:, :, piece]
        return total.view(batch, -1)[:, : self._length]


def spectral_convergence_db(
    magnitudes: Float[Tensor, "batch bins frames"],
    audio: Float[Tensor, "batch samples"],
    settings: StftSettings,
) -> Float[Tensor, " batch"]:
    """How far a sound's magnitudes are from the given ones, in decibels relative to these; lower is better.

        20 log10(||m - |STFT(x)||| / ||m||)

    The sum is over all cells of a clip, in float64. A silent clip that comes back silent has -inf.
    """
    given = magnitudes.double().flatten(1)
    distance = (given - magnitude(audio, settings).double().flatten(1)).norm(dim=1)
    # Silence to silence is 0 / 0; the 1e-15 that `magnitude` adds to an empty cell is no distance either.
    level = given.norm(dim=1)
    return torch.where(level > 0.0, 20.0 * torch.log10(distance / level), -math.inf)
