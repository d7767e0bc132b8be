"""What an instrument is sampled from: a generator of notes, or a patch of a synthesizer.

Both are asked for one note at a time: a key, a velocity and the number of a timbre. A generator answers with a clip of
the length that it learned; its timbres are latents, and the velocities that it knows are classes. A patch can be held
for as long as one likes, and is one timbre. Its knobs may put it far from the key that is pressed, so it is tuned first
(`matching/tuning.py`), as it is when it plays a MIDI file.
"""

import abc
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError, PatchError
from retimbre.core.files import sha256_of
from retimbre.matching.tuning import Tuning, measure_tuning
from retimbre.synth.patches import FORMAT as PATCH_FORMAT
from retimbre.synth.patches import Patch, load_patch, render_patch
from retimbre.training.shipped import find_checkpoint
from retimbre.workflows.export.parts import model_name
from retimbre.workflows.export.sfz.keyboard import HIGHEST_KEY, HIGHEST_VELOCITY, LOWEST_KEY
from retimbre.workflows.generate.latent_file import LatentChoice, chosen_latents
from retimbre.workflows.generate.player import Player, need, one_class, open_player
from retimbre.workflows.match.files import TABLE_FILE, safe_name

# Where a patch sounds like itself: five octaves around its middle.
_PATCH_LOWEST, _PATCH_HIGHEST = 36, 96


class Voice(abc.ABC):
    """A source of notes.

    Attributes:
        name: What the instrument is called.
        sample_rate: Of its notes, in Hz.
        keys: The keys that it can play, ascending.
        range: The first and the last key of its keyboard, unless others are wanted.
        velocities: Those that it can tell apart, ascending.
        timbres: How many there are.
    """

    name: str
    sample_rate: int
    keys: tuple[int, ...]
    range: tuple[int, int]
    velocities: tuple[int, ...]
    timbres: int

    @abc.abstractmethod
    def note(self, key: int, velocity: int, timbre: int, seconds: float) -> Float[Tensor, " samples"]:
        """A note that is held.

        Args:
            key: MIDI number.
            velocity: 1 to 127.
            timbre: Which, from 0 on.
            seconds: How long it is held, where it can be held.

        Raises:
            AudioError: It is not finite.
        """

    @abc.abstractmethod
    def check_velocity(self, velocity: int) -> None:
        """Refuses a velocity that there is no note of.

        Raises:
            ConfigError: It is one.
        """

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """Where the notes are from, as JSON values."""


@final
class GeneratorVoice(Voice):
    """The notes of a generator; made by `open_generator`."""

    def __init__(self, name: str, player: Player, labels: Mapping[str, Any], latents: Tensor) -> None:
        self.name, self.player, self.labels, self.latents = name, player, dict(labels), latents
        self.sample_rate = player.sounds.sample_rate
        self.keys = tuple(int(key) for key in need(player, "pitch", "an instrument"))
        self.range = (self.keys[0], self.keys[-1])
        told = player.sounds.classes.get("velocity", (str(HIGHEST_VELOCITY),))
        self.velocities = tuple(sorted(int(velocity) for velocity in told))
        self.timbres = len(latents)

    def note(self, key: int, velocity: int, timbre: int, seconds: float) -> Float[Tensor, " samples"]:
        """See `Voice`; a clip has the length that the generator learned."""
        asked: dict[str, Any] = {**self.labels, "pitch": key}
        if "velocity" in self.player.sounds.classes:
            asked["velocity"] = velocity
        row = self.latents[timbre : timbre + 1]
        return self.player.play(row, one_class(self.player, asked, 1))[0]

    def check_velocity(self, velocity: int) -> None:
        """See `Voice`."""
        if "velocity" in self.player.sounds.classes and velocity not in self.velocities:
            known = ", ".join(str(each) for each in self.velocities)
            raise ConfigError(f"{self.player.name}: knows no velocity {velocity}; takes {known}")

    def facts(self) -> dict[str, Any]:
        """See `Voice`."""
        chosen = one_class(self.player, self.labels, 1)
        labels = {name: each[0] for name, each in chosen.items() if name not in ("pitch", "velocity")}
        return {"kind": "generator", **self.player.facts(), "labels": labels}


