"""`retimbre generate continue`: a sound that goes on."""

from pathlib import Path
from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.generate.options import Model, Shared
from retimbre.cli.options import OutFolder
from retimbre.cli.unfolding import unfolded


@unfolded
def continue_(
    model: Model,
    sound: Annotated[Path, typer.Argument(metavar="SOUND", help="What the generator goes on from.")],
    out: OutFolder,
    shared: Shared,
    chunks: Annotated[int, typer.Option("--chunks", min=1, help="How many chunks are added.")] = 10,
    midi: Annotated[
        Path | None,
        typer.Option(
            "--midi",
            metavar="FILE.mid",
            help="What the keys do from the end of the sound on, for a generator that is told keys too.",
        ),
    ] = None,
) -> None:
    """Lets a sound go on, chunk by chunk, each made from the end of the last.

    The generator has to be told the history (docs/conditioned.md). The result is the sound, at the generator's rate,
    and the chunks behind it; generate.json tells where they begin and how smooth the seams are.

    Example:
        retimbre generate continue out/run examples/rhodes_g3.flac --chunks 20 --out out/babble
    """
    from retimbre.workflows.generate.continuation import Continuation, generate_continuation

    options = shared.options()
    how = Continuation(chunks, str(midi or ""))
    with console.counter("going on") as progress:
        manifest = generate_continuation(model, sound, out, how, options, progress=progress)
    shared.tell(out, manifest)
    if not shared.json:
        report = manifest["seam_report"]
        inside = report["bend_99_percent"]
        beside = "" if inside is None else f"; 99 % of those inside the chunks are at most {inside:.3g}"
        console.show(f"  seams: the largest bend is {report['largest_bend']:.3g}{beside}")
