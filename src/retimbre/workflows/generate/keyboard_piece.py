"""A MIDI file played by a generator that is told the keys: `retimbre generate midi`, for such a generator.

A generator of notes plays a file note by note (`midi`). One that is told what all keys and the pedal do makes the piece
itself, a chunk at a time, each from the states of the keyboard in it and before it: its first chunk begins where the
file begins, and the sound ends when the last movement is over and its release has passed, to the sample.

One latent is the instrument of the whole piece, and the piece is at the level at which the generator plays, but for one
gain that keeps it within full scale.
"""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from retimbre.core.errors import ConfigError, MidiError
from retimbre.core.files import write_json
from retimbre.corpora.maestro.midi_states import STATES_PER_CHUNK, Course, read_piano
from retimbre.gan.conditions import MIDI
from retimbre.workflows.generate.chunks import ChunkPlan, made_chunks, need_condition
from retimbre.workflows.generate.folder import (
    LATENTS_FILE,
    MANIFEST_FILE,
    GenerateOptions,
    Progress,
    head,
    refuse_to_overwrite,
    staged,
)
from retimbre.workflows.generate.latent_file import chosen_latents, save_latents
from retimbre.workflows.generate.player import Player, one_class
from retimbre.workflows.generate.score import MOST_SAMPLES, PlayOptions
from retimbre.workflows.generate.spool import Spool


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
        how: Labels, latents and the like; and how long the sound goes on after the last movement. A timbre cannot
            walk from note to note where there are no notes.
        progress: Told how many chunks are made.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: The generator makes sounds that are NaN, infinite or immense.
        ConfigError: The generator is told no states, or a walk is asked for.
        MidiError: The file cannot be read, has no notes of a piano, or lasts too long.
        ExistsError: Something is there already.
    """
    options, play = how
    need_condition(player, MIDI)
    if play.timbre != "fixed":
        raise ConfigError(f"{player.name}: plays chunks, not notes, so its timbre is fixed; it cannot walk")
    course, num_samples = course_of(player, midi, play.release_s)
    count = -(-num_samples // player.sounds.num_samples)
    sound_file = f"{Path(midi).stem}.wav"
    refuse_to_overwrite(out, (sound_file, LATENTS_FILE), force=options.force)
    latent = chosen_latents(player, options.latents, 1)
    plan = ChunkPlan(latent.expand(count, -1), one_class(player, options.labels, 1), course)
    with staged(Path(out)) as folder:
        started = time.perf_counter()
        sound = _write(player, plan, folder / sound_file, (num_samples, options.integers), progress)
        spent_s = time.perf_counter() - started
        save_latents(folder / LATENTS_FILE, latent, {"model": player.name, "command": "midi"})
        manifest = {
            **head("midi", player, options),
            "made_s": sound["seconds"],
            "spent_s": round(spent_s, 6),
            "real_time_factor": round(sound["seconds"] / spent_s, 3),
            "midi": str(midi),
            "chunks": count,
            "latents_file": LATENTS_FILE,
            "pictures": [],
            "remarks": [] if sound["peak"] else ["it is silent"],
            "sounds": [sound],
        }
        write_json(folder / MANIFEST_FILE, manifest)
    return manifest


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


def _write(
    player: Player, plan: ChunkPlan, path: Path, form: tuple[int, bool], progress: Progress
) -> dict[str, Any]:
    """Writes so many samples of a piece, as floats or integers; returns the file's entry in the manifest."""
    num_samples, integers = form
    with Spool(path.parent, num_samples) as spool:
        for done, piece in enumerate(made_chunks(player, torch.zeros(0), plan), start=1):
            spool.add(piece)
            progress(min(done, len(plan.latents)), len(plan.latents))
        spool.write(path, player.sounds.sample_rate, integers=integers)
    return {
        "file": path.name,
        "labels": {name: values[0] for name, values in plan.classes.items()},
        "seconds": num_samples / player.sounds.sample_rate,
        "peak": spool.largest * spool.gain,
        "gain": spool.gain,
    }
