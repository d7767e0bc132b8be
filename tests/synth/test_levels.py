import json

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.knobs import Choice, Continuous, Stepped
from retimbre.synth.levels import ParameterFile, expand, narrow, narrowed, narrowing, read_parameter_file
from retimbre.synth.parameters import ParameterSpace

LINEAR = Continuous("depth", 0.0, 1.0, 0.5)
FREQUENCY = Continuous("cutoff", 20.0, 20_000.0, 440.0, "Hz", "log")
SPACE = ParameterSpace(
    (LINEAR, FREQUENCY, Stepped("ratio", (1.0, 2.0, 3.0), 1.0), Choice("wave", ("sine", "saw"), "sine"))
)


@pytest.fixture
def written(tmp_path):
    def write(table):
        path = tmp_path / "knobs.json"
        path.write_text(table if isinstance(table, str) else json.dumps(table))
        return path

    return write


@pytest.mark.parametrize(
    ("knob", "phrase", "levels"),
    [
        (LINEAR, "steps 5", (0.0, 0.25, 0.5, 0.75, 1.0)),
        (LINEAR, "steps 3 from 0.2 to 0.6", (0.2, 0.4, 0.6)),
        (LINEAR, "steps 1", (0.5,)),
        (LINEAR, "steps 1 from 0.2 to 0.6", (0.4,)),
        (LINEAR, "switch 4", (0.125, 0.375, 0.625, 0.875)),
        (LINEAR, (0.1, 0.9), (0.1, 0.9)),
        (LINEAR, "all", ()),
        (FREQUENCY, "steps 4 from 100 to 800", (100.0, 200.0, 400.0, 800.0)),
        (FREQUENCY, "semitones 3", (440.0, 466.1637615, 493.8833013)),
        (FREQUENCY, "semitones 2 from C4", (261.6255653, 277.1826310)),
        (FREQUENCY, "semitones 2 from Bb2", (116.5409404, 123.4708253)),
        (FREQUENCY, "semitones 2 from c#-1", (8.66195721803, 9.17702399742)),
        (FREQUENCY, "semitones 2 from 100", (100.0, 105.9463094)),
    ],
)
def test_a_phrase_stands_for_the_levels_it_says(knob, phrase, levels):
    assert expand(knob, phrase, {}) == pytest.approx(levels, rel=1e-9)


def test_the_ends_of_steps_are_exactly_the_ends_that_were_written():
    levels = expand(FREQUENCY, "steps 7 from 33.3 to 15000.1", {})
    assert (levels[0], levels[-1]) == (33.3, 15000.1)


def test_sixteen_semitones_are_the_paper_s_sixteen_notes():
    knob = SYNTHS["inversynth"].space.searched[0]
    assert expand(knob, "semitones 16 from A4", {}) == pytest.approx(knob.class_values(), rel=1e-12)


def test_a_substitution_stands_for_what_is_defined_even_through_another():
    define = {"fine": "$even", "even": "steps 3"}
    assert expand(LINEAR, "$fine", define) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    "phrase",
    [
        "",
        "stepz 4",
        "steps",
        "steps four",
        "steps 0",
        "steps -1",
        "steps 5000",
        "steps 4 from 0",
        "steps 4 from 1 to 0",
        "steps 4 from 0 to 7",
        "steps 4 from a to b",
        "semitones 4 from H4",
        "switch 4 from 0 to 1",
        "all of them",
        "$missing",
        "$loop",
        (),
    ],
)
def test_what_is_not_in_the_language_is_refused_and_names_the_parameter(phrase):
    with pytest.raises(ConfigError, match="depth"):
        expand(LINEAR, phrase, {"loop": "$loop"})


def test_a_knob_with_steps_of_its_own_takes_all_and_nothing_else():
    assert narrow(SPACE, ParameterFile(searched={"ratio": "all", "wave": "all"})) == SPACE
    for name in ("ratio", "wave"):
        with pytest.raises(ConfigError, match=name):
            narrow(SPACE, ParameterFile(searched={name: "steps 2"}))


