"""A folder of performances that were drawn is one that MAESTRO's importer reads."""

import pytest
from tiny_soundfont import write_tiny_soundfont

from retimbre.cli.app import run
from retimbre.core.errors import ConfigError, ExistsError
from retimbre.corpora.maestro.midi_states import PianoStates
from retimbre.data.dataset import RecordedSet
from retimbre.workflows.dataset.drawn_performances import PerformancePlan, make_performances

pytestmark = pytest.mark.fluidsynth


@pytest.fixture
def font(tmp_path):
    return str(write_tiny_soundfont(tmp_path / "tiny.sf2", programs=(0,)))


def test_pieces_become_a_set_with_states_and_parts(tmp_path, font, capsys):
    raw = tmp_path / "raw"
    arguments = ["--pieces", "10", "--seconds", "2", "--sample-rate", "8000", "--soundfont", font]
    assert run(["data", "performances", *arguments, "--out", str(raw)]) == 0
    assert "train 8, validation 1, test 1" in capsys.readouterr().out
    chunks = ["--samples", "4096", "--sample-rate", "8000"]
    assert run(["data", "maestro", str(raw), *chunks, "--out", str(tmp_path / "set")]) == 0
    opened = RecordedSet.open(tmp_path / "set")
    states = PianoStates.open(tmp_path / "set")
    rows = opened.split("validation")
    assert len(rows) == 4
    assert states.read(rows).shape == (4, 512, 89)
    assert states.read(rows)[..., :88].max() > 0.2


def test_more_pieces_are_added_and_those_that_are_there_stay(tmp_path, font):
    plan = PerformancePlan(2, 1.0, 8_000, soundfont=font)
    first = make_performances(tmp_path / "raw", plan)
    sound = (tmp_path / "raw/piece-00001.wav").read_bytes()
    more = make_performances(tmp_path / "raw", PerformancePlan(3, 1.0, 8_000, soundfont=font))
    assert (first.written, more.written, more.pieces) == (2, 1, 3)
    assert (tmp_path / "raw/piece-00001.wav").read_bytes() == sound
    assert first.fingerprint == more.fingerprint


def test_other_pieces_are_not_replaced(tmp_path, font):
    make_performances(tmp_path / "raw", PerformancePlan(1, 1.0, 8_000, soundfont=font))
    with pytest.raises(ExistsError, match="choose another folder"):
        make_performances(tmp_path / "raw", PerformancePlan(1, 1.0, 8_000, seed=1, soundfont=font))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"pieces": 0}, "pieces is 0"),
        ({"seconds": 0.5}, "takes 1 to 3600"),
        ({"sample_rate": 4_000}, "8,000"),
    ],
)
def test_plans_that_cannot_be_are_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        PerformancePlan(**given)
