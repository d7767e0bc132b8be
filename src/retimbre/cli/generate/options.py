"""What the commands of `retimbre generate` have in common: their options, and how they tell what was made.

All of them play a generator: it is asked for classes, gets latents, has weights of two kinds, and leaves files. Those
options are `Shared`, one parameter of each command (`cli/unfolding.py`). The others, which only some commands have, are
types of a parameter.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, final

import typer

from retimbre.cli import console
from retimbre.cli.options import Device, Force, Json, Seed
from retimbre.core.errors import ConfigError

if TYPE_CHECKING:
    from retimbre.workflows.generate.folder import GenerateOptions
    from retimbre.workflows.generate.latent_file import LatentChoice

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A generator: a run folder, a checkpoint file or a shipped name."),
]
Pitch = Annotated[
    int | None, typer.Option("--pitch", metavar="KEY", help="The MIDI number of the key, 60 is middle C.")
]
Velocity = Annotated[
    int | None, typer.Option("--velocity", help="How hard the key is struck, a velocity that was learned.")
]
Family = Annotated[str, typer.Option("--family", metavar="NAME", help="The family of instruments.")]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=CLASS", help="Any attribute of the generator; may be repeated."),
]
Latents = Annotated[
    Path | None,
    typer.Option("--latents", metavar="FILE", help="Saved latents, such as those beside generated sounds."),
]
Take = Annotated[
    str,
    typer.Option(
        "--take", metavar="ROW,...", help="Which of --latents, from 0 on [default: the first ones]."
    ),
]
WeightsKind = Annotated[
    Literal["average", "raw"],
    typer.Option("--weights", help="The average over training, or the weights after the last update."),
]
Normalize = Annotated[
    Literal["none", "peak"],
    typer.Option(
        "--normalize", help="peak: every sound to a peak of 1; none: only those that are beyond it."
    ),
]
Integers = Annotated[
    bool, typer.Option("--integers", help="Write samples as 16-bit integers, not 32-bit floats.")
]
Pictures = Annotated[
    bool, typer.Option("--pictures/--no-pictures", help="A sheet of rainbowgrams beside the sounds.")
]


def labels_of(label: Sequence[str] | None, named: Mapping[str, int | str | None]) -> dict[str, str]:
    """The classes that are asked for, by attribute.

    Args:
        label: Those of --label.
        named: Those of options that are called like an attribute; empty texts and None are none.

    Raises:
        ConfigError: A label is not written NAME=CLASS, or an attribute is named twice.
    """
    found = {name: str(value) for name, value in named.items() if value not in (None, "")}
    for text in label or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise ConfigError(f"a label is written NAME=CLASS, not {text!r}")
        if name in found:
            raise ConfigError(f"{name} is asked for twice")
        found[name] = value
    return found


def choice_of(latents: Path | None, take: str, seed: int) -> "LatentChoice":
    """Which latents are used.

    Raises:
        ConfigError: Rows that are not numbers, or rows of no file.
    """
    from retimbre.workflows.generate.latent_file import LatentChoice

    try:
        rows = tuple(int(part) for part in take.split(",")) if take.strip() else ()
    except ValueError:
        raise ConfigError(f"--take is numbers of rows with commas between, not {take!r}") from None
    return LatentChoice(str(latents or ""), rows, seed)


@final
@dataclasses.dataclass(frozen=True)
class Shared:
    """The options that every command which plays a generator has, each explained by its own help."""

    family: Family = ""
    label: Label = None
    seed: Seed = 0
    latents: Latents = None
    take: Take = ""
    weights: WeightsKind = "average"
    integers: Integers = False
    device: Device = "auto"
    force: Force = False
    json: Json = False

    def options(
        self,
        *,
        pitch: int | None = None,
        velocity: int | None = None,
        normalize: Literal["none", "peak"] = "none",
        pictures: bool = False,
    ) -> "GenerateOptions":
        """These options, and those that only some commands have, as the workflows take them.

        Raises:
            ConfigError: A label is not written NAME=CLASS, an attribute is named twice, or rows of latents are no
                numbers or of no file.
        """
        from retimbre.workflows.generate.folder import GenerateOptions

        return GenerateOptions(
            labels=labels_of(self.label, {"pitch": pitch, "velocity": velocity, "family": self.family}),
            latents=choice_of(self.latents, self.take, self.seed),
            weights=self.weights,
            device=self.device,
            normalize=normalize,
            integers=self.integers,
            pictures=pictures,
            force=self.force,
        )

    def tell(self, out: Path, manifest: Mapping[str, Any]) -> None:
        """Prints what was made, for a reader or a program."""
        for remark in manifest["remarks"]:
            console.warn(remark)
        if self.json:
            console.show_json(manifest)
            return
        seconds = sum(sound["seconds"] for sound in manifest["sounds"])
        sounds = console.counted(len(manifest["sounds"]), "sound")
        speed = manifest["real_time_factor"]
        console.show(
            f"{out}: {sounds}, {seconds:.4g} s at {manifest['sample_rate']} Hz"
            + (f", made at {speed:.4g} times real time" if speed else "")
        )
