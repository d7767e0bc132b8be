"""Patch files: everything needed to hear a sound again, as text that a person can read and change.

A patch names a synthesizer, the value of each of its knobs in the knob's own unit, the key that is pressed and for
how long the sound is recorded. It is a JSON file with a version of its own, so that a later program knows what it
reads:

    {
      "format": "retimbre patch", "version": 1,
      "synth": "fm", "sample_rate": 16384, "seconds": 1.0, "gain_db": 0.0,
      "note": {"pitch_hz": 440.0, "velocity": 1.0, "gate_s": 0.75, "noise_seed": 0},
      "knobs": {"C": 783.991, "M": 12.6, "D": [0.0, 0.5, 0.2]},
      "made_by": "retimbre 0.1.0"
    }

A knob that is given a list of numbers moves while the sound plays: the numbers are its values at equal distances
from the first sample to the last, joined by straight lines. A knob that is left out stands at its default.
`save_patch` and `load_patch` undo each other, and what a loaded patch renders is what the saved one rendered, bit
for bit.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import retimbre
from retimbre.core.config import build
from retimbre.core.errors import ConfigError, PatchError, RetimbreError
from retimbre.core.files import write_json
from retimbre.synth.base import REFERENCE_PITCH_HZ, Note, Synth
from retimbre.synth.catalog import find_synth
from retimbre.synth.knobs import Value
from retimbre.synth.parameters import Knobs

FORMAT = "retimbre patch"
VERSION = 1

Curve = tuple[float, ...]
Setting = Value | Curve

# A voice holds some tens of float32 signals of the sound's length at once: ten minutes stay within a few gigabytes.
LONGEST_SECONDS = 600.0
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 384_000
# Amplitudes from one millionth to a thousand times what the voice gives.
LOWEST_GAIN_DB, HIGHEST_GAIN_DB = -120.0, 60.0


@final
@dataclasses.dataclass(frozen=True)
class PatchNote:
    """The key that is pressed: as `synth.base.Note`, for one sound."""

    pitch_hz: float = REFERENCE_PITCH_HZ
    velocity: float = 1.0
    gate_s: float = 0.75
    noise_seed: int = 0

    def batch(self, size: int = 1) -> Note:
        """The same key for each item of a batch.

        Raises:
            ConfigError: A value is out of range.
        """
        return Note.of(
            size,
            pitch_hz=self.pitch_hz,
            velocity=self.velocity,
            gate_s=self.gate_s,
            noise_seed=self.noise_seed,
        )


@final
@dataclasses.dataclass(frozen=True)
class Patch:
    """One sound of one synthesizer.

    Attributes:
        synth: The synthesizer's name in the catalog.
        knobs: Values by name, in the knobs' own units; a tuple of numbers is a curve over the sound.
        seconds: Length of the sound, the release included.
        gain_db: What the synthesizer's output is multiplied by, in decibels.
        made_by: The program that wrote it, for a reader.
    """

    synth: str
    knobs: dict[str, float | str | tuple[float, ...]]
    sample_rate: int
    seconds: float = 1.0
    gain_db: float = 0.0
    note: PatchNote = dataclasses.field(default_factory=PatchNote)
    made_by: str = f"retimbre {retimbre.__version__}"

    @property
    def num_samples(self) -> int:
        """Length of the sound: the nearest number of samples, at least one."""
        return max(1, round(self.seconds * self.sample_rate))


def check_patch(patch: Patch) -> None:
    """Refuses a patch that cannot be rendered.

    Raises:
        PatchError: The synthesizer or a knob is unknown, or a value is out of range or not a number.
    """
    _check_range("seconds", patch.seconds, 1.0 / HIGHEST_RATE_HZ, LONGEST_SECONDS)
    _check_range("gain_db", patch.gain_db, LOWEST_GAIN_DB, HIGHEST_GAIN_DB)
    try:
        patch.note.batch()
        patch_knobs(patch, synth_at_rate(patch.synth, patch.sample_rate))
    except ConfigError as error:
        raise PatchError(str(error)) from error


def synth_at_rate(name: str, sample_rate: int) -> Synth:
    """The instrument of that name in the catalog, at a sample rate.

    Raises:
        ConfigError: There is no such instrument, or the rate is out of bounds.
    """
    synth = find_synth(name)
    if not LOWEST_RATE_HZ <= sample_rate <= HIGHEST_RATE_HZ:
        raise ConfigError(
            f"sample rate is {sample_rate} Hz, but takes {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
        )
    # Final synthesizers are frozen dataclasses, which the abstract class cannot say in its type.
    return dataclasses.replace(synth, sample_rate=sample_rate)  # pyright: ignore[reportArgumentType]


def render_patch(patch: Patch) -> Float[Tensor, " samples"]:
    """The sound of a patch.

    Raises:
        PatchError: The patch does not fit its synthesizer.
    """
    check_patch(patch)
    synth = synth_at_rate(patch.synth, patch.sample_rate)
    with torch.no_grad():
        audio = synth.render(patch_knobs(patch, synth), patch.note.batch(), num_samples=patch.num_samples)[0]
    if not bool(audio.isfinite().all()):
        raise RetimbreError(f"{patch.synth} made samples that are not numbers; please report this patch")
    return audio * 10.0 ** (patch.gain_db / 20.0)


def patch_knobs(patch: Patch, synth: Synth) -> dict[str, Tensor]:
    """The settings of a patch as `Synth.render` takes them, a batch of one.

    Raises:
        ConfigError: A knob is unknown, cannot vary within a sound, or a value is out of its range.
    """
    values = {name: value for name, value in patch.knobs.items() if not isinstance(value, tuple)}
    curves = {name: value for name, value in patch.knobs.items() if isinstance(value, tuple)}
    knobs = synth.space.from_values(values)
    for name, curve in curves.items():
        knobs[name] = torch.tensor([_checked_curve(synth, name, curve)])
    return knobs


def patch_from_knobs(synth: Synth, knobs: Knobs, note: Note, *, seconds: float, item: int = 0) -> Patch:
    """One item of a batch as a patch.

    Numbers are the shortest that give the same float32, so that 0.1 is not 0.10000000149. A choice is written as
    its name, so mixed weights become the heaviest choice.
    """
    plain = {name: knob for name, knob in knobs.items() if not _is_curve(synth, name, knob)}
    held = {name: knob[:, 0] for name, knob in knobs.items() if _is_curve(synth, name, knob)}
    values = synth.space.to_values({**plain, **held}, item)
    settings: dict[str, Setting] = {
        name: value if isinstance(value, str) else _short(value) for name, value in values.items()
    }
    settings |= {name: tuple(_short(point) for point in knobs[name][item].tolist()) for name in held}
    key = PatchNote(
        pitch_hz=_short(float(note.pitch_hz[item])),
        velocity=_short(float(note.velocity[item])),
        gate_s=_short(float(note.gate_s[item])),
        noise_seed=int(note.noise_seed[item]),
    )
    return Patch(synth.name, settings, synth.sample_rate, seconds=seconds, note=key)


def patch_to_table(patch: Patch) -> dict[str, Any]:
    """The patch as the JSON value of its file."""
    return {"format": FORMAT, "version": VERSION, **dataclasses.asdict(patch)}


def patch_from_table(table: Any) -> Patch:
    """A patch from the JSON value of its file.

    Raises:
        PatchError: It is not a patch, is of a version this program does not know, or does not fit its synthesizer.
    """
    if not isinstance(table, Mapping) or table.get("format") != FORMAT:
        raise PatchError(f'not a patch: "format" should be {FORMAT!r}')
    if table.get("version") != VERSION:
        raise PatchError(f"patch version {table.get('version')!r}, but this program reads version {VERSION}")
    try:
        patch = build(Patch, {key: table[key] for key in table if key not in {"format", "version"}}, "patch")
    except ConfigError as error:
        raise PatchError(str(error)) from error
    check_patch(patch)
    return patch


def save_patch(path: str | Path, patch: Patch) -> None:
    """Writes a whole patch file. A patch that does not fit its synthesizer is refused (PatchError)."""
    check_patch(patch)
    write_json(Path(path), patch_to_table(patch))


def load_patch(path: str | Path) -> Patch:
    """Reads a patch file.

    Raises:
        PatchError: The file cannot be read, is not a patch, or does not fit its synthesizer; one line says which.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        return patch_from_table(table)
    except OSError as error:
        raise PatchError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # what json and undecodable bytes raise
        raise PatchError(f"{path}: not a JSON file: {error}") from error
    except PatchError as error:
        raise PatchError(f"{path}: {error}") from error


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise PatchError(f"{name} is {value:g}, but takes {low:g} to {high:g}")


def _checked_curve(synth: Synth, name: str, curve: Curve) -> list[float]:
    parameter = synth.space[name]
    if name not in synth.curves:
        raise ConfigError(f"{synth.name}: {name} cannot vary within a sound; it takes one value")
    if len(curve) < 2:
        raise ConfigError(f"{name} has a curve of {len(curve)} numbers; a curve takes two or more")
    return [float(parameter.check(point)) for point in curve]


def _is_curve(synth: Synth, name: str, knob: Tensor) -> bool:
    return name in synth.curves and knob.ndim == 2


def _short(value: float) -> float:
    return float(str(np.float32(value)))


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number that JSON has")
