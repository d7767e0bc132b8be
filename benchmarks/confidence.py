"""Does a confidence of 0.8 mean that eight of ten such matches came near?

Matches recorded sounds that the confidence was not fitted on, at several budgets in renderings, and compares what was
stated with what happened: a match came near if its best candidate lies within `NEAR_DB` MSS of the original. Prints

- a reliability table: in each bin of stated confidence, its mean and the share that did come near;
- the expected calibration error (ECE): the mean distance of the two, weighted by the bins' sizes. It is above zero
  even for a perfect forecast of so few sounds, so the ECE that a perfect one would have is printed beside it, with
  the share of perfect ones that would do worse;
- the Brier score, the mean squared distance of the confidence from what happened (0 or 1), against that of always
  saying the share of these very sounds that came near, with 95 % bootstrap intervals over sounds.

With `--fitted` it matches the other half instead, prints the same, and then the constants of maximum likelihood.

    python benchmarks/confidence.py oneshots notes --count 20 --out rows.json
    python benchmarks/confidence.py --rows rows.json

Sounds are drawn from each folder by the hash of their names. Budgets in renderings give the same figures anywhere.
"""

import argparse
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from retimbre.core.errors import RetimbreError
from retimbre.core.random import generator
from retimbre.dsp import audiofile
from retimbre.matching.audition import Budget
from retimbre.matching.confidence import NEAR_DB, confidence, is_fitted_on
from retimbre.metrics.bootstrap import bootstrap, paired_reduction
from retimbre.workflows.match.batch import MatchOptions, match

NUM_BINS = 5
PERFECT_FORECASTS = 4000


@dataclass(frozen=True)
class Row:
    """One sound at one budget."""

    folder: str
    sound: str
    renderings: int
    search_loss: float
    pitch_confidence: float
    mss_db: float


def chosen(folder: Path, count: int, *, fitted: bool) -> list[Path]:
    """The sounds of one half of a folder whose names hash lowest."""
    sounds = [path for path in audiofile.find_sounds([folder]) if is_fitted_on(path.name) == fitted]
    return sorted(sounds, key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())[:count]


