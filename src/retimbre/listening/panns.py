"""PANNs CNN14: fourteen layers that learned 527 kinds of sound events from two million clips.

Pretrained audio neural networks tag the sounds of AudioSet. CNN14 is the one that most evaluations take: six blocks of
two convolutions over a log-mel spectrogram, the picture halved after each of the first five, then the mean over
frequency, and over time the mean plus the maximum, so a clip of any length gives one vector. A dense layer makes of it
the embedding, 2,048 numbers that are never negative; the classifier behind it is not needed here.

The front end is the training's. The published one for 32 kHz has a Hann window of 1,024 samples every 320, and 64 mel
bands of Slaney's from 50 Hz to 14 kHz; that for 16 kHz has half of each and bands up to 8 kHz. Powers become decibels
with a hard floor at -100. The two networks have the same layers and their files cannot be told apart by them, but both
files also hold the tables of their front end, and by those a file under the wrong name is refused.

References:
    Kong et al. (2020), "PANNs: Large-scale pretrained audio neural networks for audio pattern recognition",
    https://arxiv.org/abs/1912.10211
    The files: https://zenodo.org/record/3987831
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import CheckpointError
from retimbre.core.files import sha256_of
from retimbre.dsp.filterbank import mel_filterbank
from retimbre.dsp.resample import resample
from retimbre.dsp.stft import StftSettings, power
from retimbre.listening.base import ExternalEmbedder
from retimbre.listening.weights_file import pour, read_tensors

NUM_BANDS = 64
NUM_EVENTS = 527
_SMALLEST_POWER = 1e-10
# Five halvings leave one frame of 32.
_LEAST_FRAMES = 32
_CLIPS_AT_ONCE = 8


@final
@dataclass(frozen=True)
class PannsFrontEnd:
    """The log-mel spectrogram that a published CNN14 was trained on.

    Attributes:
        rate_hz: Of the sound.
        stft: Its windows.
        highest_hz: Upper edge of the last of the 64 bands; the first begins at 50 Hz.
    """

    rate_hz: int
    stft: StftSettings
    highest_hz: float

    def log_mels(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames bands"]:
        """Mel powers in decibels, -100 at least, of sound at `rate_hz`; float32, computed in float64."""
        missing = max((_LEAST_FRAMES - 1) * self.stft.hop_length - audio.shape[-1], 0)
        powers = power(functional.pad(audio, (0, missing)).double(), self.stft)
        bands = mel_filterbank(self.rate_hz, self.stft.n_fft, NUM_BANDS, 50.0, self.highest_hz, like=powers)
        decibels = 10.0 * torch.log10((bands @ powers).clamp_min(_SMALLEST_POWER))
        return decibels.transpose(1, 2).float()


AT_32_KHZ = PannsFrontEnd(32_000, StftSettings(n_fft=1024, hop_length=320, pad_mode="reflect"), 14_000.0)
AT_16_KHZ = PannsFrontEnd(16_000, StftSettings(n_fft=512, hop_length=160, pad_mode="reflect"), 8_000.0)


@final
class ConvBlock(nn.Module):
    """Two convolutions of 3 by 3, each normalised and rectified."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(
        self, picture: Float[Tensor, "batch channels frames bands"]
    ) -> Float[Tensor, "batch out frames bands"]:
        """A picture of the same size."""
        return self.bn2(self.conv2(self.bn1(self.conv1(picture)).relu())).relu()


