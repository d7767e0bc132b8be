"""The note corpus: numbers in, notes out.

`NotesCorpus` holds nothing but its settings. Note `i` is computed when it is asked for, from the seed, the settings
and `i`, and does not depend on what else is asked for at the same time. So a training run can draw from hundreds of
thousands of notes that are never all anywhere, and two machines that name the same settings have the same corpus.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.random import uniform
from retimbre.corpora.notes.exact import SINE_SCALE, exp2, from_db
from retimbre.corpora.notes.families import FAMILIES, GROUPINGS
from retimbre.corpora.notes.knobs import KNOBS, Knobs, as_rows, draw
from retimbre.corpora.notes.motion import Timing, motion_of
from retimbre.corpora.notes.plan import NoteLabels, NotesSettings, labels_of
from retimbre.corpora.notes.render import NOISE_SAMPLES, Voices, render
from retimbre.corpora.notes.spectra import (
    amplitudes,
    ratios_of,
    table_steps,
    waveforms,
)

HIGHEST_VELOCITY = 127

# Samples rendered at once. On a CPU the buffers of two notes of four seconds stay in its cache; a GPU wants many.
_SAMPLES_AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 22}

_CHUNKS_AT_ONCE = 8  # what is computed once per note has small buffers, so that it is prepared for more

# The peak that the layers may add up to, were they ever in step; what is left is for noise and tremolo.
_HEADROOM = 0.75

# Harmonics that have a character of their own; those above repeat it.
_CHARACTERS = 64

# No two takes of a note are alike: by so much they stray from the instrument's tuning and level.
_TAKE_CENTS = 1.0
_TAKE_DB = 0.75

_NOISE_CENTRES_OCTAVES = (-1.7, -0.2, 1.3, 2.6)  # of the bands, above 1 kHz
_NOISE_SLOPE_DB = 6.0  # per octave away from the middle of an instrument's noise


@final
@dataclasses.dataclass(frozen=True)
class NotesCorpus:
    """All notes of some settings.

    Attributes:
        device: Where notes are rendered. On any CPU the samples are the same to the last bit.
    """

    settings: NotesSettings = dataclasses.field(default_factory=NotesSettings)
    device: str = "cpu"

    def __len__(self) -> int:
        """Notes in the grid."""
        return self.settings.size

    def labels(self, rows: Int[Tensor, " rows"]) -> NoteLabels:
        """What is known of notes.

        Raises:
            ConfigError: A number is not in the grid.
        """
        return labels_of(self.settings, rows.cpu().long())

    def knobs(self, rows: Int[Tensor, " rows"]) -> Knobs:
        """The instruments that play notes.

        Raises:
            ConfigError: A number is not in the grid.
        """
        return _instruments(self.settings, self.labels(rows))

    def instrument_name(self, instrument: int) -> str:
        """The name of an instrument in NSynth's manner, such as `flute_synthetic_007`."""
        family, place = divmod(instrument, self.settings.instruments)
        return f"{self.settings.families[family]}_synthetic_{place:03d}"

    def audio(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows samples"]:
        """The sound of notes, float32 in [-1, 1], on the corpus's device.

        Raises:
            ConfigError: A number is not in the grid.
        """
        labels = self.labels(rows)
        sound = torch.empty(len(rows), self.settings.num_samples, device=self.device)
        steps = _steps_of_pitches(self.settings.sample_rate)[labels.pitch]
        most = _CHUNKS_AT_ONCE * self._at_once
        chunks = [
            chunk
            for num_steps in steps.unique().tolist()
            for chunk in (steps == num_steps).nonzero()[:, 0].split(most)
        ]

        def fill(chunk: Int[Tensor, " chunk"]) -> None:
            voices = _voices(self.settings, _taken(labels, chunk), int(steps[chunk[0]]))
            for piece, place in zip(voices.split(self._at_once), chunk.split(self._at_once), strict=True):
                rendered = render(piece.to(self.device), self.settings.num_samples, self.settings.sample_rate)
                sound[place.to(self.device)] = rendered

        _for_each(chunks, fill, num_threads=torch.get_num_threads() if self.device == "cpu" else 1)
        return sound

    @property
    def _at_once(self) -> int:
        """Notes rendered at once."""
        return max(1, _SAMPLES_AT_ONCE[torch.device(self.device).type] // self.settings.num_samples)


def _for_each(chunks: Sequence[Tensor], fill: Callable[[Tensor], None], *, num_threads: int) -> None:
    """Fills every chunk, several at a time.

    A thread per chunk beats torch's own threads within one operation, which wait for each other after every one of
    a few hundred short operations.
    """
    if num_threads == 1 or len(chunks) < 2:
        for chunk in chunks:
            fill(chunk)
        return
    with ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for done in [pool.submit(fill, chunk) for chunk in chunks]:
            done.result()


def _voices(settings: NotesSettings, labels: NoteLabels, num_steps: int) -> Voices:
    """Everything about notes but their samples."""
    knobs = _instruments(settings, labels)
    grouping = _groupings(settings)[labels.family]
    velocity = labels.velocity.double() / HIGHEST_VELOCITY
    chance = uniform(settings.seed, "notes take", labels.rows, 4)
    cents = knobs.tuning_cents + _TAKE_CENTS * (2 * chance[:, 0] - 1)
    note_hz = 440 * exp2((labels.pitch.double() - 69 + cents / 100) / 12)
    ratio = ratios_of(knobs, grouping)
    layer_hz = note_hz[:, None] * ratio
    character = uniform(settings.seed, "notes harmonics", labels.address, _CHARACTERS)
    character = character.repeat(1, -(-num_steps // 16 // _CHARACTERS))[:, : num_steps // 16]
    whole = amplitudes(knobs, grouping, velocity, layer_hz, 2 * character - 1, settings.sample_rate)
    # The 30th binary digit of a harmonic's character has nothing to do with its size: a coin for its sign.
    negative = (character * 2**30).floor() % 2
    waves = waveforms(whole, negative, num_steps)
    loudness_db = knobs.level_db + _TAKE_DB * (2 * chance[:, 1] - 1)
    gain, rms = _gain(whole, waves, loudness_db)
    soft = from_db(-knobs.velocity_db * (1 - velocity))
    timing = Timing(settings.num_samples, settings.sample_rate, settings.held_share * settings.seconds)
    motion = motion_of(knobs, grouping, labels.pitch, velocity, chance[:, 2], timing)
    speed = layer_hz[..., None] * motion.pitch[:, None, :-1] * (num_steps / settings.sample_rate)
    value = (waves * (gain * soft)[:, None, None]).float()
    return Voices(
        tables=torch.complex(value, value.roll(-1, -1) - value),
        steps_per_sample=(speed * (1 << 20)).round().long(),
        envelopes=motion.layers.float(),
        noise_envelope=motion.noise.float(),
        noise_gain=(_noise_colour(knobs) * (rms * soft)[:, None]).float(),
        noise_start=(chance[:, 3] * NOISE_SAMPLES).long(),
    )


def _gain(
    whole: Float[Tensor, "rows layers harmonics"],
    waves: Float[Tensor, "rows layers steps"],
    loudness_db: Float[Tensor, " rows"],
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """What whole-number waveforms are multiplied by to reach a level, and the RMS that this gives.

    Quieter than asked for where the peak would pass full scale. The sum of squares is one of whole numbers.
    """
    unit_rms = ((whole * whole).sum((1, 2)) / 2).sqrt() * SINE_SCALE
    peak = waves.abs().amax(2).sum(1)
    gain = torch.minimum(from_db(loudness_db) / unit_rms, _HEADROOM / peak)
    return gain, gain * unit_rms


def _noise_colour(knobs: Knobs) -> Float[Tensor, "rows bands"]:
    """Gains of the noise bands: the further from the instrument's middle, the softer."""
    centres = torch.tensor(_NOISE_CENTRES_OCTAVES, dtype=torch.float64)
    return from_db(-_NOISE_SLOPE_DB * (centres - knobs.noise_octaves[:, None]).abs())


def _instruments(settings: NotesSettings, labels: NoteLabels) -> Knobs:
    unit = uniform(settings.seed, "notes instrument", labels.address, len(KNOBS))
    return draw(_family_ranges(settings)[labels.family], unit)


@functools.lru_cache(maxsize=8)
def _family_ranges(settings: NotesSettings) -> Float[Tensor, "families knobs 3"]:
    return torch.stack([as_rows(FAMILIES[name].all_ranges) for name in settings.families])


@functools.lru_cache(maxsize=8)
def _groupings(settings: NotesSettings) -> Int[Tensor, " families"]:
    return torch.tensor([GROUPINGS.index(FAMILIES[name].grouping) for name in settings.families])


@functools.lru_cache(maxsize=8)
def _steps_of_pitches(sample_rate: int) -> Int[Tensor, " pitches"]:
    """Length of the tables for each MIDI pitch, with room for tuning."""
    return torch.tensor(
        [table_steps(440 * 2 ** ((pitch - 69) / 12) * 0.99, sample_rate) for pitch in range(128)]
    )


def _taken(labels: NoteLabels, part: Int[Tensor, " part"]) -> NoteLabels:
    columns = {field.name: getattr(labels, field.name)[part] for field in dataclasses.fields(labels)}
    return NoteLabels(**columns)
