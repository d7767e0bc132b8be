"""The notes of a score as sounds: each made once, kept while there is room, and held as long as its key is.

Music repeats itself: a piece of ten thousand notes has a few hundred that differ in key, velocity and timbre. Equal
notes are made once and kept, as many as fit, and those that are missing are made together. A timbre that walks makes
every note another one, and each is then made when it is needed.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.workflows.generate.latent_file import LatentChoice, chosen_latents
from retimbre.workflows.generate.latents import WAYS
from retimbre.workflows.generate.mixdown import Onset
from retimbre.workflows.generate.player import MANY, Player, one_class
from retimbre.workflows.generate.score import PlannedNote, PlayOptions
from retimbre.workflows.generate.sustain import HeldClip

# Notes that are looked at together, to make those that are missing side by side.
_AHEAD = 64
# Notes that are kept: 64 MiB of samples.
_MOST_KEPT_SAMPLES = 1 << 24

_Key = tuple[tuple[tuple[str, str], ...], int]
"""What tells a note from others before it is held: its classes, and its place on the walk, 0 where there is none."""


@final
class Ensemble:
    """A generator that plays notes in a timbre that stays or walks.

    Attributes:
        stations: The latents: one, or those that a walk passes.
        num_made: Notes that were made; the others were played again.
    """

    def __init__(
        self,
        player: Player,
        play: PlayOptions,
        labels: Mapping[str, Any],
        stations: Float[Tensor, "stations latent"],
    ) -> None:
        self.player, self.play, self.labels, self.stations = player, play, labels, stations
        self.num_made = 0
        self._kept: OrderedDict[_Key, HeldClip] = OrderedDict()

    def sounding(self, notes: Sequence[PlannedNote]) -> Iterator[Onset]:
        """Every note as it sounds, in their order."""
        release = round(self.play.release_s * self.player.sounds.sample_rate)
        for start in range(0, len(notes), _AHEAD):
            some = notes[start : start + _AHEAD]
            clips = self._clips(some)
            for note in some:
                sound = clips[self._key(note)].note(note.gate_samples, release)
                yield note.onset, note.gain * sound

    def latent(self, note: PlannedNote) -> Float[Tensor, " latent"]:
        """Where the timbre is at a note. A walk that has come to its last station goes on to the first."""
        if self.play.timbre == "fixed":
            return self.stations[0]
        leg, step = divmod(note.number, self.play.leg)
        first, second = (self.stations[place % len(self.stations)] for place in (leg, leg + 1))
        return WAYS[self.play.path](first, second, torch.tensor([step / self.play.leg]))[0]

    def _key(self, note: PlannedNote) -> _Key:
        return note.classes, note.number if self.play.timbre == "walk" else 0

    def _clips(self, notes: Sequence[PlannedNote]) -> dict[_Key, HeldClip]:
        """What notes are made of, from what is kept or made anew."""
        wanted = {self._key(note): note for note in notes}
        found = {key: self._kept[key] for key in wanted if key in self._kept}
        missing = [key for key in wanted if key not in found]
        for start in range(0, len(missing), MANY):
            keys = missing[start : start + MANY]
            found |= zip(keys, self._made([wanted[key] for key in keys]), strict=True)
        for key in wanted:
            self._kept[key] = found[key]
            self._kept.move_to_end(key)
        while len(self._kept) > max(1, _MOST_KEPT_SAMPLES // self.player.sounds.num_samples):
            self._kept.popitem(last=False)
        return found

    def _made(self, notes: Sequence[PlannedNote]) -> list[HeldClip]:
        """Clips of some notes, made together."""
        self.num_made += len(notes)
        fixed = one_class(self.player, self.labels, len(notes))
        told = {name: [dict(note.classes)[name] for note in notes] for name, _ in notes[0].classes}
        latents = torch.stack([self.latent(note) for note in notes])
        audio = self.player.play(latents, fixed | told, [f"sound {note.number}" for note in notes])
        return [HeldClip(samples, self.player.sounds.sample_rate) for samples in audio]


def stations_of(
    player: Player, play: PlayOptions, choice: LatentChoice, num_notes: int
) -> Float[Tensor, "stations latent"]:
    """The latents of a piece: one, or the stations of a walk, which are all that are chosen from a file.

    Raises:
        CheckpointError: The file of latents cannot be read.
        ConfigError: They do not fit the generator, or there is nowhere to walk to.
    """
    if play.timbre == "fixed":
        return chosen_latents(player, choice, 1)
    count = 0 if choice.file else max(2, 1 - (1 - num_notes) // play.leg)
    stations = chosen_latents(player, choice, count)
    if len(stations) < 2:
        raise ConfigError(f"{choice.file}: one latent is chosen, but a walk takes 2 or more")
    return stations
