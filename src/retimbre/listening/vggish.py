"""VGGish: Google's picture network for sound, the one that the Fréchet audio distance was defined with.

A network for pictures looks at a log-mel spectrogram of about a second, 96 frames of 64 bands, as if it were a small
grey photograph: six convolutions with a halving of the picture after the first, the second and each further pair, then
three dense layers down to 128 numbers. It was trained to tell the topics of millions of videos from their sound.
Numbers published as "FAD" are mostly distances between Gaussians of these 128 numbers, and they differ by details that
the papers leave out, which are therefore options here: whether the last layer is rectified (Google's own port leaves
it linear, another writes ReLU behind it), and whether the whitening of Google's data set is applied.

The front end is the original's: at 16 kHz, magnitudes of a Hann window of 25 ms every 10 ms in 512 points, 64 bands
between 125 and 7500 Hz on the HTK mel scale whose triangles are straight in mel and not scaled to equal area, the
first bin left out, then the natural logarithm of the sum and 0.01. Frames start where they start, the sound is not
padded, and an example is 96 frames. So an example hears 15,600 samples and the next begins 15,360 later: windows of
0.975 s every 0.96 s. A clip given here becomes one vector, the mean over its whole examples; a shorter one is filled up
with silence to one example. Give windows of one example each to have a vector for each.

References:
    Hershey et al. (2017), "CNN architectures for large-scale audio classification", https://arxiv.org/abs/1609.09430
    The original and its file: https://github.com/tensorflow/models/tree/master/research/audioset/vggish
    The file for PyTorch: https://github.com/harritaylor/torchvggish
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError
from retimbre.core.files import sha256_of
from retimbre.dsp.resample import resample
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.listening.base import Embedder, ExternalEmbedder
from retimbre.listening.vggish_weights import (
    EXAMPLE_FRAMES,
    NUM_BANDS,
    PUBLISHED,
    VggishSizes,
    read_vggish,
    read_whitening,
)

RATE_HZ = 16_000
STFT = StftSettings(n_fft=512, hop_length=160, win_length=400, center=False)
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
LOG_OFFSET = 0.01
EXAMPLE_SAMPLES = (EXAMPLE_FRAMES - 1) * STFT.hop_length + STFT.win_length
# The window of 400 samples lies in the middle of the 512 points, where the original puts it at their start.
_LEAD = (STFT.n_fft - STFT.win_length) // 2
PCA_FILES = ("vggish_pca_params.npz", "vggish_pca_params-970ea276.pth")
_EXAMPLES_AT_ONCE = 64


@final
@dataclass(frozen=True)
class VggishOptions:
    """What is done with the 128 numbers of the last layer.

    Attributes:
        relu: Whether negative ones become zero.
        pca_file: The file of Google's principal components, by which the vector is then centred, rotated and whitened;
            empty for none. The quantisation to 8 bits that goes with it in the data set is never done.
    """

    relu: bool = False
    pca_file: str = ""


def hertz_to_htk_mel(frequency_hz: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The mel scale of the Hidden Markov Model Toolkit, with the constant rounded as in the original of VGGish.

    References:
        Young et al., "The HTK Book", section 5.6
    """
    return 1127.0 * torch.log1p(frequency_hz / 700.0)


@functools.lru_cache(maxsize=4)
def mel_bands(device: torch.device) -> Float[Tensor, "bands bins"]:
    """The 64 bands, float64: triangles in mel of height 1, without the first bin. Shared: never change them."""
    with torch.inference_mode(False):
        edges_hz = torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)
        low, high = hertz_to_htk_mel(edges_hz).tolist()
        corners = torch.linspace(low, high, NUM_BANDS + 2, dtype=torch.float64)
        bins_hz = torch.arange(STFT.num_bins, dtype=torch.float64) * (RATE_HZ / STFT.n_fft)
        bins = hertz_to_htk_mel(bins_hz)
        left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
        rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
        bands = torch.minimum(rising, falling).clamp_min(0.0)
        bands[:, 0] = 0.0
        return bands.to(device)


