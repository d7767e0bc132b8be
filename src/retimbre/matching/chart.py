"""The map that a search moves on: the knobs that turn, the pitch and the gate, each as a number from 0 to 1.

Named choices are left out: they have no order, so they are kept, or bred (see `search`). Pitch runs in octaves
around the pitch that was heard, half a semitone either way where it is sure and two octaves otherwise; the gate
runs in octaves up to the end of the sound.
"""

import dataclasses
import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.matching.propose import SURE_OF_PITCH, NoteHint, Proposals
from retimbre.synth.parameters import Choice, ParameterSpace

# A pitch that is sure may be off by this many octaves: half a semitone, the error of a detuned instrument.
_SURE_OCTAVES = 0.5 / 12
_UNSURE_OCTAVES = 1.0

# The shortest gate searched, in seconds: a tap on the key.
SHORTEST_GATE_S = 0.01


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Chart:
    """Search points, `[batch, ordered knobs + 2]` in the unit cube, and the proposals they stand for.

    Attributes:
        ordered: The columns of the unit cube that belong to knobs with an order.
        octaves: How far the pitch may be moved, up or down.
        longest_gate_s: The end of the sound.
    """

    ordered: Int[Tensor, " ordered"]
    octaves: float
    longest_gate_s: float

    @classmethod
    def of(cls, space: ParameterSpace, hint: NoteHint) -> "Chart":
        """The map of a synthesizer's knobs for one target."""
        columns: list[int] = []
        start = 0
        for parameter in space.searched:
            if not isinstance(parameter, Choice):
                columns.append(start)
            start += parameter.width
        octaves = _SURE_OCTAVES if hint.confidence >= SURE_OF_PITCH else _UNSURE_OCTAVES
        return cls(torch.tensor(columns, dtype=torch.int64), octaves, max(hint.seconds, 2 * SHORTEST_GATE_S))

    def points(self, proposals: Proposals) -> Float[Tensor, "batch columns"]:
        """Where proposals lie, each around its own pitch."""
        gate = torch.log(proposals.gate_s.clamp(SHORTEST_GATE_S) / SHORTEST_GATE_S) / self._gate_span
        middle = torch.full_like(gate, 0.5)
        return torch.cat([proposals.unit[:, self.ordered], torch.stack([middle, gate], dim=1)], dim=1).clamp(
            0.0, 1.0
        )

    def proposals(self, points: Float[Tensor, "batch columns"], around: Proposals) -> Proposals:
        """The proposals at some points, with the choices of another, and pitches around its pitch."""
        unit = around.unit.expand(len(points), -1).clone()
        unit[:, self.ordered] = points[:, :-2]
        pitch_hz = around.pitch_hz * torch.exp2(self.octaves * (2.0 * points[:, -2] - 1.0))
        gate_s = SHORTEST_GATE_S * torch.exp(points[:, -1] * self._gate_span)
        return Proposals(unit, pitch_hz, gate_s)

    @property
    def _gate_span(self) -> float:
        return math.log(self.longest_gate_s / SHORTEST_GATE_S)
