"""`retimbre generate envelope`: an envelope put on any sound."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Integers
from retimbre.cli.options import Device, Force, Json, OutFolder
from retimbre.core.errors import ConfigError


def envelope(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="An envelope generator: a run folder, a checkpoint, a shipped name, or NeuroSynth's G_*.pth.tar.",
        ),
    ],
    sounds: Annotated[list[Path], typer.Argument(metavar="SOUND...", help="Sound files or folders.")],
    out: OutFolder,
    attack: Annotated[
        float | None,
        typer.Option("--attack", help="Part of the sound over which it rises [default: 0]."),
    ] = None,
    decay: Annotated[
        float | None,
        typer.Option(
            "--decay", help="Part over which it falls to the sustain; 0 for no such stage [default: 0]."
        ),
    ] = None,
    sustain: Annotated[
        float | None, typer.Option("--sustain", help="Level from then on, 0 to 1 [default: 1].")
    ] = None,
    release: Annotated[
        float | None, typer.Option("--release", help="Part over which it dies away at the end [default: 0].")
    ] = None,
    curve: Annotated[
        Path | None,
        typer.Option(
            "--curve",
            metavar="FILE",
            help="Any envelope instead: gains, or pairs of seconds and gain, as .csv, .txt or .json.",
        ),
    ] = None,
    integers: Integers = False,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="A picture beside each sound.")
    ] = True,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Puts an envelope on sounds, of any length and rate.

    The sound keeps its rate and length; several channels become one. A model that was told classes gets the nearest
    ones. A picture shows the sound before and after, and the gain asked for beside the one that it got.

    Example:
        retimbre generate envelope envelope examples/rhodes_g3.flac --attack .4 --release .4 --out out/shaped
    """
    from retimbre.workflows.generate.envelope.curve import Stages, read_curve
    from retimbre.workflows.generate.envelope.reshape import (
        EnvelopeOptions,
        generate_envelope,
        partial_failure,
    )

    stages = {"attack": attack, "decay": decay, "sustain": sustain, "release": release}
    given = {name: value for name, value in stages.items() if value is not None}
    if curve is not None and given:
        raise ConfigError(f"--curve takes the place of the stages; leave out --{next(iter(given))}")
    wanted = Stages(**given) if curve is None else read_curve(curve)
    options = EnvelopeOptions(wanted, device, integers, pictures, force)
    with console.counter("reshaping") as progress:
        manifest = generate_envelope(model, sounds, out, options, progress=progress)
    _tell(manifest, out, json=json)
    if failure := partial_failure(manifest):
        raise failure


def _tell(manifest: dict[str, Any], out: Path, *, json: bool) -> None:
    for remark in manifest["remarks"]:
        console.warn(remark)
    for failure in manifest["failures"]:
        console.warn(failure)
    for entry in manifest["sounds"]:
        for remark in entry["remarks"]:
            console.warn(f"{entry['source']}: {remark}")
    if json:
        console.show_json(manifest)
        return
    for entry in manifest["sounds"]:
        error_db = entry["envelope_error_db"]
        away = "" if error_db is None else f", {error_db:.2g} dB from the envelope"
        console.show(f"{out / entry['file']}: {entry['seconds']:.4g} s at {entry['sample_rate']} Hz{away}")
