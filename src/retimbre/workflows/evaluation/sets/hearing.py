"""Who hears the sets: an embedder for most measures, a listener for those of notes.

Both are read once, moved to the device once, and hear one set after the other. What they are (name, weights, rate) goes
into the settings of the number, since the number means nothing without it. So does the framing, and where a profile of
a published program is used with another network than that program's, this is remarked: its arithmetic is then borrowed,
and its numbers are not comparable with those that were published. Weights are not looked at: whoever trains the network
of a program anew has other numbers, and no remark.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.listening.base import Embedder
from retimbre.listening.catalog import embedder
from retimbre.listening.listener import Listener, load_listener
from retimbre.listening.vggish import VggishEmbedder, ending_as
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.profiles import PROFILES, Framing, Profile
from retimbre.training.devices import pick_device
from retimbre.workflows.evaluation.sets.cache import VectorCache, cache_named
from retimbre.workflows.evaluation.sets.clips import Clips
from retimbre.workflows.evaluation.sets.embed import (
    Progress,
    check_attribute,
    embedded,
    heard_features,
    heard_logits,
)
from retimbre.workflows.evaluation.sets.metrics import SetMetric
from retimbre.workflows.evaluation.sets.weak_answers import weak_answers


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
        resamples: Draws of clips behind the interval (`metrics.distances.base`).
        cache: The folder where vectors are kept; empty for the user's own, `none` for nowhere.
        seed: Of these draws.
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
        return cache_named(self.cache)


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
    """Asks the listener, or has the embedder hear.

    Raises:
        ConfigError: What hears is unknown, contradicts the profile, or cannot hear such clips.
        CheckpointError: Its weights cannot be read.
    """
    listen = _by_listener if entry.hears == "listener" else _by_embedder
    ears = listen(entry, sets[0].sample_rate, profile, options)
    total = sum(len(each) for each in sets)
    vectors: list[Vectors] = []
    before = 0
    for each in sets:
        vectors.append(ears.hear(each, lambda done, _, before=before: progress(before + done, total)))
        before += len(each)
        progress(before, total)
    return HeardSets(tuple(vectors), ears.by, ears.framing, ears.remarks)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Ears:
    """What hears; `by`, `framing` and `remarks` as in `HeardSets`."""

    hear: Callable[[Clips, Progress], Vectors]
    by: dict[str, Any]
    framing: Framing
    remarks: tuple[str, ...]


def _by_listener(entry: SetMetric, sample_rate: int, profile: Profile, options: MeasureOptions) -> _Ears:
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

    remarks = _doubts_of_listener(listener, profile, options) + weak_answers(options.listener, attribute)
    return _Ears(hear, by, Framing(), remarks)


def _by_embedder(entry: SetMetric, sample_rate: int, profile: Profile, options: MeasureOptions) -> _Ears:
    heard_by = _embedder(options, sample_rate, profile)
    is_vggish = isinstance(heard_by, VggishEmbedder)
    # What was done with the last layer, which only VGGish has a choice of.
    framing = dataclasses.replace(
        profile.framing,
        relu=is_vggish and heard_by.options.relu,
        pca=is_vggish and bool(heard_by.options.pca_file),
    )
    cache, device = options.vectors, pick_device(options.device)
    by = {
        "name": options.embedder,
        "identity": heard_by.identity(),
        "sample_rate": sample_rate,
        "settings": dict(heard_by.settings()),
    }

    def hear(clips: Clips, progress: Progress) -> Vectors:
        return embedded(clips, heard_by, framing, cache, progress, device=device)

    return _Ears(hear, by, framing, _doubts_of_embedder(heard_by, entry, profile, options))


def _embedder(options: MeasureOptions, sample_rate: int, profile: Profile) -> Embedder:
    """The embedder that is asked for, VGGish with the last layer that the profile says.

    Raises:
        ConfigError: It does with its last layer what the program did not.
    """
    found = embedder(options.embedder, sample_rate, options.embedder_file, option="--embedder-file")
    framing = profile.framing
    ended = ending_as(found, relu=framing.relu, pca=framing.pca)
    if profile.name != "default" and isinstance(ended, VggishEmbedder):
        done = {"rectifies": ended.options.relu, "whitens": bool(ended.options.pca_file)}
        wanted = {"rectifies": framing.relu, "whitens": framing.pca}
        beyond = [step for step in done if done[step] and not wanted[step]]
        if beyond:
            raise ConfigError(
                f"the embedder {options.embedder!r} {' and '.join(beyond)} its vectors, which the program of the "
                f"profile {profile.name} did not; it takes --embedder vggish"
            )
    return ended


def _doubts_of_listener(listener: Listener, profile: Profile, options: MeasureOptions) -> tuple[str, ...]:
    """Whether a published program's arithmetic is used with another classifier; `sony2020` alone has one."""
    if profile.name == "default" or listener.config.network == "inception":
        return ()
    return (
        f"the profile {profile.name} is that of a program that asked an Inception of its own; asked of "
        f"{options.listener}, its numbers are not those that were published",
    )


def _doubts_of_embedder(
    heard_by: Embedder, entry: SetMetric, profile: Profile, options: MeasureOptions
) -> tuple[str, ...]:
    """Whether a published program's arithmetic is used with another network."""
    if profile.name == "sony2020" and entry.name == "imq":
        return (
            f"the program of the profile sony2020 compared a classifier's logits by this measure, as pkid and ikid do; "
            f"of the vectors of {options.embedder}, its numbers are not those that were published",
        )
    if profile.name == "default" or isinstance(heard_by, VggishEmbedder):
        return ()
    return (
        f"the profile {profile.name} is that of a program that heard through VGGish; through {options.embedder} its "
        "numbers are not those that were published",
    )
