"""`retimbre render`: a patch to a sound file."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Force, Json
from retimbre.core.errors import ConfigError


def render(
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The sound file to write: .wav or .flac.")
    ],
    synth: Annotated[
        str, typer.Option("--synth", metavar="NAME", help="A synthesizer; 'retimbre list synths' names them.")
    ] = "",
    patch: Annotated[
        Path | None,
        typer.Option("--patch", metavar="FILE", help="A patch file to start from, not the defaults."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Turn a knob; may be repeated.")
    ] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option(
            "--curve", metavar="KEY=V0,V1,...", help="Move a knob while the sound plays; may be repeated."
        ),
    ] = None,
    pitch: Annotated[
        float | None, typer.Option(help="The key's frequency in hertz [default: the patch's, or 440].")
    ] = None,
    velocity: Annotated[
        float | None, typer.Option(help="How hard the key is struck, 0 to 1 [default: the patch's, or 1].")
    ] = None,
    gate: Annotated[
        float | None,
        typer.Option(help="Seconds the key is held [default: the patch's, or the synthesizer's]."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length of the sound [default: the patch's, or the synthesizer's].")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Samples per second [default: the patch's, or the synthesizer's].")
    ] = None,
    gain: Annotated[float | None, typer.Option(help="Decibels to add [default: the patch's, or 0].")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Which noise is drawn [default: the patch's, or 0].")
    ] = None,
    save_patch: Annotated[
        Path | None,
        typer.Option("--save-patch", metavar="FILE", help="Write the settings to a patch file, too."),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Plays a synthesizer with given knobs and writes the sound.

    Knobs that are not set stand at their defaults, or as the patch file has them. A .wav keeps samples beyond full
    scale as they are.

    Example:
        retimbre render --synth fm --set C=783.991 --set M=12.6 --set D=0.5 --out tone.wav
    """
    from retimbre.synth.patches import load_patch
    from retimbre.workflows.render import default_patch, patch_of, render

    if patch is None and not synth:
        raise ConfigError("which synthesizer? give --synth NAME or --patch FILE")
    base = default_patch(synth) if patch is None else load_patch(patch)
    if synth and synth != base.synth:
        raise ConfigError(f"{patch} is a patch for {base.synth!r}, not {synth!r}")
    note = {"pitch_hz": pitch, "velocity": velocity, "gate_s": gate, "noise_seed": seed}
    whole = {"seconds": seconds, "sample_rate": sample_rate, "gain_db": gain}
    changed = dataclasses.replace(base, note=dataclasses.replace(base.note, **_given(note)), **_given(whole))
    rendered = render(patch_of(changed, settings or [], curve or []), out, patch_out=save_patch, force=force)
    for remark in rendered.remarks:
        console.warn(f"{out}: {remark}")
    if json:
        console.show_json(_summary(out, rendered))
    else:
        played = rendered.patch
        console.show(
            f"{out}: {played.synth}, {played.seconds:g} s at {played.sample_rate} Hz, peak {rendered.peak:.3g}"
        )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _summary(out: Path, rendered: Any) -> dict[str, Any]:
    from retimbre.synth.patches import patch_to_table

    return {
        "file": str(out),
        "peak": rendered.peak,
        "num_samples": len(rendered.samples),
        "remarks": list(rendered.remarks),
        "patch": patch_to_table(rendered.patch),
    }
