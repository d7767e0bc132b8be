"""Does a generator that is told MIDI play what it is told?

    python benchmarks/midi_following.py MODEL FOLDER [--beside MODEL ...] [--part test] [--most 10] [--picture FILE.png]

Each piece of a folder (MAESTRO's layout, or pairs of sound and MIDI) is rendered from its MIDI, and a listener that
knows nothing of the generator (`dsp.key_onsets`) says which keys it hears struck when. A row is

    recordings    the sound that belongs to the MIDI: what the listener can find at most
    model         the generator
    untrained     the same network before it learned anything
    beside ...    others, such as a control that learned from shuffled labels

and its columns are the F1 of notes (key, and onset within 50 ms) and of onsets alone, against the MIDI of the piece and
against that of another piece, and the difference of the two with a 95 % bootstrap interval over pieces. A generator
follows its MIDI where that interval lies above 0. Between them notes are also compared with the MIDI of the piece whose
keys have changed places: whoever strikes at the right time, but any key, has a difference of 0 there.

`--picture` draws the keys that were told and those that were heard.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from retimbre.core.random import generator
from retimbre.corpora.maestro.table import find_table, read_pairs, read_table
from retimbre.data.midi import read_midi
from retimbre.dsp import audiofile
from retimbre.dsp.key_onsets import find_key_onsets
from retimbre.gan.sounds import SoundGenerator
from retimbre.metrics.bootstrap import bootstrap
from retimbre.metrics.onsets import note_f1, onset_f1
from retimbre.workflows.generate.chunks import CAN_TELL, ChunkPlan, made_chunks
from retimbre.workflows.generate.keyboard_piece import course_of
from retimbre.workflows.generate.player import Player, open_player
from retimbre.workflows.report.piano_roll import piano_roll_png

Notes = list[tuple[float, int]]
Score = Callable[[Notes, Notes], float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--beside", nargs="+", default=[])
    parser.add_argument("--part", default="")
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    player = open_player(asked.model, "average", "cpu", CAN_TELL)
    pieces = pieces_of(asked.folder, asked.part)[: asked.most or None]
    told = [[(note.onset_s, note.number) for note in read_midi(midi).notes] for _, midi in pieces]
    rows = {
        "recordings": (heard_in(read(path, player)) for path, _ in pieces),
        "model": (heard_in(rendered(player, midi)) for _, midi in pieces),
        "untrained": (heard_in(rendered(fresh(player), midi)) for _, midi in pieces),
    } | {name: heard_of(name, pieces) for name in asked.beside}
    print(f"{len(pieces)} pieces, {sum(map(len, told)):,} notes, of {asked.folder}")
    heads = ("note F1", "other MIDI", "difference", "", "other keys", "difference", "")
    heads = ("", *heads, "onset F1", "other MIDI", "difference", "")
    print("".join(f"{each:>13}" for each in heads))
    for name, sounds in rows.items():
        heard = list(sounds)
        print(f"{Path(name).stem:>13}" + "".join(line(told, heard)), flush=True)
        if name == "model" and asked.picture:
            asked.picture.write_bytes(piano_roll_png(told[0], heard[0], pieces[0][1].stem))


def pieces_of(folder: Path, part: str) -> list[tuple[Path, Path]]:
    """Sound and MIDI of each piece, of a part where the folder has a table and one is asked for."""
    table = find_table(folder)
    pieces = read_pairs(folder) if table is None else read_table(table)
    return [
        (folder / each.audio, folder / each.midi)
        for each in sorted(pieces, key=lambda piece: piece.name)
        if each.audio and each.midi and part in ("", each.part)
    ]


def read(path: Path, player: Player) -> Tensor:
    """A recording at the rate of the generator."""
    return audiofile.read(path, sample_rate=player.sounds.sample_rate).samples


def rendered(player: Player, midi: Path) -> Tensor:
    """A piece as the generator plays it."""
    course, num_samples = course_of(player, midi, 0.5)
    latent = player.sounds.draw_latents(1, seed=0)
    count = -(-num_samples // player.sounds.num_samples)
    plan = ChunkPlan(latent.expand(count, -1), {}, course)
    return torch.cat(list(made_chunks(player, torch.zeros(0), plan)))[:num_samples]


def fresh(player: Player) -> Player:
    """The same network with the weights that a run begins with."""
    torch.manual_seed(0)
    sounds = SoundGenerator(player.sounds.config, player.sounds.classes, player.sounds.statistics)
    return Player(sounds.eval(), "untrained")


def heard_in(samples: Tensor) -> Notes:
    """What the listener hears; of sounds at 16 kHz."""
    return [(each.at_s, each.key) for each in find_key_onsets(samples, 16_000)]


def heard_of(model: str, pieces: list[tuple[Path, Path]]) -> Iterator[Notes]:
    """What the listener hears of another generator."""
    player = open_player(model, "average", "cpu", CAN_TELL)
    return (heard_in(rendered(player, midi)) for _, midi in pieces)


def exchanged(notes: Notes, seed: int) -> Notes:
    """The same onsets and the same keys, but each onset with the key of another one."""
    order = torch.randperm(len(notes), generator=generator(seed, "exchanged keys")).tolist()
    return [(at_s, notes[other][1]) for (at_s, _), other in zip(notes, order, strict=True)]


def line(told: list[Notes], heard: list[Notes]) -> Iterator[str]:
    """Means over pieces of the measures: against their own MIDI, something else, and the difference."""
    others = told[1:] + told[:1]
    mixed = [exchanged(each, number) for number, each in enumerate(told)]
    yield from compared(note_f1, told, others, heard)
    yield from compared(note_f1, told, mixed, heard)[1:]
    yield from compared(onsets_f1, told, others, heard)


def onsets_f1(there: Notes, found: Notes) -> float:
    """The F1 of onsets, whatever is struck."""
    return onset_f1((at_s for at_s, _ in there), (at_s for at_s, _ in found))


def compared(score: Score, told: list[Notes], others: list[Notes], heard: list[Notes]) -> list[str]:
    """The mean of a measure against their own notes, against others, the difference and its interval."""
    own = [score(each, found) for each, found in zip(told, heard, strict=True)]
    other = [score(each, found) for each, found in zip(others, heard, strict=True)]
    apart = torch.tensor([a - b for a, b in zip(own, other, strict=True)], dtype=torch.float64)
    found = bootstrap(apart)
    means = (sum(own) / len(own), sum(other) / len(other), found.value)
    return [f"{each:13.3f}" for each in means] + [f"{f'[{found.low:.2f}, {found.high:.2f}]':>13}"]


if __name__ == "__main__":
    main()
