"""How near does matching get to real sounds, and what does a longer budget buy?

Matches the sounds of some folders at several budgets and reads back what was written: the best candidate's WAV against
the stretch of the original that was matched, at 44.1 kHz. Prints mean and median of MSS, SOT and RMS for each folder
and budget, with the candidate band-limited to the original's rate (as matches are ranked) and raw; the reduction of
the mean MSS against the first budget with its 95 % interval (paired bootstrap over sounds); what failed; how well
the budgets were kept; and the rank correlation of the stated confidence with the MSS reached, over all sounds and over
those on which it was not fitted.

    python benchmarks/match.py oneshots notes --synth subtractive --budgets 0 2 5 10 --count 24 --out table.json

Sounds are drawn from each folder by the hash of their names, so that a larger count contains a smaller one. One sound
at a time, with all cores: a budget is wall time, and a machine that does other work makes every budget shorter.
"""

import argparse
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from retimbre.core.errors import RetimbreError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.matching.audition import Budget
from retimbre.matching.confidence import is_fitted_on
from retimbre.metrics.bootstrap import paired_reduction
from retimbre.metrics.suite import SuiteReference
from retimbre.workflows.match.batch import MatchOptions, match

SCORE_RATE_HZ = 44_100
MEASURES = ("mss", "sot", "rms")


@dataclass(frozen=True)
class Row:
    """One sound at one budget."""

    folder: str
    sound: str
    budget_s: float
    limited: dict[str, float]
    raw: dict[str, float]
    confidence: float
    search_loss: float
    pitch_confidence: float
    refined_s: float
    total_s: float
    evaluations: int


def chosen(folder: Path, count: int) -> list[Path]:
    """The sounds of a folder whose names hash lowest."""
    sounds = audiofile.find_sounds([folder])
    return sorted(sounds, key=lambda path: hashlib.sha256(path.name.encode()).hexdigest())[:count]


def measured(sound: Path, budget_s: float, options: MatchOptions) -> Row:
    """Matches one sound and scores what was written."""
    with tempfile.TemporaryDirectory() as folder:
        result = match(sound, Path(folder) / "out", options).results[0]
        table = result.table
        original = audiofile.read(sound, max_seconds=30.0)
        estimate = audiofile.read(result.folder / "01.wav")
    start = round(table["sound"]["start_s"] * original.sample_rate)
    stop = start + round(table["sound"]["seconds"] * original.sample_rate)
    reference = resample(original.samples[start:stop], original.sample_rate, SCORE_RATE_HZ)
    raw = resample(estimate.samples, estimate.sample_rate, SCORE_RATE_HZ)
    limited = resample(
        resample(raw, SCORE_RATE_HZ, original.sample_rate), original.sample_rate, SCORE_RATE_HZ
    )
    judge = SuiteReference.of(reference, SCORE_RATE_HZ)
    scores = [judge.score(fit_length(audio, len(reference))[None], MEASURES) for audio in (limited, raw)]
    return Row(
        folder=sound.parent.name,
        sound=sound.name,
        budget_s=budget_s,
        limited={name: float(scores[0][name]) for name in MEASURES},
        raw={name: float(scores[1][name]) for name in MEASURES},
        confidence=table["confidence"]["value"],
        search_loss=table["candidates"][0]["search_loss"],
        pitch_confidence=table["pitch"]["confidence"],
        refined_s=sum(model["refined_s"] for model in table["models"]),
        total_s=sum(table["seconds"].values()),
        evaluations=sum(model["evaluations"] for model in table["models"]),
    )


def spearman(one: list[float], other: list[float]) -> float:
    """Rank correlation."""
    ranks = [torch.tensor(values).argsort().argsort().double() for values in (one, other)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


def show(rows: list[Row], budgets: list[float]) -> None:
    for folder in [*sorted({row.folder for row in rows}), "all"]:
        print(f"\n{folder}")
        print(
            "budget    n   MSS mean median     SOT mean median     RMS mean median   MSS raw   reduction (95 %)"
        )
        of_folder = [row for row in rows if folder in (row.folder, "all")]
        base = {row.sound: row.limited["mss"] for row in of_folder if row.budget_s == budgets[0]}
        for budget_s in budgets:
            here = [row for row in of_folder if row.budget_s == budget_s and row.sound in base]
            columns = {name: torch.tensor([row.limited[name] for row in here]) for name in MEASURES}
            figures = "  ".join(
                f"{float(values.mean()):9.4g} {float(values.median()):7.4g}" for values in columns.values()
            )
            raw = sum(row.raw["mss"] for row in here) / max(len(here), 1)
            gain = paired_reduction(torch.tensor([base[row.sound] for row in here]), columns["mss"])
            share = f"{gain.value:6.1%} ({gain.low:.1%} to {gain.high:.1%})"
            print(f"{budget_s:4g} s  {len(here):3d}  {figures}  {raw:8.3f}   {share}")


def show_costs(rows: list[Row], budgets: list[float]) -> None:
    print(
        "\nbudget   refined s: mean, most   whole match s: mean, most   renderings   confidence ~ -MSS: all, held out"
    )
    for budget_s in budgets:
        here = [row for row in rows if row.budget_s == budget_s]
        held_out = [row for row in here if not is_fitted_on(row.sound)]
        refined, total = [row.refined_s for row in here], [row.total_s for row in here]
        trust = [
            spearman([row.confidence for row in group], [-row.limited["mss"] for row in group])
            for group in (here, held_out)
        ]
        print(
            f"{budget_s:4g} s   {sum(refined) / len(here):8.2f} {max(refined):8.2f}   "
            f"{sum(total) / len(here):12.2f} {max(total):8.2f}   "
            f"{sum(row.evaluations for row in here) / len(here):10.0f}   {trust[0]:10.2f} {trust[1]:8.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--synth", default="subtractive")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--budgets", nargs="+", type=float, default=[0.0, 2.0, 5.0, 10.0])
    parser.add_argument("--evaluations", action="store_true", help="budgets are renderings, not seconds")
    parser.add_argument("--count", type=int, default=24, help="sounds of each folder")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--out", type=Path, help="a JSON file for all figures")
    given = parser.parse_args()
    rows: list[Row] = []
    for folder in given.folders:
        for sound in chosen(folder, given.count):
            for limit in given.budgets:
                budget = Budget(evaluations=limit) if given.evaluations else Budget(seconds=limit)
                options = MatchOptions(given.synth, tuple(given.model), given.candidates, budget)
                try:
                    rows.append(measured(sound, limit, options))
                except RetimbreError as error:
                    print(f"failed: {sound.name}: {error}")
                    break
    if not rows:
        return
    show(rows, given.budgets)
    show_costs(rows, given.budgets)
    if given.out:
        given.out.write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
