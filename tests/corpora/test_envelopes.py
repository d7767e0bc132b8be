"""Laws of the envelope set: every example is its formula, and its labels can be read off its envelope."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.signal
import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError, DatasetError, ExistsError
from retimbre.corpora.envelopes.carriers import CARRIERS, Course
from retimbre.corpora.envelopes.corpus import (
    EnvelopeCorpus,
    EnvelopeSettings,
    default_cycles,
    envelopes,
    one_hot,
    time_index,
)
from retimbre.corpora.envelopes.curves import drawn_curves
from retimbre.corpora.envelopes.on_disk import EnvelopeSet
from retimbre.data.dataset import RecordedSet
from retimbre.data.manifest import read_header
from retimbre.data.side_arrays import SIDE_ARRAYS_FILE, check_side_arrays
from retimbre.workflows.dataset.census import check_dataset
from retimbre.workflows.dataset.envelopes import EnvelopePlan, check_envelopes, make_envelopes

# Two programs that work in float64 and round to float32 differ by rounding alone.
ROUNDING = 2e-7

PITCHED = EnvelopeSettings(
    num_samples=4000,
    attacks=(0.0, 0.3),
    decays=(0.0, 0.2),
    sustains=(0.1, 0.9),
    releases=(0.0, 0.3),
    continuous=True,
    carriers=tuple(CARRIERS),
    cycles=(25.0, 500.0),
    seed=3,
)


def numpy_envelope(attack, sustain, release, length=128):
    """The earlier system's envelope, worked out step by step."""
    rise, fall = int(attack * length) + 1, int(release * length) + 1
    gain = np.ones(length)
    gain[:rise] *= np.linspace(0, 1, rise)
    gain[rise:-fall] *= sustain
    gain[-fall:] *= np.linspace(sustain, 0, fall)
    return gain


def of_values(*values, length=128, has_decay=False):
    return envelopes(torch.tensor([values], dtype=torch.float64), length, has_decay=has_decay)[0]


def test_the_toy_set_is_the_formula_of_the_earlier_system():
    rows = torch.arange(64)
    batch = EnvelopeCorpus(EnvelopeSettings(seed=5)).batch(rows)
    jitter = 2 * random.uniform(5, "envelope jitter", rows, 128).numpy() - 1
    noise = 2 * random.uniform(5, "envelope noise", rows, 128).numpy() - 1
    waves = (np.sin, scipy.signal.sawtooth, scipy.signal.square)
    seen = set()
    for row in rows.tolist():
        phase = 2 * np.pi * 12 * np.arange(128) / 128 + 0.2 * jitter[row]
        basic = waves[int(batch.labels.carrier[row])](phase) + 0.05 * noise[row]
        attack, _, sustain, release = batch.labels.values[row].tolist()
        np.testing.assert_allclose(batch.basic[row], basic, atol=ROUNDING)
        target = basic * numpy_envelope(attack, sustain, release)
        np.testing.assert_allclose(batch.target[row], target, atol=ROUNDING)
        seen.add(int(batch.labels.carrier[row]))
    assert seen == {0, 1, 2}


def test_classes_are_drawn_with_equal_odds():
    labels = EnvelopeCorpus().labels(torch.arange(9000))
    for column in (*labels.classes.unbind(1), labels.carrier):
        counts = column.bincount(minlength=3)
        # Binomial with p = 1/3: a standard deviation is 45, so five of them are 224.
        assert (counts - 3000).abs().max() < 224
    combinations = torch.tensor([9, 3, 1]) @ labels.classes.T
    assert len(combinations.unique()) == 27


def test_lengths_are_those_of_the_earlier_system():
    for fraction, length in ((0.0, 1), (0.2, 26), (0.4, 52)):
        gain = of_values(fraction, 0.0, 0.5, 0.0)
        expected = np.linspace(0, 1, length)
        np.testing.assert_allclose(gain[:length], expected, atol=1e-15)
        assert (gain[length:] == 0.5).all()


