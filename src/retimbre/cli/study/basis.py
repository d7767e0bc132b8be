"""`retimbre study basis`: what a learned basis is, and how few of its functions make a sound."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retimbre.cli import console
from retimbre.cli.options import Force, Json, OutFolder
from retimbre.core.errors import ConfigError


def basis(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A basis: a run folder, a file, or a shipped name.")
    ],
    out: OutFolder,
    sounds: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SOUND]...", help="Audio files, or folders of them [default: the folder examples]."
        ),
    ] = None,
    nonzeros: Annotated[
        str, typer.Option("--nonzeros", help="Values per second that are not zero, joined by commas.")
    ] = "250,500,1000,2000,4000",
    seconds: Annotated[float, typer.Option("--seconds", help="Length of an excerpt.")] = 4.0,
    rounds: Annotated[
        int,
        typer.Option("--rounds", min=1, help="Of the pursuit that finds the codes; more is better, slower."),
    ] = 16,
    most: Annotated[
        int, typer.Option("--most", min=0, help="Excerpts at most, evenly from all there are; 0: all.")
    ] = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Shows a learned basis: its functions, its codes, and how well few of them make a sound.

    The signal-to-noise ratio by values per second, beside the same basis before it learned and beside the MDCT with
    its best window, with 95 % intervals over excerpts; pictures, sounds and a page. Files that cannot be read are
    listed and the rest is done; the exit status is then 1.

    Example:
        retimbre study basis piano-basis examples --out out/basis
    """
    from retimbre.workflows.study.basis.study import BasisOptions, partial_failure, study_basis

    options = BasisOptions(
        model=model,
        sounds=tuple(sounds or (Path("examples"),)),
        per_s=_numbers(nonzeros),
        seconds=seconds,
        rounds=rounds,
        most=most,
    )
    result = study_basis(out, options, force=force, tell=console.say)
    if json:
        console.show_json(result)
    else:
        console.show_table([_shown(row) for row in result["rows"]])
        console.show(f"report: {out / 'report.html'}")
    error = partial_failure(result)
    if error:
        raise error


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(each) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise ConfigError(f"--nonzeros is {text!r}; takes numbers joined by commas") from error


def _shown(row: dict[str, Any]) -> dict[str, str]:
    return {
        "values/s": f"{row['nonzeros_per_s']:g}",
        "contender": row["contender"],
        "SNR dB": f"{row['snr_db']:.2f}",
        "95 %": f"{row['low_db']:.2f} to {row['high_db']:.2f}",
        "over MDCT dB": f"{row['gain_db']:+.2f}",
        "its 95 %": f"{row['gain_low_db']:+.2f} to {row['gain_high_db']:+.2f}",
    }
