"""Movements of keys and pedal to a MIDI file, and to sound: a SoundFont's piano, played by FluidSynth.

The file and the sound are made of the same movements, so they agree to the 4 ms that FluidSynth renders at once. Both
are what `retimbre data maestro` reads. Sound is mono, without reverberation and chorus.
"""

from collections.abc import Sequence
from pathlib import Path

import mido
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.files import whole_file
from retimbre.corpora.performances.score import TICKS_PER_SECOND
from retimbre.corpora.soundfont.player import FluidSynthPlayer
from retimbre.data.midi import SUSTAIN_PEDAL, Movement

PIANO = 0
"""The program of a grand piano in General MIDI."""

_TICKS_PER_BEAT = TICKS_PER_SECOND // 2  # at the tempo that a file without one has, 120 beats a minute
_PEAK = 0.9


def write_performance(path: Path, movements: Sequence[Movement]) -> None:
    """Writes movements as a MIDI file of one track, whole or not at all."""
    file = mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT)
    track = mido.MidiTrack()
    file.tracks.append(track)
    last = 0
    for movement in movements:
        tick = round(movement.at_s * TICKS_PER_SECOND)
        track.append(_message(movement, tick - last))
        last = tick
    with whole_file(path) as aside:
        file.save(aside)


def perform(
    player: FluidSynthPlayer, movements: Sequence[Movement], num_samples: int
) -> Float[Tensor, " samples"]:
    """The sound of movements, its peak at 0.9 at most; a piece that is softer stays so."""
    sound = player.perform(PIANO, movements, num_samples)
    return sound * min(1.0, _PEAK / max(float(sound.abs().max()), torch.finfo(sound.dtype).tiny))


def _message(movement: Movement, ticks: int) -> mido.Message:
    channel = movement.channel - 1
    if movement.key is None:
        return mido.Message(
            "control_change", channel=channel, time=ticks, control=SUSTAIN_PEDAL, value=movement.value
        )
    name = "note_on" if movement.value else "note_off"
    return mido.Message(name, channel=channel, note=movement.key, velocity=movement.value, time=ticks)
