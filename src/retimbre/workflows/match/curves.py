"""What a match with `--curves` leaves behind: the curves of the whole recording, as sound, numbers and a picture.

    curves.wav     what the curves sound like, at the inverter's rate, as long and as loud as the recording
    curves.csv     one line per window: time, whether it holds sound, pitch heard, value and class of every moving knob
    curves.json    the same for programs, with the constants, the settings that hold the voice open, and the scores
    curves.png     a plot of every moving knob

`curves.json` is no patch file: what holds a voice open for longer than its knobs allow, and the level, which is the
recording's, are nothing that a patch can say.
"""

import csv
import dataclasses
import io
import time
from pathlib import Path
from typing import Any

from retimbre.core.files import whole_file, write_json, write_text
from retimbre.dsp import audiofile
from retimbre.matching.curves import Curves
from retimbre.matching.held import held
from retimbre.matching.propose import OSCILLATORS
from retimbre.matching.scout import continuous
from retimbre.synth.catalog import find_synth
from retimbre.workflows.curves import FollowedSound, check_sound, curve_inverter, follow
from retimbre.workflows.match.sound import Match, MatchOptions
from retimbre.workflows.report.audio import MOST_SECONDS, level_matched
from retimbre.workflows.report.curve_figure import CurvePanel, curves_png
from retimbre.workflows.report.page import ReportSection, ReportSound

FORMAT = "retimbre curves"
VERSION = 1
SOUND_FILE, TABLE_FILE, JSON_FILE, PICTURE_FILE = "curves.wav", "curves.csv", "curves.json", "curves.png"


def refuse_curves(options: MatchOptions, sound: Path | None = None) -> None:
    """Stops before any work if curves are asked for and cannot be had: at all, or of one sound.

    Raises:
        ConfigError: There is no inverter for the synthesizer.
        AudioError: The sound is too short.
    """
    if options.curves is not None:
        _, inverter = curve_inverter(options.synth, options.models)
        if sound is not None:
            check_sound(sound, inverter, options.curves)


def with_curves(match: Match) -> Match:
    """The match with the curves of its whole sound, if they were asked for; without them if it is interrupted."""
    options = match.options
    if options.curves is None or match.interrupted:
        return match
    begun_s = time.perf_counter()
    named = curve_inverter(options.synth, options.models)
    try:
        followed = follow(
            match.target.path, named, options.target.pitch_hz, options.curves, seed=options.seed
        )
    except KeyboardInterrupt:
        return dataclasses.replace(match, interrupted=True)
    seconds = {**match.seconds, "curves": time.perf_counter() - begun_s}
    return dataclasses.replace(match, followed=followed, seconds=seconds)


def write_curves(folder: Path, match: Match) -> None:
    """Writes the four files, if there are curves."""
    followed = match.followed
    if followed is None:
        return
    audiofile.write(folder / SOUND_FILE, followed.sound, followed.sample_rate)
    write_text(folder / TABLE_FILE, _as_csv(followed))
    write_json(folder / JSON_FILE, _as_json(followed))
    with whole_file(folder / PICTURE_FILE) as aside:
        aside.write_bytes(_picture(followed))


def curves_entry(match: Match) -> dict[str, Any]:
    """The entry of `match.json`; empty without curves."""
    followed = match.followed
    if followed is None:
        return {}
    files = {"audio": SOUND_FILE, "table": TABLE_FILE, "curves": JSON_FILE, "picture": PICTURE_FILE}
    return {"curves": {"files": files, **_facts(followed)}}


def curves_sections(match: Match) -> list[ReportSection]:
    """The section of the report; none without curves."""
    followed = match.followed
    if followed is None:
        return []
    excerpts = [
        sound[: int(MOST_SECONDS * followed.sample_rate)] for sound in (followed.recording, followed.sound)
    ]
    played = [play.samples for play in level_matched(excerpts[0], excerpts[1:])]
    names = ("The recording", "The curves")
    sounds = [
        ReportSound(name, samples, followed.sample_rate) for name, samples in zip(names, played, strict=True)
    ]
    files = [SOUND_FILE, TABLE_FILE, JSON_FILE, PICTURE_FILE]
    return [ReportSection("Curves", _text(followed), sounds, files, _picture(followed))]


