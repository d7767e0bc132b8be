"""What a listening test found: the mean opinion of every system, and which of them listeners can tell apart.

    OUT/scores.json     everything
    OUT/systems.csv     a row per system and anchor
    OUT/pairs.csv       a row per pair
    OUT/report.html     the same for a reader, with a figure

Intervals and tests are those of `metrics.opinions`: for other listeners and other items. In a MUSHRA test listeners who
do not recognise the hidden reference are left out first, as BS.1534-3 asks, and named. A difference of two systems is
paired where they share items; it counts as found where its p-value, corrected for the number of pairs by Holm's method,
is below 0.05. Otherwise the two are not distinguishable by this test, which is not to say that they are equal. Where
all differences of a pair are one number, how much others would vary is unknown: there is no p-value, and nothing found.
"""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

import retimbre
from retimbre.core.errors import DatasetError, ExistsError
from retimbre.core.files import write_json, write_text
from retimbre.metrics.opinions import (
    SCREENED_BELOW,
    SCREENED_SHARE,
    Opinions,
    difference,
    holm,
    listener_differences,
    mean_opinion,
    signed_rank_p,
    unreliable_listeners,
)
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.listening.answers import Answers, answer_files, read_answers
from retimbre.workflows.study.listening.manifest import SCALES, Pack, read_pack
from retimbre.workflows.study.listening.results_page import write_results_page
from retimbre.workflows.study.rows import rows_csv

CONFIDENCE = 0.95
_LEVEL = 1.0 - CONFIDENCE
# With fewer listeners or items than this the variance between them is little more than a guess.
_FEW = 5
# Wilcoxon's test of five listeners cannot be below 1/16.
_ENOUGH_FOR_RANKS = 6


def read_scores(
    pack: str | Path, scores: Iterable[Path], out: str | Path, *, force: bool = False
) -> dict[str, Any]:
    """Reads the answers to a pack and writes what they say.

    Args:
        pack: The folder that `make_pack` made.
        scores: Files of answers, or folders of them.
        out: The folder for the results.
        force: Whether results that are there are replaced.

    Returns:
        `systems` and `pairs`, a table each, best system first; `value`, `low`, `high` and `n` of the best system that
        is no anchor; `screened`, the listeners left out; `settings` and `remarks`.

    Raises:
        DatasetError: The pack or the answers are damaged, do not belong together, or no listener is left.
        ExistsError: There are results already.
    """
    folder = study_folder(out)
    if (folder / "scores.json").exists() and not force:
        raise ExistsError(f"{folder} holds scores.json already; --force replaces it")
    packed = read_pack(pack)
    result = results(packed, read_answers(packed, answer_files(scores)))
    write_text(folder / "systems.csv", rows_csv(result["systems"]))
    write_text(folder / "pairs.csv", rows_csv(result["pairs"]))
    write_results_page(folder / "report.html", result)
    write_json(folder / "scores.json", result)
    return result


def results(pack: Pack, answers: Answers) -> dict[str, Any]:
    """The statistics of a test; see `read_scores`.

    Raises:
        DatasetError: No listener is left after screening.
    """
    opinions, screened = _screened(pack, answers)
    scored = [place for place in range(len(answers.systems)) if len(opinions.of(place).scores)]
    systems = [_system(pack, answers, opinions, place) for place in scored]
    systems.sort(key=lambda row: -row["value"])
    order = [answers.systems.index(row["name"]) for row in systems]
    pairs = [_pair(answers, opinions, *pair) for pair in combinations(order, 2)]
    _correct(pairs)
    # What a reader asks for first is the best of what was compared, not that the real sounds are good.
    first = next((row for row in systems if not row["anchor"]), systems[0])
    return {
        "metric": "mean opinion score" if pack.mode == "mos" else "MUSHRA score",
        "system": first["name"],
        **{name: first[name] for name in ("value", "low", "high", "n")},
        "settings": _settings(pack, answers, opinions),
        "systems": systems,
        "pairs": pairs,
        "screened": screened,
        "remarks": [
            *answers.remarks,
            *_remarks(answers, opinions, scored),
            *_untested(pairs),
        ],
    }


def _is_anchor(pack: Pack, name: str) -> bool:
    return bool(pack.reference) and (name == pack.reference or name.startswith(f"{pack.reference}-"))


def _screened(pack: Pack, answers: Answers) -> tuple[Opinions, list[dict[str, Any]]]:
    """The opinions of those who recognise the hidden reference, and who does not."""
    opinions = answers.opinions
    if pack.mode != "mushra":
        return opinions, []
    missed = unreliable_listeners(opinions, answers.systems.index(pack.reference))
    left_out = [{"listener": answers.listeners[each], "missed": share} for each, share in missed.items()]
    kept = ~torch.isin(opinions.listeners, torch.tensor(list(missed), dtype=torch.int64))
    if not bool(kept.any()):
        raise DatasetError(
            f"no listener is left: all {len(left_out)} score the hidden reference below {SCREENED_BELOW:g} in more "
            f"than {SCREENED_SHARE:.0%} of the trials"
        )
    return opinions.where(kept), left_out


