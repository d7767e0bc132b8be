"""What the audio measures look at: mel decibels, cepstra, spectra as distributions, and loudness envelopes.

A measure compares features of two sounds. The features cost far more than the comparison, and a search compares one
target with thousands of candidates, so features live apart from the measures: `Features` computes each kind when it is
first asked for and keeps it. All follow the analysis of librosa 0.11, on which the published figures rest: centred
frames, ends padded with silence, Hann windows as long as the Fourier transform, and lengths given in milliseconds and
rounded down to whole samples. A clip shorter than a window gives at least one frame.
"""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from retimbre.core.errors import AudioError
from retimbre.dsp.filterbank import dct_matrix, mel_filterbank
from retimbre.dsp.stft import StftSettings, frame, magnitude, power

# librosa's smallest power, and the range it keeps below the loudest cell.
_AMIN = 1e-10
TOP_DB = 80.0
# The published code divides a frame by its sum, or by this if the frame is fainter.
_SMALLEST_FRAME_SUM = 1e-6
# A frame counts as heard if its power is within this many decibels of the clip's loudest frame.
AUDIBLE_RANGE_DB = 60.0

MSS_SCALES_MS = ((10, 5, 32), (25, 10, 64), (100, 50, 128))


def milliseconds(duration_ms: int, sample_rate: int) -> int:
    """Whole samples in a duration, rounded down as the published code does; one at least."""
    return max(duration_ms * sample_rate // 1000, 1)


def settings_ms(window_ms: int, hop_ms: int, sample_rate: int) -> StftSettings:
    """The analysis with a Hann window of `window_ms` as long as its Fourier transform."""
    return StftSettings(
        n_fft=milliseconds(window_ms, sample_rate), hop_length=milliseconds(hop_ms, sample_rate)
    )


def mel_power(
    audio: Float[Tensor, "batch samples"], settings: StftSettings, n_mels: int, sample_rate: int
) -> Float[Tensor, "batch frames mels"]:
    """Power in mel bands, as librosa.feature.melspectrogram, but frames first (they lie so in memory)."""
    bands = mel_filterbank(sample_rate, settings.n_fft, n_mels, like=audio)
    return power(audio, settings).transpose(1, 2) @ bands.T


def decibels_below_peak(power: Float[Tensor, "batch *cells"]) -> Float[Tensor, "batch *cells"]:
    """Decibels relative to the loudest cell of each clip, cut at -80: librosa's power_to_db(ref=max, top_db=80).

    Cells and peaks under 1e-10 count as 1e-10, so a silent clip gives 0 dB everywhere, and a clip whose loudest cell is
    under 1e-2 keeps less than 80 dB.
    """
    level = 10.0 * torch.log10(power.clamp_min(_AMIN))
    peak = level.amax(dim=tuple(range(1, level.ndim)), keepdim=True)
    return (level - peak).clamp_min(-TOP_DB)


def mfcc(
    audio: Float[Tensor, "batch samples"], settings: StftSettings, num_coefficients: int, sample_rate: int
) -> Float[Tensor, "batch frames coefficients"]:
    """Mel-frequency cepstral coefficients of 128 bands, as librosa.feature.mfcc.

    Absolute decibels (power 1 is 0 dB), cut 80 below the loudest cell of the clip, then the orthonormal cosine
    transform. Silence is -100 dB in every band, so only its first coefficient is not zero.
    """
    level = 10.0 * torch.log10(mel_power(audio, settings, 128, sample_rate).clamp_min(_AMIN))
    level = torch.maximum(level, level.amax(dim=(1, 2), keepdim=True) - TOP_DB)
    return level @ dct_matrix(num_coefficients, 128, like=audio).T


@dataclass(frozen=True)
class Features:
    """The features of some clips, each computed when first asked for and kept.

    Attributes:
        audio: The clips.
        sample_rate: Of the clips, in Hz.

    Raises:
        AudioError: A clip without a sample.
    """

    audio: Float[Tensor, "batch samples"]
    sample_rate: int

    def __post_init__(self) -> None:
        """Refuses empty clips, of which nothing can be measured."""
        if self.audio.shape[-1] == 0:
            raise AudioError("a sound without samples cannot be measured; it takes one sample at least")

    @functools.cached_property
    def mel_decibels(self) -> tuple[Float[Tensor, "batch _ _"], ...]:
        """Mel decibels below the clip's peak at the three scales of the multi-scale spectral distance."""
        scales = []
        for window_ms, hop_ms, n_mels in MSS_SCALES_MS:
            settings = settings_ms(window_ms, hop_ms, self.sample_rate)
            scales.append(decibels_below_peak(mel_power(self.audio, settings, n_mels, self.sample_rate)))
        return tuple(scales)

    @functools.cached_property
    def cepstra(self) -> Float[Tensor, "batch frames coefficients"]:
        """Twenty MFCCs, window 50 ms, hop 10 ms."""
        return mfcc(self.audio, settings_ms(50, 10, self.sample_rate), 20, self.sample_rate)

    @functools.cached_property
    def _magnitudes(self) -> Float[Tensor, "batch frames bins"]:
        return magnitude(self.audio, settings_ms(50, 20, self.sample_rate)).transpose(1, 2)

    @functools.cached_property
    def distributions(self) -> Float[Tensor, "batch frames bins"]:
        """Each frame's magnitudes as shares of their sum (window 50 ms, hop 20 ms).

        A frame whose sum is under 1e-6 is divided by 1e-6: digital silence stays zero everywhere.
        """
        sums = self._magnitudes.sum(dim=-1, keepdim=True)
        return self._magnitudes / sums.clamp_min(_SMALLEST_FRAME_SUM)

    @functools.cached_property
    def audible(self) -> Bool[Tensor, "batch frames"]:
        """Which frames of `distributions` are within 60 dB of the clip's loudest, and not digital silence."""
        energies = self._magnitudes.detach().square().sum(dim=-1)
        threshold = energies.amax(dim=-1, keepdim=True) * 10.0 ** (-AUDIBLE_RANGE_DB / 10.0)
        return (energies >= threshold) & (energies > _SMALLEST_FRAME_SUM**2)

    @functools.cached_property
    def envelope(self) -> Float[Tensor, "batch frames"]:
        """Root mean square of frames of 50 ms every 25 ms, as librosa.feature.rms."""
        frame_length = milliseconds(50, self.sample_rate)
        frames = frame(self.audio, frame_length, milliseconds(25, self.sample_rate))
        # The norm's gradient at silence is zero, that of a square root would be infinite.
        return torch.linalg.vector_norm(frames, dim=-1) / frame_length**0.5