def test_labels_can_be_read_off_the_envelope():
    settings = EnvelopeSettings()
    combinations = torch.tensor(list(itertools.product(range(3), repeat=3)))
    values = torch.zeros(27, 4, dtype=torch.float64)
    for stage, column in enumerate((0, 2, 3)):
        levels = torch.tensor(list(settings.levels.values())[stage], dtype=torch.float64)
        values[:, column] = levels[combinations[:, stage]]
    known = envelopes(values, 128, has_decay=False)
    corpus = EnvelopeCorpus(settings)
    labels = corpus.labels(torch.arange(500))
    drawn = envelopes(labels.values, 128, has_decay=False)
    nearest = torch.cdist(drawn, known).argmin(dim=1)
    assert (combinations[nearest] == labels.classes).all()
    # And off the signals: where the basic one is not near zero, their ratio is the envelope.
    batch = corpus.batch(torch.arange(500))
    heard = batch.basic.abs() > 0.1
    ratio = torch.where(heard, batch.target / batch.basic, 0.0).double()
    distance = ((ratio[:, None] - known) ** 2 * heard[:, None]).sum(-1)
    assert (combinations[distance.argmin(dim=1)] == batch.labels.classes).all()


def test_a_decay_falls_in_a_line_from_1_to_the_sustain():
    gain = of_values(0.1, 0.2, 0.4, 0.3, length=100, has_decay=True)
    np.testing.assert_allclose(gain[:11], np.linspace(0, 1, 11), atol=1e-15)
    np.testing.assert_allclose(gain[11:32], np.linspace(1, 0.4, 21), atol=1e-15)
    assert (gain[32:69] == 0.4).all()
    np.testing.assert_allclose(gain[69:], np.linspace(0.4, 0, 31), atol=1e-15)


def test_any_envelope_lies_between_0_and_1_and_ends_as_it_should():
    labels = EnvelopeCorpus(PITCHED).labels(torch.arange(300))
    gain = envelopes(labels.values, 4000, has_decay=True)
    assert gain.min() >= 0
    assert gain.max() <= 1
    assert (gain[:, 0] == 0).all()
    fading = labels.values[:, 3] * 4000 >= 1
    assert fading.sum() > 200
    assert gain[fading, -1].abs().max() < 1e-12


def test_continuous_values_fill_their_range_and_have_the_nearest_class():
    labels = EnvelopeCorpus(PITCHED).labels(torch.arange(4000))
    for column, (low, high) in enumerate(((0, 0.3), (0, 0.2), (0.1, 0.9), (0, 0.3))):
        values = labels.values[:, column]
        assert low <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high
        assert ((values > (low + high) / 2).long() == labels.classes[:, column]).all()


@pytest.mark.parametrize("settings", [EnvelopeSettings(), PITCHED], ids=["toy", "pitched"])
def test_an_example_does_not_depend_on_its_batch(settings):
    corpus = EnvelopeCorpus(settings)
    whole = corpus.batch(torch.arange(40))
    some = corpus.batch(torch.tensor([37, 2, 11]))
    torch.testing.assert_close(whole.target[[37, 2, 11]], some.target, rtol=0, atol=0)
    torch.testing.assert_close(whole.basic[[37, 2, 11]], some.basic, rtol=0, atol=0)
    assert torch.equal(whole.labels.classes[[37, 2, 11]], some.labels.classes)


def test_another_seed_gives_another_set():
    first, other = (EnvelopeCorpus(EnvelopeSettings(seed=seed)).batch(torch.arange(30)) for seed in (0, 1))
    assert not torch.equal(first.labels.classes, other.labels.classes)
    assert ((first.basic - other.basic).abs().amax(dim=1) > 0.01).all()


@pytest.mark.parametrize("name", sorted(CARRIERS))
def test_a_carrier_lies_within_full_scale_and_has_the_pitch_of_its_cycles(name):
    length, cycles = 4096, 64.0
    rows = torch.arange(5)
    phase = (cycles * torch.arange(length, dtype=torch.float64) / length).expand(5, length)
    wave = CARRIERS[name](Course(phase, torch.full((5,), cycles / length, dtype=torch.float64), 0, rows))
    assert wave.abs().max() <= 1
    assert (wave.abs().amax(dim=1) > 0.9).all()
    power = torch.fft.rfft(wave).abs() ** 2
    harmonics = power[:, :: int(cycles)].sum(dim=1) / power.sum(dim=1)
    if name == "noise":
        # Of 2,049 bins 33 are harmonics: about 1.6 % of the power, and 5 % is six standard deviations above.
        assert (harmonics < 0.05).all()
    else:
        assert (harmonics > 1 - 1e-9).all()
        assert (power[:, int(cycles)] > 0.05 * power.sum(dim=1)).all()


