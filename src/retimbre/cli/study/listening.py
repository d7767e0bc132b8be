"""`retimbre study listening`: blind tests of sounds by ear, and what the scores say."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Force, Json, OutFolder, Seed
from retimbre.core.errors import ConfigError


def listening(
    out: OutFolder,
    systems: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SYSTEM]...",
            help="What is compared: NAME=FOLDER, a folder of sounds, a generator, or a model that answers the real "
            "ones: an inverter, or a generator that goes on from them or plays the MIDI beside them.",
        ),
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            "--real", metavar="DIR", help="A folder of real sounds, for anchors and for models that answer."
        ),
    ] = None,
    mode: Annotated[
        Literal["mos", "mushra"],
        typer.Option("--mode", help="Sounds alone, from 1 to 5, or side by side, from 0 to 100."),
    ] = "mos",
    count: Annotated[
        int, typer.Option("--count", min=1, help="Items: how many sounds of each system are scored.")
    ] = 10,
    seconds: Annotated[
        float, typer.Option("--seconds", help="How much of each sound is played, from its start.")
    ] = 10.0,
    question: Annotated[
        str, typer.Option("--question", help="What listeners are asked [default: one about quality].")
    ] = "",
    licence: Annotated[
        str, typer.Option("--licence", help="A note on the rights in the sounds, for the manifest.")
    ] = "",
    through: Annotated[
        list[str] | None,
        typer.Option(
            "--through",
            metavar="REPRESENTATION",
            help="Add the real sounds, encoded and decoded, as an anchor; repeat it.",
        ),
    ] = None,
    reel: Annotated[
        int,
        typer.Option("--reel", min=0, help="Also files of so many sounds of one system each; 0 for none."),
    ] = 0,
    pack: Annotated[
        Path | None,
        typer.Option("--pack", metavar="PACK", help="Read scores of this pack instead of making one."),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", metavar="CSV", help="A file of scores, or a folder of them; repeat it."),
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes a blind listening test, and reads its scores.

    A pack holds sounds of all systems and anchors at one loudness, under names that tell nothing, an offline page to
    score them on, and a manifest with the key. Generators are all asked for the same labels and latents. With --pack
    and --scores: mean opinion of every system with its 95 % interval over listeners and items, and which systems
    differ.

    Example:
        retimbre study listening ours=out/ours theirs=out/theirs --real notes --out out/pack
        retimbre study listening out/run-a out/run-b --real notes --through mag-if --reel 5 --out out/pack
        retimbre study listening --pack out/pack --scores returned --out out/opinions
    """
    if pack is not None or scores:
        _read((pack, scores or []), bool(systems), out, force=force, json=json)
        return
    from retimbre.workflows.study.listening.options import PackOptions
    from retimbre.workflows.study.listening.pack import make_pack, partial_failure

    options = PackOptions(mode, count, seconds, question, licence, seed, tuple(through or ()), reel)
    content = make_pack(systems or [], out, options, real=real, force=force, tell=console.warn)
    if json:
        console.show_json(content)
    else:
        _show_pack(out, content)
    error = partial_failure(content)
    if error:
        raise error


def _show_pack(out: Path, content: dict[str, Any]) -> None:
    scored = [sound for sound in content["sounds"].values() if sound["role"] == "scored"]
    console.show_table(
        [
            {"system": name, "sounds": sum(sound["system"] == name for sound in scored)}
            for name in content["systems"]
        ]
    )
    console.show(f"for listeners: {out / 'listeners'}")
    console.show(f"the key, for you alone: {out / 'manifest.json'}")


def _read(
    given: tuple[Path | None, list[Path]], with_systems: bool, out: Path, *, force: bool, json: bool
) -> None:
    from retimbre.workflows.study.listening.results import read_scores

    pack, scores = given
    if pack is None or not scores or with_systems:
        raise ConfigError("reading scores takes --pack PACK and --scores CSV, and no systems")
    result = read_scores(pack, scores, out, force=force)
    for line in result["remarks"]:
        console.warn(line)
    for row in result["screened"]:
        console.warn(
            f"left out: {row['listener']} missed the hidden reference in {row['missed']:.0%} of trials"
        )
    if json:
        console.show_json(result)
        return
    _show_result(result)
    console.show(f"report: {out / 'report.html'}")


def _show_result(result: dict[str, Any]) -> None:
    console.show_table(
        [
            {
                "system": row["name"],
                "mean": f"{row['value']:.2f}",
                "95 %": "-" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}",
                "scores": row["n"],
            }
            for row in result["systems"]
        ]
    )
    for row in result["pairs"]:
        if row["p"] is None:
            console.show(f"no test: {row['first']} and {row['second']}")
        elif not row["distinguishable"]:
            console.show(f"not distinguishable: {row['first']} and {row['second']}")
