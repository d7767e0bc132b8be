"""Every measure by its name, with what a reader needs to interpret a figure.

To add one: write it in a module of this package and add an entry here. Two kinds exist. A measure of sounds is
called (reference, estimate, sample_rate) with audio [batch, samples] and gives one value per pair. A measure of
classes is called with `Predictions` and gives a value per clip and parameter, of which reports show means.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from retimbre.metrics import parameters, signal, speech, suite


@dataclass(frozen=True)
class Metric:
    """A measure.

    Attributes:
        compares: "sounds" or "classes": what it is called with.
        unit: Of its values; "1" for a pure number.
        better: Which direction is better.
        identical: Its value for a perfect answer.
        description: One sentence, with its main blind spot.
        compute: The function.
    """

    compares: Literal["sounds", "classes"]
    unit: str
    better: Literal["lower", "higher"]
    identical: float
    description: str
    compute: Callable[..., Tensor]


METRICS: dict[str, Metric] = {
    "mss": Metric(
        "sounds", "dB", "lower", 0.0,
        "Multi-scale spectral distance of mel decibels; does not hear level, diluted by shared silence.",
        suite.multi_scale_spectral,
    ),
    "mss_active": Metric(
        "sounds", "dB", "lower", 0.0,
        "MSS over the cells above -80 dB in either sound; not comparable with published MSS.",
        functools.partial(suite.measure, "mss_active"),
    ),
    "wmfcc": Metric(
        "sounds", "1", "lower", 0.0,
        "Dynamic time warping distance of 20 MFCCs; forgives timing.",
        suite.warped_mfcc,
    ),
    "sot": Metric(
        "sounds", "1", "lower", 0.0,
        "Optimal transport between frame spectra along linear frequency; silent frames count as much as loud ones.",
        suite.spectral_transport,
    ),
    "sot_audible": Metric(
        "sounds", "1", "lower", 0.0,
        "SOT over the frames within 60 dB of the loudest in either sound; not comparable with published SOT.",
        functools.partial(suite.spectral_transport, audible_only=True),
    ),
    "rms": Metric(
        "sounds", "1", "higher", 1.0,
        "Cosine similarity of loudness envelopes; does not hear level, 0.93 is easy for sustained sounds.",
        suite.envelope_similarity,
    ),
    "stft_correlation": Metric(
        "sounds", "1", "higher", 1.0,
        "Pearson correlation of log-STFTs; does not hear level, except near the -80 dB floor.",
        signal.stft_correlation,
    ),
    "ft_correlation": Metric(
        "sounds", "1", "higher", 1.0,
        "Pearson correlation of the global Fourier magnitudes; a pitch error of 1 Hz already counts as another sound.",
        signal.ft_correlation,
    ),
    "log_spectral_frobenius": Metric(
        "sounds", "dB", "lower", 0.0,
        "Frobenius norm of the log-STFT difference; grows with duration.",
        signal.log_spectral_frobenius,
    ),
    "mfcc_distance": Metric(
        "sounds", "1", "lower", 0.0,
        "Mean absolute difference of 13 MFCCs; hears level through the first.",
        signal.mfcc_distance,
    ),
    "pesq": Metric(
        "sounds", "1", "higher", speech.BEST["wide"],
        "Predicted opinion of listeners on speech, 1 to 4.64 (wide band, 16 kHz) or 4.55 (narrow band, 8 kHz); says "
        "nothing of music, does not hear level, needs the extra 'speech'.",
        speech.pesq,
    ),
    "exact": Metric(
        "classes", "1", "higher", 1.0,
        "Share of clips whose best class is the true one.",
        parameters.exact,
    ),
    "within_one": Metric(
        "classes", "1", "higher", 1.0,
        "Share of clips whose best class is the true one or next to it.",
        parameters.within_one,
    ),
    "top_5": Metric(
        "classes", "1", "higher", 1.0,
        "Share of clips with the true class among the best five; reports have top 1 to 5.",
        functools.partial(parameters.top_k, k=5),
    ),
    "percentile_rank": Metric(
        "classes", "%", "higher", 100.0,
        "Mean percentile rank (MPR) of the true class; 50 by chance, also for what cannot be heard.",
        parameters.percentile_rank,
    ),
    "class_error": Metric(
        "classes", "classes", "lower", 0.0,
        "Distance from the best class to the true one; meaningless for classes without order.",
        parameters.class_error,
    ),
}  # fmt: skip
