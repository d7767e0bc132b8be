"""CLAP: what a sound is like, as learned from hundreds of thousands of sounds and what people wrote about them.

Contrastive language-audio pretraining trains two networks side by side: one reads a caption, one hears a sound, and
both answer with a vector. The vectors of a sound and of its own caption are pulled together, all others apart. So
sounds that people would describe alike get vectors that point alike, whatever their waveforms look like. Here only
the half that hears is used, frozen, as an embedder; its weights are LAION's and are read from a file that the
user has (`clap_weights`).

The network hears exactly ten seconds at 48 kHz. What is shorter is repeated as often as it fits, then padded with
silence; of what is longer the first ten seconds are taken, where the attack is (in training it was a random piece, but
an embedding that changes from call to call could not be kept). The log-mel front end is that of the training: a
Hann window of 1024 samples every 480, 64 mel bands of Slaney's from 50 Hz to 14 kHz, decibels down to -100. It is
computed in float64, because the skirts of a pure tone lie deeper than the rounding of float32.

References:
    Wu et al. (2023), "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and
    Keyword-to-Caption Augmentation", https://arxiv.org/abs/2211.06687
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.files import sha256_of
from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.resample import resample
from retimbre.dsp.stft import StftSettings, power
from retimbre.listening.base import ExternalEmbedder
from retimbre.listening.clap_weights import read_audio_half

RATE_HZ = 48_000
NUM_SAMPLES = 10 * RATE_HZ
STFT = StftSettings(n_fft=1024, hop_length=480, pad_mode="reflect")
LOWEST_HZ, HIGHEST_HZ = 50.0, 14_000.0
# -100 dB. A hard floor, as in training, where dsp.stft.LogMagnitude has a smooth one.
_SMALLEST_POWER = 1e-10
# Clips that go through the network at once: about 0.4 GiB, and no faster in larger batches.
_CLIPS_AT_ONCE = 8


def ten_seconds(audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch ten_seconds"]:
    """Clips at 48 kHz made ten seconds long: repeated whole and padded with silence, or cut at the end."""
    repeats = max(NUM_SAMPLES // max(audio.shape[-1], 1), 1)
    repeated = audio[:, :NUM_SAMPLES].repeat(1, repeats)
    return functional.pad(repeated, (0, NUM_SAMPLES - repeated.shape[-1]))


def log_mels(audio: Float[Tensor, "batch samples"], num_mels: int) -> Float[Tensor, "batch frames mels"]:
    """Mel powers in decibels, -100 at least, of sound at 48 kHz; float32, computed in float64."""
    powers = power(audio.double(), STFT)
    bands = mel_filterbank(RATE_HZ, STFT.n_fft, num_mels, LOWEST_HZ, HIGHEST_HZ, like=powers)
    decibels = 10.0 * torch.log10((bands @ powers).clamp_min(_SMALLEST_POWER))
    return decibels.transpose(1, 2).float()


@final
class ClapEmbedder(ExternalEmbedder):
    """The audio half of an unfused LAION-CLAP, its weights read from a local file.

    Args:
        sample_rate: Of the clips, in Hz; any.
        file: `model.safetensors` or `pytorch_model.bin` as Hugging Face has them, or LAION's own `.pt`.

    Attributes:
        file_sha256: Of the file, in hexadecimal: what a network trained on these vectors must find again.

    Raises:
        CheckpointError: The file is missing, damaged or holds something else.
    """

    def __init__(self, sample_rate: int, file: Path) -> None:
        super().__init__(sample_rate)
        self.network = read_audio_half(file)
        self.file_sha256 = sha256_of(file)
        self.dim = self.network.dim

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Vectors of length 1; their products are the cosines by which CLAP compares sounds.

        Raises:
            ValueError: The clips need a gradient and are at another rate than 48 kHz.
        """
        clips = ten_seconds(resample(audio, self.sample_rate, RATE_HZ))
        num_mels = self.network.tower.config.num_mels
        return torch.cat([self.network(log_mels(some, num_mels)) for some in clips.split(_CLIPS_AT_ONCE)])

    def settings(self) -> Mapping[str, Any]:
        """The file by its content, and the sizes of the network."""
        return {"file_sha256": self.file_sha256, **dataclasses.asdict(self.network.tower.config)}
