"""What a match can play: the nearest candidate as an instrument, given the notes of a MIDI file.

A match ends with one sound at one key. Played over a melody the same patch shows what it is worth elsewhere: whether
its release rings as the recording's does, and whether it holds together an octave up. Keys are chosen so that the
pitch written in the file is the pitch that sounds (`matching/tuning.py`).
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

from retimbre.dsp import audiofile
from retimbre.matching.propose import SURE_OF_PITCH
from retimbre.matching.tuning import Tuning, measure_tuning
from retimbre.synth.patches import Patch
from retimbre.workflows.match.sound import Match
from retimbre.workflows.melody import facts, play
from retimbre.workflows.report.audio import MOST_SECONDS
from retimbre.workflows.report.page import ReportSection, ReportSound

MELODY_FILE = "melody.wav"


def with_melody(match: Match) -> Match:
    """The match with its melody played, if one was asked for."""
    melody = match.options.melody
    if melody is None:
        return match
    begun_s = time.perf_counter()
    patch = match.best.candidates[0].patch
    played = play(melody, patch, _tuning(match, patch))
    seconds = {**match.seconds, "melody": time.perf_counter() - begun_s}
    return dataclasses.replace(match, played=played, seconds=seconds)


def write_melody(folder: Path, match: Match) -> None:
    """Writes `melody.wav`, if there is a melody."""
    if match.played is not None:
        audiofile.write(folder / MELODY_FILE, match.played.samples, match.played.melody.sample_rate)


def melody_entry(match: Match) -> dict[str, Any]:
    """The entry of `match.json`; empty without a melody."""
    if match.played is None:
        return {}
    return {"melody": {"file": MELODY_FILE, "candidate": 1, **facts(match.played)}}


def melody_sections(match: Match) -> list[ReportSection]:
    """The section of the report; none without a melody."""
    played = match.played
    if played is None:
        return []
    melody = played.melody
    seconds = len(played.samples) / melody.sample_rate
    sentences = [
        f"The nearest candidate plays {melody.path.name}: {len(melody.notes)} notes in {seconds:.1f} s."
    ]
    if seconds > MOST_SECONDS:
        sentences.append(f"This page holds the first {MOST_SECONDS:g} s; {MELODY_FILE} holds all.")
    sentences += [f"{clause[0].upper()}{clause[1:]}." for clause in played.remarks]
    sound = ReportSound(melody.path.name, played.samples, melody.sample_rate)
    return [ReportSection("Melody", " ".join(sentences), [sound], [MELODY_FILE])]


def _tuning(match: Match, patch: Patch) -> Tuning:
    """The pitch that the user gave decides; one that was detected helps where the patch's own is not clear."""
    hint = match.target.hint
    if match.options.target.pitch_hz != "auto":
        return measure_tuning(patch, given_hz=hint.pitch_hz)
    return measure_tuning(patch, detected_hz=hint.pitch_hz if hint.confidence >= SURE_OF_PITCH else 0.0)
