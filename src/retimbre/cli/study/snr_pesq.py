"""`retimbre study snr-pesq`: how much noise each representation of speech tolerates."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Json, OutFolder, Seed
from retimbre.core.errors import ConfigError

# A grid finer or longer than this is a slip of the keyboard.
_MOST_SNRS = 1000


def snr_pesq(
    out: OutFolder,
    sounds: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SOUND]...", help="Recordings of speech, or folders of them [default: made vowels]."
        ),
    ] = None,
    representations: Annotated[
        list[str] | None,
        typer.Option(
            "--representations",
            metavar="NAME",
            help="A catalog entry, FAMILY@512-128 or FAMILY@all; repeat it or join names by commas [default: all].",
        ),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Draws of noise at each SNR.")] = 20,
    snr: Annotated[
        str,
        typer.Option(
            "--snr", metavar="FROM:TO:STEP", help="Signal-to-noise ratios in dB, both ends included."
        ),
    ] = "0:46:2",
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=0.25, max=20.0, help="How much of each sound is used, from its start."),
    ] = 8.0,
    wavs: Annotated[
        Literal["few", "all", "none"],
        typer.Option("--wavs", help="Sounds to keep: of the first recording in one setting, all, or none."),
    ] = "few",
    budget: Annotated[
        Literal["smoke", "full"],
        typer.Option(
            "--budget", help="A minute (every tenth SNR, 2 repeats, 3 s, one setting), or all that is asked."
        ),
    ] = "full",
    minutes: Annotated[
        float,
        typer.Option("--minutes", min=0.0, help="Stop after this wall time, to be continued; 0: never."),
    ] = 0.0,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes side by side, a core each.")
    ] = 1,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measures how much noise each representation of speech tolerates.

    White noise falls on one channel of a representation; the sound comes back, and PESQ compares it with the clean one:
    wide-band at 16 kHz, narrow-band at 8 kHz. Families with linear magnitudes are stft, mel-stft, mag, mel-mag,
    mag-phase and mag-if. Run it again to go on where it stopped. Needs the extra `speech`.

    Example:
        retimbre study snr-pesq speech.wav --budget smoke --out out/snr-pesq
    """
    from retimbre.workflows.study.snr_pesq.experiment import Outcome, SnrPesqOptions, study_snr_pesq

    names = tuple(name for text in representations or () for name in text.split(",") if name)
    options = SnrPesqOptions(
        tuple(sounds or ()), names, parse_snrs(snr), repeats, seconds, seed, workers, minutes, wavs, budget
    )
    with console.progress("noise", 1.0) as advance:
        result = study_snr_pesq(out, options, tell=console.say, advance=_Shares(advance))
    if json:
        console.show_json(result)
    else:
        _show(result)
        console.show(f"report: {out / 'report.html'}")
    error = Outcome(options, result["refused"], result["failed"]).error()
    if error:
        raise error


def parse_snrs(text: str) -> tuple[float, ...]:
    """The numbers from FROM to TO in steps of STEP.

    Raises:
        ConfigError: It is not written so, or makes no grid.
    """
    try:
        first, last, step = (float(part) for part in text.split(":"))
        count = int((last - first) / step + 1e-6) + 1
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ConfigError(
            f"--snr is written FROM:TO:STEP with a step above 0, as 0:46:2, not {text!r}"
        ) from error
    if not 1 <= count <= _MOST_SNRS or step <= 0:
        raise ConfigError(
            f"--snr {text} makes {max(count, 0)} SNRs; it takes 1 to {_MOST_SNRS}, with a step above 0"
        )
    return tuple(round(first + index * step, 3) for index in range(count))


class _Shares:
    """Turns counts of what is done into the shares that a progress bar adds up."""

    def __init__(self, advance: Any) -> None:
        self._advance = advance

    def __call__(self, done: float, total: float) -> None:
        self._advance(1.0 / total)


def _show(result: dict[str, Any]) -> None:
    console.show_table(
        [
            {
                "band": row["band"],
                "representation": row["representation"],
                "channel": row["channel"],
                "clean": _score(row["clean"]),
                "mean": _score(row["mean"]),
                **{
                    key.removeprefix("at_").replace("_", " "): _score(row[key])
                    for key in row
                    if key.startswith("at_")
                },
                "3 at dB": "never" if row["snr_for_3_db"] is None else f"{row['snr_for_3_db']:.1f}",
            }
            for row in result["standings"]
        ]
    )
    if result["unfinished"]:
        console.say(f"not finished: {len(result['unfinished'])} parts; run the study again to go on")


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
