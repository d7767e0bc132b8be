"""Where a search begins: many complete guesses at a patch and at the key that was pressed.

A proposal is a point of the unit cube together with a note: the pitch that is played and how long the key is held.
A network that was trained to invert the synthesizer proposes points that its reading of the target makes likely; a
part of the pool is always drawn evenly over all patches, since a network is surest where it is most wrong: on
sounds unlike those it was trained on.

The note comes from the target's own pitch and length. In the voices whose pitch is a knob (`OSCILLATORS`) the key
transposes: it is chosen such that the loudest oscillator of each proposal lands on the pitch that was heard.
"""

import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.matching.inverter import Inverter
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note
from retimbre.synth.parameters import Knobs, ParameterSpace

# For each voice whose pitch is a knob, the frequency and the amplitude knob of every oscillator. An empty amplitude
# stands for full.
OSCILLATORS: dict[str, tuple[tuple[str, str], ...]] = {
    "two-sine": (("f1", "a1"), ("f2", "a2")),
    "fm": (("C", ""),),
    "fm4": tuple((f"f{index}", f"A{index}") for index in range(1, 5)),
    "inversynth": tuple((f"f_{wave}", f"A_{wave}") for wave in ("sin", "saw", "tri", "sqr")),
}

# Keys outside this range are not tried: the lowest key of a piano, and the pitch up to which a note can be told.
LOWEST_HZ, HIGHEST_HZ = 27.5, 4_186.0

# Keys that a transposing voice may need: its oscillators stand up to two octaves over their key or under it.
_LOWEST_KEY_HZ, _HIGHEST_KEY_HZ = 5.0, 18_000.0

# Below this confidence a pitch is one guess among others.
SURE_OF_PITCH = 0.6


@final
@dataclasses.dataclass(frozen=True)
class NoteHint:
    """What is known of the key press behind a sound.

    Attributes:
        pitch_hz: The fundamental frequency heard, in Hz.
        confidence: How much to trust it, 0 to 1; 1 for a pitch that the user gave.
        gate_s: The estimate of how long the key was held, in seconds.
        seconds: Length of the sound.
    """

    pitch_hz: float
    confidence: float
    gate_s: float
    seconds: float


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Proposals:
    """Some patches and the notes they are played at.

    Attributes:
        unit: The searched knobs as points of the unit cube.
        pitch_hz: The key, in Hz.
        gate_s: How long it is held, in seconds.
    """

    unit: Float[Tensor, "batch width"]
    pitch_hz: Float[Tensor, " batch"]
    gate_s: Float[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.unit)

    def __getitem__(self, items: slice | Int[Tensor, " picked"]) -> "Proposals":
        return Proposals(self.unit[items], self.pitch_hz[items], self.gate_s[items])

    def note(self) -> Note:
        """The notes as a synthesizer takes them: at full velocity, since the level is matched afterwards."""
        none = torch.zeros(len(self), dtype=torch.int64)
        return Note(self.pitch_hz, torch.ones_like(self.pitch_hz), self.gate_s, none)


def joined(*parts: Proposals) -> Proposals:
    """The proposals of several pools as one."""
    return Proposals(
        torch.cat([part.unit for part in parts]),
        torch.cat([part.pitch_hz for part in parts]),
        torch.cat([part.gate_s for part in parts]),
    )


def even_pool(
    synth: str, space: ParameterSpace, hint: NoteHint, count: int, generator: torch.Generator
) -> Proposals:
    """Proposals spread evenly over all patches of a synthesizer."""
    uniform = torch.rand(count, len(space.searched), generator=generator)
    return with_notes(synth, space, space.draw_unit(uniform), hint, generator)


def network_pool(
    inverter: Inverter,
    heard: Float[Tensor, " samples"],
    hint: NoteHint,
    count: int,
    generator: torch.Generator,
) -> Proposals:
    """Proposals drawn from a network that has listened to the target.

    Args:
        heard: The target at the network's rate and of its length.
    """
    note = Note.of(1, pitch_hz=hint.pitch_hz, gate_s=hint.gate_s)
    unit = inverter.propose(heard[None], note, count, generator=generator)
    return with_notes(inverter.config.synth, inverter.space, unit, hint, generator)


def with_notes(
    synth: str,
    space: ParameterSpace,
    unit: Float[Tensor, "batch width"],
    hint: NoteHint,
    generator: torch.Generator,
) -> Proposals:
    """Points of the unit cube with notes that suit the target.

    The first proposal gets the likeliest note; others get it too, or, where the pitch is not sure, some other key.
    Gates vary by up to a third around the estimate, since the end of a note is hard to hear.
    """
    count = len(unit)
    pitch_hz = _pitches(hint, count, generator)
    transposing = OSCILLATORS.get(synth)
    if transposing:
        loudest_hz = loudest_oscillator_hz(space.from_unit(unit), transposing)
        pitch_hz = pitch_hz * REFERENCE_PITCH_HZ / loudest_hz
    stretch = torch.exp((torch.rand(count, generator=generator) - 0.5) * 2.0 * math.log(4.0 / 3.0))
    stretch[:1] = 1.0
    gate_s = (hint.gate_s * stretch).clamp(max=hint.seconds)
    return Proposals(unit, pitch_hz.clamp(_LOWEST_KEY_HZ, _HIGHEST_KEY_HZ), gate_s)


def loudest_oscillator_hz(knobs: Knobs, oscillators: tuple[tuple[str, str], ...]) -> Float[Tensor, " batch"]:
    """The frequency, at the reference note, of each patch's loudest oscillator; the lowest of equally loud ones."""
    frequency = torch.stack([knobs[name] for name, _ in oscillators], dim=1)
    ones = torch.ones_like(frequency[:, 0])
    loudness = torch.stack([knobs[name] if name else ones for _, name in oscillators], dim=1)
    loudest = loudness >= loudness.amax(dim=1, keepdim=True)
    return torch.where(loudest, frequency, torch.inf).amin(dim=1)


def _pitches(hint: NoteHint, count: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
    """The pitch heard; if that is not sure, for most proposals an octave of it or any key, evenly over the keyboard."""
    heard = torch.full((count,), hint.pitch_hz)
    kind = torch.rand(count, generator=generator)
    octave = heard * torch.exp2(torch.randint(-1, 2, (count,), generator=generator).float())
    span = math.log(HIGHEST_HZ / LOWEST_HZ)
    anything = LOWEST_HZ * torch.exp(torch.rand(count, generator=generator) * span)
    kind[:1] = 0.0
    if hint.confidence >= SURE_OF_PITCH:
        return torch.where(kind < 0.9, heard, octave)
    return torch.where(kind < 0.4, heard, torch.where(kind < 0.55, octave, anything))
