"""The four measures that the sound-matching papers share: MSS, wMFCC, SOT and RMS.

Each looks at another side of a sound, and each is blind to something, which is why they are read together:

- MSS, the multi-scale spectral distance, compares mel spectrograms in decibels at three resolutions. It sees pitch,
  timbre and time course. Each clip is taken relative to its own peak, so it does not hear level, and cells that are
  silent in both clips (62 % of the cells of short notes) dilute it.
- wMFCC compares spectral envelopes after dynamic time warping: timbre, whatever the timing.
- SOT, spectral optimal transport, asks how far along the frequency axis energy has to be moved; unlike a difference of
  spectra it falls steadily as a pitch error shrinks. Frames are normalised, so near-silence counts as much as sound.
- RMS is the cosine similarity of loudness envelopes. It does not hear level, and 0.93 is easy for sustained sounds.

`SUITE` holds them as defined by the papers, and two variants without the known traps, for search: `mss_active` averages
over cells that are above the -80 dB floor in either clip, and `sot_audible` over frames that are heard in either clip.
A score is computed at one sample rate: band-limit the estimate to a target of lower rate before comparing.

MSS, SOT, RMS and their variants are differentiable, with finite gradients for silence too: the measure is the loss.

    target = SuiteReference.of(reference, 44100)
    target.score(estimates)["mss"]                  # one value per estimate; the target's features are computed once

References:
    Hayes et al. (2025), "Audio synthesizer inversion in symmetric parameter spaces with approximately equivariant flow
    matching", https://arxiv.org/abs/2506.07199
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError, near_miss
from retimbre.metrics.dtw import warped_distance
from retimbre.metrics.features import TOP_DB, Features

# Samples analysed at once: on a CPU so few that their spectra stay in its cache, which doubles the speed.
_CPU_SAMPLES_AT_ONCE = 2**18
_GPU_SAMPLES_AT_ONCE = 2**24
# Envelopes whose norm is under this count as silent.
_SILENT_NORM = 1e-12


def _mss(reference: Features, estimate: Features) -> Float[Tensor, " batch"]:
    pairs = zip(reference.mel_decibels, estimate.mel_decibels, strict=True)
    scales = [(one - other).abs().mean(dim=(1, 2)) for one, other in pairs]
    return torch.stack(scales).mean(dim=0)


def _mss_active(reference: Features, estimate: Features) -> Float[Tensor, " batch"]:
    scales = []
    for one, other in zip(reference.mel_decibels, estimate.mel_decibels, strict=True):
        # The loudest cell of a clip is at 0 dB, so some cell is always active.
        active = torch.maximum(one, other) > -TOP_DB
        scales.append((one - other).abs().sum(dim=(1, 2)) / active.sum(dim=(1, 2)))
    return torch.stack(scales).mean(dim=0)


def _wmfcc(reference: Features, estimate: Features) -> Float[Tensor, " batch"]:
    one, other = reference.cepstra, estimate.cepstra
    batch = max(one.shape[0], other.shape[0])
    return warped_distance(one.expand(batch, -1, -1), other.expand(batch, -1, -1))


def _transport(
    one: Float[Tensor, "#batch frames bins"], other: Float[Tensor, "#batch frames bins"]
) -> Tensor:
    # On a line, the optimal transport distance is the area between the cumulative distributions.
    return (one - other).cumsum(dim=-1).abs().mean(dim=-1)


def _sot(reference: Features, estimate: Features) -> Float[Tensor, " batch"]:
    return _transport(reference.distributions, estimate.distributions).mean(dim=-1)


def _sot_audible(reference: Features, estimate: Features) -> Float[Tensor, " batch"]:
    def heard(features: Features) -> Tensor:
        flat = 1.0 / features.distributions.shape[-1]
        return torch.where(features.audible[..., None], features.distributions, flat)

    counted = reference.audible | estimate.audible
    distances = _transport(heard(reference), heard(estimate))
    return torch.where(counted, distances, 0.0).sum(dim=-1) / counted.sum(dim=-1).clamp_min(1)


def _rms(reference: Features, estimate: Features) -> Float[Tensor, " batch"]:
    norms = [torch.linalg.vector_norm(clip.envelope, dim=-1) for clip in (reference, estimate)]
    one, other = (norm.clamp_min(_SILENT_NORM)[:, None] for norm in norms)
    cosine = (reference.envelope / one * (estimate.envelope / other)).sum(dim=-1)
    both_silent = (norms[0] < _SILENT_NORM) & (norms[1] < _SILENT_NORM)
    return torch.where(both_silent, 1.0, cosine)


SUITE: dict[str, Callable[[Features, Features], Tensor]] = {
    "mss": _mss,
    "mss_active": _mss_active,
    "wmfcc": _wmfcc,
    "sot": _sot,
    "sot_audible": _sot_audible,
    "rms": _rms,
}
# What a search can afford for every candidate; warping costs many times the rest.
FAST_SUITE = ("mss", "mss_active", "sot", "sot_audible", "rms")


@dataclass(frozen=True)
class SuiteReference:
    """A target, or a batch of them, whose features are kept while estimates are scored against it.

    Attributes:
        chunks: The targets' features, in chunks of `clips_at_once` (a single target is one chunk).
        clips_at_once: How many estimates are analysed at a time.
    """

    chunks: tuple[Features, ...]
    clips_at_once: int

    @classmethod
    def of(cls, reference: Float[Tensor, "*batch samples"], sample_rate: int) -> "SuiteReference":
        """Targets from audio: [samples] for one, [batch, samples] for one (batch 1) or one per estimate.

        Raises:
            AudioError: A clip without a sample.
        """
        clips = reference[None] if reference.ndim == 1 else reference
        budget = _CPU_SAMPLES_AT_ONCE if clips.device.type == "cpu" else _GPU_SAMPLES_AT_ONCE
        size = max(budget // max(clips.shape[-1], 1), 1)
        return cls(tuple(Features(chunk, sample_rate) for chunk in clips.split(size)), size)

    def score(
        self, estimate: Float[Tensor, "batch samples"], names: Iterable[str] = FAST_SUITE
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Scores estimates with some measures of `SUITE`, each kind of feature computed once.

        Raises:
            AudioError: Estimates without a sample, not as many as targets (unless there is one target), or, except
                for wMFCC, which warps time, of another length.
            ConfigError: A name that is not in `SUITE`.
        """
        names = tuple(names)
        self._check(estimate, names)
        pieces = estimate.split(self.clips_at_once)
        targets = self.chunks * (len(pieces) // len(self.chunks))
        scores: dict[str, list[Tensor]] = {name: [] for name in names}
        for target, piece in zip(targets, pieces, strict=True):
            features = Features(piece, target.sample_rate)
            for name in names:
                scores[name].append(SUITE[name](target, features))
        return {name: torch.cat(values) for name, values in scores.items()}

    def _check(self, estimate: Tensor, names: tuple[str, ...]) -> None:
        num_targets = sum(len(chunk.audio) for chunk in self.chunks)
        length = self.chunks[0].audio.shape[-1]
        if num_targets not in (1, len(estimate)):
            counts = f"{num_targets} references cannot be compared with {len(estimate)} estimates"
            raise AudioError(f"{counts}: give one reference, or one for each")
        for name in names:
            if name not in SUITE:
                raise ConfigError(f"unknown measure {name!r}; {near_miss(name, SUITE)}")
            if name != "wmfcc" and estimate.shape[-1] != length:
                lengths = f"{length} and {estimate.shape[-1]} samples"
                raise AudioError(f"{name} compares sounds of one length, got {lengths}")


def measure(
    name: str,
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """One measure of `SUITE` by its name, for one reference or one per estimate; errors as `SuiteReference.score`."""
    return SuiteReference.of(reference, sample_rate).score(estimate, (name,))[name]


def multi_scale_spectral(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """MSS in decibels, lower is better: mean absolute difference of mel decibels, averaged over three scales.

    Mel power spectrograms with (window, hop, bands) = (10 ms, 5 ms, 32), (25, 10, 64), (100, 50, 128), each clip in
    decibels relative to its own loudest cell and cut at -80. A silent clip counts as 0 dB in every cell, as in librosa:
    two silent clips are 0 apart, and silence is far from any sound.
    """
    return measure("mss", reference, estimate, sample_rate)


def warped_mfcc(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """wMFCC, lower is better: dynamic time warping distance of 20 MFCCs (50 ms windows every 10 ms, 128 bands).

    Absolute level counts: it moves the first coefficient. Lengths may differ. Not differentiable.
    """
    return measure("wmfcc", reference, estimate, sample_rate)


def spectral_transport(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
    *,
    audible_only: bool = False,
) -> Float[Tensor, " batch"]:
    """SOT in 0..1, lower is better: mean Wasserstein-1 distance of normalised magnitude spectra (50 ms every 20 ms).

    Along linear frequency, 0 Hz to half the sample rate being 1. As published, every frame counts, also those that are
    silent but for 1e-7 of noise; a frame of digital silence is zero everywhere, at distance 0 from another such.

    Args:
        reference: The target, or one for each estimate.
        estimate: What is scored.
        sample_rate: Of both, in Hz.
        audible_only: Average over the frames that are within 60 dB of the loudest frame of their own clip, in the
            reference or in the estimate. Where only one of the two is heard the other counts as white (flat), since
            its residue has no meaningful spectrum. No such frame gives 0.
    """
    return measure("sot_audible" if audible_only else "sot", reference, estimate, sample_rate)


def envelope_similarity(
    reference: Float[Tensor, "#batch reference_samples"],
    estimate: Float[Tensor, "batch estimate_samples"],
    sample_rate: int,
) -> Float[Tensor, " batch"]:
    """RMS in 0..1, higher is better: cosine similarity of loudness envelopes (50 ms frames every 25 ms).

    Two silent clips give 1, a silent and a sounding one 0.
    """
    return measure("rms", reference, estimate, sample_rate)
