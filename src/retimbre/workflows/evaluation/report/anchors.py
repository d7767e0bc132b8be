"""Sets whose quality is known beforehand, against which every measure has to prove itself.

The real sounds are split in two. One half is the reference of everything; the other half stands for a perfect
generator, since no generator can be asked to be nearer to the one half than the other is. What comes out for it, the
*real/real* figure, is the best that a measure can be expected to say at this number of clips, and it is rarely zero.

The other anchors are made of that other half, spoiled in one way each (`damage`), or put together as a generator does
that fails in a known way: it knows a single instrument (mode collapse), or it hands out its training sounds.
All have as many clips as the other half, as far as there are clips, since many measures depend on the number. None is
filled up by repeating clips: distances leave out pairs of a clip with itself and would not know a repetition as one, so
that repeating would be seen and not the fault.

Halves that share no instrument are the stricter yardstick: a generator is to play new instruments. With few of them it
turns into a yardstick of which ones lay in which half: four against six differ by more than a low-pass does, and then
no distance notices the low-pass. So halves are by instrument of their own accord only from ten in each half on, and
from two on if asked.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Literal, final

import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.workflows.evaluation.note_readings import own_rows
from retimbre.workflows.evaluation.report import damage
from retimbre.workflows.evaluation.sets.clips import ChosenClips, Clips, Transform, TransformedClips
from retimbre.workflows.evaluation.sets.halves import rows_by_lot

REAL = "real/real"
LOW_PASS, NOISE, PHASE, SEMITONE = "low-pass", "noise", "phase-scrambled", "semitone up"
ONE_INSTRUMENT, COPY, SILENCE = "one instrument", "training copy", "silence"
ANCHORS = (REAL, LOW_PASS, NOISE, PHASE, SEMITONE, ONE_INSTRUMENT, COPY, SILENCE)
SPOILED = (LOW_PASS, NOISE, PHASE, SEMITONE, SILENCE)
"""The anchors that are real/real, clip by clip, with something done to each."""

# A half of fewer clips has no distribution to speak of.
LEAST_PER_HALF = 5
LEAST_INSTRUMENTS_PER_HALF = 2
# Where the choice is left to us.
INSTRUMENTS_PER_HALF = 10

Split = Literal["auto", "instrument", "clip"]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Halves:
    """The real sounds, split.

    Attributes:
        reference: What every set is compared with.
        other: What the real/real figure and most anchors are made of.
        by: `instrument`, when no instrument is in both halves, or `clip`.
        says: How they were split, a sentence.
    """

    reference: Clips
    other: Clips
    by: Literal["instrument", "clip"]
    says: str


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Anchor:
    """A set of known quality.

    Attributes:
        name: One of `ANCHORS`.
        clips: Its sounds.
        says: What was done, a sentence.
        remarks: What a reader of its figures should know.
    """

    name: str
    clips: Clips
    says: str
    remarks: tuple[str, ...] = ()


def split_halves(real: Clips, split: Split, seed: int) -> Halves:
    """Two halves of the real sounds, as equal in size as can be.

    By instrument, the instruments go to the smaller half in turn, the largest first, so the seed has no part in it.

    Raises:
        ConfigError: There are too few clips, or too few instruments where halves by instrument were asked for.
    """
    if len(real) < 2 * LEAST_PER_HALF:
        raise ConfigError(
            f"{real.name} has {len(real)} clips; a report takes {2 * LEAST_PER_HALF}, since half of them are the "
            "reference that the other half is compared with"
        )
    instruments = len(set(real.labels.instrument))
    if split == "instrument" and instruments < 2 * LEAST_INSTRUMENTS_PER_HALF:
        raise ConfigError(
            f"{real.name} has {instruments} labelled instruments; halves by instrument take "
            f"{2 * LEAST_INSTRUMENTS_PER_HALF}"
        )
    if split == "instrument" or (split == "auto" and instruments >= 2 * INSTRUMENTS_PER_HALF):
        first, second = _rows_by_instrument(real.labels.instrument)
        if min(len(first), len(second)) >= LEAST_PER_HALF:
            return _by_instrument(real, first, second)
    first, second = rows_by_lot(len(real), seed)
    says = (
        f"The {len(real)} real clips were split by lot: {len(first)} are the reference and {len(second)} stand for a "
        "perfect generator. Both halves have the same instruments."
    )
    return Halves(ChosenClips(real, "reference", first), ChosenClips(real, REAL, second), "clip", says)


def _rows_by_instrument(instruments: Sequence[str]) -> tuple[list[int], list[int]]:
    counts = Counter(instruments)
    halves: tuple[set[str], set[str]] = (set(), set())
    sizes = [0, 0]
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        smaller = 0 if sizes[0] <= sizes[1] else 1
        halves[smaller].add(name)
        sizes[smaller] += counts[name]
    rows = [[row for row, name in enumerate(instruments) if name in half] for half in halves]
    return rows[0], rows[1]


def _by_instrument(real: Clips, first: Sequence[int], second: Sequence[int]) -> Halves:
    reference, other = ChosenClips(real, "reference", first), ChosenClips(real, REAL, second)
    shares = [f"{len(half)} clips of {len(set(half.labels.instrument))}" for half in (reference, other)]
    says = (
        f"The {len(real)} real clips were split by instrument: {shares[0]} instruments are the reference, {shares[1]} "
        "other ones stand for a perfect generator."
    )
    return Halves(reference, other, "instrument", says)


def make_anchors(
    halves: Halves, training: Clips | None, seed: int
) -> tuple[tuple[Anchor, ...], dict[str, str]]:
    """The anchors that these sounds allow, and for each of the rest why it is left out.

    Args:
        halves: The real sounds.
        training: What the generators were trained on; the reference half stands in where it is not given.
        seed: Of noise and of phases.
    """
    other = halves.other
    left_out: dict[str, str] = {}
    anchors = [
        Anchor(
            REAL,
            other,
            "The half of the real sounds that is not the reference.",
            () if training is None else _trained_on(halves, training),
        ),
        *_spoiled(other, seed),
    ]
    if other.sample_rate <= 2.0 * damage.CUTOFF_HZ:
        left_out[LOW_PASS] = (
            f"at {other.sample_rate} Hz there is nothing above {damage.CUTOFF_HZ:g} Hz to take away"
        )
        anchors = [anchor for anchor in anchors if anchor.name != LOW_PASS]
    if len(set(other.labels.instrument)) < 2:
        left_out[ONE_INSTRUMENT] = "the real clips are not labelled with two instruments or more"
    else:
        anchors.append(_collapsed(other))
    anchors.append(_copied(halves, training, seed))
    silence = TransformedClips(other, SILENCE, lambda audio, rows: torch.zeros_like(audio))
    anchors.append(Anchor(SILENCE, silence, "Nothing but zeros."))
    return tuple(anchors), left_out


def _spoiled(other: Clips, seed: int) -> list[Anchor]:
    rate = other.sample_rate
    # A set's name is part of its key, so it has to say all that the effect depends on.
    effects: dict[str, tuple[str, Transform, str]] = {
        LOW_PASS: (
            f"{damage.CUTOFF_HZ:g} Hz",
            lambda audio, rows: damage.low_passed(audio, rate),
            f"Without what lies above {damage.CUTOFF_HZ / 1000:g} kHz.",
        ),
        NOISE: (
            f"{damage.NOISE_SNR_DB:g} dB, seed {seed}",
            lambda audio, rows: damage.noisy(audio, rows, seed),
            f"With white noise {damage.NOISE_SNR_DB:g} dB under each clip.",
        ),
        PHASE: (
            f"{damage.SCRAMBLED_FRAMES}, seed {seed}",
            lambda audio, rows: damage.phase_scrambled(audio, rows, seed),
            "About the same magnitudes in every frame, and unrelated phases.",
        ),
        SEMITONE: (
            "100 cents",
            lambda audio, rows: damage.semitone_up(audio, rate),
            "Every note a semitone higher than its label says.",
        ),
    }
    return [
        Anchor(name, TransformedClips(other, f"{name} ({setting})", effect), says)
        for name, (setting, effect, says) in effects.items()
    ]


def _collapsed(other: Clips) -> Anchor:
    """The clips of the commonest instrument."""
    instruments = other.labels.instrument
    counts = Counter(instruments)
    chosen = min(counts, key=lambda name: (-counts[name], name))
    rows = [row for row, name in enumerate(instruments) if name == chosen]
    says = f"The {_clips(len(rows))} of {chosen}."
    return Anchor(
        ONE_INSTRUMENT, ChosenClips(other, ONE_INSTRUMENT, rows), says, fewer_clips(len(rows), len(other))
    )


def _copied(halves: Halves, training: Clips | None, seed: int) -> Anchor:
    source = halves.reference if training is None else training
    copied = drawn(source, len(halves.other), COPY, seed)
    where = (
        "the reference half, as no training sounds were given" if training is None else "the training sounds"
    )
    return Anchor(
        COPY,
        copied,
        f"{_clips(len(copied))} of {where}, unchanged.",
        fewer_clips(len(copied), len(halves.other)),
    )


def _trained_on(halves: Halves, training: Clips) -> tuple[str, ...]:
    """What it means if the real sounds are among the training sounds."""
    known = {
        half.name: int((own_rows(half, training) >= 0).sum()) for half in (halves.other, halves.reference)
    }
    if not any(known.values()):
        return ()
    counts = [
        f"{known[half.name]} of {len(half)} {half.name} clips" for half in (halves.other, halves.reference)
    ]
    return (
        f"{' and '.join(counts)} are also training sounds, sample by sample: a model may have learned what it is "
        "compared with; where the nearest training sound is looked for, real clips are not compared with themselves",
    )


def fewer_clips(count: int, wanted: int) -> tuple[str, ...]:
    """The remark on a set that has fewer clips than real/real; none where it has as many."""
    if count >= wanted:
        return ()
    return (f"it has {_clips(count)} and {REAL} {wanted}: figures that depend on the number do not compare",)


def _clips(count: int) -> str:
    return f"{count} clip" if count == 1 else f"{count} clips"


def drawn(clips: Clips, most: int, name: str, seed: int) -> Clips:
    """At most so many clips of a set, drawn evenly and in their order."""
    order = torch.randperm(len(clips), generator=random.generator(seed, "drawn", len(clips)))
    return ChosenClips(clips, name, sorted(order[:most].tolist()))
