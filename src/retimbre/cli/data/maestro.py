"""`retimbre data maestro`: piano performances, with what the keys and the pedal do."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.data.filters import numbers_in, words_in
from retimbre.cli.data.imported import MOST_WARNINGS, counted, show_remarks
from retimbre.cli.data.options import Test, Validation
from retimbre.cli.options import Force, Json, OutFolder, Seed
from retimbre.core.errors import ConfigError, PartialFailure

_LIST = "Separate several with commas; 'all' for every one."


def maestro(
    raw: Annotated[
        Path,
        typer.Argument(
            metavar="RAW", help="MAESTRO as unpacked, or any folder of sounds with MIDI beside them."
        ),
    ],
    out: OutFolder,
    hours: Annotated[
        float, typer.Option(min=0, help="Stop before the performance that would pass this; 0: all.")
    ] = 0.0,
    year: Annotated[str, typer.Option(help=f"Only these years. {_LIST}")] = "all",
    part: Annotated[
        str, typer.Option(help=f"Only these of MAESTRO's train, validation and test. {_LIST}")
    ] = "all",
    composer: Annotated[
        str, typer.Option(help=f"Only composers whose name has one of these in it. {_LIST}")
    ] = "all",
    order: Annotated[
        Literal["name", "shuffled"],
        typer.Option(help="Which performances come first, where hours are limited."),
    ] = "name",
    midi_only: Annotated[
        bool, typer.Option("--midi-only", help="MIDI states alone: the audio need not be there.")
    ] = False,
    audio_only: Annotated[
        bool, typer.Option("--audio-only", help="Audio alone: the MIDI need not be there.")
    ] = False,
    samples: Annotated[int, typer.Option(min=1, help="Length of a chunk.")] = 16384,
    sample_rate: Annotated[int, typer.Option(min=1, help="Samples per second.")] = 16000,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Cuts piano performances to chunks, with the state of 88 keys and the pedal 512 times in each.

    MAESTRO's own parts are kept; --validation and --test are for folders without its table. Performances that cannot
    be used are listed and the rest goes on; the exit status is then 1.

    Example:
        retimbre data maestro maestro-v3.0.0 --out sets/maestro --hours 6
    """
    from retimbre.corpora.maestro.scan import MaestroFilters
    from retimbre.data.manifest import Fractions
    from retimbre.workflows.dataset.performances import Chunks, import_performances
    from retimbre.workflows.dataset.recordings import HowToImport

    if midi_only and audio_only:
        raise ConfigError("--midi-only and --audio-only leave nothing; give one of them")
    filters = MaestroFilters(
        content="midi" if midi_only else "audio" if audio_only else "both",
        hours=hours,
        years=numbers_in(year, "--year") or (),
        parts=words_in(part) or (),
        composers=words_in(composer) or (),
        order=order,
        seed=seed,
    )
    how = HowToImport(split=Fractions(validation, test), force=force)
    made = import_performances(raw, out, filters, Chunks(sample_rate, samples), how, console.counter)
    if json:
        console.show_json(console.plain(made))
    else:
        _show(made)
    failed = sum(reject.count for reject in made.rejects if reject.kind == "failed")
    for reject in made.rejects[:MOST_WARNINGS]:
        console.warn(f"{reject.kind}: {reject.path}: {reject.reason}")
    if len(made.rejects) > MOST_WARNINGS:
        console.warn(f"{len(made.rejects):,} in all; rejects.jsonl lists them")
    if failed:
        raise PartialFailure(
            f"{failed} of {made.pieces + failed} performances could not be used; the rest is done"
        )


def _show(made: Any) -> None:
    verb = "holds" if made.was_there else "has now"
    what = {"both": "with MIDI states", "audio": "of audio alone", "midi": "of MIDI states alone"}[
        made.content
    ]
    console.show(
        f"{made.folder} {verb} {made.clips:,} chunks {what} from {made.pieces:,} performances, {made.hours:.3g} h"
    )
    console.show(f"  {made.num_samples} samples each at {made.sample_rate} Hz; {counted(made.splits)}")
    console.show(f"  {made.pairs:,} have a chunk before them")
    show_remarks(made.remarks)
