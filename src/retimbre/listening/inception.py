"""System C's judge: a network for pictures that tells the pitch or the instrument of a note from its spectrogram.

Generated notes were first scored with Inception, as generated pictures were: if a classifier that was trained on real
notes is sure about each generated one, and finds all classes among them, the notes are clear and various. The
classifier is InceptionV3 with one channel in place of three colours and two of its first convolutions padded, so
that the picture keeps its size a little longer. What it learns is decided by its training; the layers are the same for
pitch and for instrument, which is why files for one were once taken for the other without anybody noticing. Here a
network knows its classes by name, and there must be as many of them as it tells apart.

Its picture is made of 16,383 samples at 16 kHz, a little over a second, after which a clip is cut and up to which it is
filled with silence. Its last 30 % are faded out along a curve that falls fast at first. The logarithm of the magnitudes
(plus 1e-10) of Hann windows of 1,024 samples, every 256, in 2,048 points, without the bin at 0 Hz, gives 1,024 by 64
pixels, which are taken or repeated, never averaged, to make 299 by 299. Its training script used 1,024 points instead,
and so does `n_fft = 1024`.

In training, half of the pooled features are dropped at random and the batch is normalised by its own statistics. An
evaluation in that state differs from call to call and makes the vector of a clip depend on its neighbours, a mistake
that was made with this very network; whoever evaluates must call `eval` first, and the embedder and the listener do.

References:
    Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", https://arxiv.org/abs/1512.00567
    Nistal, Lattner and Richard (2020), "Comparing representations for audio synthesis using generative adversarial
    networks", https://arxiv.org/abs/2006.09266
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.dsp.resample import resample
from retimbre.dsp.stft import StftSettings, magnitude
from retimbre.listening.heard import Classes, Heard, ListenerNetwork
from retimbre.listening.inception_blocks import (
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
    NormalisedConv,
)

RATE_HZ = 16_000
NUM_FRAMES = 64
NUM_SAMPLES = NUM_FRAMES * 256 - 1
SIDE = 299
NUM_FEATURES = 2048
N_FFT = 2048
_FADED = 0.3
_LOG_OFFSET = 1e-10
_CLIPS_AT_ONCE = 16


def fade_out(num_samples: int, *, like: Tensor) -> Float[Tensor, " samples"]:
    """Gains that are 1 and over the last 30 % fall to 0, as 10 to the power of a line does, on the device of `like`."""
    faded = int(_FADED * num_samples)
    curve = torch.logspace(1.0, 0.0, faded, dtype=torch.float64)
    gains = torch.cat([torch.ones(num_samples - faded, dtype=torch.float64), (curve - 1.0) / 9.0])
    return gains.to(like)


def picture(audio: Float[Tensor, "batch samples"], n_fft: int = N_FFT) -> Float[Tensor, "batch 1 side side"]:
    """The picture of clips at 16 kHz: frequency downwards from the lowest, time to the right; float32.

    Args:
        audio: The clips, of any length.
        n_fft: Points of the Fourier transform: 2048 in evaluation, 1024 in the training script.
    """
    settings = StftSettings(n_fft=n_fft, hop_length=256, win_length=1024, pad_mode="reflect")
    heard = audio[:, :NUM_SAMPLES].double()
    clips = functional.pad(heard, (0, NUM_SAMPLES - heard.shape[-1]))
    magnitudes = magnitude(clips * fade_out(NUM_SAMPLES, like=clips), settings)[:, 1:]
    pixels = torch.log(magnitudes + _LOG_OFFSET).float()
    return functional.interpolate(pixels[:, None], (SIDE, SIDE), mode="nearest")


@final
class Inception(nn.Module):
    """The layers, under torchvision's names. The classifier for training beside the main one is left out.

    Args:
        num_classes: Of the classifier.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = NormalisedConv(1, 32, 3, stride=2, padding=1)
        self.Conv2d_2a_3x3 = NormalisedConv(32, 32, 3, padding=1)
        self.Conv2d_2b_3x3 = NormalisedConv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = NormalisedConv(64, 80, 1)
        self.Conv2d_4a_3x3 = NormalisedConv(80, 192, 3)
        self.Mixed_5b = InceptionA(192, pool_features=32)
        self.Mixed_5c = InceptionA(256, pool_features=64)
        self.Mixed_5d = InceptionA(288, pool_features=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, width=128)
        self.Mixed_6c = InceptionC(768, width=160)
        self.Mixed_6d = InceptionC(768, width=160)
        self.Mixed_6e = InceptionC(768, width=192)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(NUM_FEATURES)
        self.fc = nn.Linear(NUM_FEATURES, num_classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(part.weight, std=0.1, a=-0.2, b=0.2)

    def features(self, pixels: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch features"]:
        """The last picture, of 8 by 8, averaged."""
        found = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(pixels)))
        found = functional.max_pool2d(found, 3, stride=2)
        found = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(found))
        found = functional.max_pool2d(found, 3, stride=2)
        for block in (
            *(self.Mixed_5b, self.Mixed_5c, self.Mixed_5d, self.Mixed_6a),
            *(self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e),
            *(self.Mixed_7a, self.Mixed_7b, self.Mixed_7c),
        ):
            found = block(found)
        return functional.avg_pool2d(found, 8).flatten(1)

    def logits(self, features: Float[Tensor, "batch features"]) -> Float[Tensor, "batch classes"]:
        """How likely each class is; in training, of features of which half are dropped."""
        return self.fc(functional.dropout(features, training=self.training))


@final
class InceptionNetwork(ListenerNetwork):
    """System C's classifier of one attribute, as a network that a listener can have.

    Args:
        classes: The attribute and the names of its classes; one attribute, since the network has one classifier.
        sample_rate: Of the clips, in Hz; any.
        n_fft: Points of the Fourier transform of its picture.

    Raises:
        ConfigError: Another number of attributes than one, or fewer than two classes.
    """

    def __init__(self, classes: Classes, sample_rate: int, n_fft: int = N_FFT) -> None:
        super().__init__(classes, sample_rate)
        if len(classes) != 1:
            raise ConfigError(
                f"the network 'inception' classifies one attribute, got {len(classes)}: "
                f"{', '.join(classes) or 'none'}; train one for each"
            )
        ((self.attribute, names),) = classes.items()
        if len(names) < 2:
            raise ConfigError(f"{self.attribute} has {len(names)} classes, but a classifier takes 2 or more")
        self.n_fft = n_fft
        self.dim = NUM_FEATURES
        self.network = Inception(len(names))

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Heard:
        """What is heard in the first 1.02 s of clips.

        Raises:
            ValueError: The clips need a gradient and are at another rate than 16 kHz.
        """
        clips = resample(audio, self.sample_rate, RATE_HZ)
        features = self._features(clips)
        logits = self.network.logits(features)
        return Heard(features, {self.attribute: logits}, {self.attribute: features})

    def _features(self, clips: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch features"]:
        """In training, all clips at once, since they are normalised together; else in pieces that fit into memory."""
        if self.training:
            return self.network.features(picture(clips, self.n_fft))
        pieces = clips.split(_CLIPS_AT_ONCE)
        return torch.cat([self.network.features(picture(some, self.n_fft)) for some in pieces])
