"""Laws of the report: what it shows is all there, it needs nothing from outside, and it compares sounds fairly."""

import base64
import dataclasses
import hashlib
import io
import json
import math
import urllib.parse
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch import Tensor

from retimbre.dsp.level import peak, rms, to_db
from retimbre.training.journal import Row
from retimbre.workflows.report.audio import level_matched
from retimbre.workflows.report.figures import (
    SpectrogramAxes,
    envelope,
    history_png,
    shared_axes,
    spectrogram_db,
    spectrogram_png,
)
from retimbre.workflows.report.index import IndexRow, render_index, write_index
from retimbre.workflows.report.page import (
    CandidateView,
    Confidence,
    MetricColumn,
    ParameterRow,
    ReportPage,
    ReportSection,
    ReportSound,
    render_report,
    write_report,
)

METRICS = (MetricColumn("mss", "MSS", "dB", "lower"), MetricColumn("rms", "RMS", "cosine", "higher"))
HOSTILE = (
    '<script>alert("1")</script>',
    '"><img src=x onerror=alert(1)>',
    "it's a 'quoted' & \"double\" name",
    "</style></title></script><b>",
    "🎹 naïve שלום עالم",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
)


class Parsed(HTMLParser):
    """A page as a browser would read it: its elements with their attributes, and its text by element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def sounds(self) -> list[Tensor]:
        """The sounds that the page plays, the target first."""
        return [self._decoded(audio["src"]) for audio in self.all("audio")]

    @staticmethod
    def _decoded(uri: str) -> Tensor:
        content = base64.b64decode(uri.removeprefix("data:audio/flac;base64,"), validate=True)
        samples, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        return torch.from_numpy(samples)


def tone(hz: float, *, seconds: float = 0.5, sample_rate: int = 16_000, amplitude: float = 0.5) -> Tensor:
    time_s = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return (amplitude * torch.sin(2 * math.pi * hz * time_s)).float()


def noise(*, seconds: float, sample_rate: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(seconds * sample_rate), generator=draw)


def knobs(text: str = "", *, position: float = 0.25) -> tuple[ParameterRow, ...]:
    return (
        ParameterRow(
            f"filter{text}", f"cutoff{text}", f"1 234{text}", f"Hz{text}", 4, position, audible=True
        ),
        ParameterRow(f"filter{text}", "slope", "12.5", "", None, 1.0, audible=False),
        ParameterRow("oscillator", "shape", f"saw{text}", "", 2, None, audible=True),
    )


def candidate(rank: int, samples: Tensor, *, text: str = "", sample_rate: int = 16_000) -> CandidateView:
    return CandidateView(
        rank=rank,
        model=f"model{text}",
        sound=ReportSound(f"candidate {rank}{text}", samples, sample_rate),
        scores={"mss": 4.0 + rank, "rms": 0.9 + 0.01 * rank},
        parameters=knobs(text, position=min(1.0, 0.1 * rank)),
        note=f"note {rank}{text}",
        patch_json=json.dumps({"synth": "fm", "text": text}, ensure_ascii=False),
        files=(f"{rank:02d}{text.replace('/', '_')}.wav",),
    )


def page_of(
    target: Tensor, candidates: Sequence[CandidateView], *, text: str = "", sample_rate: int = 16_000
) -> ReportPage:
    return ReportPage(
        title=f"title{text}",
        synth=f"fm{text}",
        target=ReportSound(f"target{text}", target, sample_rate),
        candidates=candidates,
        facts=((f"Play{text}", f"A4{text}"),),
        warnings=(f"warning{text}",),
        confidence=Confidence(0.5, f"fair{text}", f"basis{text}"),
        metrics=METRICS,
        versions=(("retimbre", f"0{text}"),),
    )


def simple_page(num_candidates: int = 2, *, text: str = "") -> ReportPage:
    sounds = [candidate(rank, tone(220.0 * rank), text=text) for rank in range(1, num_candidates + 1)]
    return page_of(tone(440.0), sounds, text=text)


def decoded(png: bytes) -> np.ndarray:
    """A picture as brightness, rows from top to bottom."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("L"), dtype=np.float64)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_word_from_outside_is_shown_and_never_becomes_markup(text: str) -> None:
    plain, hostile = Parsed(render_report(simple_page())), Parsed(render_report(simple_page(text=text)))
    # The same elements with the same attribute names: the words added none.
    assert [(tag, sorted(attributes)) for tag, attributes in hostile.elements] == [
        (tag, sorted(attributes)) for tag, attributes in plain.elements
    ]
    assert hostile.scripts == plain.scripts
    shown = (
        "title",
        "fm",
        "A4",
        "warning",
        "fair",
        "basis",
        "model",
        "cutoff",
        "1 234",
        "Hz",
        "saw",
        "note 1",
    )
    shown = ("title", "fm", "A4", "warning", "fair", "basis", "cutoff", "1 234", "Hz", "saw", "note 1")
    assert [word for word in shown if word + text not in hostile.text] == []


