"""Laws of what a report tells beside its figures: which sets hold the reference, what is missing, what is heard."""

import math
import re

import pytest
import torch

from retimbre.dsp.audiofile import write
from retimbre.workflows.evaluation.report.anchors import PHASE, REAL, SILENCE
from retimbre.workflows.evaluation.report.listened import listened_clips
from retimbre.workflows.evaluation.report.page import render_page
from retimbre.workflows.evaluation.report.ranking import rank
from retimbre.workflows.evaluation.report.remarks import contaminated, missing, of_measures, of_sets
from retimbre.workflows.evaluation.report.report import ReportOptions, evaluate_report
from retimbre.workflows.evaluation.report.rows import JudgedSet
from retimbre.workflows.evaluation.sets.clips import ClipOptions, HeldClips

RATE = 16_000
QUICK = ReportOptions(
    clips=ClipOptions(seconds=0.2),
    embedders=("statistics",),
    resamples=10,
    cache="none",
    listened=0,
    notes=False,
)


def note(number, decay=4.0):
    moments_s = torch.arange(RATE // 5) / RATE
    pitch_hz = 150.0 * 1.06**number
    partials = [torch.sin(2 * math.pi * pitch_hz * each * moments_s) / each for each in range(1, 5)]
    return 0.2 * torch.exp(-decay * moments_s) * sum(partials)


def folder_of(place, numbers, decay=4.0):
    place.mkdir()
    for number in numbers:
        write(place / f"tone{number % 4}_{48 + number:03d}.wav", note(number, decay), RATE)
    return place


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    place = tmp_path_factory.mktemp("sounds")
    real = folder_of(place / "real", range(20))
    half = folder_of(place / "half", range(0, 20, 3))
    lone = folder_of(place / "lone", [3], 20.0)
    return evaluate_report([str(half), str(lone)], real, "", QUICK)


def figure(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


def kad(figures):
    return {
        "id": "kad[a]",
        "metric": "kad",
        "embedder": "a",
        "better": "lower",
        "verdict": {"kind": "informative", "says": ""},
        "figures": {REAL: figure(0.0, 0.5)} | figures,
    }


def test_whatever_is_said_for_a_set_that_holds_the_reference_says_that_too():
    measure = kad({"half": figure(0.0, 0.2), "fair": figure(3.0, 4.0)})
    found = rank([measure], ["half", "fair"], {"half": (37, 60), "fair": (0, 60)})
    told = "37 of the 60 clips of half are the reference's own"
    assert found.says[0].startswith("half comes first")
    assert [told in sentence for sentence in (*found.says, *found.pairs)] == [True, True, False, True]
    assert "fair is told from real sounds" in found.says[2]


def test_sets_of_their_own_sounds_are_not_accused():
    measure = kad({"one": figure(0.0, 0.2), "two": figure(3.0, 4.0)})
    plain = rank([measure], ["one", "two"])
    assert rank([measure], ["one", "two"], {"one": (0, 60), "two": (0, 60)}) == plain
    assert "reference" not in " ".join((*plain.says, *plain.pairs))


def test_a_set_that_holds_clips_of_the_reference_is_counted_and_warned_of(report):
    rows = {row["name"]: row for row in report["rows"]}
    # Every third of the real sounds, of which the draw put some into the reference half.
    assert 0 < rows["half"]["in_reference"] <= 7
    assert rows[REAL]["in_reference"] == rows["lone"]["in_reference"] == 0
    (line,) = contaminated(report)
    assert line.startswith(f"half: {rows['half']['in_reference']} of its 7 clips are clips of the reference")
    page = render_page(report, [])
    assert line in page[page.index('class="warnings"') : page.index("What it says</h2>")]


def test_a_set_that_cannot_be_ranked_is_named_with_the_reason(report):
    (line,) = (line for line in missing(report) if line.startswith("lone"))
    assert line.startswith("lone has no KAD: ")
    assert "at least 2 clips" in line


def test_remarks_on_measures_are_told_once_and_name_the_measures(report):
    lines = of_measures(report)
    assert len(lines) == len(set(lines)) > 0
    (line,) = (line for line in lines if "are also in the real set" in line and "half" in line)
    assert "other measures" in line
    assert any("lone: it has 1 clip and real/real 10" in line for line in of_sets(report))


ROWS = [
    {"name": name, "kind": kind}
    for name, kind in (("a", "model"), ("a, b", "model"), (REAL, "real"), (SILENCE, "anchor"))
]


def test_what_is_known_of_anchors_makes_no_figure_doubtful():
    measure = {
        "label": "KAD",
        "settings": {},
        "remarks": [
            f"{SILENCE}: all equal",
            f"a, {REAL}, {SILENCE}: few: too few",
            f"a, b, {SILENCE}: hissing",
        ],
    }
    told = of_measures({"rows": ROWS, "measures": [measure]})
    assert told == [f"KAD: a, {REAL}: few: too few", "KAD: a, b: hissing"]


def test_a_measure_of_few_of_the_notes_is_remarked_on_and_what_a_measure_is_is_none():
    measure = {
        "label": "pitch error",
        "settings": {"description": "Distance from the key."},
        "remarks": ["pitch error: Distance from the key.", "pitch error: notes without it: a 5 of 8"],
        "figures": {
            "a": {"n": 3, "unmeasured": 5},
            "a, b": {"n": 5, "unmeasured": 3},
            REAL: {"refused": "none of 4 notes has it", "unmeasured": 4},
            SILENCE: {"n": 0, "unmeasured": 8},
        },
    }
    told = of_measures({"rows": ROWS, "measures": [measure]})
    assert told == [f"pitch error: more than half of the notes lack it: a 5 of 8, {REAL} 4 of 4"]


def test_the_page_says_how_many_clips_each_set_has(report):
    page = re.sub(r"<[^>]*>", "", render_page(report, []))
    assert "10 reference, 10 real/real, 7 half, 1 lone" in page


def held(names, name):
    """Clips that are told apart by their constant: its first sample is the place in the set."""
    audio = torch.arange(len(names), dtype=torch.float32)[:, None].repeat(1, 8) / 100.0
    return HeldClips(name, audio, RATE, names=tuple(names))


def test_sounds_side_by_side_are_those_of_one_name():
    real = held([f"bell_{midi:03d}.wav" for midi in range(60, 68)], REAL)
    # Another order, another ending, and two that the real clips have not.
    other = held(["bell_067.flac", "new_001.wav", "bell_060.flac", "new_002.wav"], "other")
    rows = [
        JudgedSet("other", "model", other, ""),
        JudgedSet(PHASE, "anchor", real, ""),
        JudgedSet(REAL, "real", real, ""),
        JudgedSet(SILENCE, "anchor", real, ""),
    ]
    clips = listened_clips(rows, real, 8)
    assert [clip.name for clip in clips] == list(real.names)
    for index, clip in enumerate(clips):
        assert [sound.row for sound in clip.sounds] == [REAL, "other", PHASE]
        first, theirs, spoiled = clip.sounds
        for sound in (first, spoiled):
            assert (sound.name, float(sound.samples[0])) == ("", pytest.approx(index / 100.0))
        if index in (0, 7):
            assert (theirs.name, float(theirs.samples[0])) == ("", pytest.approx(0.02 if index == 0 else 0.0))
        else:
            # Neither of the two that answer another clip.
            assert theirs.name in ("new_001.wav", "new_002.wav")


def test_names_that_repeat_are_matched_by_their_place():
    real = held(["a/060.wav", "b/060.wav"], REAL)
    clips = listened_clips([JudgedSet(PHASE, "anchor", real, "")], real, 5)
    assert [float(clip.sounds[0].samples[0]) for clip in clips] == pytest.approx([0.0, 0.01])
