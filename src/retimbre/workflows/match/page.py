"""A match as a page to listen to: which key to play, what each candidate sounds like, and what its knobs are."""

import json
import math
from pathlib import Path
from typing import Any

from retimbre.matching.confidence import BASIS
from retimbre.matching.verdict import Candidate
from retimbre.synth.patches import Patch, patch_to_table
from retimbre.workflows.match.curves import curves_sections
from retimbre.workflows.match.files import parameter_rows, ranked, versions
from retimbre.workflows.match.melody import melody_sections
from retimbre.workflows.match.sound import Match, ModelMatch
from retimbre.workflows.report.index import IndexRow
from retimbre.workflows.report.page import (
    CandidateView,
    Confidence,
    MetricColumn,
    ParameterRow,
    ReportPage,
    ReportSound,
    write_report,
)

METRICS = (
    MetricColumn("loss", "Distance", "", "lower"),
    MetricColumn("mss", "MSS", "dB", "lower"),
    MetricColumn("wmfcc", "wMFCC", "", "lower"),
    MetricColumn("sot", "SOT", "", "lower"),
    MetricColumn("rms", "RMS", "", "higher"),
)

_KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def key_name(pitch_hz: float) -> str:
    """The nearest key with its MIDI number, and how far off the pitch is: `A4 (MIDI 69) +12 cents`."""
    number = 69.0 + 12.0 * math.log2(pitch_hz / 440.0)
    nearest = round(number)
    cents = round(100.0 * (number - nearest))
    off = f" {cents:+d} cents" if cents else ""
    return f"{_KEYS[nearest % 12]}{nearest // 12 - 1} (MIDI {nearest}){off}"


def write_page(path: Path, match: Match) -> None:
    """Writes the report of a match."""
    write_report(path, report_page(match))


def report_page(match: Match) -> ReportPage:
    """What the report of a match shows."""
    target = match.target
    trust = match.confidence
    return ReportPage(
        title=target.path.name,
        synth=match.options.synth,
        target=ReportSound(target.path.name, target.samples, target.sample_rate),
        candidates=[
            _view(number, found, place) for number, (found, place, _) in enumerate(ranked(match), start=1)
        ],
        facts=_facts(match),
        warnings=[f"{clause[0].upper()}{clause[1:]}." for clause in match.warnings],
        confidence=Confidence(trust.value, trust.words, BASIS),
        metrics=METRICS,
        versions=[*versions().items()],
        sections=[*melody_sections(match), *curves_sections(match)],
    )


def index_rows(match: Match, report: str) -> list[IndexRow]:
    """A line for each model in the index of a batch."""
    several = len(match.models) > 1
    return [
        IndexRow(
            name=f"{match.target.path.name} · {found.model}" if several else match.target.path.name,
            report=report,
            scores=scores_of(found.candidates[0]),
            note="; ".join([f"play {key_name(found.candidates[0].patch.note.pitch_hz)}", *match.warnings]),
            failure="",
        )
        for found in match.models
    ]


def scores_of(candidate: Candidate) -> dict[str, float]:
    """The figures of a candidate by the keys of `METRICS`."""
    return {"loss": candidate.loss, **candidate.scores}


def _facts(match: Match) -> list[tuple[str, str]]:
    target, note = match.target, match.best.candidates[0].patch.note
    hint = target.hint
    sure = "given" if match.options.target.pitch_hz != "auto" else f"confidence {hint.confidence:.2f}"
    return [
        ("Play key", f"{key_name(note.pitch_hz)}, {note.pitch_hz:.1f} Hz"),
        ("Hold", f"{note.gate_s:.2f} s"),
        ("Pitch heard", f"{hint.pitch_hz:.1f} Hz, {sure}"),
        ("Matched", f"{target.seconds:.2f} s from {target.start_s:.2f} s: {target.reason}"),
        ("Budget", f"{match.options.budget.seconds:g} s"),
        ("Renderings", f"{sum(found.evaluations for found in match.models):,}"),
        ("Time taken", f"{sum(match.seconds.values()):.1f} s"),
        ("Model", ", ".join(found.model for found in match.models)),
    ]


def _view(number: int, found: ModelMatch, place: int) -> CandidateView:
    candidate = found.candidates[place]
    stem = f"{number:02}"
    return CandidateView(
        rank=place + 1,
        model=found.model,
        sound=ReportSound(f"Candidate {number}", candidate.samples, candidate.patch.sample_rate),
        scores=scores_of(candidate),
        parameters=[
            _parameter_row(row) for row in parameter_rows(found.space, candidate, found.heard[place].tolist())
        ],
        note=_note(candidate.patch),
        patch_json=json.dumps(patch_to_table(candidate.patch), indent=2),
        files=[f"{stem}.wav", f"{stem}.json"],
    )


def _note(patch: Patch) -> str:
    return f"Play {key_name(patch.note.pitch_hz)} for {patch.note.gate_s:.2f} s"


def _parameter_row(row: dict[str, Any]) -> ParameterRow:
    value = row["value"]
    return ParameterRow(
        group=row["group"],
        name=row["name"],
        value_text=value if isinstance(value, str) else f"{value:.4g}",
        unit=row["unit"],
        class_index=row["class"],
        position=row["position"],
        audible=bool(row["heard"]) if row["heard"] is not None else True,
    )
