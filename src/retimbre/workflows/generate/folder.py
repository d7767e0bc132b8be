"""What generating leaves behind: sounds, the latents they came from, and `generate.json`, which says all about them.

    DIR/random_0000_060.wav        a sound per file; `names.py` says how they are named
        latents.safetensors        a latent per sound, for --latents
        sheet.png                  rainbowgrams of all of them, where pictures were asked for
        generate.json              the model, the labels, levels and times, for programs

All files are made in a folder beside their places and moved there when the last one is complete, the manifest after
all others. So a run that breaks off while sounds are made leaves what was there before; and one that replaces an
earlier one (`force`) also takes away, at the very end, those sounds of the earlier one that it does not have itself.

Generated notes have a peak of about 1, and some are beyond it, where integers and loudspeakers end. Such a sound is
turned down to a peak of 1, which its entry in the manifest says (`gain`), and never clipped. `normalize = "peak"`
brings every sound to a peak of 1.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

import retimbre
from retimbre.core.errors import ConfigError, ExistsError
from retimbre.core.files import folder_aside, free_files, write_json
from retimbre.dsp import audiofile
from retimbre.dsp.level import peak
from retimbre.gan.sounds import Weights
from retimbre.workflows.generate.latent_file import LatentChoice, save_latents
from retimbre.workflows.generate.player import Asked, Player
from retimbre.workflows.generate.sheet import Sheet, write_sheet

FORMAT, VERSION = "retimbre generate", 1
MANIFEST_FILE, LATENTS_FILE, SHEET_FILE = "generate.json", "latents.safetensors", "sheet.png"

Progress = Callable[[int, int], None]
"""Told how many sounds are made, of how many."""

# How many names a refusal tells.
_TOLD = 3


def ignore(done: int, total: int) -> None:
    """The progress that nobody looks at."""


@final
@dataclasses.dataclass(frozen=True)
class GenerateOptions:
    """What all ways of generating have in common.

    Attributes:
        labels: Classes that are asked for, by attribute: names, and MIDI numbers for `pitch` and `velocity`.
        latents: Which latents; drawn by its seed, or taken from a file.
        weights: Averages over training, or the weights after the last update.
        device: `auto`, `cpu` or `cuda`.
        normalize: `none`, or `peak` for a peak of 1.
        integers: Whether samples are written as 16-bit integers, not as 32-bit floats.
        pictures: Whether there is a sheet of rainbowgrams.
        force: Whether files that are there already are replaced.
    """

    labels: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    latents: LatentChoice = dataclasses.field(default_factory=LatentChoice)
    weights: Weights = "average"
    device: str = "auto"
    normalize: Literal["none", "peak"] = "none"
    integers: bool = False
    pictures: bool = False
    force: bool = False


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What is generated.

    Attributes:
        command: Which of the ways, for the manifest.
        names: Of the sounds' files, without their ending.
        latents: A row per sound.
        asked: For each attribute the class of each sound.
        sheet: How they are laid out in a picture.
        facts: What the manifest says besides.
    """

    command: str
    names: Sequence[str]
    latents: Float[Tensor, "sounds latent"]
    asked: Asked
    sheet: Sheet
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the sounds' files."""
        return tuple(f"{name}.wav" for name in self.names)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What came of generating, for the manifest.

    Attributes:
        command: Which of the ways.
        latents: Those that were chosen.
        sounds: For each file its name, labels, seconds, peak and gain.
        remarks: What a listener should know, a clause each.
        facts: What else there is to say; it takes the place of what all manifests say.
        pictures: Names of files.
    """

    command: str
    latents: Float[Tensor, "latents latent"]
    sounds: Sequence[Mapping[str, Any]]
    remarks: Sequence[str]
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: Sequence[str] = ()


def write_sounds(
    player: Player,
    plan: Plan,
    out: str | Path,
    options: GenerateOptions,
    *,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Generates what is planned and writes it.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: A sound is NaN, infinite or immense.
        ConfigError: `out` is empty.
        ExistsError: Something is there already, or `out` is a file.
    """
    pictured = (SHEET_FILE,) if options.pictures else ()
    refuse_to_overwrite(out, (*plan.files, LATENTS_FILE, *pictured), force=options.force)
    shown: list[Tensor] = []
    entries: list[dict[str, Any]] = []
    with staged(Path(out)) as folder:
        for row, audio in enumerate(player.play_all(plan.latents, plan.asked)):
            samples, gain = leveled(audio[0], options.normalize)
            rate = player.sounds.sample_rate
            audiofile.write(folder / plan.files[row], samples, rate, integers=options.integers)
            entries.append(_entry(plan, row, samples, gain, rate))
            if options.pictures and row < plan.sheet.most:
                shown.append(samples)
            progress(row + 1, len(plan.files))
        if options.pictures:
            write_sheet(folder / SHEET_FILE, shown, player.sounds.sample_rate, plan.sheet)
        remarks = _remarks(entries, plan, options)
        outcome = Outcome(plan.command, plan.latents, entries, remarks, plan.facts, pictured)
        return conclude(folder, player, options, outcome)


