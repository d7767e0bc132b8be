"""A patch played by many keys: notes in time to one sound.

Each note is the patch rendered at the note's own pitch, velocity and gate, and added to the sound where it begins.
Four things make this exact, fast and free of clicks:

- *Onsets are samples.* A time in seconds becomes a sample once, as round(t x rate), halves to the even neighbour;
  the note's first sample lands there. A gate is rounded likewise. Nothing is faded in, so no onset moves.
- *Notes ring.* A note lasts from its onset through its gate and as long again as the patch sounds after key-up, which
  is measured on a few of the notes (`_ring_samples`). What would sound on (a voice without an envelope) is faded out
  over its last 5 %, as are the notes of patches with curves; every other note is added as it is.
- *Equal notes are rendered once*, however often they are played, and the others in batches of about equal length, so
  that an hour of music takes the memory of its own samples and little more.
- *The peak is 0.7* in the end: one gain for the whole, so that loud passages stay loud and nothing clips.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, RetimbreError
from retimbre.dsp.level import fade_out, peak
from retimbre.synth.base import CHUNK_SAMPLES, Note, Synth
from retimbre.synth.parameters import Knobs
from retimbre.synth.patches import Patch, check_patch, patch_knobs, synth_at_rate

MELODY_PEAK = 0.7

# The longest sound that is made: 2^28 samples are a gibibyte, and 101 minutes at 44.1 kHz.
MOST_SAMPLES = 1 << 28

# How long a key is held at most; a key that hangs would otherwise take the memory of some thirty signals of its length.
LONGEST_GATE_S = 60.0

# After key-up a patch is listened to for this long; one that sounds on is taken for a voice that never ends.
_LONGEST_RING_S = 10.0

# A note has died away where it stays this far under its largest sample: -80 dB, where hearing beside music ends.
_DEAD = 1e-4

# A note that is cut where it is at more than this share of its largest sample would click: -60 dB.
_CLICKS = 1e-3
_END_S = (
    0.005  # how much of it is looked at there: half a period of 100 Hz, since a sample may be a zero crossing
)
_FADED = 0.05  # the share of it that is faded out


@final
@dataclasses.dataclass(frozen=True)
class KeyPress:
    """One note of a melody.

    Attributes:
        onset_s: When the key goes down, from the start of the sound.
        gate_s: How long it is held.
        pitch_hz: The frequency of the key.
        velocity: How hard, 0 to 1.
    """

    onset_s: float
    gate_s: float
    pitch_hz: float
    velocity: float


@final
@dataclasses.dataclass(frozen=True, order=True)
class _Key:
    """What makes a note sound as it does; notes with equal keys are rendered once."""

    gate_samples: int
    pitch_hz: float
    velocity: float


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Voice:
    """A patch ready to be played at any key.

    Attributes:
        knobs: A batch of one.
        ring_samples: How long a note sounds after key-up.
        whole_samples: The length of every note, if the patch has curves: they run over the patch's own length,
            whatever the gate. 0 if it has none.
    """

    synth: Synth
    knobs: Knobs
    noise_seed: int
    whole_samples: int
    ring_samples: int = 0

    @classmethod
    def of(cls, patch: Patch) -> "_Voice":
        check_patch(patch)
        synth = synth_at_rate(patch.synth, patch.sample_rate)
        has_curves = any(isinstance(setting, tuple) for setting in patch.knobs.values())
        knobs = patch_knobs(patch, synth)
        return cls(synth, knobs, patch.note.noise_seed, patch.num_samples if has_curves else 0)

    def num_samples(self, key: _Key) -> int:
        """How long a note lasts."""
        return self.whole_samples or key.gate_samples + self.ring_samples

    @torch.no_grad()
    def render(self, keys: Sequence[_Key], num_samples: int) -> Float[Tensor, "keys samples"]:
        """Notes, all of one length."""
        note = Note(
            pitch_hz=torch.tensor([key.pitch_hz for key in keys]),
            velocity=torch.tensor([key.velocity for key in keys]),
            gate_s=torch.tensor([key.gate_samples / self.synth.sample_rate for key in keys]),
            noise_seed=torch.full((len(keys),), self.noise_seed, dtype=torch.int64),
        )
        knobs = {name: knob.expand(len(keys), *knob.shape[1:]) for name, knob in self.knobs.items()}
        audio = self.synth.render(knobs, note, num_samples=num_samples)
        if not bool(audio.isfinite().all()):
            raise RetimbreError(
                f"{self.synth.name} made samples that are not numbers; please report this patch"
            )
        return audio


def render_melody(patch: Patch, presses: Sequence[KeyPress]) -> Float[Tensor, " samples"]:
    """Plays a patch at each key, with a peak of `MELODY_PEAK`; a silent patch stays silent.

    The patch gives the knobs, the rate and the noise. Its own note and gain do not matter, nor does its length unless
    it has curves, which run over that length in every note. The sound ends with the last note's ring.

    Raises:
        PatchError: The patch does not fit its synthesizer.
        ConfigError: There are no notes, or one is not playable, or the sound would be longer than `MOST_SAMPLES`.
    """
    voice = _Voice.of(patch)
    onsets = _onsets_by_key(presses, patch.sample_rate)
    voice = dataclasses.replace(voice, ring_samples=_longest_ring(voice, list(onsets)))
    length = max(max(starts) + voice.num_samples(key) for key, starts in onsets.items())
    if length > MOST_SAMPLES:
        raise ConfigError(
            f"the melody lasts {length / patch.sample_rate / 60:.0f} minutes, but at {patch.sample_rate} Hz takes"
            f" at most {MOST_SAMPLES / patch.sample_rate / 60:.0f}"
        )
    sound = torch.zeros(max(length, 1))
    for key, note in _notes(voice, sorted(onsets)):
        for start in onsets[key]:
            sound[start : start + len(note)] += note
    largest = float(peak(sound))
    return sound.mul_(MELODY_PEAK / largest) if largest > 0 else sound


def onset_sample(onset_s: float, sample_rate: int) -> int:
    """The sample at which a note begins: the nearest one, halves to the even neighbour."""
    return round(onset_s * sample_rate)


def _onsets_by_key(presses: Sequence[KeyPress], sample_rate: int) -> Mapping[_Key, list[int]]:
    """The notes that differ in sound, each with the samples at which it begins."""
    if not presses:
        raise ConfigError("a melody takes one note at least")
    onsets: dict[_Key, list[int]] = defaultdict(list)
    for press in presses:
        _check(press, sample_rate)
        gate_samples = round(press.gate_s * sample_rate)
        onsets[_Key(gate_samples, press.pitch_hz, press.velocity)].append(
            onset_sample(press.onset_s, sample_rate)
        )
    return onsets


def _check(press: KeyPress, sample_rate: int) -> None:
    limits = {
        "onset_s": (press.onset_s, 0.0, MOST_SAMPLES / sample_rate),
        "gate_s": (press.gate_s, 0.0, LONGEST_GATE_S),
        "velocity": (press.velocity, 0.0, 1.0),
    }
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise ConfigError(f"a note's {name} is {value:g}, but takes {low:g} to {high:g}")
    if not 0.0 < press.pitch_hz < float("inf"):
        raise ConfigError(f"a note's pitch_hz is {press.pitch_hz:g}, but takes more than 0")


def _longest_ring(voice: _Voice, keys: Sequence[_Key]) -> int:
    """How long notes ring: the longest of those with the extreme gates and pitches; 0 for a voice that never ends."""
    if voice.whole_samples:
        return 0
    corners = {
        extreme(keys, key=order)
        for extreme in (min, max)
        for order in (lambda key: key, lambda key: (key.pitch_hz, key))
    }
    rings = [_ring_samples(voice, key) for key in sorted(corners)]
    return 0 if None in rings else max(ring for ring in rings if ring is not None)


def _ring_samples(voice: _Voice, key: _Key) -> int | None:
    """How long a note sounds after key-up; None if there is no end to it."""
    listened = round(_LONGEST_RING_S * voice.synth.sample_rate)
    audio = voice.render([key], key.gate_samples + listened)[0].abs()
    sounding = torch.nonzero(audio > _DEAD * audio.max()).flatten()
    if len(sounding) == 0:
        return 0
    after = int(sounding[-1]) + 1 - key.gate_samples
    return None if after > 0.9 * listened else max(after, 0)


def _notes(voice: _Voice, keys: Sequence[_Key]) -> Iterator[tuple[_Key, Float[Tensor, " samples"]]]:
    """The notes one by one, in the order of their keys, which is that of their lengths; rendered many at a time."""
    start = 0
    while start < len(keys):
        stop = start + 1
        while (
            stop < len(keys) and (stop + 1 - start) * max(1, voice.num_samples(keys[stop])) <= CHUNK_SAMPLES
        ):
            stop += 1
        batch = keys[start:stop]
        end = _end_samples(voice)
        audio = voice.render(batch, max(1, voice.num_samples(batch[-1]) + end))
        for row, key in enumerate(batch):
            yield key, _ended(audio[row], voice.num_samples(key), end)
        start = stop


def _end_samples(voice: _Voice) -> int:
    """How much more than a note is rendered, to hear whether it goes on; none of a curve, which would be stretched."""
    return 0 if voice.whole_samples else round(_END_S * voice.synth.sample_rate)


def _ended(
    audio: Float[Tensor, " rendered"], num_samples: int, end_samples: int
) -> Float[Tensor, " samples"]:
    """The first samples of a rendering, faded out if it goes on after them, or if that cannot be heard."""
    note = audio[:num_samples]
    if num_samples == 0:
        return note
    goes_on = (
        peak(audio[num_samples : num_samples + end_samples]) > _CLICKS * peak(note) if end_samples else True
    )
    return fade_out(note, fraction=_FADED) if goes_on else note
