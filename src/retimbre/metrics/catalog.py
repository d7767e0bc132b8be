"""Every measure by its name, with what a reader needs to interpret a figure.

To add one: write it in a module of this package and add an entry here. Three kinds exist. A measure of sounds is
called (reference, estimate, sample_rate) with audio [batch, samples] and gives one value per pair. A measure of
classes is called with `Predictions` and gives a value per clip and parameter, of which reports show means. A measure
of sets is called (reference, estimate, how) with `Vectors` of two sets and a `Bootstrap`, inception scores without a
reference, and gives one `Measured` for all.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from retimbre.metrics import parameters, signal, speech, suite
from retimbre.metrics.distances.catalog import DISTANCES, SCORES


@dataclass(frozen=True)
class Metric:
    """A measure.

    Attributes:
        compares: "sounds", "classes" or "sets": what it is called with.
        unit: Of its values; "1" for a pure number.
        better: Which direction is better.
        identical: Its value for a perfect answer, up to chance; None where it depends on the listener's classes.
        description: One sentence, with its main blind spot.
        compute: The function.
    """

    compares: Literal["sounds", "classes", "sets"]
    unit: str
    better: Literal["lower", "higher"]
    identical: float | None
    description: str
    compute: Callable[..., Any]


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
    "stoi": Metric(
        "sounds", "1", "higher", 1.0,
        "Predicted share of speech that is understood, 0 to 1 but not in words; does not hear level nor what is above "
        "4.3 kHz, forgives no delay, needs the extra 'speech'.",
        speech.stoi,
    ),
    "estoi": Metric(
        "sounds", "1", "higher", 1.0,
        "STOI extended to noise that comes and goes; not comparable with STOI, needs the extra 'speech'.",
        functools.partial(speech.stoi, extended=True),
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
    "fad": Metric(
        "sets", "1", "lower", 0.0,
        "Frechet distance of embeddings: means and covariances only, too large for few sounds; FAD-infinity beside it.",
        DISTANCES["fad"].measure,
    ),
    "kid": Metric(
        "sets", "1", "lower", 0.0,
        "Unbiased cubic-kernel MMD of embeddings; about 0 or slightly below for equal sets, blind past three moments.",
        DISTANCES["kid"].measure,
    ),
    "pkid": Metric(
        "sets", "1", "lower", 0.0,
        "KID of what a listener hears pitch by; hears little of the timbre.",
        DISTANCES["pkid"].measure,
    ),
    "ikid": Metric(
        "sets", "1", "lower", 0.0,
        "KID of what a listener hears the instrument family by; hears little of the pitch.",
        DISTANCES["ikid"].measure,
    ),
    "kad": Metric(
        "sets", "1", "lower", 0.0,
        "Unbiased Gaussian-kernel MMD of embeddings times 100, bandwidth from the reference; saturates far from it.",
        DISTANCES["kad"].measure,
    ),
    "imq": Metric(
        "sets", "1", "lower", 0.0,
        "Unbiased MMD of embeddings with the kernel 16 / (16 + d^2); depends on their unit.",
        DISTANCES["imq"].measure,
    ),
    "prdc": Metric(
        "sets", "1", "higher", 1.0,
        "Coverage, beside precision, recall and density, by 5 nearest neighbours; below 1 for equal distributions too.",
        DISTANCES["prdc"].measure,
    ),
    "ndb": Metric(
        "sets", "1", "lower", 0.0,
        "Share of 50 bins that the two sets fill unequally (NDB/k); 0.05 by chance, and more sounds show more.",
        DISTANCES["ndb"].measure,
    ),
    "mind": Metric(
        "sets", "1", "lower", 0.0,
        "Sliced Wasserstein distance of embeddings times 3 dim; slightly above 0 for equal distributions.",
        DISTANCES["mind"].measure,
    ),
    "is": Metric(
        "sets", "1", "higher", None,
        "Inception score of a listener's classes: sure and varied; never hears the real sounds.",
        SCORES["is"].measure,
    ),
    "pis": Metric(
        "sets", "1", "higher", None,
        "Inception score of pitches; one perfect sound per pitch has the best score.",
        SCORES["pis"].measure,
    ),
    "iis": Metric(
        "sets", "1", "higher", None,
        "Inception score of instrument families; one perfect sound per family has the best score.",
        SCORES["iis"].measure,
    ),
}  # fmt: skip
