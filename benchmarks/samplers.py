"""Do other people's samplers play the instruments that are exported, and in tune?

    python benchmarks/samplers.py OUT [SOURCE] [--family brass] [--every 1]

SOURCE is a generator, a patch or an .sfz file. An instrument with a sample per key is exported from it to
OUT/instrument, if it is no instrument yet. Each key (each N-th with `--every N`) is then held for two seconds at three
velocities by whichever of two samplers are there, which know nothing of this program:

    sfizz        `sfizz_render`, found on the path, which plays the .sfz from a MIDI file (https://sfz.tools/sfizz)
    FluidSynth   an .sf2 that `polyphone`, found on the path, makes of the .sfz (https://www.polyphone.io)

What they played is measured, and nothing else: how many cents each note is off its key (YIN; median, 95th percentile
and largest, without sign), by how much the loudness of the keys differs at one velocity (ITU-R BS.1770, in LU), and the
sharpest bend of the held part, as a multiple of the 99th percentile of bends: a loop that clicks has tens or hundreds
there, the waves themselves one or two. The notes are kept in OUT as .wav files, the table in `results.json`.

Neither sampler comes with Python. Without both, the script says in one line what it looked for.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mido
import torch
from torch import Tensor

from retimbre.core.errors import MissingExtra, RetimbreError
from retimbre.core.files import write_json, write_text
from retimbre.corpora.soundfont.player import FluidSynthPlayer, load_library
from retimbre.dsp import audiofile
from retimbre.dsp.loudness import loudness_lufs
from retimbre.dsp.pitch import note_pitch
from retimbre.workflows.export.sfz.export import SfzOptions, export_sfz
from retimbre.workflows.export.sfz.opcodes import regions

RATES_HZ = {"sfizz": 48_000, "FluidSynth": 44_100}
HELD_S, REST_S = 2.0, 0.6
SETTLED_S = 0.3  # after which a note is held and nothing but that
VELOCITIES = (25, 64, 127)
SURE = 0.5  # the confidence below which a pitch is none
TICKS_PER_S = 960  # of the MIDI file, at its default tempo of two beats per second

Note = tuple[int, int]
"""Key and velocity."""


class NoSampler(RetimbreError):
    """A program is not there."""


def program(name: str) -> str:
    """Where a program is.

    Raises:
        NoSampler: It is not on the path.
    """
    found = shutil.which(name)
    if found is None:
        raise NoSampler(f"{name} is not on the path")
    return found


def called(words: Sequence[str | Path], made: Path) -> None:
    """Runs a program that is to make a file.

    Raises:
        NoSampler: It failed, or made none.
    """
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}  # Polyphone is a program with windows
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
    if ended.returncode or not made.is_file():
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise NoSampler(
            f"{Path(words[0]).name} made no {made.name}: {said[-1] if said else 'it said nothing'}"
        )


def instrument_of(out: Path, source: str, family: str) -> Path:
    """The .sfz of a source, exported unless it is one or is there already."""
    if source.endswith(".sfz"):
        return Path(source)
    folder = out / "instrument"
    if not list(folder.glob("*.sfz")):
        labels = {"family": family} if family else {}
        export_sfz([source], folder, SfzOptions(step=1, labels=labels, device="cpu"))
    return next(folder.glob("*.sfz"))


def keys_of(instrument: Path) -> list[int]:
    """The keys that sound."""
    zones = regions(instrument.read_text(encoding="utf-8"))
    return sorted({key for zone in zones for key in range(int(zone["lokey"]), int(zone["hikey"]) + 1)})


def by_sfizz(instrument: Path, notes: Sequence[Note], out: Path) -> Iterator[Tensor]:
    """The notes as sfizz plays them, one after another in one MIDI file."""
    renderer, midi, sound = program("sfizz_render"), out / "notes.mid", out / "sfizz.wav"
    # Rendered faster than samples are read from the disk, notes would break off: they are to be in memory.
    in_memory = out / "in-memory.sfz"
    control = f"<control> hint_ram_based=1 default_path={instrument.parent.resolve()}/\n"
    write_text(in_memory, control + instrument.read_text(encoding="utf-8"))
    track = mido.MidiTrack()
    for key, velocity in notes:
        track.append(mido.Message("note_on", note=key, velocity=velocity, time=0))
        track.append(mido.Message("note_off", note=key, time=round(HELD_S * TICKS_PER_S)))
        # A pause, which an event that means nothing ends.
        track.append(mido.Message("control_change", control=3, time=round(REST_S * TICKS_PER_S)))
    mido.MidiFile(ticks_per_beat=TICKS_PER_S // 2, tracks=[track]).save(midi)
    rate = RATES_HZ["sfizz"]
    words = ["--sfz", in_memory, "--midi", midi, "--wav", sound, "--samplerate", str(rate), "--use-eot"]
    called([renderer, *words], sound)
    played = audiofile.read(sound).samples
    for start in range(len(notes)):
        first = round(start * (HELD_S + REST_S) * rate)
        yield played[first : first + round(HELD_S * rate)]


def by_fluidsynth(instrument: Path, notes: Sequence[Note], out: Path) -> Iterator[Tensor]:
    """The notes as FluidSynth plays them, of the SoundFont that Polyphone makes."""
    sound_font = out / "instrument.sf2"
    load_library()
    sound_font.unlink(missing_ok=True)  # Polyphone replaces nothing
    called([program("polyphone"), "-1", "-i", instrument, "-d", out, "-o", sound_font.stem], sound_font)
    held = round(HELD_S * RATES_HZ["FluidSynth"])
    with FluidSynthPlayer(sound_font, RATES_HZ["FluidSynth"]) as player:
        notes_played = [
            player.play(0, key, velocity, held_samples=held, num_samples=held) for key, velocity in notes
        ]
    audiofile.write(out / "fluidsynth.wav", torch.cat(notes_played), RATES_HZ["FluidSynth"])
    yield from notes_played


SAMPLERS = {"sfizz": by_sfizz, "FluidSynth": by_fluidsynth}


def measured(notes: Sequence[Note], played: Iterator[Tensor], rate: int) -> dict[str, Any]:
    """How far off the keys, how equally loud and how smooth some notes are."""
    cents: list[float] = []
    bends: list[float] = []
    loudness: dict[int, list[float]] = {}
    for (key, velocity), sound in zip(notes, played, strict=True):
        estimate = note_pitch(sound, rate)
        if estimate.confidence >= SURE:
            cents.append(abs(1_200 * math.log2(estimate.pitch_hz / 440) - 100 * (key - 69)))
        loudness.setdefault(velocity, []).append(loudness_lufs(sound, rate))
        bend = sound[round(SETTLED_S * rate) :].double().diff(n=2).abs()
        bends.append(float(bend.max() / bend.quantile(0.99)))
    off, sharp = torch.tensor(cents, dtype=torch.float64), torch.tensor(bends, dtype=torch.float64)
    return {
        "notes": len(notes),
        "without_a_pitch": len(notes) - len(cents),
        "off_cents": {
            "median": float(off.quantile(0.5)),
            "95 %": float(off.quantile(0.95)),
            "worst": float(off.max()),
        },
        "loudness_range_lu": max(max(each) - min(each) for each in loudness.values()),
        "sharpest_bend": {"median": float(sharp.quantile(0.5)), "worst": float(sharp.max())},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("source", nargs="?", default="note-generator")
    parser.add_argument("--family", default="brass", help="of a generator that is told it; '' for none")
    parser.add_argument("--every", type=int, default=1, help="plays each N-th key")
    return parser.parse_args()


def measured_by_all(instrument: Path, notes: Sequence[Note], out: Path) -> dict[str, Any]:
    """The table of the samplers that are there.

    Raises:
        NoSampler: None is; the message says what is missing of each.
    """
    rows: dict[str, Any] = {}
    missing: list[str] = []
    for name, play in SAMPLERS.items():
        try:
            rows[name] = measured(notes, play(instrument, notes, out), RATES_HZ[name])
        except (NoSampler, MissingExtra) as error:
            missing.append(f"{name}: {error}")
    if not rows:
        raise NoSampler(f"no sampler to play {instrument.name}; {'; '.join(missing)}")
    for each in missing:
        print(f"left out, {each}", file=sys.stderr)
    return rows


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        instrument = instrument_of(args.out, args.source, args.family)
        notes = [(key, velocity) for key in keys_of(instrument)[:: args.every] for velocity in VELOCITIES]
        rows = measured_by_all(instrument, notes, args.out)
    except (RetimbreError, OSError) as error:
        sys.exit(f"error: {error}")
    write_json(args.out / "results.json", {"instrument": str(instrument), "rows": rows})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