@pytest.mark.parametrize("text", ["", *HOSTILE])
def test_a_section_shows_its_words_files_and_sounds_and_adds_nothing_else(text: str) -> None:
    sound = ReportSound(f"sound{text}", tone(330.0), 16_000)
    section = ReportSection(f"section{text}", f"words{text}", [sound], [f"more{text.replace('/', '_')}.wav"])
    page = Parsed(render_report(dataclasses.replace(simple_page(), sections=[section])))
    plain = Parsed(render_report(simple_page()))
    assert [
        word
        for word in ("section", "words", "more")
        if word + text.replace("/", "_") not in page.text.replace("/", "_")
    ] == []
    assert page.scripts == plain.scripts
    tags = [[tag for tag, _ in shown.elements] for shown in (page, plain)]
    assert tags[0].count("audio") == tags[1].count("audio") + 1
    assert tags[0].count("script") == tags[1].count("script")
    assert ("aria-label", f"sound{text}") in [item for _, given in page.elements for item in given.items()]


@pytest.mark.parametrize("text", HOSTILE)
def test_an_index_shows_hostile_names_and_links_them_as_relative_paths(text: str) -> None:
    rows = [
        IndexRow(text, f"{text}/report.html", {"mss": 1.0}, text, ""),
        IndexRow("broken", "", {}, "", f"no audio: {text}"),
    ]
    index = Parsed(render_index(text, rows, METRICS))
    assert len(index.all("script")) == 0
    assert index.text.count(text) >= 4
    (link,) = index.all("a")
    assert link["href"].startswith("./")
    assert urllib.parse.unquote(link["href"].removeprefix("./")) == f"{text}/report.html"


def test_a_page_refers_to_nothing_but_itself_and_its_own_files() -> None:
    html = render_report(simple_page(8))
    assert "://" not in html
    assert "@import" not in html
    assert "url(" not in html
    for tag, attributes in Parsed(html).elements:
        assert "srcset" not in attributes
        assert attributes.get("src", "data:").startswith("data:"), tag
        assert attributes.get("href", "#").startswith(("#", "./", "data:,")), tag


def test_the_policy_admits_the_script_of_the_page_and_no_other() -> None:
    parsed = Parsed(render_report(simple_page()))
    (policy,) = [meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta]
    (script,) = parsed.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy


def test_all_sounds_are_played_at_the_rms_of_the_target() -> None:
    levels = (0.5, 0.05, 0.9, 0.003)
    sounds = [candidate(rank, tone(200.0 * rank, amplitude=a)) for rank, a in enumerate(levels, start=1)]
    played = Parsed(render_report(page_of(tone(440.0, amplitude=0.02), sounds))).sounds()
    level_db = torch.stack([to_db(rms(samples)) for samples in played])
    # 16-bit steps move the level of a tone near full scale by far less than 0.1 dB.
    assert float(level_db.max() - level_db.min()) < 0.1
    assert all(float(peak(samples)) < 0.9 for samples in played)


def test_a_lone_click_softens_the_others_by_12_db_at_most() -> None:
    click = torch.zeros(8_000)
    click[100] = 0.5
    target, other, clicked = level_matched(tone(440.0), [tone(300.0), click])
    assert float(peak(clicked.samples)) == pytest.approx(0.891, abs=1e-3)
    assert float(to_db(peak(target.samples))) > -12.05 - 1.0  # 12 dB, and the headroom of 1 dB
    assert other.shortfall_db == pytest.approx(0.0, abs=1e-4)
    assert clicked.shortfall_db > 20  # a click of one sample in 8,000 has 39 dB less power than its peak


def test_silence_on_either_side_makes_a_page_whose_sounds_are_finite() -> None:
    silent = torch.zeros(8_000)
    for target, found in ((silent, tone(440.0)), (tone(440.0), silent), (silent, silent)):
        played = Parsed(render_report(page_of(target, [candidate(1, found)]))).sounds()
        assert [float(peak(samples)) > 0 for samples in played] == [target is not silent, found is not silent]


