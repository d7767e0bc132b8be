"""`retimbre study timing`: what each representation costs."""

from typing import Annotated

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, OutFolder


def timing(
    out: OutFolder,
    representations: Annotated[
        list[str] | None,
        typer.Option(
            "--representations",
            metavar="NAME",
            help="An entry of the catalog; repeat it or join names by commas [default: all].",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of a clip.")] = 1.0,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Clips at once.")] = 64,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Measures what each representation costs and what a round trip keeps.

    Time and memory to encode and to decode, SNR and spectral convergence, on plucked notes at 16 kHz. Run it again to
    go on where it stopped; --force measures anew.

    Example:
        retimbre study timing --representations stft,mdct --out out/timing
    """
    from retimbre.workflows.study.timing.study import TimingOptions, study_timing

    names = tuple(name for text in representations or () for name in text.split(",") if name)
    options = TimingOptions(names, seconds, batch, device)
    result = study_timing(out, options, force=force, tell=console.say)
    if json:
        console.show_json(result)
        return
    shown = ("name", "exact", "shape", "encode_ms", "decode_ms", "encode_x", "decode_x", "snr_db")
    console.show_table([{name: _short(row[name]) for name in shown} for row in result["rows"]])
    console.show(f"report: {out / 'report.md'}")


def _short(value: object) -> object:
    return f"{value:,.3g}" if isinstance(value, float) and abs(value) < 100 else _rounded(value)


def _rounded(value: object) -> object:
    return round(value) if isinstance(value, float) else value