@final
class Cnn14(nn.Module):
    """Log-mel spectrograms to embeddings. Its parts bear the names of the published weights.

    Args:
        width: Channels of the first block, which each further one doubles; the published networks have 64. The
            embedding has 32 times as many numbers.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.dim = 32 * width
        self.bn0 = nn.BatchNorm2d(NUM_BANDS)
        self.conv_block1 = ConvBlock(1, width)
        self.conv_block2 = ConvBlock(width, 2 * width)
        self.conv_block3 = ConvBlock(2 * width, 4 * width)
        self.conv_block4 = ConvBlock(4 * width, 8 * width)
        self.conv_block5 = ConvBlock(8 * width, 16 * width)
        self.conv_block6 = ConvBlock(16 * width, self.dim)
        self.fc1 = nn.Linear(self.dim, self.dim)

    def forward(self, log_mels: Float[Tensor, "batch frames bands"]) -> Float[Tensor, "batch dim"]:
        """The embedding.

        Args:
            log_mels: In decibels, 32 frames or more.
        """
        picture = self.bn0(log_mels.transpose(1, 2)[..., None]).permute(0, 3, 2, 1)
        for block in (
            *(self.conv_block1, self.conv_block2, self.conv_block3),
            *(self.conv_block4, self.conv_block5),
        ):
            picture = functional.avg_pool2d(block(picture), 2)
        courses = self.conv_block6(picture).mean(3)
        return self.fc1(courses.amax(2) + courses.mean(2)).relu()


def read_cnn14(path: Path, front_end: PannsFrontEnd, width: int = 64) -> Cnn14:
    """The network with the weights of a file.

    Args:
        path: A state dict, alone or as `model` in a checkpoint of the training's.
        front_end: The one that the file must have been trained on.
        width: Channels of the first block.

    Raises:
        CheckpointError: The file is missing, damaged, does not fit or was trained on another front end.
    """
    stored = read_tensors(path)
    _refuse_other_front_end(path, stored, front_end)
    with torch.device("meta"):
        network = Cnn14(width)
    pour(
        path,
        stored,
        network,
        ignored=("spectrogram_extractor.", "logmel_extractor.", "spec_augmenter.", "fc_audioset."),
    )
    return network


def _refuse_other_front_end(path: Path, stored: Mapping[str, Tensor], front_end: PannsFrontEnd) -> None:
    """Compares the table of mel bands in the file, if it has one, with ours."""
    table = stored.get("logmel_extractor.melW")
    if table is None:
        return
    ours = mel_filterbank(
        front_end.rate_hz,
        front_end.stft.n_fft,
        NUM_BANDS,
        50.0,
        front_end.highest_hz,
        like=torch.zeros((), dtype=torch.float64),
    )
    # librosa makes it in float32.
    if table.shape != ours.T.shape or not torch.allclose(table.double(), ours.T, rtol=1e-3, atol=1e-6):
        raise CheckpointError(
            f"{path}: was trained on another front end than that for {front_end.rate_hz:,} Hz: its table of mel bands "
            f"is {list(table.shape)}; 'panns-cnn14' takes Cnn14_mAP=0.431.pth and 'panns-cnn14-16k' "
            "Cnn14_16k_mAP=0.438.pth"
        )


@final
class PannsEmbedder(ExternalEmbedder):
    """CNN14, its weights read from a local file.

    Args:
        sample_rate: Of the clips, in Hz; any.
        file: See `read_cnn14`.
        front_end: The one that the file was trained on.
        width: Channels of the first block.

    Raises:
        CheckpointError: The file is missing, damaged or holds something else.
    """

    def __init__(
        self, sample_rate: int, file: Path, front_end: PannsFrontEnd = AT_32_KHZ, width: int = 64
    ) -> None:
        super().__init__(sample_rate)
        self.front_end = front_end
        self.network = read_cnn14(file, front_end, width)
        self.file_sha256 = sha256_of(file)
        self.dim = self.network.dim

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """One vector for each clip; what is shorter than a third of a second is filled up with silence.

        Raises:
            ValueError: The clips need a gradient and are at another rate than the network's.
        """
        clips = resample(audio, self.sample_rate, self.front_end.rate_hz)
        return torch.cat(
            [self.network(self.front_end.log_mels(some)) for some in clips.split(_CLIPS_AT_ONCE)]
        )

    def settings(self) -> Mapping[str, Any]:
        """The file by its content, and the rate that the network hears at."""
        return {"file_sha256": self.file_sha256, "network_rate_hz": self.front_end.rate_hz, "dim": self.dim}


def at_16_khz(sample_rate: int, file: Path) -> PannsEmbedder:
    """CNN14 for 16 kHz.

    Raises:
        CheckpointError: The file is missing, damaged or holds something else.
    """
    return PannsEmbedder(sample_rate, file, AT_16_KHZ)
