"""A MIDI file played by a generator that is told the keys: `retimbre generate midi`, for such a generator.

A generator of notes plays a file note by note (`midi`). One that is told what all keys and the pedal do makes the piece
itself, a chunk at a time, each from the states of the keyboard in it and before it: its first chunk begins where the
file begins, and the sound ends when the last movement is over and its release has passed, to the sample.

One latent is the instrument of the whole piece, and the piece is at the level at which the generator plays, but for one
gain that keeps it within full scale. What the states have no place for, drums and keys that a piano does not have, is
left out and told.
"""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from retimbre.core.errors import ConfigError, MidiError
from retimbre.corpora.maestro.midi_states import LOWEST_KEY, NUM_KEYS, STATES_PER_CHUNK, Course, read_piano
from retimbre.data.midi import DRUM_CHANNEL, read_movements
from retimbre.gan.conditions import MIDI
from retimbre.workflows.generate.chunks import ChunkPlan, made_chunks, need_condition
from retimbre.workflows.generate.folder import (
    LATENTS_FILE,
    GenerateOptions,
    Outcome,
    Progress,
    conclude,
    refuse_to_overwrite,
    speed,
    staged,
)
from retimbre.workflows.generate.latent_file import chosen_latents
from retimbre.workflows.generate.player import Player, one_class
from retimbre.workflows.generate.score import MOST_SAMPLES, PlayOptions, counted_notes
from retimbre.workflows.generate.spool import Spool

_HIGHEST_KEY = LOWEST_KEY + NUM_KEYS - 1


def play_keyboard(
    player: Player,
    midi: str | Path,
    out: str | Path,
    how: tuple[GenerateOptions, PlayOptions],
    progress: Progress,
) -> dict[str, Any]:
    """Plays a MIDI file; the sound has the file's name.

    Args:
        player: A generator that is told MIDI states.
        how: Labels, latents and the like; and how long the sound goes on after the last movement, and whether keys that
            a piano does not have are refused. A timbre cannot walk from note to note where there are no notes.
        progress: Told how many chunks are made.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: The generator makes sounds that are NaN, infinite or immense.
        ConfigError: The generator is told no states, or a walk is asked for.
        MidiError: The file cannot be read, has no notes of a piano, lasts too long, or `strict` finds other keys.
        ExistsError: Something is there already.
    """
    options, play = how
    need_condition(player, MIDI)
    if play.timbre != "fixed":
        raise ConfigError(f"{player.name}: plays chunks, not notes, so its timbre is fixed; it cannot walk")
    course, num_samples = course_of(player, midi, play.release_s)
    remarks = left_out(midi, strict=play.strict)
    count = -(-num_samples // player.sounds.num_samples)
    sound_file = f"{Path(midi).stem}.wav"
    refuse_to_overwrite(out, (sound_file, LATENTS_FILE), force=options.force)
    latent = chosen_latents(player, options.latents, 1)
    plan = ChunkPlan(latent.expand(count, -1), one_class(player, options.labels, 1), course)
    with staged(Path(out)) as folder:
        started = time.perf_counter()
        sound = _write(player, plan, folder / sound_file, (num_samples, options.integers), progress)
        facts = {
            **speed(sound["seconds"], time.perf_counter() - started),
            "midi": str(midi),
            "chunks": count,
        }
        remarks += [] if sound["peak"] else ["it is silent"]
        return conclude(folder, player, options, Outcome("midi", latent, [sound], remarks, facts))


def course_of(player: Player, midi: str | Path, release_s: float) -> tuple[Course, int]:
    """What the keys do in states of the generator's chunks, and how many samples the piece has.

    Raises:
        MidiError: The file cannot be read, has no notes of a piano, or lasts too long.
    """
    sounds = player.sounds
    movements = read_piano(midi)
    num_samples = round((float(movements[-1].at_s) + release_s) * sounds.sample_rate)
    if num_samples > MOST_SAMPLES:
        raise MidiError(
            f"{midi}: has {num_samples:,} samples at {sounds.sample_rate} Hz; takes {MOST_SAMPLES:,}"
        )
    state_s = Fraction(sounds.num_samples, sounds.sample_rate * STATES_PER_CHUNK)
    return Course.of(movements, state_s), max(1, num_samples)


def left_out(midi: str | Path, *, strict: bool = False) -> list[str]:
    """Remarks on the notes of a file that have no place in the states of a piano.

    Raises:
        MidiError: The file cannot be read, or `strict` finds a key that a piano does not have.
    """
    struck = [(each, each.key) for each in read_movements(midi) if each.key is not None and each.value]
    beyond = [
        (movement, key)
        for movement, key in struck
        if movement.channel != DRUM_CHANNEL and not LOWEST_KEY <= key <= _HIGHEST_KEY
    ]
    takes = f"it takes {LOWEST_KEY} to {_HIGHEST_KEY}"
    if strict and beyond:
        movement, key = beyond[0]
        raise MidiError(
            f"{midi}: the note {key} at {float(movement.at_s):.2f} s is none that a piano has: {takes}"
        )
    counts = {
        "on channel 10, which is for drums": sum(each.channel == DRUM_CHANNEL for each, _ in struck),
        f"of keys that a piano does not have ({takes})": len(beyond),
    }
    return [f"left out: {counted_notes(count)} {where}" for where, count in counts.items() if count]


def _write(
    player: Player, plan: ChunkPlan, path: Path, form: tuple[int, bool], progress: Progress
) -> dict[str, Any]:
    """Writes so many samples of a piece, as floats or integers; returns the file's entry in the manifest."""
    num_samples, integers = form
    with Spool(path, num_samples) as spool:
        for done, piece in enumerate(made_chunks(player, torch.zeros(0), plan), start=1):
            spool.add(piece)
            progress(min(done, len(plan.latents)), len(plan.latents))
        spool.write(player.sounds.sample_rate, spool.gain, integers=integers)
    return {
        "file": path.name,
        "labels": {name: values[0] for name, values in plan.classes.items()},
        "seconds": num_samples / player.sounds.sample_rate,
        "peak": spool.largest * spool.gain,
        "gain": spool.gain,
    }
