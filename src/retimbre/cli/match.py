"""The door to matching: `retimbre match`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed, SynthName
from retimbre.core.errors import ConfigError, PartialFailure


def match(
    sounds: Annotated[
        list[Path], typer.Argument(metavar="SOUND...", help="Sound files, or folders of them.")
    ],
    synth: SynthName,
    out: OutFolder,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="RUN_OR_CHECKPOINT",
            help="An inverter: run folder, file or shipped name; may be repeated [default: those shipped].",
        ),
    ] = None,
    candidates: Annotated[
        int, typer.Option("--candidates", min=1, max=64, help="How many patches to give for each sound.")
    ] = 8,
    budget: Annotated[
        float, typer.Option("--budget", min=0.0, help="Seconds of refinement for each sound; 0 for none.")
    ] = 10.0,
    pitch: Annotated[
        str, typer.Option("--pitch", metavar="auto|HZ", help="The pitch of the sounds in hertz.")
    ] = "auto",
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", help="The longest stretch of a sound that is matched.")
    ] = 6.0,
    melody: Annotated[
        Path | None,
        typer.Option("--melody", metavar="FILE.mid", help="Also play a MIDI file with the nearest patch."),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option("--curves", help="Also follow the whole recording with knobs that move."),
    ] = False,
    curve_overlap: Annotated[
        int,
        typer.Option(
            "--curve-overlap", help="How many windows of the curves each moment lies in: 2, 4, 8, 16, 32."
        ),
    ] = 8,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Sounds matched at the same time; 0 for one per core.")
    ] = 0,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Finds the patches of a synthesizer that sound like a recording.

    For each sound a folder with ranked patches, their audio, match.json and a report.html to listen in. Ctrl-C ends
    a search with the best it has. docs/matching.md says how it works.

    Example:
        retimbre match recording.wav --synth subtractive --out matched
    """
    from retimbre.matching.audition import Budget
    from retimbre.matching.curves import CurveSettings
    from retimbre.matching.target import TargetSettings
    from retimbre.workflows.match.batch import MatchOptions, match, summary

    options = MatchOptions(
        synth=synth,
        models=tuple(model or ()),
        candidates=candidates,
        budget=Budget(seconds=budget),
        target=TargetSettings(max_seconds=max_seconds, pitch_hz=_pitch(pitch)),
        seed=seed,
        device=device,
        melody=_melody(melody, synth),
        curves=CurveSettings(overlap=curve_overlap) if curves else None,
    )
    with console.progress("matching", total=len(sounds)) as advance:
        run = match(sounds, out, options, workers=workers, force=force, progress=advance)
    rows = summary(run.results)
    if json:
        console.show_json(
            {
                "index": str(run.index) if run.index else None,
                "sounds": [_brief(result) for result in run.results],
            }
        )
    elif len(run.results) == 1:
        _show_one(run.results[0])
    else:
        console.show_table([{name: _short(value) for name, value in row.items()} for row in rows])
        console.show(f"index: {run.index}")
    for result in run.failed:
        console.say(f"failed: {result.sound}: {result.failure.removeprefix(f'{result.sound}: ')}")
    if run.failed:
        raise PartialFailure(f"{len(run.failed)} of {len(run.results)} sounds could not be matched")


def _melody(path: Path | None, synth: str) -> Any:
    from retimbre.synth.catalog import find_synth
    from retimbre.workflows.melody import read_melody

    return read_melody(path, find_synth(synth).sample_rate) if path else None


def _pitch(text: str) -> Any:
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--pitch takes a number of hertz or auto, not {text!r}") from None


def _show_one(result: Any) -> None:
    table = result.table
    for warning in table["warnings"]:
        console.warn(f"{result.sound}: {warning}")
    best = table["candidates"][0]
    console.show_table(
        [
            {
                "name": row["name"],
                "class": row["class"],
                "value": _short(row["value"]),
                "unit": row["unit"],
                "heard": {True: "yes", False: "no", None: "fixed"}[row["heard"]],
            }
            for row in best["parameters"]
        ]
    )
    scores = "  ".join(f"{name} {_short(best['scores'][name])}" for name in ("mss", "wmfcc", "sot", "rms"))
    console.show(f"key {best['pitch_hz']:.1f} Hz for {best['gate_s']:.2f} s  {scores}")
    console.show(f"confidence {table['confidence']['value']:.2f} ({table['confidence']['words']})")
    if "melody" in table:
        played = table["melody"]
        for remark in played["remarks"]:
            console.warn(f"{played['path']}: {remark}")
        console.show(f"melody: {result.folder / played['file']}")
    if "curves" in table:
        for warning in table["curves"]["warnings"]:
            console.warn(f"{result.sound}: {warning}")
        console.show(f"curves: {result.folder / table['curves']['files']['audio']}")
    console.show(f"report: {result.folder / 'report.html'}")


def _brief(result: Any) -> dict[str, Any]:
    return {
        "sound": str(result.sound),
        "folder": str(result.folder),
        "failure": result.failure,
        **result.table,
    }


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
