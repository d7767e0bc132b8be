"""Student's distribution: how far a mean of few figures may lie from the truth.

A mean divided by its estimated standard error would be normal if the error were known. It is estimated from the same
few figures, which makes large values likelier: that is Student's distribution, with as many degrees of freedom as
there are figures to estimate the error from, less one. For whole degrees it has a closed form, a short sum of cosines.
"""

import math


def student_reach(confidence: float, degrees: int) -> float:
    """How many standard errors either side of a mean hold a share of Student's distribution.

    References:
        Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 1e3
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if student_share(middle, degrees) < confidence else (low, middle)
    return high


def student_share(reach: float, degrees: int) -> float:
    """The share of Student's distribution within a reach, in standard errors, of its centre."""
    angle = math.atan(reach / math.sqrt(degrees))
    odd = degrees % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for power in range(1 + odd, degrees, 2):
        total += term
        term *= math.cos(angle) ** 2 * power / (power + 1)
    return (angle + math.sin(angle) * total) * 2 / math.pi if odd else math.sin(angle) * total
