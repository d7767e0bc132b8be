"""Profiles: the arithmetic of a published program, so that figures compare with those it printed.

A figure of a set depends on more than its formula: how clips are cut, how loud they are made, what rounding the program
did on the way, which bias it kept. A *profile* holds all of that. `default` is what we hold to be right; the others are
what was done, flaws included, and a figure under one compares with published ones of the same name only if the listener
(its weights too), the data and the number of clips are the same.

    default      an embedding of the whole clip, unbiased estimates, small sets refused
    sony2020     Nistal et al.: running inception score; inverse multiquadric MMD on logits with its diagonal kept,
                 which adds 2 / (n - 1); FAD as google2019
    google2019   Kilgour et al.'s FAD: windows of 1 s every 0.5 s, each clip's positive peak brought to 1, 16-bit
                 samples, VGGish with its final ReLU and without its PCA
    torch-port   the PyTorch ports of it: VGGish's own windows of 0.975 s every 0.96 s, no levelling, no final ReLU,
                 no PCA
    fadtk        Gui et al.'s toolkit: as torch-port, but 16-bit samples, embeddings rounded to float16, and
                 FAD-infinity over frames drawn with replacement

Here it is only written down: those who read and embed the sounds follow it.

References:
    https://github.com/google-research/google-research/tree/master/frechet_audio_distance
    https://github.com/gudgud96/frechet-audio-distance
    https://github.com/microsoft/fadtk
    Nistal, Lattner & Richard (2020), https://arxiv.org/abs/2006.09266
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.metrics.distances.base import Distance, Score
from retimbre.metrics.distances.catalog import DISTANCES, SCORES
from retimbre.metrics.distances.frechet import FrechetDistance
from retimbre.metrics.distances.inception import InceptionScore
from retimbre.metrics.distances.mmd import ImqMmd


@final
@dataclass(frozen=True)
class Framing:
    """How a clip becomes vectors.

    Attributes:
        window_s: Length of the windows that are embedded, in seconds; 0 for the whole clip.
        hop_s: From one window to the next, in seconds; 0 for the whole clip.
        remainder: What becomes of the end that does not fill a window: left out, or filled with zeros.
        level: What a clip is divided by before it is cut: nothing, the largest absolute sample ("peak"), or the largest
            positive sample, an absolute peak only by luck ("positive-peak"); a silent clip stays silent.
        int16: Whether samples are rounded to 16 bits first.
        storage: Precision that embeddings are rounded to.
        relu: Whether VGGish's last layer ends in its ReLU.
        pca: Whether VGGish's published principal components are applied.

    Raises:
        ConfigError: A length below 0, or windows without a hop.
    """

    window_s: float = 0.0
    hop_s: float = 0.0
    remainder: Literal["drop", "pad"] = "drop"
    level: Literal["none", "peak", "positive-peak"] = "none"
    int16: bool = False
    storage: Literal["float64", "float16"] = "float64"
    relu: bool = False
    pca: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot be cut."""
        if min(self.window_s, self.hop_s) < 0.0 or (self.window_s > 0.0) != (self.hop_s > 0.0):
            raise ConfigError(
                "a framing takes a window and a hop above 0 s, or both 0 for the whole clip; got "
                f"{self.window_s} and {self.hop_s} s"
            )


@final
@dataclass(frozen=True)
class Profile:
    """How a program measured.

    Attributes:
        name: Of the profile.
        description: One sentence.
        framing: How clips become vectors.
        replaced: The measures that it computes in its own way, by their names.
        listens_by: What `pkid` and `ikid` compare: a listener's features, or its logits.
    """

    name: str
    description: str
    framing: Framing = Framing()
    replaced: Mapping[str, Distance | Score] = field(default_factory=dict)
    listens_by: Literal["features", "logits"] = "features"

    def distance(self, name: str) -> Distance | Score:
        """The measure of a name.

        Raises:
            ConfigError: There is no such measure.
        """
        known = {**DISTANCES, **SCORES, **self.replaced}
        if name not in known:
            raise ConfigError(f"there is no measure of sets {name!r}; {near_miss(name, known)}")
        return known[name]


_HISTORIC_FAD = FrechetDistance(small_sets="mark", infinity="none")
_GOOGLE = Framing(window_s=1.0, hop_s=0.5, level="positive-peak", int16=True, relu=True)
_SONY_SCORE = InceptionScore(rule="running", shuffle=False)
_SONY_MMD = ImqMmd(estimator="diagonal kept")

PROFILES: dict[str, Profile] = {
    "default": Profile("default", "Embeddings of whole clips and unbiased estimates; small sets are refused."),
    "sony2020": Profile(
        "sony2020",
        "Nistal et al. 2020: running inception scores, an MMD of logits biased by 2 / (n - 1), and Google's FAD.",
        _GOOGLE,
        {
            "fad": _HISTORIC_FAD,
            "is": _SONY_SCORE, "pis": _SONY_SCORE, "iis": _SONY_SCORE,
            "pkid": _SONY_MMD, "ikid": _SONY_MMD, "imq": _SONY_MMD,
        },
        "logits",
    ),
    "google2019": Profile(
        "google2019",
        "Kilgour et al. 2019: windows of 1 s every 0.5 s, levelled by the positive peak, 16-bit, final ReLU.",
        _GOOGLE,
        {"fad": _HISTORIC_FAD},
    ),
    "torch-port": Profile(
        "torch-port",
        "The PyTorch ports of FAD: windows of 0.975 s every 0.96 s, not levelled, no final ReLU.",
        Framing(window_s=0.975, hop_s=0.96),
        {"fad": _HISTORIC_FAD},
    ),
    "fadtk": Profile(
        "fadtk",
        "Gui et al. 2024: 16-bit samples, embeddings rounded to float16, FAD-infinity over frames with replacement.",
        Framing(window_s=0.975, hop_s=0.96, int16=True, storage="float16"),
        {"fad": FrechetDistance(small_sets="mark", infinity="fadtk")},
    ),
}  # fmt: skip
