"""Every measure of notes by its name, with what a reader needs to interpret a figure.

Each gives a reading per clip (`readings.Readings`) and a figure per set: the median where single notes may be far out,
the mean where they are not, and a share where a reading is yes or no. Intervals of means and medians are by bootstrap,
those of shares Wilson's, as none of sixty notes is no proof that there are none (`metrics.bootstrap`). Few have a
better direction of their own. An attack of 20 ms is neither good nor bad: what counts is whether generated notes have
those of the real ones, so figures of a reference set stand beside them.

To add one: write it in a module of this package, add a line here, and compute its readings in
`workflows.evaluation.note_readings`.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, final

from jaxtyping import Float
from torch import Tensor

from retimbre.metrics.bootstrap import Bootstrap, Interval, bootstrap, share_interval


@final
@dataclass(frozen=True)
class NoteMeasure:
    """A measure of notes.

    Attributes:
        unit: Of the readings; "1" for a pure number.
        better: Which direction is better; "as real" where only a comparison with real notes tells.
        statistic: Which figure is given for a set; a share is of readings that are 0 or 1.
        description: One sentence, with its main blind spot.
    """

    unit: str
    better: Literal["lower", "higher", "as real"]
    statistic: Literal["mean", "median", "share"]
    description: str

    def figure(self, readings: Float[Tensor, " notes"], how: Bootstrap) -> Interval:
        """The figure of the notes that have the property, with its interval.

        Args:
            readings: Of those notes.
            how: Of a mean or a median; of a share the confidence alone counts.

        Raises:
            ConfigError: No readings, or some that are not finite.
        """
        if self.statistic == "share":
            return share_interval(int(readings.sum()), len(readings), how.confidence)
        return bootstrap(readings, dataclasses.replace(how, statistic=self.statistic))

    @property
    def interval_method(self) -> str:
        """Whose intervals those are."""
        return "Wilson" if self.statistic == "share" else "bootstrap"


NOTE_MEASURES: dict[str, NoteMeasure] = {
    "pitch_in_tune": NoteMeasure(
        "1", "higher", "share",
        "Share of notes within 50 cents of their key; one without a pitch is not.",
    ),
    "pitch_error": NoteMeasure(
        "cents", "lower", "median",
        "Distance from the key of the notes that have a pitch, octave errors included.",
    ),
    "pitch_octave_errors": NoteMeasure(
        "1", "as real", "share",
        "Share of notes that are in tune an octave or more away; drawbar organs sound there by design.",
    ),
    "pitch_unpitched": NoteMeasure(
        "1", "as real", "share",
        "Share of notes of which less than a third repeats at one pitch, silence included.",
    ),
    "inharmonicity": NoteMeasure(
        "1", "as real", "median",
        "B of the stiff string, from the partials; needs five of them.",
    ),
    "attack_time": NoteMeasure(
        "s", "as real", "median",
        "From 10 to 90 % of the largest power; no shorter than 5 ms, nor than a period of a low note.",
    ),
    "log_attack_time": NoteMeasure(
        "lg s", "as real", "mean",
        "Its decimal logarithm (LAT), nearer to how attacks are told apart.",
    ),
    "decay_slope": NoteMeasure(
        "dB/s", "as real", "median",
        "Of the level after the attack, down to -40 dB or the noise; a release counts as decay.",
    ),
    "envelope_error": NoteMeasure(
        "dB", "lower", "median",
        "RMS difference from the envelope of the real note of the same name, where that is above -40 dB.",
    ),
    "phase_coherence": NoteMeasure(
        "1", "as real", "median",
        "How regularly the phases of the overtones advance, 1 for a steady tone and 0 for random phases.",
    ),
    "timbral_consistency": NoteMeasure(
        "1", "as real", "mean",
        "Silhouette of instruments in mel cepstra: 1 where each keeps a timbre of its own over the keys, 0 by chance.",
    ),
    "training_distance": NoteMeasure(
        "1", "as real", "median",
        "Distance to the nearest training sound in an embedding; sees memory of timbres, not of recordings.",
    ),
    "waveform_distance": NoteMeasure(
        "1", "as real", "median",
        "1 less the largest correlation with any training sound at any shift: 0 for a copy.",
    ),
    "near_copies": NoteMeasure(
        "1", "lower", "share",
        "Share of notes nearer to a training waveform than one in a hundred real notes is.",
    ),
}  # fmt: skip
