"""A MIDI file played by a generator: `retimbre generate midi`.

A generator that is told what the keys do makes the piece itself (`keyboard_piece`). Of one that makes notes, this is
how they become the piece: the file is read by `data/midi.py` (tempo, tracks, pedal) and brought to what the generator
knows by `score.py`; its notes are made by `ensemble.py`, held by `sustain.py` and added up by `mixdown.py`.

Nothing in memory grows with the length of the piece but the list of its notes: samples go to a temporary file as they
are finished, and from there to the sound file, with one gain for all, so that the peak is 0.7 and loud passages stay
loud. Onsets are exact to the sample: the first sample of a note's clip lies at round(seconds x rate).
"""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retimbre.core.errors import ConfigError
from retimbre.data.midi import read_midi
from retimbre.synth.melody import MELODY_PEAK
from retimbre.workflows.generate.chunks import CAN_TELL
from retimbre.workflows.generate.ensemble import Ensemble, stations_of
from retimbre.workflows.generate.folder import (
    LATENTS_FILE,
    GenerateOptions,
    Outcome,
    Progress,
    conclude,
    ignore,
    refuse_to_overwrite,
    speed,
    staged,
)
from retimbre.workflows.generate.keyboard_piece import play_keyboard
from retimbre.workflows.generate.mixdown import Onset, added_up
from retimbre.workflows.generate.player import need, one_class, open_player
from retimbre.workflows.generate.score import PlayOptions, Score, plan_score
from retimbre.workflows.generate.spool import Spool


def generate_midi(
    model: str | Path,
    midi: str | Path,
    out: str | Path,
    options: GenerateOptions | None = None,
    play: PlayOptions | None = None,
    *,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Plays a MIDI file; the sound has the file's name, and its peak is 0.7.

    Args:
        model: A run folder, a checkpoint file or a shipped name, of a generator that is told the pitch or the keys.
        midi: The file.
        out: The folder to write to.
        options: Labels other than pitch and velocity, seed and the like. Of a file of latents the first chosen one is
            the timbre, or all of them are the stations of a walk.
        play: Timbre, release and what becomes of unknown keys.
        progress: Told how many notes are played.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: The generator makes sounds that are NaN, infinite or immense.
        CheckpointError: The model or the file of latents cannot be read.
        ConfigError: The generator knows no pitch, or not the labels.
        MidiError: The file cannot be read or has nothing that can be played.
        ExistsError: Something is there already.
    """
    options, play = options or GenerateOptions(), play or PlayOptions()
    _refuse(options)
    player = open_player(model, options.weights, options.device, CAN_TELL)
    if player.sounds.conditions:
        return play_keyboard(player, midi, out, (options, play), progress)
    need(player, "pitch", "playing a MIDI file")
    score = plan_score(read_midi(midi), player.sounds.classes, player.sounds.sample_rate, play)
    sound_file = f"{Path(midi).stem}.wav"
    refuse_to_overwrite(out, (sound_file, LATENTS_FILE), force=options.force)
    stations = stations_of(player, play, options.latents, len(score.notes))
    ensemble = Ensemble(player, play, options.labels, stations)
    with staged(Path(out)) as folder:
        started = time.perf_counter()
        sound = _write(ensemble, score, folder / sound_file, options, progress)
        facts = {
            **speed(sound["seconds"], time.perf_counter() - started),  # mixing and writing included
            "midi": str(midi),
            "play": dataclasses.asdict(play),
            "notes": len(score.notes),
            "notes_made": ensemble.num_made,
        }
        remarks = [*score.remarks, *([] if sound["peak"] else ["it is silent"])]
        return conclude(folder, player, options, Outcome("midi", stations, [sound], remarks, facts))


def _refuse(options: GenerateOptions) -> None:
    for name in ("pitch", "velocity"):
        if name in options.labels:
            raise ConfigError(f"the {name} of every note is the MIDI file's; none can be asked for beside it")
    if options.normalize != "none" or options.pictures:
        raise ConfigError("a played MIDI file has a peak of 0.7 and no pictures; it takes neither option")


def _write(
    ensemble: Ensemble, score: Score, path: Path, options: GenerateOptions, progress: Progress
) -> dict[str, Any]:
    """Plays a score into a sound file; returns the file's entry in the manifest.

    Its labels are those that all notes have: of the attributes that the MIDI file does not decide.
    """
    rate = ensemble.player.sounds.sample_rate
    with Spool(path) as spool:
        for piece in added_up(_counted(ensemble, score, progress)):
            spool.add(piece)
        gain = MELODY_PEAK / spool.largest if spool.largest else 1.0
        spool.write(rate, gain, integers=options.integers)
    decided = dict(score.notes[0].classes)
    chosen = one_class(ensemble.player, options.labels, 1)
    return {
        "file": path.name,
        "labels": {name: values[0] for name, values in chosen.items() if name not in decided},
        "seconds": spool.num_samples / rate,
        "peak": MELODY_PEAK if spool.largest else 0.0,
        "gain": gain,
    }


def _counted(ensemble: Ensemble, score: Score, progress: Progress) -> Iterator[Onset]:
    for done, note in enumerate(ensemble.sounding(score.notes), start=1):
        progress(done, len(score.notes))
        yield note
