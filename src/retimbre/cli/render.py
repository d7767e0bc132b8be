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
    melody: Annotated[
        Path | None,
        typer.Option("--melody", metavar="FILE.mid", help="Play the notes of a MIDI file, in tune."),
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
        float | None,
        typer.Option(
            help="Length of the sound [default: the patch's, or the synthesizer's; a melody rings out]."
        ),
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
    scale as they are. With --melody the notes come from the file, and the sound has a peak of 0.7.

    Example:
        retimbre render --synth fm --set C=783.991 --set M=12.6 --set D=0.5 --out tone.wav
    """
    from retimbre.synth.patches import load_patch
    from retimbre.workflows.render import default_patch, patch_of, render, render_midi

    if patch is None and not synth:
        raise ConfigError("which synthesizer? give --synth NAME or --patch FILE")
    base = default_patch(synth) if patch is None else load_patch(patch)
    if synth and synth != base.synth:
        raise ConfigError(f"{patch} is a patch for {base.synth!r}, not {synth!r}")
    key = {"pitch_hz": pitch, "velocity": velocity, "gate_s": gate}
    whole = {"seconds": seconds if melody is None else None, "sample_rate": sample_rate, "gain_db": gain}
    note = dataclasses.replace(base.note, **_given(key), **_given({"noise_seed": seed}))
    changed = patch_of(dataclasses.replace(base, note=note, **_given(whole)), settings or [], curve or [])
    if melody is None:
        rendered = render(changed, out, patch_out=save_patch, force=force)
    else:
        _refuse_beside_melody({"--pitch": pitch, "--velocity": velocity, "--gate": gate, "--gain": gain})
        rendered = render_midi(
            changed, melody, out, patch_out=save_patch, seconds=seconds or 0.0, force=force
        )
    for remark in rendered.remarks:
        console.warn(f"{out}: {remark}")
    if json:
        console.show_json(_summary(out, rendered))
    else:
        played = rendered.patch
        heard_s = len(rendered.samples) / played.sample_rate
        notes = f"{len(rendered.melody.melody.notes)} notes, " if rendered.melody else ""
        console.show(
            f"{out}: {played.synth}, {notes}{heard_s:.4g} s at {played.sample_rate} Hz, peak {rendered.peak:.3g}"
        )


def _refuse_beside_melody(options: dict[str, Any]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(
            f"{' and '.join(given)} cannot be set beside --melody, whose notes and level are its own"
        )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _summary(out: Path, rendered: Any) -> dict[str, Any]:
    from retimbre.synth.patches import patch_to_table
    from retimbre.workflows.melody import facts

    melody = {"melody": facts(rendered.melody)} if rendered.melody else {}
    return {
        "file": str(out),
        "peak": rendered.peak,
        "num_samples": len(rendered.samples),
        "remarks": list(rendered.remarks),
        "patch": patch_to_table(rendered.patch),
        **melody,
    }
