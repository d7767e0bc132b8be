"""From two sets of clips to a number that says everything it depends on.

A Frechet distance of 3.1 means nothing alone. It depends on what hears the sounds, with which weights; on the rate, the
length and the level at which they are heard; on the arithmetic; and on how many there are. Published numbers that leave
one of these out cannot be compared with each other, and are. So a result here carries the whole tuple as `settings`,
and once more as a line to be pasted wherever the number goes:

    FAD[listener:3f2ab0c19d24e871/16k/1s/whole/none/default/n=1000+1000] = 3.1 (2.8 to 3.5)

What makes a number doubtful goes with it as `remarks`: those of each set (silent clips, other rates, files that were
passed over), those of the two together (the same sounds in both, rates that differ between them), and those of the
distance (too few clips for its dimension).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

import retimbre
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Distance, Measured, Score, Vectors
from retimbre.metrics.distances.profiles import PROFILES
from retimbre.training.devices import pick_device
from retimbre.workflows.evaluation.sets.cache import NO_CACHE_NAME
from retimbre.workflows.evaluation.sets.clips import Clips
from retimbre.workflows.evaluation.sets.embed import Progress, ignore
from retimbre.workflows.evaluation.sets.hearing import MeasureOptions, hear_sets
from retimbre.workflows.evaluation.sets.metrics import (
    SetMetric,
    check_profile,
    find_metric,
    reference_for,
)
from retimbre.workflows.evaluation.sets.pairing import pair_remarks, set_remarks

__all__ = ["NO_CACHE_NAME", "MeasureOptions", "measure", "settings_line"]


def measure(
    metric: str,
    real: Clips | None,
    fake: Clips,
    options: MeasureOptions | None = None,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Measures a set, by itself or against a real one.

    Args:
        metric: A name in `SET_METRICS`.
        real: The reference; scores of one set leave it aside.
        fake: The set that is judged.
        options: What hears, whose arithmetic, and how sure; the defaults if left out.
        progress: Told how many clips are heard, of how many in all.

    Returns:
        `metric`, `value`, `low` and `high` (the 95 % interval), `n` (clips of the set judged), `better` (`lower` or
        `higher`), `settings`, `line` (the settings and the number on one line), `remarks`, `passed_over` (files that
        could not be used), and every further figure of the measure by its name, with an interval of its own.

    Raises:
        ConfigError: An unknown metric, no real set where one is needed, or sets that cannot be measured.
        CheckpointError: The weights of the embedder or listener cannot be read.
    """
    options = options or MeasureOptions()
    entry = find_metric(metric)
    profile = PROFILES[options.profile]
    check_profile(entry, profile)
    reference = reference_for(entry, real)
    sets = [fake] if reference is None else [reference, fake]
    told = () if reference is None else pair_remarks(reference, fake)
    heard = hear_sets(entry, sets, profile, options, progress)
    distance = profile.distance(entry.name)
    found = _measured(distance, heard.vectors, Bootstrap(resamples=options.resamples, seed=options.seed))
    settings = {
        "metric": entry.name,
        "profile": profile.name,
        **found.settings,
        "heard_by": heard.by,
        "framing": dataclasses.asdict(heard.framing),
        "sets": {role: _set_settings(each) for role, each in (("real", reference), ("fake", fake)) if each},
        "device": pick_device(options.device).type,
        "versions": {"retimbre": retimbre.__version__, "torch": torch.__version__},
    }
    figures = {name: dataclasses.asdict(figure) for name, figure in found.values.items()}
    headline = figures.pop("value")
    return {
        "metric": entry.name,
        **headline,
        "better": distance.better,
        "settings": settings,
        "line": settings_line(entry, settings, headline),
        "remarks": [*set_remarks(fake, reference), *told, *heard.remarks, *found.remarks],
        "passed_over": [line for each in sets for line in each.passed_over],
        **figures,
    }


def settings_line(entry: SetMetric, settings: Mapping[str, Any], headline: Mapping[str, Any]) -> str:
    """A number and all it depends on, on one line."""
    by, sets, framing = settings["heard_by"], settings["sets"], settings["framing"]
    clip = sets["fake"]
    window = f"{framing['window_s']:g}s every {framing['hop_s']:g}s" if framing["window_s"] else "whole"
    parts = [
        f"{by['name']}:{by['identity']}",
        *([by["asked"]] if "asked" in by else []),
        f"{clip['sample_rate'] / 1000:g}k",
        f"{clip['seconds']:g}s",
        window,
        framing["level"],
        *(["int16"] if framing["int16"] else []),
        settings["profile"],
        *(f"{name}={_plain(settings[name])}" for name in settings if _is_own(name, settings[name])),
        "n=" + "+".join(str(each["n"]) for each in sets.values()),
    ]
    value, low, high = (f"{headline[name]:.5g}" for name in ("value", "low", "high"))
    return f"{entry.title}[{'/'.join(parts)}] = {value} ({low} to {high})"


# What `Measured.settings` has beside the measure's own settings, and what is told elsewhere on the line.
_TOLD_ELSEWHERE = {
    *("metric", "profile", "measure", "dim", "reference_clips", "reference_vectors", "clips", "vectors"),
    *("confidence", "device"),
}


def _is_own(name: str, value: Any) -> bool:
    return name not in _TOLD_ELSEWHERE and isinstance(value, str | int | float)


def _plain(value: str | int | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _measured(distance: Distance | Score, vectors: tuple[Vectors, ...], how: Bootstrap) -> Measured:
    if isinstance(distance, Score):
        return distance.measure(vectors[-1], how)
    return distance.measure(vectors[0], vectors[1], how)


def _set_settings(clips: Clips) -> dict[str, Any]:
    return {
        "name": clips.name,
        "key": clips.key,
        "n": len(clips),
        "sample_rate": clips.sample_rate,
        "seconds": clips.num_samples / clips.sample_rate,
        "source_rates": list(clips.about.source_rates),
    }
