"""`retimbre generate continue`: a sound that goes on."""

from pathlib import Path
from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate import options as shared
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed


def continue_(
    model: shared.Model,
    sound: Annotated[Path, typer.Argument(metavar="SOUND", help="What the generator goes on from.")],
    out: OutFolder,
    chunks: Annotated[int, typer.Option("--chunks", min=1, help="How many chunks are added.")] = 10,
    midi: Annotated[
        Path | None,
        typer.Option(
            "--midi",
            metavar="FILE.mid",
            help="What the keys do from the end of the sound on, for a generator that is told keys too.",
        ),
    ] = None,
    family: shared.Family = "",
    label: shared.Label = None,
    seed: Seed = 0,
    latents: shared.Latents = None,
    take: shared.Take = "",
    weights: shared.WeightsKind = "average",
    integers: shared.Integers = False,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Lets a sound go on, chunk by chunk, each made from the end of the last.

    The generator has to be told the history (docs/conditioned.md). The result is the sound, at the generator's rate,
    and the chunks behind it; generate.json tells where they begin and how smooth the seams are.

    Example:
        retimbre generate continue out/run examples/rhodes_g3.flac --chunks 20 --out out/babble
    """
    from retimbre.workflows.generate.continuation import Continuation, generate_continuation
    from retimbre.workflows.generate.folder import GenerateOptions

    options = GenerateOptions(
        labels=shared.labels_of(label, family=family),
        latents=shared.choice_of(latents, take, seed),
        weights=weights,
        device=device,
        integers=integers,
        force=force,
    )
    how = Continuation(chunks, str(midi or ""))
    with console.counter("going on") as progress:
        manifest = generate_continuation(model, sound, out, how, options, progress=progress)
    shared.tell(out, manifest, json=json)
    if not json:
        report = manifest["seam_report"]
        console.show(
            f"  seams: the largest bend is {report['largest_bend']:.3g}; 99 % of all others are at most "
            f"{report['bend_99_percent']:.3g}"
        )
