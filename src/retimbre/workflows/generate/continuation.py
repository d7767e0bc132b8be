"""A sound that goes on: `retimbre generate continue`.

    DIR/piano.wav              the sound and the chunks that follow it, joined
    DIR/latents.safetensors    a latent per chunk, for --latents
    DIR/generate.json          the model, where the seams are and how sharp the sound bends there

A generator that is told what was heard last makes the next chunk, is told the end of that, and so on: babble, where
nothing else is told; a piece, where it is told the keys as well. The seed is brought to one channel and to the
generator's rate. What is written is the seed and so many chunks, to the sample.

A seed that is shorter than the history is one that begins after silence. Whether a seam is heard is measured: the
largest second difference in the stretches that the joins changed, beside the 99th percentile of those inside the
chunks, where no join changed anything.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError
from retimbre.corpora.maestro.midi_states import Course
from retimbre.dsp import audiofile, seams
from retimbre.dsp.level import is_silent
from retimbre.workflows.generate.chunks import (
    CAN_TELL,
    HISTORY,
    MIDI,
    ChunkPlan,
    made_chunks,
    need_condition,
)
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
from retimbre.workflows.generate.keyboard_piece import course_of, left_out
from retimbre.workflows.generate.latent_file import chosen_latents
from retimbre.workflows.generate.player import Player, one_class, open_player
from retimbre.workflows.generate.score import MOST_SAMPLES

_PERCENTILE = 0.99


@final
@dataclasses.dataclass(frozen=True)
class Continuation:
    """How a sound goes on.

    Attributes:
        chunks: How many are added.
        midi: What the keys do from the end of the seed on, a file; empty for nothing. Only of a generator that is told.
    """

    chunks: int = 10
    midi: str = ""

    def __post_init__(self) -> None:
        """Refuses to add nothing."""
        if self.chunks < 1:
            raise ConfigError(f"chunks is {self.chunks}, but takes 1 or more")


def generate_continuation(
    model: str | Path,
    sound: str | Path,
    out: str | Path,
    how: Continuation | None = None,
    options: GenerateOptions | None = None,
    *,
    progress: Progress = ignore,
) -> dict[str, Any]:
    """Lets a sound go on; the result has the sound's name.

    Args:
        model: A run folder, a checkpoint file or a shipped name, of a generator that is told the history.
        sound: The seed.
        out: The folder to write to.
        how: How many chunks, and what the keys do in them.
        options: Labels, latents (one per chunk), seed and the like.
        progress: Told how many chunks are made.

    Returns:
        What `generate.json` holds.

    Raises:
        AudioError: The seed cannot be used or is silent, or the generator makes sounds that are NaN or immense.
        ConfigError: The generator is told no history, or a MIDI file is given to one that is told no keys.
        MidiError: The MIDI file cannot be read or has no notes of a piano.
        ExistsError: Something is there already.
    """
    how, options = how or Continuation(), options or GenerateOptions()
    if options.normalize != "none" or options.pictures:
        raise ConfigError("a sound that goes on keeps its level and has no pictures; it takes neither option")
    player = open_player(model, options.weights, options.device, CAN_TELL)
    need_condition(player, HISTORY)
    seed, remarks = _read_seed(player, sound, how)
    course = _course(player, how)
    remarks += left_out(how.midi) if how.midi else _unused_keys(player)
    latents = chosen_latents(player, options.latents, how.chunks)
    name = f"{Path(sound).stem}.wav"
    refuse_to_overwrite(out, (name, LATENTS_FILE), force=options.force)
    with staged(Path(out)) as folder:
        started = time.perf_counter()
        plan = ChunkPlan(latents, one_class(player, options.labels, 1), course)
        made = _continued(player, seed, plan, progress)
        largest = float(made.abs().amax())
        gain = 1.0 / largest if largest > 1.0 else 1.0
        rate = player.sounds.sample_rate
        audiofile.write(folder / name, gain * made, rate, integers=options.integers)
        entry = {
            "file": name,
            "labels": {each: values[0] for each, values in plan.classes.items()},
            "seconds": len(made) / rate,
            "peak": largest * gain,
            "gain": gain,
        }
        facts = {
            **speed((len(made) - len(seed)) / rate, time.perf_counter() - started),
            "source": str(sound),
            "midi": how.midi,
            "chunks": how.chunks,
            "seam_report": seam_report(made, len(seed), player.sounds.num_samples, rate),
        }
        return conclude(folder, player, options, Outcome("continue", latents, [entry], remarks, facts))


def seam_report(
    made: Float[Tensor, " samples"], first: int, chunk_samples: int, sample_rate: int
) -> dict[str, Any]:
    """Where chunks begin, how sharply the sound bends at each seam, and how sharply inside the chunks.

    Args:
        made: The seed and the chunks, joined.
        first: Where the first chunk begins.
        chunk_samples: How long each is.
        sample_rate: In Hz.

    Returns:
        `samples`, the seams; `bends`, the largest second difference in the whole stretch that each join changed, and
        `largest_bend`, the largest of these; `bends_between`, the same of stretches as long, half a chunk later, which
        tells what is usual in such sounds; `bend_99_percent`, the 99th percentile of those in samples of chunks that
        no join changed. There are none of the last two if a chunk is not longer than two joins.
    """
    places = list(range(first, len(made), chunk_samples))
    at_seams, _ = seams.largest_bends(made, places, sample_rate)
    # The seed tells nothing of how sharp a chunk may be: from the first seam on, there are chunks alone.
    _, inside = seams.largest_bends(made[first:], [place - first for place in places], sample_rate)
    touched = seams.touched_around(first, sample_rate)
    is_long = chunk_samples // 2 > touched.stop - touched.start + 2
    middles = [place + chunk_samples // 2 for place in places] if is_long else []
    between, _ = seams.largest_bends(made, middles, sample_rate)
    rank = int(_PERCENTILE * (len(inside) - 1))
    return {
        "samples": places,
        "bends": at_seams.tolist(),
        "largest_bend": float(at_seams.amax()),
        "bends_between": between.tolist(),
        "bend_99_percent": float(inside.sort().values[rank]) if is_long else None,
    }


def _continued(
    player: Player, seed: Float[Tensor, " samples"], plan: ChunkPlan, progress: Progress
) -> Float[Tensor, " longer"]:
    """The seed and all chunks."""
    kept = max(0, len(seed) - seams.reach_of(player.sounds.sample_rate))
    pieces = [seed[:kept]]
    for done, piece in enumerate(made_chunks(player, seed, plan), start=1):
        pieces.append(piece)
        progress(min(done, len(plan.latents)), len(plan.latents))
    return torch.cat(pieces)


def _read_seed(
    player: Player, sound: str | Path, how: Continuation
) -> tuple[Float[Tensor, " samples"], list[str]]:
    """The seed at the generator's rate, and what a listener should know of it."""
    sounds = player.sounds
    read = audiofile.read(sound, sample_rate=sounds.sample_rate)
    if is_silent(read.samples):
        raise AudioError(f"{sound}: is silent; a sound to go on from takes something to be heard")
    total = len(read.samples) + how.chunks * sounds.num_samples
    if total > MOST_SAMPLES:
        raise ConfigError(f"{how.chunks} chunks make {total:,} samples with the seed; takes {MOST_SAMPLES:,}")
    remarks = list(read.remarks)
    missing = sounds.conditions[HISTORY] - len(read.samples)
    if missing > 0:
        remarks.append(
            f"{sound}: is {missing / sounds.sample_rate:.3g} s shorter than the history that the model is told; "
            "silence is put before it"
        )
    return read.samples, remarks


def _course(player: Player, how: Continuation) -> Course | None:
    """What the keys do, where that is told."""
    if not how.midi:
        return None
    need_condition(player, MIDI)
    return course_of(player, how.midi, 0.0)[0]


def _unused_keys(player: Player) -> list[str]:
    """What a listener should know of a generator that is told keys but gets none."""
    if MIDI not in player.sounds.conditions:
        return []
    return [f"{player.name}: is told what the keys do, too; without --midi it is told that none is down"]