def log_mels(audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch frames bands"]:
    """The log-mel spectrogram of sound at 16 kHz, of 400 samples at least; float32, computed in float64."""
    # With the lead, the window of frame t covers samples 160 t to 160 t + 400, as in the original.
    frames = (audio.shape[-1] - STFT.win_length) // STFT.hop_length + 1
    led = nn.functional.pad(audio.double(), (_LEAD, STFT.n_fft))
    magnitudes = magnitude(led, STFT)[:, :, :frames]
    return torch.log(mel_bands(audio.device) @ magnitudes + LOG_OFFSET).transpose(1, 2).float()


def examples(audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch examples frames bands"]:
    """The whole examples of clips at 16 kHz, one at least; what is too short for another is left out."""
    missing = max(EXAMPLE_SAMPLES - audio.shape[-1], 0)
    frames = log_mels(nn.functional.pad(audio, (0, missing)))
    count = frames.shape[1] // EXAMPLE_FRAMES
    return frames[:, : count * EXAMPLE_FRAMES].unflatten(1, (count, EXAMPLE_FRAMES))


@final
class VggishEmbedder(ExternalEmbedder):
    """VGGish, its weights read from a local file: the mean over the examples of a clip.

    Args:
        sample_rate: Of the clips, in Hz; any.
        file: See `vggish_weights.read_vggish`.
        options: What is done with the last layer.
        sizes: Of the layers.

    Raises:
        CheckpointError: A file is missing, damaged or holds something else.
    """

    def __init__(
        self,
        sample_rate: int,
        file: Path,
        options: VggishOptions = VggishOptions(),
        sizes: VggishSizes = PUBLISHED,
    ) -> None:
        super().__init__(sample_rate)
        self.file, self.options, self.sizes = file, options, sizes
        self.network = read_vggish(file, sizes)
        self.file_sha256 = sha256_of(file)
        self.dim = sizes.dim
        self.whitening = read_whitening(Path(options.pca_file), sizes.dim) if options.pca_file else None

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """One vector for each clip.

        Raises:
            ValueError: The clips need a gradient and are at another rate than 16 kHz.
        """
        return self.each_example(audio).mean(1)

    def each_example(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch examples dim"]:
        """The vectors of all whole examples of each clip, as the published programs give them."""
        heard = examples(resample(audio, self.sample_rate, RATE_HZ))
        batches = heard.flatten(0, 1).split(_EXAMPLES_AT_ONCE)
        vectors = torch.cat([self.network(some) for some in batches])
        if self.options.relu:
            vectors = vectors.relu()
        if self.whitening is not None:
            vectors = self.whitening(vectors)
        return vectors.unflatten(0, heard.shape[:2])

    def settings(self) -> Mapping[str, Any]:
        """The file by its content, and the options; components count as weights."""
        return {
            "file_sha256": self.file_sha256,
            "relu": self.options.relu,
            "pca": bool(self.options.pca_file),
            "dim": self.dim,
        }


def whitened(sample_rate: int, file: Path) -> VggishEmbedder:
    """VGGish rectified and whitened, as the features of AudioSet were; the components lie beside the weights.

    Raises:
        CheckpointError: A file is missing, damaged or holds something else.
    """
    return VggishEmbedder(sample_rate, file, VggishOptions(relu=True, pca_file=components_beside(file)))


def ending_as(embedder: Embedder, *, relu: bool, pca: bool) -> Embedder:
    """The embedder with the last layer that a published program had, if it is a VGGish; any other as it is.

    Args:
        embedder: What it already does with its last layer, it keeps doing.
        relu: Whether the program rectified it.
        pca: Whether it applied the components, which are then read from beside the weights.

    Raises:
        CheckpointError: The components are missing, damaged or something else.
    """
    if not isinstance(embedder, VggishEmbedder):
        return embedder
    had = embedder.options
    pca_file = components_beside(embedder.file) if pca and not had.pca_file else had.pca_file
    wanted = VggishOptions(relu=had.relu or relu, pca_file=pca_file)
    if wanted == had:
        return embedder
    return VggishEmbedder(embedder.sample_rate, embedder.file, wanted, embedder.sizes)


def components_beside(file: Path) -> str:
    """The file of Google's principal components in the folder of the weights.

    Raises:
        CheckpointError: There is none.
    """
    found = next((path for name in PCA_FILES if (path := file.with_name(name)).is_file()), None)
    if found is None:
        raise CheckpointError(
            f"{file}: its principal components, {' or '.join(PCA_FILES)}, do not lie beside it"
        )
    return str(found)
