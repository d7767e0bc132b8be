"""The readings of a set of notes: every measure of `metrics.notes`, clip by clip, in one pass over the sounds.

    clips -> batches -> pitch -> envelope -> attack, decay, error
                          |        '------> inharmonicity
                          '---------------> phase coherence
                     -> timbre ----(all clips)----> consistency

The pitch is found first, since the window of the envelope and the places of the overtones follow from it. It is the
pitch that is heard, not the label: a note that is out of tune has an attack as well. Only a few numbers per clip stay
in memory. The comparison with training sounds is a pass of its own (`nearest_training`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.listening.base import Embedder
from retimbre.metrics.distances.neighbours import nearest_distance
from retimbre.metrics.distances.profiles import Framing
from retimbre.metrics.notes.coherence import phase_coherence
from retimbre.metrics.notes.consistency import timbral_consistency, timbre_vectors
from retimbre.metrics.notes.copies import NearestWaveforms, nearest_waveforms
from retimbre.metrics.notes.envelope import (
    attack_time,
    decay_slope,
    energy_envelope,
    envelope_error_db,
    log_attack_time,
)
from retimbre.metrics.notes.partials import inharmonicity
from retimbre.metrics.notes.pitch import fundamentals, pitch_errors
from retimbre.metrics.notes.readings import Readings
from retimbre.workflows.evaluation.sets.cache import VectorCache
from retimbre.workflows.evaluation.sets.clips import Clips
from retimbre.workflows.evaluation.sets.embed import NO_CACHE, embedded

Progress = Callable[[int, int], None]
"""Told how many clips are measured, of how many."""

# Clips measured at once hold 4 MiB in float64, and their spectra and grids some times that.
_SAMPLES_AT_ONCE = 1 << 19

# Waveforms correlated at once: their spectra take a quarter of a GiB.
_WAVEFORM_SAMPLES_AT_ONCE = 1 << 23

_MOST_CLIPS_AT_ONCE = 512


def ignore(done: int, total: int) -> None:
    """The progress that nobody looks at."""


def partners(clips: Clips, reference: Clips | None) -> dict[int, int]:
    """Which reference clip has the same file name, whatever its folder and ending, by the number of the clip.

    Names that come more than once in the reference belong to nobody.
    """
    if reference is None:
        return {}
    stems = [Path(name).stem for name in reference.names]
    count = Counter(stems)
    rows = {stem: row for row, stem in enumerate(stems) if count[stem] == 1}
    return {row: rows[Path(name).stem] for row, name in enumerate(clips.names) if Path(name).stem in rows}


def read_notes(
    clips: Clips, reference: Clips | None = None, progress: Progress = ignore
) -> dict[str, Readings]:
    """Reads every measure that needs no training sounds, by name; only those that the set has labels for.

    Beside the measures of the catalog there are `pitch_hz`, the fundamental that was heard, and `pitch_cents`, its
    signed error.

    Args:
        clips: The notes.
        reference: Real notes; those with the names of clips lend them an envelope to be compared with.
        progress: Told of every batch.

    Raises:
        ConfigError: The reference is at another rate.
    """
    if reference is not None and reference.sample_rate != clips.sample_rate:
        raise ConfigError(
            f"{reference.name} is at {reference.sample_rate} Hz, {clips.name} at {clips.sample_rate} Hz; "
            "notes are compared at one rate"
        )
    paired = partners(clips, reference)
    parts: dict[str, list[Readings]] = {}
    timbres: list[Tensor] = []
    for rows in _blocks(len(clips), _SAMPLES_AT_ONCE // max(clips.num_samples, 1)):
        found, timbre = _read_batch(clips.audio(rows), clips.sample_rate)
        if reference is not None and paired:
            found["envelope_error"] = _envelope_errors(clips, rows, reference, paired)
        for name, readings in found.items():
            parts.setdefault(name, []).append(readings)
        timbres.append(timbre)
        progress(rows[-1] + 1, len(clips))
    columns = {name: Readings.joined(some) for name, some in parts.items()}
    sounding = columns.pop("sounding")
    columns |= _pitches(columns["pitch_hz"], clips.labels.pitch)
    columns["log_attack_time"] = log_attack_time(columns["attack_time"])
    if clips.labels.instrument:
        columns["timbral_consistency"] = _consistency(clips, torch.cat(timbres), sounding)
    return columns


def _pitches(pitch_hz: Readings, keys: Sequence[int]) -> dict[str, Readings]:
    """What the fundamentals say, beside the keys if these are known."""
    midi = torch.tensor(list(keys) or [0] * len(pitch_hz.values), dtype=torch.float64)
    errors = pitch_errors(pitch_hz, midi)
    unpitched = {"pitch_unpitched": errors.unpitched}
    if not keys:
        return unpitched
    return unpitched | {
        "pitch_cents": errors.cents,
        "pitch_error": Readings.of(errors.cents.values.abs(), errors.cents.measured),
        "pitch_in_tune": errors.in_tune,
        "pitch_octave_errors": errors.octave,
    }


def own_rows(clips: Clips, training: Clips) -> Int[Tensor, " clips"]:
    """Which training clip each clip itself is, sample by sample; -1 for one that is none.

    Real notes that were trained on have to be passed over where real notes say how near new ones come.
    """
    if clips.key == training.key:
        return torch.arange(len(clips))
    rows = {digest: row for row, digest in enumerate(training.about.digests)}
    digests = clips.about.digests or ("",) * len(clips)
    return torch.tensor([rows.get(digest, -1) for digest in digests])


def nearest_training(
    clips: Clips,
    training: Clips,
    progress: Progress = ignore,
    *,
    own: Int[Tensor, " clips"] | None = None,
) -> NearestWaveforms:
    """The nearest waveform of a training set for each clip.

    Args:
        clips: The notes, or real notes.
        training: What was trained on.
        progress: Told of every block.
        own: For real notes, the training clip that each is itself, which is passed over; see `own_rows`.

    Raises:
        ConfigError: The sets differ in rate or length.
    """
    if (clips.sample_rate, clips.num_samples) != (training.sample_rate, training.num_samples):
        raise ConfigError(
            f"{clips.name} has clips of {clips.num_samples} samples at {clips.sample_rate} Hz, {training.name} of "
            f"{training.num_samples} at {training.sample_rate} Hz; copies are looked for at one rate and length"
        )
    at_once = _WAVEFORM_SAMPLES_AT_ONCE // clips.num_samples
    found: list[NearestWaveforms] = []
    for rows in _blocks(len(clips), at_once):
        passed_over = None if own is None else own[list(rows)]
        blocks = (training.audio(some) for some in _blocks(len(training), at_once))
        found.append(nearest_waveforms(clips.audio(rows), blocks, own=passed_over))
        progress(rows[-1] + 1, len(clips))
    return NearestWaveforms(
        Readings.joined([part.distance for part in found]), torch.cat([part.index for part in found])
    )


def training_distance(
    clips: Clips,
    training: Clips,
    embedder: Embedder,
    *,
    own: Int[Tensor, " clips"] | None = None,
    cache: VectorCache = NO_CACHE,
) -> Readings:
    """The distance of each clip to its nearest training clip in an embedding of whole clips.

    Clips that are training clips themselves, by `own`, have none. Vectors are kept in the cache.
    """
    whole = Framing()
    vectors = embedded(clips, embedder, whole, cache)
    distance = nearest_distance(vectors, embedded(training, embedder, whole, cache))
    new = torch.ones(len(clips), dtype=torch.bool) if own is None else own < 0
    return Readings.of(distance, new)


def _read_batch(
    audio: Float[Tensor, "clips samples"], sample_rate: int
) -> tuple[dict[str, Readings], Tensor]:
    """The readings of some clips, and their timbre."""
    pitch_hz = fundamentals(audio, sample_rate)
    envelope = energy_envelope(audio, sample_rate, pitch_hz.values)
    timbre, sounding = timbre_vectors(audio, sample_rate)
    readings = {
        "pitch_hz": pitch_hz,
        "sounding": sounding,
        "attack_time": attack_time(envelope),
        "decay_slope": decay_slope(envelope),
        "inharmonicity": inharmonicity(audio, envelope, pitch_hz),
        "phase_coherence": phase_coherence(audio, sample_rate, pitch_hz),
    }
    return readings, timbre


def _envelope_errors(clips: Clips, rows: Sequence[int], reference: Clips, paired: dict[int, int]) -> Readings:
    """The envelope error of the clips that have a partner, through the windows that the partner's pitch asks for."""
    values = torch.zeros(len(rows), dtype=torch.float64)
    measured = torch.zeros(len(rows), dtype=torch.bool)
    having = [place for place, row in enumerate(rows) if row in paired]
    if not having:
        return Readings.of(values, measured)
    num_samples = min(clips.num_samples, reference.num_samples)
    estimate = clips.audio([rows[place] for place in having])[:, :num_samples]
    target = reference.audio([paired[rows[place]] for place in having])[:, :num_samples]
    pitch_hz = fundamentals(target, reference.sample_rate).values
    envelopes = [energy_envelope(audio, clips.sample_rate, pitch_hz).power for audio in (estimate, target)]
    errors_db = envelope_error_db(*envelopes)
    values[having], measured[having] = errors_db.values, errors_db.measured
    return Readings.of(values, measured)


def _consistency(clips: Clips, timbres: Float[Tensor, "clips dim"], sounding: Readings) -> Readings:
    """The consistency of the clips that sound; silence has no timbre to be consistent with."""
    rows = sounding.measured.nonzero()[:, 0].tolist()
    labels = clips.labels.chosen(rows)
    among = timbral_consistency(timbres[rows], labels.instrument, labels.pitch)
    values = torch.zeros(len(clips), dtype=torch.float64)
    measured = torch.zeros(len(clips), dtype=torch.bool)
    values[rows], measured[rows] = among.values, among.measured
    return Readings.of(values, measured)


def _blocks(num_clips: int, at_once: int) -> Iterator[range]:
    at_once = min(max(at_once, 1), _MOST_CLIPS_AT_ONCE)
    return (range(start, min(start + at_once, num_clips)) for start in range(0, num_clips, at_once))
