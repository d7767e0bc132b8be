"""The measures of sets by name: what hears the clips for each, and how it is called in print.

Two of a kind differ in who listens. The inception score of *pitch* (PIS) and the one of *instrument* (IIS) are the same
arithmetic on two answers of the same classifier; PKID and IKID are the kernel distance on what those answers are read
from. The rest hear through any embedder. The arithmetic itself is in `metrics.distances`.
"""

import dataclasses
from typing import Literal, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.metrics.distances.profiles import PROFILES, Profile
from retimbre.workflows.evaluation.sets.clips import Clips


@final
@dataclasses.dataclass(frozen=True)
class SetMetric:
    """A measure of one set or two.

    Attributes:
        name: On the command line, and of its arithmetic in `metrics.distances.catalog`.
        title: In print.
        hears: Vectors of an embedder, or what a listener has to say.
        attribute: What the listener is asked; empty where the caller says.
        compares: Whether the set is held against a real one.
    """

    name: str
    title: str
    hears: Literal["embedder", "listener"] = "embedder"
    attribute: str = ""
    compares: bool = True


_ALL = (
    SetMetric("pis", "PIS", "listener", "pitch", compares=False),
    SetMetric("iis", "IIS", "listener", "family", compares=False),
    SetMetric("is", "IS", "listener", compares=False),
    SetMetric("pkid", "PKID", "listener", "pitch"),
    SetMetric("ikid", "IKID", "listener", "family"),
    SetMetric("kid", "KID"),
    SetMetric("fad", "FAD"),
    SetMetric("kad", "KAD"),
    SetMetric("prdc", "PRDC"),
    SetMetric("ndb", "NDB"),
    SetMetric("mind", "MIND"),
    SetMetric("imq", "IMQ"),
)

SET_METRICS: dict[str, SetMetric] = {metric.name: metric for metric in _ALL}


def find_metric(name: str) -> SetMetric:
    """The measure of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in SET_METRICS:
        raise ConfigError(f"there is no measure of sets {name!r}; {near_miss(name, SET_METRICS)}")
    return SET_METRICS[name]


def check_profile(metric: SetMetric, profile: Profile) -> None:
    """Refuses a published program's name on a number that it has no part in.

    What an embedder hears is framed as the program did, whatever is measured. What a listener is asked is not, so a
    profile that has no arithmetic of its own for a measure of notes would change nothing but the name.

    Raises:
        ConfigError: It would.
    """
    if metric.hears == "embedder" or profile.name == "default" or metric.name in profile.replaced:
        return
    taken = [
        each.name for each in PROFILES.values() if each.name == "default" or metric.name in each.replaced
    ]
    raise ConfigError(
        f"the program of the profile {profile.name} has no {metric.title}, which takes --profile "
        f"{' or '.join(taken)}"
    )


def reference_for(metric: SetMetric, real: Clips | None) -> Clips | None:
    """The real set if the measure has use for one, else None.

    Raises:
        ConfigError: It needs one and there is none.
    """
    if not metric.compares:
        return None
    if real is None:
        raise ConfigError(f"{metric.title} compares a set with a real one, which is missing: --real DIR")
    return real
