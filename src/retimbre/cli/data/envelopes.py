"""`retimbre data envelopes`: waves before and after an envelope."""

from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.data.imported import counted
from retimbre.cli.data.options import Test, Validation
from retimbre.cli.options import Device, Force, Json, OutFolder, Seed
from retimbre.core.errors import ConfigError

# The toy set's.
_FRACTIONS = [0.0, 0.2, 0.4]
_LEVELS = [1.0, 0.7, 0.4]
_WAVES = ["sine", "sawtooth", "square"]


def envelopes(
    size: Annotated[int, typer.Option(min=1, help="How many examples.")],
    out: OutFolder,
    attacks: Annotated[list[float], typer.Option(help="Fractions of the clip.")] = _FRACTIONS,
    decays: Annotated[
        list[float] | None, typer.Option(help="Fractions of the clip; not given: no such stage.")
    ] = None,
    sustains: Annotated[list[float], typer.Option(help="Levels, 0 to 1.")] = _LEVELS,
    releases: Annotated[list[float], typer.Option(help="Fractions of the clip.")] = _FRACTIONS,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="Any value between the least and the largest of each list.")
    ] = False,
    length: Annotated[int, typer.Option(min=2, help="Samples of a clip.")] = 128,
    sample_rate: Annotated[int, typer.Option(min=1, help="Samples per second.")] = 16000,
    carriers: Annotated[
        list[str],
        typer.Option(
            help="sine, sawtooth, square, inverted-sawtooth, triangle, wavetable, pulse, fm or noise."
        ),
    ] = _WAVES,
    pitch_low: Annotated[
        float,
        typer.Option(min=0, help="Lowest pitch in hertz; 0: a cycle in ten samples, as in the toy set."),
    ] = 0.0,
    pitch_high: Annotated[float, typer.Option(min=0, help="Highest pitch in hertz; 0: the lowest.")] = 0.0,
    jitter: Annotated[
        float, typer.Option(min=0, help="Largest shift of a sample's phase, in radians.")
    ] = 0.2,
    noise: Annotated[float, typer.Option(min=0, help="Largest noise of a sample.")] = 0.05,
    validation: Validation = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
    device: Device = "cpu",
    force: Force = False,
    json: Json = False,
) -> None:
    """Makes waves before and after an envelope, with the envelope's numbers as labels.

    Without options, those of the earlier system's toy set. A list's values are separated by spaces or commas.
    Run it again to go on where it was stopped. docs/data.md has the formula.

    Example:
        retimbre data envelopes --size 2048 --attacks 0 0.2 0.4 --out sets/envelopes
    """
    from retimbre.corpora.envelopes.corpus import EnvelopeSettings, default_cycles
    from retimbre.data.manifest import Fractions
    from retimbre.workflows.dataset.envelopes import EnvelopePlan, make_envelopes

    if pitch_high and not pitch_low:
        raise ConfigError("--pitch-high needs --pitch-low")
    seconds = length / sample_rate
    low = pitch_low * seconds
    settings = EnvelopeSettings(
        num_samples=length,
        sample_rate=sample_rate,
        attacks=tuple(attacks),
        decays=tuple(decays or ()),
        sustains=tuple(sustains),
        releases=tuple(releases),
        continuous=continuous,
        carriers=tuple(carriers),
        cycles=(low, pitch_high * seconds or low) if low else default_cycles(length),
        jitter_rad=jitter,
        noise=noise,
        seed=seed,
    )
    plan = EnvelopePlan(size, settings, Fractions(validation, test), device)
    with console.counter("making") as progress:
        made = make_envelopes(plan, out, force=force, progress=progress)
    if json:
        console.show_json(console.plain(made))
    else:
        _show(made)


def _show(made: Any) -> None:
    verb = "holds" if made.was_there and not made.written else "has now"
    console.show(
        f"{made.folder} {verb} {made.size:,} examples of {made.num_samples} samples at {made.sample_rate} Hz"
    )
    for counts in (made.splits, made.labels):
        console.show(f"  {counted(counts)}")
