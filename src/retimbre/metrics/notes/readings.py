"""What a measurement of notes returns: a value per clip, and the clips that have none.

Not every sound has every property. A snare drum has no pitch, silence has no attack, a sine has no overtones whose
stretching could be read. A number for those would be invented, and a NaN would poison the mean of all others. So each
measurement returns `Readings`: the values, and beside them the claim which of them were measured. Statistics are
taken over those, and the count of the others is reported with them.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class Readings:
    """One property of some clips.

    Attributes:
        values: In the unit of the property, float64; 0 where it was not measured, never NaN.
        measured: Which clips have the property.
    """

    values: Float[Tensor, " clips"]
    measured: Bool[Tensor, " clips"]

    @staticmethod
    def of(values: Float[Tensor, " clips"], measured: Bool[Tensor, " clips"]) -> "Readings":
        """Readings of the values that are measured and finite."""
        measured = measured & values.isfinite()
        return Readings(torch.where(measured, values.double(), 0.0).cpu(), measured.cpu())

    @staticmethod
    def joined(parts: "list[Readings]") -> "Readings":
        """The readings of several batches as one."""
        if not parts:
            return Readings(torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.bool))
        return Readings(
            torch.cat([part.values for part in parts]), torch.cat([part.measured for part in parts])
        )

    @property
    def known(self) -> Float[Tensor, " measured"]:
        """The values that were measured."""
        return self.values[self.measured]

    @property
    def num_unmeasured(self) -> int:
        """How many clips lack the property."""
        return int((~self.measured).sum())
