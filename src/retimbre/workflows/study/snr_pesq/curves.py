"""From single figures to curves: PESQ over SNR for every channel of every representation, and how sure it is.

With several sounds, the interval of a point is over sounds, each with the mean of its repeats: other sounds would have
given another mean. With one sound it is over repeats, and says nothing of other sounds; the page tells which it is. A
figure that PESQ could not give is left out of the mean and counted.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import torch

from retimbre.metrics.bootstrap import Bootstrap, bootstrap
from retimbre.metrics.speech import Band
from retimbre.workflows.study.snr_pesq.cells import Cell, Row
from retimbre.workflows.study.snr_pesq.fronts import Front

# Enough for ends that are steady to a few hundredths of their distance, a thousand times over.
_RESAMPLES = 1000

FAIR = 3.0
"""The score that listeners call fair; the table gives the SNR at which a curve passes it."""


@final
@dataclasses.dataclass(frozen=True)
class Point:
    """One SNR of a curve: the mean PESQ with its 95 % interval, over `n` sounds or repeats; `failed` gave none."""

    snr_db: float
    pesq: float
    low: float
    high: float
    n: int
    failed: int


@final
@dataclasses.dataclass(frozen=True)
class Curve:
    """One channel of a representation.

    Attributes:
        band: The version of PESQ.
        channel: The channel's number and name.
        clean: Mean PESQ of the round trip without noise; None where PESQ gave none.
        points: In the order of their SNR.
    """

    band: Band
    front: Front
    channel: tuple[int, str]
    clean: float | None
    points: tuple[Point, ...]

    def at(self, snr_db: float) -> float | None:
        """The mean at an SNR of the grid."""
        return next((point.pesq for point in self.points if point.snr_db == snr_db), None)

    def mean(self) -> float | None:
        """The mean over the SNRs, which is the area under the curve."""
        return sum(point.pesq for point in self.points) / len(self.points) if self.points else None

    def snr_for(self, score: float) -> float | None:
        """The lowest SNR from which on the curve stays at a score or above, between points along a straight line."""
        above: float | None = None
        for left, right in reversed(list(zip(self.points, self.points[1:], strict=False))):
            if right.pesq < score:
                break
            if left.pesq < score:
                share = (score - left.pesq) / (right.pesq - left.pesq)
                return left.snr_db + share * (right.snr_db - left.snr_db)
            above = left.snr_db
        return above


def curves(cells: Iterable[Cell], bands: Mapping[str, Band]) -> list[Curve]:
    """The curves of all cells, as far as they are done.

    Args:
        cells: Of the study.
        bands: The version of PESQ for each sound.
    """
    grouped: dict[tuple[Band, Front, tuple[int, str]], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((bands[cell.sound], cell.front, cell.channel), []).append(cell)
    found = []
    for (band, front, channel), group in grouped.items():
        points = _points([cell.rows() for cell in group])
        clean = [score for score in (cell.clean() for cell in group) if score is not None]
        if points:
            mean = sum(clean) / len(clean) if clean else None
            found.append(Curve(band, front, channel, mean, points))
    return found


def _points(of_sounds: Sequence[Sequence[Row]]) -> tuple[Point, ...]:
    snrs = sorted({row["snr_db"] for rows in of_sounds for row in rows})
    found = [
        _point(snr, [[row for row in rows if row["snr_db"] == snr] for rows in of_sounds]) for snr in snrs
    ]
    return tuple(point for point in found if point is not None)


def _point(snr_db: float, of_sounds: Sequence[Sequence[Row]]) -> Point | None:
    scores = [[row["pesq"] for row in rows if row["pesq"] is not None] for rows in of_sounds]
    failed = sum(len(rows) for rows in of_sounds) - sum(map(len, scores))
    scores = [each for each in scores if each]
    if not scores:
        return None
    values = scores[0] if len(scores) == 1 else [sum(each) / len(each) for each in scores]
    interval = bootstrap(torch.tensor(values, dtype=torch.float64), Bootstrap(resamples=_RESAMPLES))
    return Point(snr_db, interval.value, interval.low, interval.high, interval.n, failed)


def cell_rows(cells: Iterable[Cell], bands: Mapping[str, Band]) -> list[Row]:
    """Every figure: a row for each sound, representation, channel, SNR and repeat."""
    return [
        {
            "sound": cell.sound,
            "band": bands[cell.sound],
            "sample_rate": cell.sample_rate,
            "representation": cell.front.name,
            "channel": cell.channel[1],
            **row,
        }
        for cell in cells
        for row in cell.rows()
    ]


def point_rows(found: Iterable[Curve]) -> list[Row]:
    """A row for each point of each curve."""
    return [
        {
            "band": curve.band,
            "representation": curve.front.name,
            "channel": curve.channel[1],
            **dataclasses.asdict(point),
        }
        for curve in found
        for point in curve.points
    ]


def standing_rows(found: Iterable[Curve], snrs_db: Sequence[float]) -> list[Row]:
    """A row for each curve: what it tolerates, best first within its version of PESQ.

    Args:
        snrs_db: At which of them the row gives the score.
    """
    ranked = sorted(found, key=lambda curve: (curve.band != "wide", -(curve.mean() or 0.0)))
    return [_standing(curve, snrs_db) for curve in ranked]


def _standing(curve: Curve, snrs_db: Sequence[float]) -> dict[str, Any]:
    return {
        "band": curve.band,
        "representation": curve.front.name,
        "channel": curve.channel[1],
        "clean": curve.clean,
        "mean": curve.mean(),
        **{f"at_{snr:g}_db": curve.at(snr) for snr in snrs_db},
        "snr_for_3_db": curve.snr_for(FAIR),
        "failed": sum(point.failed for point in curve.points),
    }