def measured(sound: Path, renderings: int, synth: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        options = MatchOptions(synth, budget=Budget(evaluations=renderings))
        table = match(sound, Path(folder) / "out", options).results[0].table
    best = table["candidates"][0]
    return Row(
        folder=sound.parent.name,
        sound=sound.name,
        renderings=renderings,
        search_loss=best["search_loss"],
        pitch_confidence=table["pitch"]["confidence"],
        mss_db=best["scores"]["mss"],
    )


def stated_and_near(rows: list[Row]) -> tuple[Tensor, Tensor]:
    """The confidence of each row, and 1 where it came near."""
    stated = [confidence(row.search_loss, row.pitch_confidence).value for row in rows]
    near = [float(row.mss_db <= NEAR_DB) for row in rows]
    return torch.tensor(stated, dtype=torch.float64), torch.tensor(near, dtype=torch.float64)


def calibration_error(stated: Tensor, near: Tensor) -> Tensor:
    """ECE over bins of equal width; `near` may have leading dimensions."""
    bins = (stated * NUM_BINS).long().clamp_max(NUM_BINS - 1)
    gaps = torch.zeros(*near.shape[:-1], NUM_BINS, dtype=torch.float64)
    gaps.index_add_(-1, bins, stated - near)
    return gaps.abs().sum(dim=-1) / len(stated)


def show(name: str, rows: list[Row]) -> None:
    stated, near = stated_and_near(rows)
    print(f"\n{name}: {len(rows)} matches of {len({row.sound for row in rows})} sounds")
    print("stated        n   mean stated   came near")
    for number in range(NUM_BINS):
        low, high = number / NUM_BINS, (number + 1) / NUM_BINS
        inside = (stated >= low) & ((stated < high) | (number == NUM_BINS - 1))
        if bool(inside.any()):
            figures = f"{float(stated[inside].mean()):8.2f}   {float(near[inside].mean()):12.2f}"
            print(f"{low:.1f} to {high:.1f}  {int(inside.sum()):3d}   {figures}")
    error = float(calibration_error(stated, near))
    draws = torch.rand(
        PERFECT_FORECASTS, len(rows), dtype=torch.float64, generator=generator(0, "perfect forecasts")
    )
    perfect = calibration_error(stated, (draws < stated).double())
    worse = float((perfect >= error).double().mean())
    print(f"mean stated {float(stated.mean()):.3f}, came near {float(near.mean()):.3f}")
    print(
        f"ECE {error:.3f}; a perfect forecast would have {float(perfect.mean()):.3f}, "
        f"and {worse:.0%} of perfect ones do worse"
    )
    show_brier(rows, stated, near)


def show_brier(rows: list[Row], stated: Tensor, near: Tensor) -> None:
    """Brier scores, averaged for each sound first: its matches at several budgets are no independent witnesses."""
    sounds = sorted({row.sound for row in rows})
    base = (near - near.mean()).square()
    ours = (near - stated).square()
    of_sound = [torch.tensor([row.sound == sound for row in rows]) for sound in sounds]
    columns = [torch.stack([values[mask].mean() for mask in of_sound]) for values in (base, ours)]
    brier = bootstrap(columns[1])
    gain = paired_reduction(columns[0].clamp_min(1e-12), columns[1])
    print(
        f"Brier {brier.value:.3f} ({brier.low:.3f} to {brier.high:.3f}), base rate {float(columns[0].mean()):.3f}: "
        f"{gain.value:.0%} less ({gain.low:.0%} to {gain.high:.0%})"
    )


def maximum_likelihood(rows: list[Row]) -> Tensor:
    """Offset, per loss and per pitch confidence of the logistic function, by Newton's method."""
    about = torch.tensor([[1.0, row.search_loss, row.pitch_confidence] for row in rows], dtype=torch.float64)
    near = stated_and_near(rows)[1]
    weights = torch.zeros(3, dtype=torch.float64)
    # A hundredth of a standard prior keeps separable data from running away, and moves nothing else.
    ridge = 0.01 * torch.eye(3, dtype=torch.float64)
    for _ in range(50):
        stated = torch.sigmoid(about @ weights)
        slope = about.T @ (near - stated) - ridge @ weights
        curvature = (about * (stated * (1.0 - stated))[:, None]).T @ about + ridge
        weights = weights + torch.linalg.solve(curvature, slope)
    return weights


def match_all(given: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    for folder in given.folders:
        for sound in chosen(folder, given.count, fitted=given.fitted):
            for renderings in given.renderings:
                try:
                    rows.append(measured(sound, renderings, given.synth))
                except RetimbreError as error:
                    print(f"failed: {sound.name}: {error}")
                    break
            if given.out:
                given.out.write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--synth", default="subtractive")
    parser.add_argument("--renderings", nargs="+", type=int, default=[0, 400])
    parser.add_argument("--count", type=int, default=20, help="sounds of each folder")
    parser.add_argument("--fitted", action="store_true", help="match the half that the constants come from")
    parser.add_argument("--out", type=Path, help="a JSON file for the matches")
    parser.add_argument("--rows", type=Path, help="a JSON file that --out wrote: match nothing, print again")
    given = parser.parse_args()
    rows = (
        [Row(**row) for row in json.loads(given.rows.read_text(encoding="utf-8"))]
        if given.rows
        else match_all(given)
    )
    for renderings in sorted({row.renderings for row in rows}):
        show(f"{renderings} renderings", [row for row in rows if row.renderings == renderings])
    if rows:
        show("all", rows)
    if rows and given.fitted:
        offset, per_loss, per_pitch = maximum_likelihood(rows).tolist()
        print(
            f"\nmaximum likelihood: offset {offset:.2f}, per loss {per_loss:.2f}, per pitch {per_pitch:.2f}"
        )


if __name__ == "__main__":
    main()
