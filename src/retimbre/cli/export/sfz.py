"""`retimbre export sfz`: generators and patches as instruments that samplers play."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed
from retimbre.core.errors import ConfigError, PartialFailure


def sfz(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL_OR_PATCH...",
            help="Generators (run folder, file or shipped name), patch files, or folders of matches.",
        ),
    ],
    out: OutFolder,
    lowest: Annotated[
        int, typer.Option("--lowest", help="The first key, a MIDI number; -1 for the model's, or 36.")
    ] = -1,
    highest: Annotated[
        int, typer.Option("--highest", help="The last key, a MIDI number; -1 for the model's, or 96.")
    ] = -1,
    step: Annotated[int, typer.Option("--step", help="How many keys a sample serves, 1 to 12.")] = 3,
    velocities: Annotated[
        str,
        typer.Option(
            "--velocities", metavar="V,...", help="A sample for each [default: the model's, or 127]."
        ),
    ] = "",
    seconds: Annotated[
        float, typer.Option("--seconds", help="Length at most of notes that die away, 0.25 to 30.")
    ] = 2.0,
    timbres: Annotated[
        int, typer.Option("--timbres", help="How many timbres of a generator, each behind a key switch.")
    ] = 1,
    release: Annotated[
        float, typer.Option("--release", help="Seconds that a note fades for after the key comes up.")
    ] = 0.3,
    amp_veltrack: Annotated[
        float, typer.Option("--amp-veltrack", help="How much the velocity decides on the level, in percent.")
    ] = 100.0,
    loop: Annotated[
        bool, typer.Option("--loop/--no-loop", help="Loop notes that do not die away by themselves.")
    ] = True,
    synth: Annotated[
        str, typer.Option("--synth", metavar="NAME", help="Refuse patches of other synthesizers.")
    ] = "",
    family: shared.Family = "",
    label: shared.Label = None,
    latents: shared.Latents = None,
    take: shared.Take = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Writes generators and patches as SFZ instruments, which samplers play.

    DIR/NAME.sfz maps DIR/samples/*.wav to keys and velocities; all are in tune and equally loud, and notes that do not
    die away have loop points. NAME.json says what was measured. docs/instruments.md explains.

    Example:
        retimbre export sfz note-generator --family brass --timbres 4 --out out/instrument
    """
    from retimbre.workflows.export.sfz.export import SfzOptions, export_sfz

    options = SfzOptions(
        lowest=lowest,
        highest=highest,
        step=step,
        velocities=_numbers(velocities),
        seconds=seconds,
        timbres=timbres,
        latents=shared.choice_of(latents, take, seed),
        labels=shared.labels_of(label, {"family": family}),
        synth=synth,
        loop=loop,
        release_s=release,
        veltrack=amp_veltrack,
        device=device,
        force=force,
    )
    with console.counter("sampling") as progress:
        run = export_sfz(sources, out, options, progress=progress)
    for table in run.instruments:
        for remark in table["remarks"]:
            console.warn(f"{table['name']}: {remark}")
    if json:
        console.show_json({"instruments": run.instruments, "failures": run.failures})
    else:
        console.show_table([_row(out, table) for table in run.instruments])
    for name, reason in run.failures.items():
        console.say(f"failed: {reason if name in reason else f'{name}: {reason}'}")
    if run.failures:
        raise PartialFailure(f"{len(run.failures)} of {len(sources)} instruments could not be made")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise ConfigError(f"--velocities is numbers with commas between, not {text!r}") from None


def _row(out: Path, table: dict[str, Any]) -> dict[str, Any]:
    samples = table["samples"]
    # Those that are beyond tuning have a warning of their own.
    known = [each for each in samples if each["cents"] is not None and abs(each["cents"]) <= 100.0]
    left = [abs(each["cents"] + each["tune"]) for each in known]
    return {
        "instrument": str(out / table["file"]),
        "samples": len(samples),
        "looped": sum(each["loop"] is not None for each in samples),
        "keys": "{} to {}".format(*table["settings"]["keys"]),
        "loudness": f"{table['loudness_lufs']:.1f} LUFS",
        "off by at most": f"{max(left):.1f} cents" if left else None,
    }
