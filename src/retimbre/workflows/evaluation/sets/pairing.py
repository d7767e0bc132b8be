"""What makes two sets unfit to be compared, seen before any distance is.

A distance between embeddings answers even where the question is wrong. A set resampled from another rate ends at
another frequency, which some embedders hear more loudly than anything about the sounds; clips that lie in both sets
bring every distance down. Both are told, and neither is forbidden: they may be what is to be measured.
"""

from collections.abc import Sequence

from retimbre.core.errors import ConfigError
from retimbre.workflows.evaluation.sets.clips import Clips


def pair_remarks(real: Clips, fake: Clips) -> tuple[str, ...]:
    """What a reader of any distance between the sets should know.

    Raises:
        ConfigError: They differ in rate or length, so they cannot be heard alike.
    """
    if (real.sample_rate, real.num_samples) != (fake.sample_rate, fake.num_samples):
        raise ConfigError(
            f"{real.name} has {real.num_samples} samples at {real.sample_rate} Hz, {fake.name} {fake.num_samples} at "
            f"{fake.sample_rate} Hz: sets are compared at one rate and length"
        )
    return (*_rates(real, fake), *_shared(real, fake))


def set_remarks(fake: Clips, real: Clips | None = None) -> tuple[str, ...]:
    """The remarks on the sets themselves, with which set each is on."""
    told = [f"{_which('real', real)}: {remark}" for remark in real.remarks] if real is not None else []
    return (*told, *(f"{_which('fake', fake)}: {remark}" for remark in fake.remarks))


def _which(role: str, clips: Clips) -> str:
    return f"{role} set {clips.name}"


def _rates(real: Clips, fake: Clips) -> list[str]:
    ours, theirs = real.about.source_rates, fake.about.source_rates
    if not ours or not theirs or ours == theirs:
        return []
    return [
        f"the files of the real set are at {_listed(ours)}, those of the fake set at {_listed(theirs)}: a distance "
        "between them is also one between the bands that they reach"
    ]


def num_shared(real: Clips, fake: Clips) -> int:
    """How many clips of the fake set are, sample by sample, clips of the real one."""
    if real.key == fake.key:
        return len(fake)
    known = set(real.about.digests)
    return sum(digest in known for digest in fake.about.digests)


def _shared(real: Clips, fake: Clips) -> list[str]:
    copies = num_shared(real, fake)
    if real.key == fake.key:
        return [
            "the two sets hold the same sounds: this is the value of a perfect copy, not of a good generator"
        ]
    if copies:
        return [f"{copies} of {len(fake)} fake clips are also in the real set, sample by sample"]
    return []


def _listed(rates: Sequence[int]) -> str:
    return " and ".join(f"{rate} Hz" for rate in rates)
