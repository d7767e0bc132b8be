import csv
import json

import pytest
import torch
from matplotlib.axes import Axes

from retimbre.core.errors import ConfigError
from retimbre.representation.aliases import AliasWarning
from retimbre.representation.catalog import REPRESENTATIONS
from retimbre.workflows.study.timing.memory import peak_bytes
from retimbre.workflows.study.timing.page import costs_png
from retimbre.workflows.study.timing.study import TimingOptions, plucked_notes, study_timing

SOME = TimingOptions(("stft", "mag", "log-mel", "mdct"), seconds=0.1, batch=2)


@pytest.fixture(autouse=True)
def _few_repeats(monkeypatch):
    monkeypatch.setattr("retimbre.workflows.study.timing.study._ENOUGH_S", 0.02)


def test_every_entry_asked_for_has_a_row_with_what_it_costs_and_keeps(tmp_path):
    result = study_timing(tmp_path, SOME)
    rows = {row["name"]: row for row in result["rows"]}
    assert list(rows) == list(SOME.representations)
    for row in rows.values():
        assert row["encode_ms"] > 0
        # 0.1 s of sound per clip: a rate of real time is 100 ms over the time of a clip.
        assert row["encode_x"] == pytest.approx(100.0 / row["encode_ms"])
    assert rows["stft"]["snr_db"] > 110
    assert rows["mdct"]["snr_db"] > 110
    assert -60 < rows["mag"]["convergence_db"] < -10  # phases are estimated
    assert rows["log-mel"]["decode_ms"] is None
    assert rows["mdct"]["values_per_sample"] == pytest.approx(256 * 8 / 1600)


def test_the_device_the_threads_and_the_clips_are_recorded(tmp_path):
    result = study_timing(tmp_path, SOME)
    assert result == json.loads((tmp_path / "timing.json").read_text())
    assert (result["device"], result["batch"], result["seconds"]) == ("cpu", 2, 0.1)
    assert result["hardware"]["threads"] == torch.get_num_threads()
    with (tmp_path / "timing.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == list(SOME.representations)
    page = (tmp_path / "report.md").read_text()
    assert "2 clips of 0.1 s" in page
    assert "| `mdct` | yes | 1 x 256 x 8 |" in page
    assert "(costs.png)" in page
    assert (tmp_path / "costs.png").read_bytes()[:4] == b"\x89PNG"


def test_run_again_it_measures_only_what_is_missing(tmp_path):
    told = []
    study_timing(tmp_path, TimingOptions(("stft",), 0.1, 2))
    first = json.loads((tmp_path / "rows" / "stft.json").read_text())
    result = study_timing(tmp_path, TimingOptions(("stft", "mdct"), 0.1, 2), tell=told.append)
    assert result["rows"][0] == first["row"]
    assert [line.partition(":")[0] for line in told] == ["mdct"]


@pytest.mark.parametrize("changed", [TimingOptions(("mdct",), 0.2, 2), TimingOptions(("mdct",), 0.1, 3)])
def test_what_was_measured_on_other_clips_is_measured_anew(tmp_path, changed):
    told = []
    study_timing(tmp_path, TimingOptions(("mdct",), 0.1, 2))
    study_timing(tmp_path, changed, tell=told.append)
    assert len(told) == 1
    study_timing(tmp_path, changed, tell=told.append, force=True)
    assert len(told) == 2


def test_notes_are_the_same_every_time_and_do_not_depend_on_how_many_are_made():
    torch.testing.assert_close(plucked_notes(3, 1000), plucked_notes(3, 1000), atol=0, rtol=0)
    assert float(plucked_notes(64, 16_000).abs().max()) <= 1.0
    spectrum = torch.fft.rfft(plucked_notes(13, 16_000)[12].double()).abs()
    assert abs(int(spectrum.argmax()) - 110) <= 1  # Hz: an octave above the first


def test_the_memory_of_a_call_is_that_of_its_tensors():
    # Sixteen million floats, and half of them again for a moment: 96 MB beyond what there was.
    def call():
        return torch.ones(16_000_000) * torch.ones(8_000_000).sum()

    _, taken = peak_bytes(call, torch.device("cpu"))
    assert taken is None or 60e6 < taken < 200e6  # None: a system that does not tell


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"representations": ("stfft",)}, "did you mean 'stft'"),
        ({"device": "tpu"}, "device is 'tpu'"),
    ],
)
def test_unknown_names_are_refused(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        study_timing(tmp_path, TimingOptions(**options))


@pytest.mark.parametrize(
    "options", [{"batch": 0}, {"seconds": 0.0}, {"seconds": float("nan")}, {"seconds": 1e9}]
)
def test_clips_that_are_none_are_refused(options):
    with pytest.raises(ConfigError, match="but they take 1 or more and up to 600"):
        TimingOptions(**options)


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"key": "1"}', '{"key": "1", "row": 2}'])
def test_a_damaged_row_is_named(tmp_path, content):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "mdct.json").write_text(content)
    with pytest.raises(ConfigError, match=r"mdct\.json: not a row of this study"):
        study_timing(tmp_path, TimingOptions(("mdct",), 0.1, 2))


def test_an_earlier_spelling_is_a_row_of_the_entry_that_it_stands_for_and_only_one(tmp_path):
    options = TimingOptions(("complex", "complex", "sony2020-stft", "mdct", "mdct"), 0.1, 2)
    with pytest.warns(AliasWarning, match="sony2020-stft"):
        result = study_timing(tmp_path, options)
    assert [row["name"] for row in result["rows"]] == ["sony2020-stft", "mdct"]
    assert sorted(path.stem for path in (tmp_path / "rows").iterdir()) == ["mdct", "sony2020-stft"]


def test_the_figure_has_a_bar_for_each_cost_that_was_measured(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Axes, "barh", lambda axes, places, widths, **_: drawn.append((places, widths)))
    costs = {"encode_ms": 1.0, "decode_ms": 2.0, "encode_mb": 3.0, "decode_mb": 4.0}
    rows = [
        {"name": "both", **costs},
        {"name": "one way", **costs, "decode_ms": None, "decode_mb": None},
        {"name": "a view", **costs, "encode_mb": 0.0},
    ]
    costs_png(rows, tmp_path / "costs.png")
    assert [widths for _, widths in drawn] == [[1.0] * 3, [2.0] * 2, [3.0] * 2, [4.0] * 2]
    assert drawn[1][0] == [0.2, 2.2]


@pytest.mark.slow
def test_every_entry_of_the_catalog_can_be_timed(tmp_path):
    result = study_timing(tmp_path, TimingOptions(seconds=0.25, batch=1))
    assert [row["name"] for row in result["rows"]] == list(REPRESENTATIONS)
