"""`retimbre encode` and `retimbre decode`: a sound to features, and features to a sound."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json


def encode(
    sound: Annotated[
        Path, typer.Argument(metavar="SOUND", help="A sound file; with --fit-statistics a data set's folder.")
    ],
    representation: Annotated[
        str,
        typer.Option("--representation", metavar="NAME", help="'retimbre list representations' names them."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The file to write: features end in .npz, statistics in .safetensors.",
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the representation; may be repeated."),
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Resample to this rate [default: the file's own].")
    ] = None,
    statistics: Annotated[
        Path | None,
        typer.Option("--statistics", metavar="FILE", help="Standardise the features with these statistics."),
    ] = None,
    fit_statistics: Annotated[
        Literal["bin", "cell"] | None,
        typer.Option(
            "--fit-statistics",
            help="Measure statistics on a set's clips for training instead: per bin, or per bin and frame.",
        ),
    ] = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Encodes a sound into the features that a network would see.

    The file is a plain .npz: the features, in segments of at most half a minute, and what decoding needs. An hour
    takes no more memory than half a minute. Where decoding is exact, it is tried, and the SNR is said.

    With --fit-statistics, SOUND is a data set that 'retimbre data' made, and the mean and deviation of its
    features are written, for --statistics to scale those of other sounds by.

    Example:
        retimbre encode examples/rhodes_g3.flac --representation mag-if --out out/rhodes.npz
        retimbre encode sets/notes --representation mag-if --fit-statistics bin --out out/notes.safetensors
    """
    from retimbre.core.errors import ConfigError
    from retimbre.workflows.encode import EncodeOptions, encode
    from retimbre.workflows.statistics import FitOptions

    if fit_statistics and statistics:
        raise ConfigError("statistics are measured on plain features: --fit-statistics excludes --statistics")
    if fit_statistics:
        fit = FitOptions(fit_statistics, settings or (), sample_rate, device)
        _fit_statistics(sound, representation, out, fit, force=force, json=json)
        return
    options = EncodeOptions(settings or (), sample_rate, statistics, device)
    with console.progress("encoding", _seconds(sound)) as advance:
        encoded = encode(sound, representation, out, options, force=force, advance=advance)
    for remark in encoded.remarks:
        console.warn(f"{sound}: {remark}")
    header = encoded.header
    if json:
        result = {
            "file": str(out),
            "representation": header.representation,
            "settings": header.settings,
            "identity": header.identity,
            "sample_rate": header.sample_rate,
            "num_samples": header.cuts.num_samples,
            "shape": list(encoded.shape),
            "exact": encoded.exact,
            "invertible": encoded.invertible,
            "snr_db": encoded.snr_db,
            "remarks": list(encoded.remarks),
        }
        console.show_json(result)
    else:
        shape = " x ".join(str(size) for size in encoded.shape)
        trip = "" if encoded.snr_db is None else f", decoded again with {encoded.snr_db:.0f} dB"
        console.show(f"{out}: {header.representation}, {shape}{trip}")


def decode(
    features: Annotated[Path, typer.Argument(metavar="FEATURES.npz", help="What 'retimbre encode' wrote.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The sound file to write: .wav or .flac.")
    ],
    representation: Annotated[
        str,
        typer.Option(
            "--representation", metavar="NAME", help="Insist on this one [default: the file's own]."
        ),
    ] = "",
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Turns features back into a sound: exactly, or by the best estimate.

    A .wav keeps samples beyond full scale as they are.

    Example:
        retimbre decode out/rhodes.npz --out out/rhodes.wav
    """
    from retimbre.workflows.decode import decode
    from retimbre.workflows.feature_file import open_features

    with console.progress("decoding", open_features(features).seconds) as advance:
        decoded = decode(
            features, out, representation=representation, device=device, force=force, advance=advance
        )
    header = decoded.header
    if json:
        result = {
            "file": str(out),
            "representation": header.representation,
            "sample_rate": header.sample_rate,
            "num_samples": header.cuts.num_samples,
            "peak": decoded.peak,
        }
        console.show_json(result)
    else:
        console.show(
            f"{out}: {header.representation}, {decoded.seconds:.4g} s at {header.sample_rate} Hz, "
            f"peak {decoded.peak:.3g}"
        )


def _fit_statistics(
    folder: Path, representation: str, out: Path, options: Any, *, force: bool, json: bool
) -> None:
    from retimbre.workflows.statistics import fit_set_statistics, num_training_clips

    with console.progress("measuring", num_training_clips(folder)) as advance:
        fitted = fit_set_statistics(folder, representation, out, options, force=force, advance=advance)
    statistics = fitted.statistics
    if json:
        result = {
            "file": str(out),
            "representation": fitted.representation,
            "identity": statistics.representation,
            "sample_rate": fitted.sample_rate,
            "num_clips": statistics.num_clips,
            "per": options.per,
            "shape": list(statistics.mean.shape),
        }
        console.show_json(result)
    else:
        console.show(
            f"{out}: statistics of {fitted.representation} per {options.per}, of {statistics.num_clips} clips at "
            f"{fitted.sample_rate} Hz"
        )


def _seconds(sound: Path) -> float:
    from retimbre.dsp.audiofile import probe

    return probe(sound).seconds
