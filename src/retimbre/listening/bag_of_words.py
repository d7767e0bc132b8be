"""A clip as a bag of words: which spectra occur in it and how often, whatever their order.

This is how sounds were described before networks listened themselves, and the weaker of the two baselines of the
InverSynth paper. A vocabulary of 1,000 typical spectra is learned: the frames of a decibel spectrogram are reduced to
their 64 principal components over frequency and clustered by k-means. A clip is then the histogram of the nearest word
of each of its frames. Where in the clip a word occurs is forgotten, so envelopes and vibrato can hardly be heard.

The paper's histograms are shares of the frames. Here they are divided by one number more, their root mean square over
the clips that the vocabulary was learned from, so that a network is fed values around 1.

References:
    Barkan et al., "InverSynth: Deep estimation of synthesizer parameter configurations from audio signals", IEEE/ACM
    TASLP 2019, section V, https://arxiv.org/abs/1812.06349
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from retimbre.core import random
from retimbre.core.clusters import k_means, nearest
from retimbre.listening.base import FittedEmbedder
from retimbre.listening.fitted import principal_components
from retimbre.representation.steps import DecibelSpectrogram

NUM_COMPONENTS = 64
NUM_WORDS = 1000
FRAMES_TO_LEARN_FROM = 65_536  # 65 for each word
LLOYD_ROUNDS = 15
_CLIPS_AT_ONCE = 256


class BagOfWords(FittedEmbedder):
    """How often each of 1,000 learned spectra occurs."""

    mean: Tensor
    basis: Tensor
    words: Tensor
    scale: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.spectrogram = DecibelSpectrogram()
        self.dim = NUM_WORDS
        num_bins = self.spectrogram.stft_settings.num_bins
        self.register_buffer("mean", torch.zeros(num_bins))
        self.register_buffer("basis", torch.zeros(NUM_COMPONENTS, num_bins))
        self.register_buffer("words", torch.zeros(NUM_WORDS, NUM_COMPONENTS))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Histograms of words, scaled."""
        return self.shares(audio) / self.scale

    def shares(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch words"]:
        """The share of the frames that each word has; they sum to 1."""
        said = self.sentences(audio)
        one_hot = functional.one_hot(said, NUM_WORDS)
        return one_hot.sum(1).float() / said.shape[1]

    def sentences(self, audio: Float[Tensor, "batch samples"]) -> Int[Tensor, "batch frames"]:
        """The word of each frame."""
        frames = self.spectrogram.encode(audio)[:, 0].float()
        components = (frames - self.mean) @ self.basis.T
        return nearest(components.flatten(0, 1), self.words).reshape(frames.shape[:2])

    def learn(self, clips: Float[Tensor, "clips samples"], *, seed: int) -> None:
        """Components and words from frames drawn at random."""
        source = random.generator(seed, "bag of words")
        frames = self._some_frames(clips, source)
        self.mean.copy_(frames.mean(0))
        components = principal_components(frames - self.mean, NUM_COMPONENTS, source)
        self.basis.copy_(components.basis)
        vectors = (frames - self.mean) @ self.basis.T
        self.words.copy_(k_means(vectors, NUM_WORDS, source, num_rounds=LLOYD_ROUNDS))
        shares = torch.cat([self.shares(some) for some in clips.split(_CLIPS_AT_ONCE)])
        self.scale.copy_(shares.square().mean().sqrt())

    def _some_frames(
        self, clips: Float[Tensor, "clips samples"], source: torch.Generator
    ) -> Float[Tensor, "frames bins"]:
        """As many frames of each clip as make the number wanted."""
        each = -(-FRAMES_TO_LEARN_FROM // len(clips))
        parts = []
        for some in clips.split(_CLIPS_AT_ONCE):
            frames = self.spectrogram.encode(some)[:, 0].float()
            rank = torch.rand(frames.shape[:2], generator=source)
            chosen = rank.argsort(1)[:, :each, None].expand(-1, -1, frames.shape[2])
            parts.append(frames.gather(1, chosen).flatten(0, 1))
        return torch.cat(parts)[:FRAMES_TO_LEARN_FROM]

    def settings(self) -> Mapping[str, Any]:
        """The analysis; the vocabulary counts as weights."""
        return {"spectrogram": self.spectrogram.identity()}