def test_a_wavetable_does_not_alias():
    length, cycles = 4096, 300.0  # six harmonics are below half the sample rate
    phase = (cycles * torch.arange(length, dtype=torch.float64) / length).expand(3, length)
    per_sample = torch.full((3,), cycles / length, dtype=torch.float64)
    power = torch.fft.rfft(CARRIERS["wavetable"](Course(phase, per_sample, 0, torch.arange(3)))).abs() ** 2
    harmonics = power[:, 300:1801:300].sum(dim=1) / power.sum(dim=1)
    assert (harmonics > 1 - 1e-9).all()


def test_the_time_index_is_a_coordinate_between_minus_1_and_1():
    index = time_index(128)
    assert (index[0], index[-1]) == (-1, 1)
    torch.testing.assert_close(index.diff(), torch.full((127,), 2 / 127), rtol=0, atol=1e-6)


def test_the_one_hot_label_has_nine_columns_a_block_for_each_stage():
    labels = one_hot(torch.tensor([[0, 1, 2], [2, 0, 1]]), EnvelopeSettings())
    assert labels.tolist() == [[1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0, 0, 1, 0]]
    with_decay = EnvelopeSettings(decays=(0.0, 0.1))
    assert one_hot(torch.tensor([[0, 1, 0, 0]]), with_decay).shape == (1, 11)
    assert default_cycles(128) == (12.0, 12.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"attacks": (0.5,), "releases": (0.5,)}, "take 130 samples together, but a clip has 128"),
        ({"attacks": ()}, "attacks is empty"),
        ({"sustains": (1.5,)}, "sustains are numbers from 0 to 1"),
        ({"releases": (math.nan,)}, "releases are numbers from 0 to 1"),
        ({"attacks": (0.1, 0.1)}, "has a value twice"),
        ({"carriers": ("sin",)}, "did you mean 'sine'"),
        ({"carriers": ()}, "carriers is empty"),
        ({"cycles": (64.0, 64.0)}, "fewer than half"),
        ({"cycles": (5.0, 4.0)}, "the fewest first"),
        ({"noise": -1.0}, "jitter and noise"),
        ({"num_samples": 1}, "2 samples at least"),
    ],
)
def test_settings_that_make_no_envelope_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        EnvelopeSettings(**settings)


@pytest.mark.parametrize("settings", [EnvelopeSettings(), PITCHED], ids=["toy", "pitched"])
def test_a_set_on_disk_is_the_set_that_is_made(tmp_path, settings):
    made = make_envelopes(EnvelopePlan(77, settings), tmp_path / "set")
    data = EnvelopeSet.open(tmp_path / "set")
    assert (len(data), made.size, data.settings) == (77, 77, settings)
    rows = torch.tensor([76, 0, 13])
    stored, drawn = data.batch(rows), EnvelopeCorpus(settings).batch(rows)
    torch.testing.assert_close(stored.target, drawn.target, rtol=0, atol=0)
    torch.testing.assert_close(stored.basic, drawn.basic, rtol=0, atol=0)
    for field in dataclasses.fields(drawn.labels):
        assert torch.equal(getattr(stored.labels, field.name), getattr(drawn.labels, field.name))
    assert sum(made.splits.values()) == 77
    parts = torch.cat([data.split(name) for name in ("train", "validation", "test")])
    assert sorted(parts.tolist()) == list(range(77))
    with pytest.raises(DatasetError, match="a procedural data set"):
        RecordedSet.open(tmp_path / "set")


def test_a_larger_set_begins_with_the_smaller_one(tmp_path):
    for size in (10, 25):
        make_envelopes(EnvelopePlan(size), tmp_path / str(size))
    small, large = (EnvelopeSet.open(tmp_path / str(size)) for size in (10, 25))
    rows = torch.arange(10)
    torch.testing.assert_close(small.batch(rows).target, large.batch(rows).target, rtol=0, atol=0)
    assert [row for row in large.split("train").tolist() if row < 10] == small.split("train").tolist()


