"""The page of the study: who stands where, what everyone got and took, and what they play."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from retimbre.dsp import audiofile
from retimbre.workflows.report.article import Article, Player, Section, player, write_article
from retimbre.workflows.study.representations.cell import Cell
from retimbre.workflows.study.representations.figure import sheet_png, standings_png
from retimbre.workflows.study.representations.judge import COLUMNS
from retimbre.workflows.study.representations.models import MODELS
from retimbre.workflows.study.representations.table import (
    AS_IT_IS,
    CEILING,
    FLOOR,
    TRAINED,
    UNTRAINED,
    Row,
    shown,
)
from retimbre.workflows.study.representations.trials import TRIALS_FILE, read_trials

REAL_FOLDER = "real"

_GAP_S = 0.05
_LEAD = (
    "Generators of notes that differ in what they generate: samples, spectra in several coordinates, mel bands, "
    "constant-Q bands. Each was tuned by as many trials and trained for the same time on the same notes, and is judged "
    "beside real notes, real notes that went through its representation and back, and itself untrained."
)


def write_page(folder: Path, result: Mapping[str, Any], cells: Sequence[Cell]) -> None:
    """Writes `report.html`."""
    sections = [_how(result), *_standings(result), *_figures(result), *_costs(result)]
    sections += [section for model in MODELS for section in _listening(folder, model, cells)]
    sections += [*_trials(cells), *_refused(result)]
    article = Article("What a generator should generate", "study", _LEAD, _warnings(result), sections)
    write_article(folder / "report.html", article)


def _warnings(result: Mapping[str, Any]) -> list[str]:
    found = [f"Failed: {line}" for line in result["failed"]]
    if result["budget"]["name"] == "smoke":
        found.append("This is the smoke budget: it shows that all runs, and its figures mean little.")
    if result["unfinished"]:
        found.append(f"Not finished: {', '.join(result['unfinished'])}. Run the study again to go on.")
    return found


def _how(result: Mapping[str, Any]) -> Section:
    budget, hardware = result["budget"], result["hardware"]
    lowest, highest = budget["pitches"]
    length = "4,096" if budget["size"] == "short" else "16,384"
    gpus = ", ".join(gpu["name"] for gpu in hardware["gpus"]) or "no GPU"
    last = budget["num_seeds"] - 1
    seeds = f"Seeds 0 to {last}" if last else "Seed 0"
    return Section(
        "How it was done",
        [
            f"Notes of the corpus “notes”: {budget['notes']:,} clips of {length} samples at 16 kHz, keys {lowest} to "
            f"{highest}, told to the networks as a label; bins scaled by their statistics.",
            f"Each training: as many updates as take {budget['train_s']:g} s (of one core on a CPU, of the clock on a "
            f"GPU) by a measurement of each contestant before; the table says what it took in the end, validations "
            f"included. Before it, {budget['num_trials']} trials of {budget['trial_s']:g} s each, chosen from by the "
            f"KAD of {budget['validation_clips']:,} held-out clips. {seeds}.",
            f"Judged by {budget['test_clips']:,} clips of each, against as many real notes of instruments that nobody "
            f"heard; intervals are of 95 % over clips. torch {hardware['torch']}, {hardware['cores']} cores, {gpus}.",
            "Of each training the state of best validation is judged, of four; of a model that grows the last one, the "
            "only one of its full size.",
        ],
    )


def _standings(result: Mapping[str, Any]) -> list[Section]:
    """Places, and the figure; nothing as long as nobody is trained."""
    if not result["standings"]:
        return []
    floor = next((row["figures"] for row in result["rows"] if row["what"] == FLOOR), {})
    order = sorted(result["standings"], key=lambda name: result["places"].get(name, 0))
    ordered = {name: result["standings"][name] for name in order}
    told = ("kad_listener", "kad_statistics", "in_tune", "coverage")
    rows = [
        [name, str(result["places"].get(name, "–")), *(shown(found[column]) for column in told)]
        for name, found in ordered.items()
    ]
    return [
        Section(
            "Who stands where",
            [*result["says"], "Those who share a place are not told apart. Intervals reach over all seeds."],
            standings_png(ordered, floor),
            "A point with its interval for every contestant; the grey band is what real notes get",
            columns=("contestant", "place", *(COLUMNS[column].title for column in told)),
            rows=rows,
        )
    ]


def _figures(result: Mapping[str, Any]) -> list[Section]:
    rows = [[_name(row), *(shown(row["figures"][column]) for column in COLUMNS)] for row in result["rows"]]
    text = (
        "Lower is better for distances and the error of pitch, higher for scores and shares. real/real is what two "
        "halves of real notes have: no generator can be asked for more. A dash stands where a figure was refused: "
        "a Frechet distance takes two clips per dimension."
    )
    return _unless_empty("All figures", text, ("set", *(column.title for column in COLUMNS.values())), rows)


def _costs(result: Mapping[str, Any]) -> list[Section]:
    trained = [row for row in result["rows"] if row["what"] == TRAINED]
    rows = [
        [
            _name(row),
            " x ".join(str(size) for size in row["features"]),
            f"{row['images']:,}",
            f"{row['seconds']:,.0f}",
            "–" if row["core_seconds"] is None else f"{row['core_seconds']:,.0f}",
            f"{row['generation_ms']:.2f}",
            f"{row['inversion_ms']:.2f}",
            f"{row['parameters']:,}",
            f"{row['critic_parameters']:,}",
            _setting(row["setting"]),
        ]
        for row in trained
    ]
    columns = (
        *("set", "features", "images seen", "training s", "core s", "generation ms"),
        *("inversion ms", "generator", "critic", "setting"),
    )
    text = (
        "Training took so long by the clock, and so many seconds of a core, validations included; these are not known "
        "where a session was killed. Milliseconds are per clip, on one device and thread, in batches of 32. Generator "
        "and critic are numbers of weights; the setting is that of the best trial."
    )
    return _unless_empty("What it takes", text, columns, rows)


def _listening(folder: Path, model: str, cells: Sequence[Cell]) -> list[Section]:
    """What a model plays in each representation: players, and a sheet of rainbowgrams."""
    played = {"real notes": sorted((folder / REAL_FOLDER / "sounds").glob("*.wav"))}
    for cell in cells:
        sounds = sorted(cell.sounds_folder(cell.seeds[0]).glob("*.wav"))
        if cell.contestant.model.name == model and sounds:
            played[cell.contestant.transform.name] = sounds
    played = {name: paths for name, paths in played.items() if paths}
    if len(played) < 2:
        return []
    rows = [[name, _player(f"{model}, {name}", paths)] for name, paths in played.items()]
    text = f"{MODELS[model].says}, seed 0: four keys from one latent, with different real notes beside them."
    return [
        Section(
            f"To listen to: {model}",
            [text],
            sheet_png(played),
            f"Rainbowgrams of what {model} plays, a row per representation",
            columns=("representation", "from low to high"),
            rows=rows,
        )
    ]


def _player(name: str, paths: Sequence[Path]) -> Player:
    """The sounds one after the other."""
    sounds = [audiofile.read(path) for path in paths]
    rate = sounds[0].sample_rate
    gap = torch.zeros(round(_GAP_S * rate))
    return player(name, torch.cat([piece for sound in sounds for piece in (sound.samples, gap)]), rate)


def _trials(cells: Sequence[Cell]) -> list[Section]:
    rows = []
    for cell in cells:
        for row in read_trials(cell.trials_folder / TRIALS_FILE):
            kad = "diverged" if row["kad"] is None else f"{row['kad']:.4g}"
            rows.append([cell.name, _setting(row["changes"]), f"{row['steps']:,}", kad])
    text = "Each contestant went on with the setting whose sounds came nearest to held-out ones."
    return _unless_empty("Trials", text, ("contestant", "setting", "updates", "KAD"), rows)


def _refused(result: Mapping[str, Any]) -> list[Section]:
    if not result["refused"]:
        return []
    rows = [[name, why] for name, why in result["refused"].items()]
    return [Section("Not in the comparison", columns=("contestant", "why"), rows=rows)]


def _unless_empty(
    heading: str, text: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[Section]:
    """A section with a table; none as long as nothing is in it."""
    return [Section(heading, [text], columns=columns, rows=rows)] if rows else []


def _name(row: Row) -> str:
    if row["what"] == FLOOR:
        return FLOOR
    if row["what"] == CEILING:
        return f"real through {row['representation']}"
    name = f"{row['model']}/{row['representation']}"
    return f"{name}, {UNTRAINED}" if row["what"] == UNTRAINED else f"{name}, seed {row['seed']}"


def _setting(changes: Mapping[str, float]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {value:g}" for name, value in changes.items()) or AS_IT_IS