def _text(followed: FollowedSound) -> str:
    curves, seconds = followed.curves, len(followed.recording) / followed.sample_rate
    sentences = [
        f"The whole recording, {seconds:.1f} s, followed by {followed.model} through {len(curves.sounding)} windows "
        f"at the key of {curves.key_hz:.1f} Hz; the level is the recording's.",
        f"MSS is {followed.scores['mss']:.2f} dB, and {followed.still_scores['mss']:.2f} dB with every knob at the "
        "median of its curve.",
    ]
    if seconds > MOST_SECONDS:
        sentences.append(f"This page holds the first {MOST_SECONDS:g} s; {SOUND_FILE} holds all.")
    sentences += [f"{clause[0].upper()}{clause[1:]}." for clause in followed.warnings]
    return " ".join(sentences)


def _facts(followed: FollowedSound) -> dict[str, Any]:
    curves, rate = followed.curves, followed.sample_rate
    return {
        "model": followed.model,
        "key_hz": round(curves.key_hz, 4),
        "sample_rate": rate,
        "windows": len(curves.sounding),
        "silent_windows": int((~curves.sounding).sum()),
        "window_s": round(2 * curves.first_centre / rate, 6),
        "hop_s": round(curves.hop / rate, 6),
        "scores": _rounded(followed.scores),
        "scores_standing_still": _rounded(followed.still_scores),
        "warnings": list(followed.warnings),
    }


def _as_json(followed: FollowedSound) -> dict[str, Any]:
    curves = followed.curves
    voice = held(find_synth(curves.synth), len(followed.recording) / followed.sample_rate)
    return {
        "format": FORMAT,
        "version": VERSION,
        "synth": curves.synth,
        **_facts(followed),
        "time_s": _times(followed),
        "sounding": curves.sounding.tolist(),
        "pitch_heard_hz": [round(pitch, 3) or None for pitch in followed.contour.pitch_hz.tolist()],
        "curves": {
            name: {
                "unit": curves.space[name].unit,
                "values": [float(f"{value:.6g}") for value in curves.values(name).tolist()],
                "classes": curves.classes(name).tolist(),
            }
            for name in curves.moving
        },
        "constants": curves.constants,
        "held_open": voice.knobs,
    }


def _as_csv(followed: FollowedSound) -> str:
    curves = followed.curves
    columns = [curves.values(name).tolist() for name in curves.moving]
    classes = [curves.classes(name).tolist() for name in curves.moving]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    named = [title for name in curves.moving for title in (name, f"{name}_class")]
    writer.writerow(["time_s", "sounding", "pitch_heard_hz", *named])
    for window, (moment_s, pitch_hz) in enumerate(
        zip(_times(followed), followed.contour.pitch_hz.tolist(), strict=True)
    ):
        knobs = [
            entry
            for values, indices in zip(columns, classes, strict=True)
            for entry in (f"{values[window]:.6g}", indices[window])
        ]
        sounding = int(curves.sounding[window])
        writer.writerow([moment_s, sounding, f"{pitch_hz:.3f}" if pitch_hz else "", *knobs])
    return text.getvalue()


def _times(followed: FollowedSound) -> list[float]:
    """The moments of the windows' centres, in seconds."""
    curves = followed.curves
    centres = range(len(curves.sounding))
    return [
        round((curves.first_centre + window * curves.hop) / followed.sample_rate, 6) for window in centres
    ]


def _picture(followed: FollowedSound) -> bytes:
    curves = followed.curves
    panels = [_panel(curves, name) for name in curves.moving]
    return curves_png(_times(followed), curves.sounding.tolist(), panels)


def _panel(curves: Curves, name: str) -> CurvePanel:
    knob = continuous(curves.space, name)
    is_frequency = any(name == frequency for frequency, _ in OSCILLATORS[curves.synth])
    values = curves.values(name).tolist()
    return CurvePanel(name, knob.unit, values, (knob.low, knob.high), is_frequency)


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(score, 5) for name, score in scores.items()}