def leveled(
    samples: Float[Tensor, " samples"], normalize: Literal["none", "peak"]
) -> tuple[Float[Tensor, " samples"], float]:
    """A sound within full scale, and what it was multiplied by; a silent one stays silent."""
    largest = float(peak(samples))
    if largest == 0.0 or (normalize == "none" and largest <= 1.0):
        return samples, 1.0
    # A quotient is exactly 1 where the sample is the peak; a product with 1 / peak may fall short.
    return samples / largest, 1.0 / largest


def speed(seconds: float, spent_s: float) -> dict[str, float | None]:
    """How fast a sound was made, for a manifest."""
    return {
        "made_s": round(seconds, 6),
        "spent_s": round(spent_s, 6),
        "real_time_factor": round(seconds / spent_s, 3) if spent_s > 0.0 else None,
    }


def conclude(folder: Path, player: Player, options: GenerateOptions, outcome: Outcome) -> dict[str, Any]:
    """Writes latents and manifest beside the sounds.

    Returns:
        What `generate.json` holds.
    """
    told = {"model": player.name, "command": outcome.command}
    save_latents(folder / LATENTS_FILE, outcome.latents, told)
    manifest = {
        **_head(outcome.command, player, options),
        **outcome.facts,
        "latents_file": LATENTS_FILE,
        "pictures": list(outcome.pictures),
        "remarks": list(outcome.remarks),
        "sounds": list(outcome.sounds),
    }
    write_json(folder / MANIFEST_FILE, manifest)
    return manifest


def _head(command: str, player: Player, options: GenerateOptions) -> dict[str, Any]:
    """How every manifest begins."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": command,
        "retimbre": retimbre.__version__,
        "torch": torch.__version__,
        **player.facts(),
        **speed(player.made_s, player.spent_s),
        "seed": options.latents.seed,
        "latents_from": options.latents.file,
        "latents_rows": list(options.latents.rows),
        "labels": {name: str(value) for name, value in options.labels.items()},
        "normalize": options.normalize,
        "integers": options.integers,
    }


def refuse_to_overwrite(out: str | Path, names: Sequence[str], *, force: bool) -> None:
    """Stops before any work if something would be lost.

    Raises:
        ConfigError: `out` is an empty text. An empty `Path` is the current folder; the command line refuses it earlier.
        ExistsError: There are files of these names and `force` is not given, or `out` is a file.
    """
    if not str(out):
        raise ConfigError("out is empty; takes the folder to write to")
    folder = Path(out)
    there = [name for name in (MANIFEST_FILE, *names) if (folder / name).exists()]
    blocked = [name for name in there if (folder / name).is_dir()]
    if blocked:
        raise ExistsError(f"{folder / blocked[0]} is a folder, where a file is to be written")
    free_files(out, *(there[:_TOLD] or (MANIFEST_FILE,)), force=force)


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yields a folder to write to; when the block ends its files go to `out`, and when it fails nothing does."""
    with folder_aside(out / f".generate.{os.getpid()}.part", out) as aside:
        yield aside
        names = sorted(path.name for path in aside.iterdir())
        stale = _listed(out / MANIFEST_FILE) - set(names)
        (out / MANIFEST_FILE).unlink(missing_ok=True)  # one that is there is true at any moment
        for name in sorted(names, key=lambda name: name == MANIFEST_FILE):
            os.replace(aside / name, out / name)
        _remove(out, stale)


def _remove(out: Path, names: set[str]) -> None:
    """Takes away files that a manifest lists. It may have been edited: nothing outside of the folder is touched."""
    for name in names:
        if Path(name).name == name and (out / name).is_file():
            (out / name).unlink()


def _listed(manifest: Path) -> set[str]:
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            return set()
        sounds = [entry["file"] for entry in found["sounds"]]
        return {str(name) for name in (*sounds, found["latents_file"], *found["pictures"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _entry(
    plan: Plan, row: int, samples: Float[Tensor, " samples"], gain: float, sample_rate: int
) -> dict[str, Any]:
    return {
        "file": plan.files[row],
        "labels": {name: values[row] for name, values in plan.asked.items()},
        "seconds": len(samples) / sample_rate,
        "peak": float(peak(samples)),
        "gain": gain,
    }


def _remarks(entries: Sequence[Mapping[str, Any]], plan: Plan, options: GenerateOptions) -> list[str]:
    """What a listener should know, a clause each."""
    loud = sum(entry["gain"] < 1.0 for entry in entries) if options.normalize == "none" else 0
    silent = sum(entry["peak"] == 0.0 for entry in entries)
    left_out = len(entries) - plan.sheet.most if options.pictures else 0
    found = {
        f"{loud} of {len(entries)} sounds were beyond full scale and are turned down to it": loud,
        f"{silent} of {len(entries)} sounds are silent": silent,
        f"the sheet shows the first {plan.sheet.most} of {len(entries)} sounds": left_out,
    }
    return [remark for remark, count in found.items() if count > 0]
