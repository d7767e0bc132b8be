"""Generators in a listening test that are told conditions: what they are told comes from the real sounds.

Two kinds of generators make nothing of a latent alone, and each has a real sound that it should be heard beside:

    told the history    goes on from the beginning of the real sound, which both then have in common: of an item, one
                        hears how the music went on, and how the network thinks that it goes on
    told the keys       plays the MIDI file that lies beside the real sound under its name: of an item, one hears two
                        performances of the same keys. It plays from the file's beginning, also if it is told the
                        history besides, which is its own then

So such a generator answers real sounds, as an inverter does, and a test with one needs a folder of them. Each item has
a latent for each chunk, or one for a piece, drawn by the seed and the name of the real sound; labels are the middle
classes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, MidiError
from retimbre.dsp import audiofile, seams
from retimbre.gan.conditions import HISTORY, MIDI
from retimbre.workflows.generate.chunks import ChunkPlan, made_chunks
from retimbre.workflows.generate.keyboard_piece import course_of
from retimbre.workflows.generate.player import Player, one_class
from retimbre.workflows.generate.score import PlayOptions
from retimbre.workflows.study.listening.sounds import Excerpt, cut_to
from retimbre.workflows.study.listening.systems import SoundFolder, System

MIDI_ENDINGS = (".mid", ".midi", ".MID", ".MIDI")


@final
@dataclass(frozen=True, eq=False)
class ConditionedSounds(System):
    """A generator that is told what real sounds say, one at a time and when it is needed.

    Attributes:
        player: A generator that is told the history, the keys, or both, and nothing else.
        real: What it is told of; its keys are theirs.
        seed: Of the latents.
    """

    name: str
    player: Player
    real: SoundFolder
    seed: int

    @property
    def keys(self) -> tuple[str, ...]:
        """See `System`."""
        return self.real.keys

    @property
    def source(self) -> str:
        """The model."""
        return self.player.name

    def excerpt(self, key: str, seconds: float) -> Excerpt:
        """See `System`.

        Raises:
            AudioError: The real sound cannot be read or is all beginning, or there is no MIDI file that can be played.
        """
        if MIDI in self.player.sounds.conditions:
            return self._played(key, seconds)
        return self._gone_on(key, seconds)

    def _gone_on(self, key: str, seconds: float) -> Excerpt:
        """The beginning of a real sound, as much as is told, and chunks behind it up to the real sound's length."""
        sounds, path = self.player.sounds, self.real.files[key]
        rate, told = sounds.sample_rate, sounds.conditions[HISTORY]
        real = audiofile.read(path, max_seconds=seconds, sample_rate=rate).samples
        if len(real) <= told:
            raise AudioError(
                f"{path}: {len(real) / rate:.3g} s of it are heard, but {self.name} is told {told / rate:.3g} s and "
                "goes on from there; takes longer sounds"
            )
        count = -(-(len(real) + 1 - told) // sounds.num_samples)  # a sample more is heard as a cut, and faded
        latents = sounds.draw_latents(count, seed=self.seed, purpose=f"listening {key}")
        made = self._made(real[:told], ChunkPlan(latents, one_class(self.player, {}, 1)))
        return cut_to(made, rate, len(real) / rate)

    def _played(self, key: str, seconds: float) -> Excerpt:
        """The MIDI file of a real sound, from its beginning on, until its last release at most."""
        sounds = self.player.sounds
        try:
            course, num_samples = course_of(self.player, self._midi_of(key), PlayOptions().release_s)
        except MidiError as error:
            raise AudioError(str(error)) from error
        heard = min(num_samples, round(seconds * sounds.sample_rate) + 1)
        latent = sounds.draw_latents(1, seed=self.seed, purpose=f"listening {key}")
        classes = one_class(self.player, {}, 1)
        plan = ChunkPlan(latent.expand(-(-heard // sounds.num_samples), -1), classes, course)
        return cut_to(self._made(torch.zeros(0), plan)[:num_samples], sounds.sample_rate, seconds)

    def _midi_of(self, key: str) -> Path:
        path = self.real.files[key]
        for ending in MIDI_ENDINGS:
            if path.with_suffix(ending).is_file():
                return path.with_suffix(ending)
        raise AudioError(
            f"{path}: has no MIDI file beside it, but {self.name} plays keys; takes {path.with_suffix('.mid').name}"
        )

    def _made(self, before: Float[Tensor, " before"], plan: ChunkPlan) -> Float[Tensor, " samples"]:
        """What was before, and the chunks that are joined to it."""
        kept = max(0, len(before) - seams.reach_of(self.player.sounds.sample_rate))
        return torch.cat([before[:kept], *made_chunks(self.player, before, plan)])
