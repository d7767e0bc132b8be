"""Every measure of sets by its name on the command line, with its default settings.

To add one: write it in a module of this package, add an entry here and one in `retimbre.metrics.catalog`. Profiles
(`retimbre.metrics.distances.profiles`) replace entries by others of the same name.

The three names of a kernel distance differ in what they listen with, not in arithmetic: `kid` compares whatever
embedding is asked for, `pkid` and `ikid` the features by which a listener tells pitch and instrument family.
"""

from retimbre.metrics.distances.base import Distance, Score
from retimbre.metrics.distances.bins import Ndb
from retimbre.metrics.distances.frechet import FrechetDistance
from retimbre.metrics.distances.inception import InceptionScore
from retimbre.metrics.distances.manifold import Prdc
from retimbre.metrics.distances.mmd import GaussianMmd, ImqMmd, PolynomialMmd
from retimbre.metrics.distances.sliced import SlicedWasserstein

DISTANCES: dict[str, Distance] = {
    "fad": FrechetDistance(),
    "kid": PolynomialMmd(),
    "pkid": PolynomialMmd(),
    "ikid": PolynomialMmd(),
    "kad": GaussianMmd(),
    "imq": ImqMmd(),
    "prdc": Prdc(),
    "ndb": Ndb(),
    "mind": SlicedWasserstein(),
}

SCORES: dict[str, Score] = {
    "is": InceptionScore(),
    "pis": InceptionScore(),
    "iis": InceptionScore(),
}
