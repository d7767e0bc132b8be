"""The handcrafted features of the InverSynth paper: 319,200 measurements of a clip, reduced to 1,000 numbers.

Thirty-two measurements of each frame with their derivatives make 224 courses over time (`frame_features`). The clip is
cut into 25 overlapping segments of a quarter of its frames, and every course of every segment is summed up by 47
statistics and 10 cosine coefficients (`segment_statistics`): 25 x 224 x 57 = 319,200 measurements. They keep the order
of events, so this is the stronger of the paper's two baselines: it hears attacks and gates that a bag of words cannot.

The paper takes the 1,000 principal components of all of them, a matrix of 319 million numbers. Here the reduction is in
two steps, and this departs from the paper: a segment's 12,768 measurements become 128 by components that all segments
share, and the 25 x 128 numbers of a clip become 1,000 by components of their own. Measurements have mean 0 and
deviation 1 before the first step, and the 1,000 numbers are scaled to about the size of 1 (see `_gains`).

References:
    Barkan et al., "InverSynth: Deep estimation of synthesizer parameter configurations from audio signals", IEEE/ACM
    TASLP 2019, section V, https://arxiv.org/abs/1812.06349
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core import random
from retimbre.dsp.stft import StftSettings
from retimbre.listening.base import FittedEmbedder
from retimbre.listening.fitted import Components, principal_components
from retimbre.listening.frame_features import NUM_WITH_DERIVATIVES, frame_features, with_derivatives
from retimbre.listening.segment_statistics import NUM_SUMMARIES, summaries
from retimbre.representation.steps import DecibelSpectrogram

NUM_SEGMENTS = 25
SEGMENT_WIDTH = NUM_WITH_DERIVATIVES * NUM_SUMMARIES
NUM_MEASUREMENTS = NUM_SEGMENTS * SEGMENT_WIDTH
SEGMENT_COMPONENTS = 128
NUM_COMPONENTS = 1000

SHORTEST_SEGMENT_FRAMES = 16  # a quarter of a second in the paper's clips; the cosine transform needs 10
LARGEST_SCORE = 8.0  # standard deviations: heavier tails (a kurtosis, a click) would take whole components
_STILL = 1e-4  # measurements that vary less than this over the clips say nothing
_CLIPS_AT_ONCE = 8  # more of them leave the processor's cache, which costs a fifth of the speed


class Handcrafted(FittedEmbedder):
    """A thousand principal components of the paper's 319,200 measurements."""

    centre: Tensor
    gain: Tensor
    segment_basis: Tensor
    clip_centre: Tensor
    clip_basis: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.stft_settings: StftSettings = DecibelSpectrogram().stft_settings
        self.dim = NUM_COMPONENTS
        width = NUM_SEGMENTS * SEGMENT_COMPONENTS
        self.register_buffer("centre", torch.zeros(SEGMENT_WIDTH))
        self.register_buffer("gain", torch.ones(SEGMENT_WIDTH))
        self.register_buffer("segment_basis", torch.zeros(SEGMENT_COMPONENTS, SEGMENT_WIDTH))
        self.register_buffer("clip_centre", torch.zeros(width))
        self.register_buffer("clip_basis", torch.zeros(NUM_COMPONENTS, width))

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """The components, about 1 in size."""
        parts = [self._reduced(some) for some in audio.split(_CLIPS_AT_ONCE)]
        return (torch.cat(parts) - self.clip_centre) @ self.clip_basis.T

    def measurements(
        self, audio: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch segments measurements"]:
        """All 319,200 of them: 25 segments of 12,768."""
        courses = with_derivatives(frame_features(audio.float(), self.sample_rate, self.stft_settings))
        return summaries(segments(courses)).flatten(2)

    def learn(self, clips: Float[Tensor, "clips samples"], *, seed: int) -> None:
        """Scales and components: those of segments from one segment of each clip, those of clips from all."""
        source = random.generator(seed, "handcrafted features")
        rows = self._one_segment_each(clips, source)
        self.centre.copy_(rows.mean(0))
        deviation = rows.std(0, correction=0)
        self.gain.copy_(torch.where(deviation > _STILL, 1.0 / deviation.clamp_min(_STILL), 0.0))
        scored = self._scored(rows)
        self.segment_basis.copy_(
            principal_components(scored - scored.mean(0), SEGMENT_COMPONENTS, source).basis
        )
        reduced = torch.cat([self._reduced(some) for some in clips.split(_CLIPS_AT_ONCE)])
        self.clip_centre.copy_(reduced.mean(0))
        components = principal_components(reduced - self.clip_centre, NUM_COMPONENTS, source)
        self.clip_basis.copy_(components.basis * _gains(components)[:, None])

    def settings(self) -> Mapping[str, Any]:
        """The analysis; scales and components count as weights."""
        return {"n_fft": self.stft_settings.n_fft, "hop_length": self.stft_settings.hop_length}

    def _scored(
        self, measurements: Float[Tensor, "*batch measurements"]
    ) -> Float[Tensor, "*batch measurements"]:
        # In place: the table of a few clips is larger than the processor's cache.
        return (measurements - self.centre).mul_(self.gain).clamp_(-LARGEST_SCORE, LARGEST_SCORE)

    def _reduced(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch width"]:
        """The components of the segments of each clip, one segment after the other."""
        return (self._scored(self.measurements(audio)) @ self.segment_basis.T).flatten(1)

    def _one_segment_each(
        self, clips: Float[Tensor, "clips samples"], source: torch.Generator
    ) -> Float[Tensor, "clips measurements"]:
        parts = []
        for some in clips.split(_CLIPS_AT_ONCE):
            chosen = torch.randint(NUM_SEGMENTS, (len(some),), generator=source)
            courses = with_derivatives(frame_features(some.float(), self.sample_rate, self.stft_settings))
            picked = segments(courses)[torch.arange(len(some)), chosen]
            parts.append(summaries(picked).flatten(1))
        return torch.cat(parts)


def segments(
    courses: Float[Tensor, "batch frames features"],
) -> Float[Tensor, "batch segments features length"]:
    """Twenty-five segments of a quarter of the frames, evenly placed; a short clip's last frame is held."""
    num_frames = courses.shape[1]
    length = max(SHORTEST_SEGMENT_FRAMES, -(-num_frames // 4))
    held = functional.pad(courses.transpose(1, 2), (0, max(length - num_frames, 0)), mode="replicate")
    starts = torch.linspace(0, held.shape[2] - length, NUM_SEGMENTS).round().long()
    places = starts[:, None] + torch.arange(length)
    return held[:, :, places.to(courses.device)].transpose(1, 2).contiguous()


def _gains(components: Components) -> Float[Tensor, " components"]:
    """What brings each component to about 1: those with less than the mean variance are raised less than to 1.

    Whitened fully, the last components, which are mostly noise, would be as loud as the first.
    """
    variance = components.deviations.square()
    return (variance + variance.mean()).clamp_min(1e-12).rsqrt()