def test_an_empty_sound_and_sounds_of_other_lengths_and_rates_share_a_page() -> None:
    sounds = [
        candidate(1, torch.zeros(0)),
        candidate(2, tone(440.0, seconds=0.1, sample_rate=44_100), sample_rate=44_100),
        candidate(3, torch.ones(1)),
    ]
    played = Parsed(render_report(page_of(tone(440.0), sounds))).sounds()
    assert [len(samples) for samples in played] == [8_000, 1, 4_410, 1]


def test_every_knob_of_every_candidate_has_its_row() -> None:
    page = simple_page(3)
    parsed = Parsed(render_report(page))
    words = parsed.text.split()
    assert words.count("cutoff") == words.count("slope") == words.count("shape") == 3
    assert parsed.text.count("not in this clip") == 3
    assert [row.get("class") for row in parsed.all("tr")].count("inaudible") == 3
    # Only the knobs that turn have a bar, and each bar shows its own position in words.
    bars = [svg["aria-label"] for svg in parsed.all("svg") if svg.get("class") == "turn"]
    assert bars == [
        label for rank in (1, 2, 3) for label in (f"{10 * rank} % of its range", "100 % of its range")
    ]


def test_every_patch_and_file_of_every_candidate_is_on_the_page() -> None:
    page = simple_page(2, text=" #1 50%")
    parsed = Parsed(render_report(page))
    assert all(view.patch_json in parsed.text for view in page.candidates)
    links = [urllib.parse.unquote(link["href"]) for link in parsed.all("a")]
    assert links == [f"./{file}" for view in page.candidates for file in view.files]


def test_the_best_score_is_the_lowest_or_the_highest_as_the_metric_says() -> None:
    scores = [{"mss": 5.0, "rms": 0.5}, {"mss": 3.0, "rms": math.nan}, {"rms": 0.9}, {"mss": 3.0, "rms": 0.1}]
    views = [
        dataclasses.replace(candidate(rank, tone(100.0 * rank)), scores=score)
        for rank, score in enumerate(scores, start=1)
    ]
    parsed = Parsed(render_report(page_of(tone(440.0), views)))
    marks = ["best" in cell["class"] for cell in parsed.all("td") if cell.get("class", "") in ("n", "n best")]
    first_eight = [marks[2 * index : 2 * index + 2] for index in range(4)]
    assert first_eight == [[False, False], [True, False], [False, True], [True, False]]
    assert "–" in parsed.text


def test_the_model_is_named_when_there_are_several() -> None:
    one, two = candidate(1, tone(220.0)), candidate(1, tone(330.0))
    alone = Parsed(render_report(page_of(tone(440.0), [one])))
    both = Parsed(render_report(page_of(tone(440.0), [one, dataclasses.replace(two, model="other")])))
    assert "Model" not in alone.text
    assert "Model" in both.text
    assert "other" in both.text


def test_a_page_without_candidates_still_plays_its_target() -> None:
    parsed = Parsed(render_report(page_of(tone(440.0), [])))
    assert len(parsed.sounds()) == 1
    assert len([radio for radio in parsed.all("input") if radio.get("name") == "sound"]) == 1


def test_four_seconds_with_eight_candidates_weigh_less_than_5_mb() -> None:
    """White noise is the worst case: FLAC cannot predict it, and its spectrogram has no two equal pixels in a row."""
    rate = 44_100
    noises = [noise(seconds=4.0, sample_rate=rate, seed=seed) for seed in range(9)]
    views = [candidate(rank, noises[rank], sample_rate=rate) for rank in range(1, 9)]
    html = render_report(page_of(noises[0], views, sample_rate=rate))
    assert len(html.encode()) < 5_000_000


def test_a_long_sound_is_cut_and_the_page_says_so() -> None:
    long, short = tone(440.0, seconds=12.0), tone(440.0, seconds=1.0)
    cut = Parsed(render_report(page_of(long, [candidate(1, short)])))
    assert [len(samples) for samples in cut.sounds()] == [160_000, 16_000]
    assert "first 10 s" in cut.text
    assert "first 10 s" not in Parsed(render_report(page_of(short, [candidate(1, short)]))).text


