"""The embedders by name. To add one: write it, add a line here, and every test of the catalog runs on it.

What an inverter listens through may be a representation or an embedder; `front_end` knows both.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from torch import nn

from retimbre.core.errors import ConfigError, near_miss
from retimbre.listening.bag_of_words import BagOfWords
from retimbre.listening.base import Embedder
from retimbre.listening.clap import ClapEmbedder
from retimbre.listening.handcrafted import Handcrafted
from retimbre.listening.listener_embedder import ListenerEmbedder
from retimbre.listening.panns import PannsEmbedder, at_16_khz
from retimbre.listening.random_features import RandomFeatures
from retimbre.listening.sony_inception import SonyInceptionEmbedder
from retimbre.listening.statistics import BandStatistics
from retimbre.listening.vggish import VggishEmbedder, whitened
from retimbre.representation.catalog import REPRESENTATIONS, representation


@dataclasses.dataclass(frozen=True)
class EmbedderEntry:
    """A line of the catalog.

    Attributes:
        description: What it is, in a sentence.
        make: From the sample rate of the audio, in Hz, to an embedder; fitted ones have yet to be fitted.
    """

    description: str
    make: Callable[[int], Embedder]


@dataclasses.dataclass(frozen=True)
class ExternalEntry:
    """A line of the catalog for an embedder whose weights live in a file of their own.

    Attributes:
        description: What it is, in a sentence.
        read: From the sample rate of the audio, in Hz, and the file to an embedder.
    """

    description: str
    read: Callable[[int, Path], Embedder]


EMBEDDERS: dict[str, EmbedderEntry | ExternalEntry] = {
    "listener": EmbedderEntry(
        "What the shipped listener makes of a note: its timbre and pitch", ListenerEmbedder
    ),
    "statistics": EmbedderEntry("Eight statistics over time of 64 mel bands", BandStatistics),
    "random-features": EmbedderEntry("Random convolutions over mel bands, never trained", RandomFeatures),
    "bag-of-words": EmbedderEntry("How often each of 1,000 learned spectra occurs", BagOfWords),
    "handcrafted": EmbedderEntry("1,000 components of 319,200 measurements", Handcrafted),
    "clap": ExternalEntry("The audio half of LAION-CLAP, from a local file", ClapEmbedder),
    "vggish": ExternalEntry("Google's VGGish, its last layer as it is, from a local file", VggishEmbedder),
    "vggish-pca": ExternalEntry("VGGish rectified and whitened, from two local files", whitened),
    "panns-cnn14": ExternalEntry("PANNs CNN14 for 32 kHz, from a local file", PannsEmbedder),
    "panns-cnn14-16k": ExternalEntry("PANNs CNN14 for 16 kHz, from a local file", at_16_khz),
    "sony-inception": ExternalEntry("System C's Inception, from a local file", SonyInceptionEmbedder),
}


def embedder(name: str, sample_rate: int, file: str = "", *, option: str = "representation_file") -> Embedder:
    """The embedder of that name, for audio at that sample rate in Hz.

    Args:
        name: A name in the catalog.
        sample_rate: Of the audio it will be given.
        file: Where its weights are, for one that has a file; empty for the others.
        option: By what name the user gives the file; errors call it that.

    Raises:
        ConfigError: There is none of that name, or it needs a file, or takes none.
        CheckpointError: The file is missing, damaged or of something else.
    """
    if name not in EMBEDDERS:
        raise ConfigError(f"there is no embedder {name!r}; {near_miss(name, EMBEDDERS)}")
    entry = EMBEDDERS[name]
    if isinstance(entry, ExternalEntry):
        if not file:
            raise ConfigError(f"the embedder {name!r} needs the file of its weights: {option}")
        return entry.read(sample_rate, Path(file))
    _refuse_file(name, file, option)
    return entry.make(sample_rate)


def front_end(name: str, sample_rate: int, file: str = "") -> nn.Module:
    """The representation or the embedder of that name as a module; see `embedder`.

    Raises:
        ConfigError: There is none of that name, or it needs a file, or takes none.
        CheckpointError: The file is missing, damaged or of something else.
    """
    if name in EMBEDDERS:
        return embedder(name, sample_rate, file)
    if name not in REPRESENTATIONS:
        known = near_miss(name, [*REPRESENTATIONS, *EMBEDDERS])
        raise ConfigError(f"there is no representation {name!r}; {known}")
    _refuse_file(name, file, "representation_file")
    return representation(name, sample_rate).front_end()


def _refuse_file(name: str, file: str, option: str) -> None:
    if file:
        raise ConfigError(f"{name!r} has no weights of others, so it takes no {option}: {file}")