def test_fixed_values_appear_unchanged_in_every_setting_and_take_no_classes():
    fixed = {"cutoff": 1234.5, "wave": "saw"}
    space = narrow(SPACE, ParameterFile(searched={"depth": "steps 4"}, fixed=fixed))
    assert [knob.name for knob in space.searched] == ["depth", "ratio"]
    assert space.total_classes == 4 + 3
    for classes in ([[0, 0]], [[3, 2]]):
        values = space.to_values(space.from_classes(torch.tensor(classes)))
        assert {name: values[name] for name in fixed} == fixed


def test_knobs_in_neither_list_are_searched_or_stand_at_their_default_as_the_file_says():
    searched = {"depth": "all"}
    assert narrow(SPACE, ParameterFile(searched=searched)).searched == SPACE.searched
    held = narrow(SPACE, ParameterFile(searched=searched, others="fix"))
    assert [knob.name for knob in held.searched] == ["depth"]
    assert held.fixed == {"cutoff": 440.0, "ratio": 1.0, "wave": "sine"}


def test_the_earlier_system_s_lists_mean_the_same_as_the_mappings(written):
    table = {
        "parameters": [
            {"id": 3, "name": "depth", "values": [0.0, 0.5]},
            {"name": "cutoff", "values": "steps 4"},
        ],
        "fixed_parameters": [{"id": 9, "name": "wave", "value": "saw"}],
    }
    same = {"searched": {"depth": [0.0, 0.5], "cutoff": "steps 4"}, "fixed": {"wave": "saw"}}
    earlier = read_parameter_file(written(table))
    assert narrow(SPACE, earlier) == narrow(SPACE, read_parameter_file(written(same)))


@pytest.mark.parametrize("name", SYNTHS)
def test_a_narrowed_space_comes_back_from_its_record(name):
    space = SYNTHS[name].space
    knob = space.searched[0]
    narrower = space.with_fixed({knob.name: knob.default})
    for one in (space, narrower):
        again = narrowed(space, json.loads(json.dumps(narrowing(one))))
        assert again.fixed == one.fixed
        for knob, expected in zip(again.searched, one.searched, strict=True):
            # A level that a logarithm put an ulp beyond its knob's end comes back on it.
            is_text = isinstance(expected.class_values()[0], str)
            values = expected.class_values() if is_text else pytest.approx(expected.class_values(), rel=1e-14)
            assert knob.class_values() == values


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"serched": {}}, "did you mean 'searched'"),
        ({"searched": {"depth": True}}, "depth"),
        ({"searched": {"depth": [0.1, "x"]}}, "depth"),
        ({"fixed": {"depth": None}}, "depth"),
        ({"fixed": [1]}, "fixed is a table"),
        ({"others": "guess"}, "others"),
        ({"parameters": [{"name": "depth"}]}, "an entry is"),
        ({"parameters": {"depth": [1]}}, "a list of"),
        ("{", "not a JSON file"),
    ],
)
def test_a_file_with_anything_else_is_refused_by_name(written, table, message):
    path = written(table)
    with pytest.raises(ConfigError) as caught:
        read_parameter_file(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (ParameterFile(searched={"dept": "all"}), "did you mean 'depth'"),
        (ParameterFile(fixed={"wave": "noise"}), "wave has no choice 'noise'"),
        (ParameterFile(fixed={"depth": 3.0}), "depth is 3"),
        (ParameterFile(searched={"depth": (0.5, 0.1)}), "depth has levels that do not ascend"),
        (ParameterFile(searched={"depth": (0.5, 2.0)}), "depth is 2"),
        (ParameterFile(searched={"depth": "all"}, fixed={"depth": 0.1}), "depth is both"),
    ],
)
def test_a_file_that_does_not_fit_its_synthesizer_is_refused_and_names_the_parameter(file, message):
    with pytest.raises(ConfigError, match=message):
        narrow(SPACE, file)
