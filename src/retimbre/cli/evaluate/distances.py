"""`retimbre evaluate fad` and its siblings: a set of sounds to one number that carries its settings.

Twelve commands that differ in what they measure and share what they are told: which sounds, how they are read, who
hears them. Those that hear through an embedder take its name; those that ask a listener take a listener. `COMMANDS` is
the table of them; their help is in `distances_help`.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retimbre.cli import console
from retimbre.cli.evaluate.distances_help import ABOUT
from retimbre.cli.options import Device, Force, Json, Seed
from retimbre.core.errors import AudioError, ConfigError, PartialFailure

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Whose sounds are judged: a run folder, a checkpoint file, a shipped name, or a folder of sounds. "
        "An inverter is judged by its answers to the real clips.",
        show_default=False,
    ),
]
Real = Annotated[
    str, typer.Option("--real", metavar="DIR", help="The folder of real sounds.", show_default=False)
]
Fake = Annotated[
    str,
    typer.Option("--fake", metavar="DIR", help="The folder of sounds that are judged.", show_default=False),
]
EmbedderName = Annotated[
    str,
    typer.Option("--embedder", metavar="NAME", help="What hears the sounds; docs/listening.md lists them."),
]
EmbedderFile = Annotated[
    str,
    typer.Option(
        "--embedder-file", metavar="FILE", help="Its weights, if they are of others.", show_default=False
    ),
]
ListenerName = Annotated[
    str,
    typer.Option("--listener", metavar="NAME", help="What is asked: a shipped name, a run folder or a file."),
]
Attribute = Annotated[
    Literal["pitch", "family", "velocity"], typer.Option("--attribute", help="What the listener is asked.")
]
Profile = Annotated[
    Literal["default", "sony2020", "google2019", "torch-port", "fadtk"],
    typer.Option("--profile", help="Whose arithmetic and framing; docs/metrics.md tells how they differ."),
]
Seconds = Annotated[
    float, typer.Option("--seconds", min=0, max=30, help="Length of every clip; 0: of the longest file.")
]
SampleRate = Annotated[
    int, typer.Option("--sample-rate", metavar="HZ", help="At which the sounds are heard.")
]
Most = Annotated[
    int, typer.Option("--most", min=0, metavar="N", help="Take N files of each folder by chance; 0: all.")
]
Resamples = Annotated[int, typer.Option("--resamples", min=1, help="Draws of clips behind the interval.")]
Cache = Annotated[
    str,
    typer.Option(
        "--cache", metavar="DIR", help="Where vectors are kept, or 'none' [default: the user's cache folder]."
    ),
]
Out = Annotated[
    str, typer.Option("--out", metavar="DIR", help="A folder for the scores [default: write nothing].")
]


@dataclasses.dataclass(frozen=True)
class _Request:
    """What every measure of sets is told, beside who hears."""

    model: str
    fake: str
    real: str
    seconds: float
    sample_rate: int
    most: int
    out: str
    force: bool
    json: bool

    @property
    def judged(self) -> str:
        """The set judged, said in one of two places."""
        if bool(self.model) == bool(self.fake):
            got = "both" if self.model else "neither"
            raise ConfigError(f"the sounds to be judged are named as MODEL or as --fake DIR; got {got}")
        if self.fake and not Path(self.fake).exists():
            raise AudioError(f"{self.fake}: no such folder")
        return self.model or self.fake


def _by_embedder(metric: str, about: str) -> Callable[..., None]:
    """The command of a measure that hears through an embedder."""

    def command(
        model: Model = "",
        fake: Fake = "",
        real: Real = "",
        embedder: EmbedderName = "listener",
        embedder_file: EmbedderFile = "",
        profile: Profile = "default",
        seconds: Seconds = 1.0,
        sample_rate: SampleRate = 16_000,
        most: Most = 0,
        resamples: Resamples = 200,
        cache: Cache = "",
        out: Out = "",
        seed: Seed = 0,
        device: Device = "auto",
        force: Force = False,
        json: Json = False,
    ) -> None:
        from retimbre.workflows.evaluation.sets.measure import MeasureOptions

        hearing = MeasureOptions(
            embedder=embedder,
            embedder_file=embedder_file,
            profile=profile,
            resamples=resamples,
            cache=cache,
            seed=seed,
            device=device,
        )
        _run(metric, _Request(model, fake, real, seconds, sample_rate, most, out, force, json), hearing)

    command.__doc__ = about
    return command


def _by_listener(metric: str, about: str) -> Callable[..., None]:
    """The command of a measure that asks a listener about an attribute of its own."""

    def command(
        model: Model = "",
        fake: Fake = "",
        real: Real = "",
        listener: ListenerName = "listener",
        profile: Profile = "default",
        seconds: Seconds = 1.0,
        sample_rate: SampleRate = 16_000,
        most: Most = 0,
        resamples: Resamples = 200,
        cache: Cache = "",
        out: Out = "",
        seed: Seed = 0,
        device: Device = "auto",
        force: Force = False,
        json: Json = False,
    ) -> None:
        from retimbre.workflows.evaluation.sets.measure import MeasureOptions

        hearing = MeasureOptions(
            listener=listener, profile=profile, resamples=resamples, cache=cache, seed=seed, device=device
        )
        _run(metric, _Request(model, fake, real, seconds, sample_rate, most, out, force, json), hearing)

    command.__doc__ = about
    return command


def inception_score(
    model: Model = "",
    fake: Fake = "",
    real: Real = "",
    attribute: Attribute = "pitch",
    listener: ListenerName = "listener",
    profile: Profile = "default",
    seconds: Seconds = 1.0,
    sample_rate: SampleRate = 16_000,
    most: Most = 0,
    resamples: Resamples = 200,
    cache: Cache = "",
    out: Out = "",
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
) -> None:
    """Inception score of a set: is every sound clearly one class, and are all classes there?

    The exponential of the mean divergence between what a listener says of a clip and what it says on average: 1 where
    it can tell nothing or always says the same, the number of classes where each clip is surely one and all are equally
    frequent. It never looks at real sounds, so it cannot see whether the clips resemble any.

    Example:
        retimbre evaluate is --fake generated --attribute family
    """
    from retimbre.workflows.evaluation.sets.measure import MeasureOptions

    hearing = MeasureOptions(
        listener=listener,
        attribute=attribute,
        profile=profile,
        resamples=resamples,
        cache=cache,
        seed=seed,
        device=device,
    )
    _run("is", _Request(model, fake, real, seconds, sample_rate, most, out, force, json), hearing)


def _run(metric: str, request: _Request, hearing: Any) -> None:
    """Measures and shows; files that could not be used make the command end with status 1."""
    from retimbre.workflows.evaluation.sets.clips import ClipOptions
    from retimbre.workflows.evaluation.sets.folders import SetOptions, measure_sounds

    clips = ClipOptions(
        sample_rate=request.sample_rate, seconds=request.seconds, most=request.most, seed=hearing.seed
    )
    options = SetOptions(request.real, clips, hearing)
    with console.counter("hearing") as progress:
        result = measure_sounds(
            metric, request.judged, request.out, options, force=request.force, progress=progress
        )
    for line in result["passed_over"]:
        console.warn(f"passed over: {line}")
    if request.json:
        console.show_json(result)
    else:
        _show(result)
        if request.out:
            console.show(f"scores: {Path(request.out) / 'scores.json'}")
    if result["passed_over"]:
        raise PartialFailure(
            f"{console.counted(len(result['passed_over']), 'sound file')} could not be used; the rest is measured"
        )


def _show(result: dict[str, Any]) -> None:
    """The figure, its further ones, what it depends on, and what makes it doubtful."""
    console.show(f"{_figure(result['metric'], result)}, {result['n']:,} clips, {result['better']} is better")
    for name, figure in result.items():
        if name != "settings" and isinstance(figure, dict):
            console.show(f"  {_figure(name, figure)}")
    console.show(result["line"])
    for remark in result["remarks"]:
        console.show(f"remark: {remark}")


def _figure(name: str, figure: dict[str, Any]) -> str:
    return f"{name} {figure['value']:.4g} ({figure['low']:.4g} to {figure['high']:.4g})"


COMMANDS: dict[str, Callable[..., None]] = {
    **{metric: _by_listener(metric, ABOUT[metric]) for metric in ("pis", "iis")},
    "is": inception_score,
    **{metric: _by_listener(metric, ABOUT[metric]) for metric in ("pkid", "ikid")},
    **{
        metric: _by_embedder(metric, ABOUT[metric])
        for metric in ("kid", "fad", "kad", "prdc", "ndb", "mind", "imq")
    },
}
