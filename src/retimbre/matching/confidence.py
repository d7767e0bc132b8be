"""How much to trust a match before listening to it.

What a search ends with is a loss, and a loss means little to a listener. So it is translated: over recorded sounds
whose matches were measured, the share that came within `NEAR_DB` of the original was fitted as a logistic function
of two things that are known without listening, the loss and how sure the pitch was. A confidence of 0.8 says that
of matches like this, about eight in ten came that near.

It is a probability, from 0 to 1, and it is checked as forecasts of the weather are: on sounds that the fit has not
seen, of the matches given about 0.3 about three in ten must have come near (benchmarks/confidence.py). It is a
statement about distance, not about taste: a near match of a noisy drum may still miss what makes it that drum.
"""

import dataclasses
import hashlib
import math
from typing import final

# Two strikes of one recorded key at different loudness are 3 dB MSS apart in the mean.
NEAR_DB = 4.0

# The odds are exp(offset + loss * per_loss + pitch confidence * per_pitch): maximum likelihood over the matches of the
# sounds for which `is_fitted_on`, by `subtractive` at no budget and at 400 renderings (benchmarks/match.py). The search
# has changed since; the constants stay while they are calibrated on the other sounds.
_OFFSET = 7.07
_PER_LOSS = -1.01
_PER_PITCH = 1.94

BASIS = (
    "the share of such matches that came within 4 dB MSS of the original, fitted on 24 recorded sounds; "
    "on 40 others 36 % was stated and 38 % came so near, with 67 % less squared error than always saying 38 %"
)


@final
@dataclasses.dataclass(frozen=True)
class Confidence:
    """A number from 0 to 1 and a word for it."""

    value: float
    words: str


def confidence(search_loss: float, pitch_confidence: float) -> Confidence:
    """The confidence in the best candidate of a match.

    Args:
        search_loss: The loss of the best candidate at the search's rate.
        pitch_confidence: How sure the pitch of the target was, 0 to 1.
    """
    odds = _OFFSET + _PER_LOSS * search_loss + _PER_PITCH * pitch_confidence
    value = 1.0 / (1.0 + math.exp(-min(max(odds, -50.0), 50.0)))
    return Confidence(value, "high" if value >= 0.7 else "medium" if value >= 0.3 else "low")


def is_fitted_on(name: str) -> bool:
    """Whether a sound of the calibration set, by its file's name, served the fit; the others tested it."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0
