"""Piano performances that the tests make: MIDI files written event by event, and folders in MAESTRO's layouts."""

import csv
import json
from pathlib import Path

import mido
import soundfile
import torch

PPQ = 480  # ticks per quarter note: 960 a second at the default tempo

COLUMNS = (
    "canonical_composer",
    "canonical_title",
    "split",
    "year",
    "midi_filename",
    "audio_filename",
    "duration",
)

# Composer, title, split, year, MIDI, audio, and seconds of audio.
PIECES = (
    ("Bach", "Fugue", "train", 2004, "2004/b.midi", "2004/b.wav", 2.5),
    ("Chopin", "Étude", "validation", 2006, "2006/c.midi", "2006/c.wav", 1.0),
    ("Clara Schumann", "Romance", "test", 2004, "2004/a.midi", "2004/a.wav", 4.096),
    ("Liszt", "Toccata, in C", "train", 2008, "2008/d.midi", "2008/d.wav", 0.5),
)


def on(tick, note, velocity=64, channel=0):
    return tick, mido.Message("note_on", note=note, velocity=velocity, channel=channel)


def off(tick, note, velocity=0, channel=0):
    return tick, mido.Message("note_off", note=note, velocity=velocity, channel=channel)


def control(tick, number, value, channel=0):
    return tick, mido.Message("control_change", control=number, value=value, channel=channel)


def tempo(tick, microseconds):
    return tick, mido.MetaMessage("set_tempo", tempo=microseconds)


def write_midi(path: Path, *tracks) -> Path:
    """A file of tracks, each a list of events with their absolute ticks."""
    file = mido.MidiFile(type=1, ticks_per_beat=PPQ)
    for events in tracks:
        last, track = 0, mido.MidiTrack()
        for tick, message in sorted(events, key=lambda event: event[0]):
            track.append(message.copy(time=tick - last))
            last = tick
        file.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def write_wave(path: Path, seconds: float, sample_rate: int = 16_000) -> Path:
    """Noise that differs from file to file and from sample to sample."""
    source = torch.Generator().manual_seed(len(path.name) + round(1000 * seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = torch.rand(round(seconds * sample_rate), generator=source) - 0.5
    soundfile.write(path, samples.numpy(), sample_rate, subtype="FLOAT")
    return path


def make_maestro(raw: Path, table: str = "csv") -> Path:
    """A small corpus with its table: `csv`, `rows` or `columns` (JSON), or `none`."""
    for number, (*_, midi, audio, seconds) in enumerate(PIECES):
        write_wave(raw / audio, seconds)
        write_midi(raw / midi, [tempo(0, 500_000)], [on(96, 60 + number, 100), off(1440, 60 + number)])
    rows = [dict(zip(COLUMNS, piece, strict=True)) for piece in PIECES]
    if table == "csv":
        with (raw / "maestro-v2.0.0.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    elif table == "rows":
        (raw / "maestro-v1.0.0.json").write_text(json.dumps(rows))
    elif table == "columns":
        columns = {name: {str(i): row[name] for i, row in enumerate(rows)} for name in COLUMNS}
        (raw / "maestro-v3.0.0.json").write_text(json.dumps(columns))
    return raw