def _system(pack: Pack, answers: Answers, opinions: Opinions, place: int) -> dict[str, Any]:
    lowest, highest = SCALES[pack.mode]
    estimate = mean_opinion(opinions, place, CONFIDENCE)
    scores = opinions.of(place).scores
    return {
        "name": answers.systems[place],
        "anchor": _is_anchor(pack, answers.systems[place]),
        "value": estimate.value,
        # Student's interval may leave the scale, which no mean can.
        "low": None if estimate.low is None else max(estimate.low, lowest),
        "high": None if estimate.high is None else min(estimate.high, highest),
        "n": estimate.n,
        "listeners": estimate.listeners,
        "items": estimate.items,
        "degrees": estimate.degrees,
        "median": float(scores.quantile(0.5)),
        "sd": float(scores.std()) if len(scores) > 1 else None,
    }


def _pair(answers: Answers, opinions: Opinions, first: int, second: int) -> dict[str, Any]:
    estimate = difference(opinions, first, second, CONFIDENCE)
    ranked = listener_differences(opinions, first, second)
    return {
        "first": answers.systems[first],
        "second": answers.systems[second],
        **{
            name: value
            for name, value in asdict(estimate).items()
            if name in ("value", "low", "high", "p", "n", "listeners", "items")
        },
        "signed_rank_p": signed_rank_p(ranked) if len(ranked) >= _ENOUGH_FOR_RANKS else None,
    }


def _correct(pairs: list[dict[str, Any]]) -> None:
    """Adds the corrected p-values and what they decide.

    A pair without a p-value decides nothing, but counts among those that were compared.
    """
    corrected = holm([1.0 if row["p"] is None else row["p"] for row in pairs])
    for row, adjusted in zip(pairs, corrected, strict=True):
        row["holm_p"] = None if row["p"] is None else adjusted
        row["distinguishable"] = row["p"] is not None and adjusted < _LEVEL


def _untested(pairs: list[dict[str, Any]]) -> list[str]:
    """Why pairs that have several scores have no p-value."""
    lacking = [row for row in pairs if row["p"] is None and row["listeners"] * row["items"] > 1]
    if not lacking:
        return []
    named = ", ".join(f"{row['first']} and {row['second']} ({row['value']:g})" for row in lacking)
    return [
        f"no test of {len(lacking)} of {len(pairs)} pairs, whose difference is the same over all listeners and items, "
        f"so that nothing tells how much others would vary: {named}"
    ]


def _settings(pack: Pack, answers: Answers, opinions: Opinions) -> dict[str, Any]:
    lowest, highest = SCALES[pack.mode]
    settings: dict[str, Any] = {
        "pack": pack.identity,
        "mode": pack.mode,
        "scale": [lowest, highest],
        "sounds": len(pack.sounds),
        "listeners": len(opinions.listeners.unique()),
        "answered": len(answers.listeners),
        "items": len(opinions.items.unique()),
        "confidence": CONFIDENCE,
        "interval": "Student's, variance of listeners plus items less residual, Satterthwaite's degrees of freedom",
        "difference": "paired by listener and item where the systems share items, else by listener",
        "correction": "Holm over all pairs",
        "version": retimbre.__version__,
    }
    if pack.mode == "mushra":
        settings["screening"] = (
            f"BS.1534-3: hidden reference below {SCREENED_BELOW:g} in more than {SCREENED_SHARE:.0%} of the trials"
        )
    return settings


def _remarks(answers: Answers, opinions: Opinions, scored: list[int]) -> list[str]:
    lines = [f"{name}: nobody scored it" for place, name in enumerate(answers.systems) if place not in scored]
    listeners = len(opinions.listeners.unique())
    items = min(len(opinions.of(place).items.unique()) for place in scored)
    if listeners == 1:
        lines.append("one listener says nothing about others: intervals are over items alone")
    elif listeners < _FEW:
        lines.append(f"with {listeners} listeners, how much listeners differ is little more than a guess")
    if items == 1:
        lines.append("one item says nothing about other sounds: intervals are over listeners alone")
    elif items < _FEW:
        lines.append(f"with {items} items, how much items differ is little more than a guess")
    for place in scored:
        scores = opinions.of(place).scores
        if len(scores) > 1 and bool((scores == scores[0]).all()):
            lines.append(
                f"{answers.systems[place]}: all {len(scores)} scores are {scores[0]:g}, so nothing tells how much "
                "others would vary, and there is no interval"
            )
    if listeners < _ENOUGH_FOR_RANKS:
        lines.append(
            f"the signed-rank test needs {_ENOUGH_FOR_RANKS} listeners to find anything and is left out"
        )
    return lines
