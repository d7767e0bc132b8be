"""The note corpus as a source of notes to write."""

import dataclasses
from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.config import dump
from retimbre.corpora.catalog import CORPORA
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.knobs import Knobs
from retimbre.corpora.nsynth.layout import PARTS, NoteEntry, NoteSource

# From where on an instrument is said to have one of NSynth's qualities. NSynth's own were given by listeners.
_BRIGHT_DB, _DARK_DB = -6.0, -12.0  # slope per octave
_PERCUSSIVE_DB = -20.0  # level of the stroke against the tone
_FAST_DECAY_S, _LITTLE_AFTERSOUND = 0.2, 0.5
_LONG_RELEASE_S = 0.15  # half-life: 20 dB in half a second

_SOURCE = "synthetic"


@final
@dataclasses.dataclass(frozen=True)
class ProceduralNotes(NoteSource):
    """The notes of a `NotesCorpus`."""

    corpus: NotesCorpus

    @property
    def sample_rate(self) -> int:
        """In hertz."""
        return self.corpus.settings.sample_rate

    @property
    def num_samples(self) -> int:
        """Of a note."""
        return self.corpus.settings.num_samples

    @property
    def about(self) -> dict[str, Any]:
        """What makes the corpus what it is; the device is no part of it."""
        entry = CORPORA["notes"]
        return {
            "corpus": "notes",
            "licence": entry.licence,
            "citation": entry.citation,
            "settings": dump(self.corpus.settings),
        }

    def entries(self, rows: range) -> list[NoteEntry]:
        """What is known of notes."""
        numbers = torch.arange(rows.start, rows.stop)
        labels = self.corpus.labels(numbers)
        qualities = _qualities(self.corpus.knobs(numbers))
        columns = (labels.instrument, labels.family, labels.pitch, labels.velocity, labels.part)
        return [
            NoteEntry(
                number=row,
                instrument=instrument,
                instrument_name=self.corpus.instrument_name(instrument),
                family=self.corpus.settings.families[family],
                source=_SOURCE,
                pitch=pitch,
                velocity=velocity,
                qualities=tuple(name for name, has in qualities.items() if has[place]),
                part=PARTS[part],
            )
            for place, (row, instrument, family, pitch, velocity, part) in enumerate(
                zip(rows, *(column.tolist() for column in columns), strict=True)
            )
        ]

    def audio(self, rows: Sequence[int]) -> Float[Tensor, "rows samples"]:
        """Their sounds, in [-1, 1]."""
        return self.corpus.audio(torch.tensor(rows))


def _qualities(knobs: Knobs) -> dict[str, list[bool]]:
    """NSynth's qualities as far as the knobs tell them."""
    claims = {
        "bright": knobs.tilt_db > _BRIGHT_DB,
        "dark": knobs.tilt_db < _DARK_DB,
        "fast_decay": (knobs.decay_s < _FAST_DECAY_S) & (knobs.aftersound < _LITTLE_AFTERSOUND),
        "long_release": knobs.release_s > _LONG_RELEASE_S,
        "percussive": knobs.strike_db > _PERCUSSIVE_DB,
    }
    return {name: claim.tolist() for name, claim in claims.items()}
