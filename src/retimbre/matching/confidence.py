"""How much to trust a match before listening to it.

placeholder
"""

import dataclasses
import math
from typing import final


BASIS = "not calibrated yet"

@final
@dataclasses.dataclass(frozen=True)
class Confidence:
    """placeholder"""

    value: float
    words: str


def confidence(loss: float, runner_up: float, pitch_confidence: float) -> Confidence:
    value = 1.0 / (1.0 + math.exp((loss - 8.0) / 3.0))
    return Confidence(value, "high" if value > 0.66 else "medium" if value > 0.33 else "low")