def test_an_interrupted_set_is_gone_on_with_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.setattr("retimbre.workflows.dataset.envelopes.rows_per_shard", lambda num_samples: 10)
    make_envelopes(EnvelopePlan(35), tmp_path / "set")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    (tmp_path / "set" / "audio-00002.npy").unlink()
    (tmp_path / "set" / "basic-00001.npy").write_bytes(b"")
    with pytest.raises(DatasetError, match="basic-00001"):
        EnvelopeSet.open(tmp_path / "set")
    again = make_envelopes(EnvelopePlan(35), tmp_path / "set")
    assert (again.was_there, again.written) == (True, 2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == whole


def test_another_set_or_other_files_are_not_overwritten(tmp_path):
    make_envelopes(EnvelopePlan(10), tmp_path / "set")
    with pytest.raises(ExistsError, match=r"other files or options \(size\); --force"):
        make_envelopes(EnvelopePlan(11), tmp_path / "set")
    assert make_envelopes(EnvelopePlan(11), tmp_path / "set", force=True).size == 11
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(ExistsError, match="other files and no data set"):
        make_envelopes(EnvelopePlan(10), tmp_path / "other")
    with pytest.raises(ConfigError, match="takes 1 to"):
        EnvelopePlan(0)


def test_the_check_finds_signals_and_labels_that_are_not_of_the_seed(tmp_path):
    make_envelopes(EnvelopePlan(20), tmp_path)
    header = read_header(tmp_path)
    assert check_envelopes(tmp_path, header) == (0.0, [])
    assert check_side_arrays(tmp_path, header) == []
    for name in ("basic", "classes"):
        entries = np.load(tmp_path / f"{name}-00000.npy")
        np.save(tmp_path / f"{name}-00000.npy", entries[::-1])
    difference, problems = check_envelopes(tmp_path, header)
    assert difference > 0.1
    assert any("differs by" in problem for problem in problems)
    assert any("other labels than the seed gives" in problem for problem in problems)
    assert len(check_side_arrays(tmp_path, header)) == 2


def test_the_census_counts_the_set_and_misses_what_is_not_there(tmp_path):
    made = make_envelopes(EnvelopePlan(50), tmp_path)
    census = check_dataset(tmp_path)
    assert (census.problems, census.kind, census.clips, census.splits) == ((), "procedural", 50, made.splits)
    assert census.labels == made.labels
    assert sum(count for name, count in census.labels.items() if name.startswith("attack")) == 50
    (tmp_path / SIDE_ARRAYS_FILE).unlink()
    assert len(check_dataset(tmp_path).problems) == 5


def test_a_drawn_curve_lies_between_0_and_1_and_does_not_depend_on_its_batch():
    whole, some = drawn_curves(3, torch.arange(200), 500), drawn_curves(3, torch.tensor([150, 7]), 500)
    assert float(whole.min()) >= 0.0
    assert float(whole.max()) <= 1.0
    torch.testing.assert_close(whole[[150, 7]], some, rtol=0, atol=0)


def test_drawn_curves_reach_the_faint_and_have_both_slopes_and_jumps():
    curves = drawn_curves(0, torch.arange(200), 500)
    # A quarter of the levels lies between -40 and -20 dB, where evenly drawn ones would be a tenth of the time.
    assert 0.15 < float((curves < 0.1).double().mean()) < 0.45
    steps = curves.diff(dim=1).abs()
    assert float((steps.amax(dim=1) > 0.2).double().mean()) > 0.5  # most have a jump somewhere
    assert float((steps.amax(dim=1) < 0.05).double().mean()) > 0.005  # and some have none


def test_a_pulse_and_a_modulated_sine_are_drawn_anew_for_every_example():
    phase = (torch.arange(128, dtype=torch.float64) / 128).expand(4, 128)
    course = Course(phase, torch.full((4,), 1 / 128, dtype=torch.float64), 0, torch.arange(4))
    for name in ("pulse", "fm", "wavetable"):
        wave = CARRIERS[name](course)
        assert min(float((wave[i] - wave[j]).abs().max()) for i in range(4) for j in range(i)) > 0.05
