"""Who hears the sets: an embedder for most measures, a listener for those of notes.

Both are read once, moved to the device once, and hear one set after the other. What they are (name, weights, rate) goes
into the settings of the number, since the number means nothing without it. So does the framing, and where a profile of
a published program is used with another network than that program's, this is remarked: its arithmetic is then borrowed,
and its numbers are not comparable with those that were published.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.listening.base import Embedder
from retimbre.listening.catalog import EMBEDDERS, ExternalEntry, embedder
from retimbre.listening.listener import load_listener
from retimbre.listening.vggish import ending_as
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.profiles import PROFILES, Framing, Profile
from retimbre.training.devices import pick_device
from retimbre.workflows.evaluation.sets.cache import VectorCache, default_folder
from retimbre.workflows.evaluation.sets.clips import Clips
from retimbre.workflows.evaluation.sets.embed import (
    Progress,
    check_attribute,
    embedded,
    heard_features,
    heard_logits,
)
from retimbre.workflows.evaluation.sets.metrics import SetMetric

NO_CACHE_NAME = "none"


@final
@dataclasses.dataclass(frozen=True)
class MeasureOptions:
    """How sets are heard and compared.

    Attributes:
        embedder: What hears them, by its name in the catalog of embedders.
        embedder_file: Its weights, for one whose weights live in a file.
        listener: What the measures of notes ask: a shipped name, a run folder or a file.
        attribute: What the plain inception score is of; the other measures have their own.
        profile: Whose arithmetic and framing, a name in `PROFILES`.
        resamples: Of the bootstrap over clips.
        cache: The folder where vectors are kept; empty for the user's own, `none` for nowhere.
        seed: Of the bootstrap.
        device: Where networks listen: `auto`, `cpu` or `cuda`.
    """

    embedder: str = "listener"
    embedder_file: str = ""
    listener: str = "listener"
    attribute: str = "pitch"
    profile: str = "default"
    resamples: int = 200
    cache: str = ""
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuses names that are in no catalog before any sound is read."""
        pick_device(self.device)
        if self.profile not in PROFILES:
            raise ConfigError(f"there is no profile {self.profile!r}; {near_miss(self.profile, PROFILES)}")

    @property
    def vectors(self) -> VectorCache:
        """Where vectors are kept."""
        if self.cache == NO_CACHE_NAME:
            return VectorCache()
        return VectorCache(Path(self.cache) if self.cache else default_folder())


@final
@dataclasses.dataclass(frozen=True, eq=False)
class HeardSets:
    """Sets as vectors.

    Attributes:
        vectors: Of each set.
        by: Who heard them, as JSON has it.
        framing: What was heard of each clip.
        remarks: What makes the hearing doubtful.
    """

    vectors: tuple[Vectors, ...]
    by: dict[str, Any]
    framing: Framing
    remarks: tuple[str, ...] = ()


def hear_sets(
    entry: SetMetric, sets: list[Clips], profile: Profile, options: MeasureOptions, progress: Progress
) -> HeardSets:
    """Asks the listener, or has the embedder hear."""
    listen = _by_listener if entry.hears == "listener" else _by_embedder
    hear, by, framing = listen(entry, sets[0].sample_rate, profile, options)
    total = sum(len(each) for each in sets)
    vectors: list[Vectors] = []
    before = 0
    for each in sets:
        vectors.append(hear(each, lambda done, _, before=before: progress(before + done, total)))
        before += len(each)
        progress(before, total)
    return HeardSets(tuple(vectors), by, framing, _doubts(entry, profile, options))


_Hear = Callable[[Clips, Progress], Vectors]


def _by_listener(
    entry: SetMetric, sample_rate: int, profile: Profile, options: MeasureOptions
) -> tuple[_Hear, dict[str, Any], Framing]:
    listener = load_listener(options.listener)
    attribute = entry.attribute or options.attribute
    check_attribute(listener, attribute)
    asked = profile.listens_by if entry.compares else "logits"
    answers = heard_logits if asked == "logits" else heard_features
    cache, device = options.vectors, pick_device(options.device)
    by = {
        "name": options.listener,
        "identity": listener.identity(),
        "sample_rate": listener.sample_rate,
        "asked": f"{attribute} {asked}",
        "classes": len(listener.classes[attribute]),
    }

    def hear(clips: Clips, progress: Progress) -> Vectors:
        return answers(clips, listener, attribute, cache, progress, device=device)

    return hear, by, Framing()


def _by_embedder(
    entry: SetMetric, sample_rate: int, profile: Profile, options: MeasureOptions
) -> tuple[_Hear, dict[str, Any], Framing]:
    heard_by = _embedder(options, sample_rate, profile.framing)
    cache, device = options.vectors, pick_device(options.device)
    by = {
        "name": options.embedder,
        "identity": heard_by.identity(),
        "sample_rate": sample_rate,
        "settings": dict(heard_by.settings()),
    }

    def hear(clips: Clips, progress: Progress) -> Vectors:
        return embedded(clips, heard_by, profile.framing, cache, progress, device=device)

    return hear, by, profile.framing


def _embedder(options: MeasureOptions, sample_rate: int, framing: Framing) -> Embedder:
    """The embedder that is asked for, VGGish with the last layer that the framing says."""
    if isinstance(EMBEDDERS.get(options.embedder), ExternalEntry) and not options.embedder_file:
        raise ConfigError(
            f"the embedder {options.embedder!r} needs the file of its weights: --embedder-file FILE"
        )
    found = embedder(options.embedder, sample_rate, options.embedder_file)
    return ending_as(found, relu=framing.relu, pca=framing.pca)


def _doubts(entry: SetMetric, profile: Profile, options: MeasureOptions) -> tuple[str, ...]:
    """Whether a published program's arithmetic is used with another network."""
    if profile.name == "default" or entry.hears == "listener" or options.embedder.startswith("vggish"):
        return ()
    return (
        f"the profile {profile.name} is that of a program that heard through VGGish; through {options.embedder} its "
        "numbers are not those that were published",
    )