def test_a_name_that_utf8_cannot_hold_is_written_all_the_same(tmp_path: Path) -> None:
    undecodable = "caf\udce9"  # how Python spells a file name in Latin-1
    write_report(tmp_path / "report.html", simple_page(text=undecodable))
    row = IndexRow(undecodable, f"{undecodable}/report.html", {}, "", "")
    write_index(tmp_path / "index.html", "sounds", [row], METRICS)
    assert "caf?" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "./caf%E9/report.html" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_samples_that_are_not_numbers_are_refused() -> None:
    broken = tone(440.0)
    broken[10] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        render_report(page_of(tone(440.0), [candidate(1, broken)]))


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("hz", [100.0, 1_000.0, 3_500.0])
def test_a_full_scale_tone_shows_as_0_db_at_any_frequency_and_rate(hz: float, sample_rate: int) -> None:
    axes = SpectrogramAxes(seconds=1.0, low_hz=40.0, high_hz=4_000.0, top_db=0.0)
    levels_db = spectrogram_db(
        tone(hz, seconds=1.0, sample_rate=sample_rate, amplitude=1.0), sample_rate, axes
    )
    middle_db = levels_db[:, levels_db.shape[1] // 2]
    # A Hann window reads a tone between two bins up to 1.4 dB low; wide rows add its skirts, up to 1.8 dB.
    assert -2.0 < float(middle_db.max()) < 2.0


@pytest.mark.parametrize("hz", [100.0, 1_000.0])
def test_a_tone_is_brightest_at_the_tick_of_its_frequency(hz: float) -> None:
    sound = tone(hz, sample_rate=44_100)
    axes = shared_axes(sound, [sound], [44_100])
    ticks = {label: height for height, label in axes.frequency_ticks()}
    picture = decoded(spectrogram_png(sound, 44_100, axes))
    brightest = 1 - (float(picture.sum(axis=1).argmax()) + 0.5) / len(picture)
    # A bin of 21.5 Hz is 0.04 of the height at 100 Hz.
    assert brightest == pytest.approx(ticks["1 kHz" if hz == 1_000 else "100 Hz"], abs=0.04)


def test_time_runs_to_the_right_and_frequency_upwards() -> None:
    low_then_high = torch.cat([tone(100.0), tone(5_000.0)])
    picture = decoded(
        spectrogram_png(low_then_high, 16_000, shared_axes(low_then_high, [low_then_high], [16_000]))
    )
    rows, columns = picture.shape
    top, bottom = picture[: rows // 3], picture[2 * rows // 3 :]
    early, late = slice(0, columns // 3), slice(2 * columns // 3, columns)
    assert bottom[:, early].mean() > 4 * bottom[:, late].mean()
    assert top[:, late].mean() > 4 * top[:, early].mean()


def test_equal_sounds_look_equal_whatever_stands_beside_them() -> None:
    target, other = tone(440.0), tone(3_000.0, seconds=1.0, amplitude=0.9)
    axes = shared_axes(target, [target, other], [16_000, 16_000])
    assert axes.seconds == 1.0
    assert axes == shared_axes(target, [target, 0.1 * other], [16_000, 16_000])


def test_the_envelope_follows_the_peaks_and_is_zero_after_the_end() -> None:
    sound = torch.cat([tone(440.0, amplitude=0.25), tone(440.0, amplitude=0.75)])
    level = envelope(sound, 16_000, seconds=2.0, num_points=8)
    # The largest of 36 samples per period misses the crest by less than half a percent.
    assert level.tolist() == pytest.approx([0.25, 0.25, 0.75, 0.75, 0, 0, 0, 0], abs=4e-3)


@pytest.mark.parametrize("seconds", [1e-4, 0.03, 0.5, 1.0, 3.7, 4.0, 10.0])
def test_time_ticks_are_few_and_inside_the_picture(seconds: float) -> None:
    ticks = SpectrogramAxes(seconds, 40.0, 8_000.0, top_db=0.0).time_ticks()
    assert 3 <= len(ticks) <= 6
    assert all(0 <= place <= 1 + 1e-9 for place, _ in ticks)


def test_the_history_draws_training_and_validation_apart() -> None:
    train = [Row(step, "train", "loss", 1 / step, 0.0) for step in range(1, 50)]
    validation = [Row(step, "validation", "loss", 2 / step, 0.0) for step in range(10, 50, 10)]

    def has_colour(rows: list[Row], colour: tuple[int, int, int]) -> bool:
        with Image.open(io.BytesIO(history_png(rows))) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.int64)
        return bool((np.abs(pixels - np.array(colour)).max(axis=-1) < 12).sum() > 50)

    teal, grey = (0x0B, 0x6E, 0x75), (0x8A, 0x93, 0x9B)
    assert has_colour(train + validation, teal)
    assert has_colour(train + validation, grey)
    assert not has_colour(train, teal)


@pytest.mark.parametrize(
    "rows", [[], [Row(1, "train", "loss", math.nan, 0.0)], [Row(1, "train", "loss", 1.0, 0.0)]]
)
def test_a_history_of_little_is_still_a_picture(rows: list[Row]) -> None:
    picture = decoded(history_png(rows))
    assert min(picture.shape) > 100