@final
class PatchVoice(Voice):
    """A patch at every key; made by `open_patch`."""

    def __init__(self, name: str, path: Path, patch: Patch, tuning: Tuning) -> None:
        self.name, self.path, self.patch, self.tuning = name, path, patch, tuning
        self.sample_rate = patch.sample_rate
        self.keys = tuple(range(LOWEST_KEY, HIGHEST_KEY + 1))
        self.range = (_PATCH_LOWEST, _PATCH_HIGHEST)
        self.velocities = (HIGHEST_VELOCITY,)
        self.timbres = 1

    def note(self, key: int, velocity: int, timbre: int, seconds: float) -> Float[Tensor, " samples"]:
        """See `Voice`; a patch whose knobs move as it plays keeps its own length and gate, which they are made for."""
        moves = any(isinstance(setting, tuple) for setting in self.patch.knobs.values())
        held = self.patch.note.gate_s if moves else seconds
        pressed = dataclasses.replace(
            self.patch.note,
            pitch_hz=440.0 * 2.0 ** ((key - 69) / 12) * self.tuning.key_over_pitch,
            velocity=velocity / HIGHEST_VELOCITY,
            gate_s=held,
        )
        length_s = self.patch.seconds if moves else seconds
        return render_patch(dataclasses.replace(self.patch, note=pressed, seconds=length_s))

    def check_velocity(self, velocity: int) -> None:
        """See `Voice`; a patch takes any."""

    def facts(self) -> dict[str, Any]:
        """See `Voice`."""
        return {
            "kind": "patch",
            "patch": self.path.name,
            "sha256": sha256_of(self.path),
            "synth": self.patch.synth,
            "sample_rate": self.sample_rate,
            "tuning_cents": round(self.tuning.cents, 2),
            "tuned": self.tuning.known,
        }


def is_patch(source: str | Path) -> bool:
    """Whether something that was named is a patch file or the folder of a match, rather than a model."""
    path = Path(source)
    return path.suffix.lower() == ".json" or (path / TABLE_FILE).is_file()


def open_patch(source: str | Path, synth: str = "") -> PatchVoice:
    """A patch file, or the best candidate of a match, as a voice.

    Args:
        source: A patch file, or the folder that a match has left for one sound.
        synth: The synthesizer that it must be of; empty for any.

    Raises:
        PatchError: It cannot be read, is no patch, or is of another synthesizer.
    """
    path = Path(source) / "01.json" if (Path(source) / TABLE_FILE).is_file() else Path(source)
    if _is_match_table(path):
        raise PatchError(
            f"{path}: is the table of a match; takes its folder {path.parent}, or a candidate in it"
        )
    patch = load_patch(path)
    if synth and patch.synth != synth:
        raise PatchError(f"{path}: is a patch for {patch.synth!r}, not {synth!r}")
    stem = f"{path.resolve().parent.name}-{path.stem}" if path.stem.isdigit() else path.stem
    return PatchVoice(safe_name(stem), path, patch, measure_tuning(patch))


def open_generator(
    model: str | Path, labels: Mapping[str, Any], latents: LatentChoice, timbres: int, device: str
) -> GeneratorVoice:
    """A generator as a voice.

    Args:
        model: A run folder, a checkpoint file or a shipped name, of a generator that is told the pitch.
        labels: Classes of its attributes other than pitch and velocity; those left out are the middle ones.
        latents: Which latents are the timbres.
        timbres: How many.
        device: Where it runs.

    Raises:
        CheckpointError: There is none, or it is a model of another kind.
        ConfigError: It is told nothing of pitch, or not these labels, or needs conditions.
    """
    for name in ("pitch", "velocity"):
        if name in labels:
            raise ConfigError(f"an instrument has every {name}; none can be asked for beside it")
    player = open_player(model, "average", device)
    rows = chosen_latents(player, latents, timbres)
    return GeneratorVoice(safe_name(model_name(find_checkpoint(model))), player, labels, rows)


def _is_match_table(path: Path) -> bool:
    try:
        return (
            path.name == TABLE_FILE
            and json.loads(path.read_text(encoding="utf-8")).get("format") != PATCH_FORMAT
        )
    except (OSError, ValueError, AttributeError):
        return False
