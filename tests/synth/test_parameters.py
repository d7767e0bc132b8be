"""Laws of parameter spaces, over every synthesizer of the catalog."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import uniform
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.knobs import Choice, Continuous, Stepped
from retimbre.synth.parameters import ParameterSpace

SPACES = {name: synth.space for name, synth in SYNTHS.items()}
every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)

SMALL = ParameterSpace(
    (
        Continuous("cutoff", 100.0, 10_000.0, 1000.0, "Hz", "log", (100.0, 1000.0, 10_000.0)),
        Stepped("ratio", (1.0, 2.0, 4.0), 2.0),
        Choice("wave", ("saw", "sine"), "saw"),
        Continuous("bend", -12.0, 12.0, 0.0, "semitones", "cubic"),
        Continuous("noise", 0.0, 1.0, 0.0, "", "square"),
    )
)


def drawn_classes(space: ParameterSpace, count: int = 64) -> torch.Tensor:
    return space.draw_classes(uniform(0, "test", torch.arange(count), len(space.searched)))


@every_space
def test_classes_survive_the_way_through_knobs_unit_cube_and_one_hot(space: ParameterSpace) -> None:
    classes = drawn_classes(space)
    knobs = space.from_classes(classes)
    assert torch.equal(space.to_classes(knobs), classes)
    assert torch.equal(space.to_classes(space.from_unit(space.to_unit(knobs))), classes)
    assert torch.equal(space.from_one_hot(space.to_one_hot(classes)), classes)


@every_space
def test_every_level_of_every_knob_survives_encoding(space: ParameterSpace) -> None:
    for column, count in enumerate(space.class_counts):
        classes = torch.zeros(count, len(space.searched), dtype=torch.int64)
        classes[:, column] = torch.arange(count)
        assert torch.equal(space.to_classes(space.from_classes(classes)), classes)


@every_space
def test_units_come_back_from_the_knobs_they_became(space: ParameterSpace) -> None:
    unit = space.draw_unit(uniform(1, "test", torch.arange(32), len(space.searched)))
    again = space.to_unit(space.from_unit(unit))
    settled = space.to_unit(space.from_unit(again))  # a stepped knob settles in the middle of its share
    # Log and cube-root travel magnify float32 rounding near their ends: 1e-3 of the travel is inaudible.
    assert torch.allclose(settled, again, atol=1e-3)


@every_space
def test_gradients_are_finite_at_the_corners_of_the_unit_cube(space: ParameterSpace) -> None:
    for corner in (0.0, 0.5, 1.0):
        unit = torch.full((1, space.width), corner, requires_grad=True)
        knobs = space.from_unit(unit)
        smooth = [knobs[each.name].square().sum() for each in space.searched if not isinstance(each, Stepped)]
        if smooth:  # steps have no slope
            (slope,) = torch.autograd.grad(torch.stack(smooth).sum(), unit)
            assert bool(slope.isfinite().all())


@every_space
def test_named_values_survive_the_way_through_knobs(space: ParameterSpace) -> None:
    values = space.to_values(space.from_classes(drawn_classes(space, 1)))
    again = space.to_values(space.from_values(values))
    for name, value in values.items():
        assert again[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-6))


def test_a_label_has_one_hot_bit_per_knob_and_the_paper_s_length() -> None:
    space = SPACES["inversynth"]
    label = space.to_one_hot(drawn_classes(space))
    assert label.shape[1] == 368
    assert len(space.searched) == 23
    assert torch.equal(label.sum(1), torch.full((64,), 23.0))
    assert SPACES["fm"].total_classes == 144
    assert SPACES["fm4"].total_classes == 256


def test_travel_means_what_its_scale_says() -> None:
    middle = SMALL.from_unit(torch.full((1, SMALL.width), 0.5))
    assert float(middle["cutoff"]) == pytest.approx(1000.0, rel=1e-5)
    assert float(middle["ratio"]) == 2.0
    assert float(middle["bend"]) == 0.0
    assert float(middle["noise"]) == 0.25
    assert middle["wave"][0].tolist() == pytest.approx([0.5, 0.5])


def test_fixed_knobs_keep_their_value_and_take_no_column_and_no_class() -> None:
    narrow = SMALL.with_fixed({"cutoff": 321.0, "wave": "sine"})
    assert narrow.width == 3
    assert narrow.class_counts == (3, 16, 16)
    for knobs in (
        narrow.from_unit(torch.rand(4, 3)),
        narrow.from_classes(torch.zeros(4, 3, dtype=torch.int64)),
    ):
        assert torch.equal(knobs["cutoff"], torch.full((4,), 321.0))
        assert torch.equal(knobs["wave"], torch.tensor([[0.0, 1.0]]).expand(4, 2))
        assert list(knobs) == list(SMALL.names)


def test_other_levels_make_other_classes() -> None:
    four = SMALL.with_levels({"noise": 4, "bend": (-1.0, 0.0, 1.0)})
    assert four.class_counts == (3, 3, 2, 3, 4)
    assert four["bend"].class_values() == (-1.0, 0.0, 1.0)


def test_the_grid_names_every_combination_once() -> None:
    grid = SMALL.with_levels({"noise": 2, "bend": 2})
    rows = grid.grid_classes(0, grid.grid_size)
    assert grid.grid_size == 3 * 3 * 2 * 2 * 2
    assert len({tuple(row) for row in rows.tolist()}) == grid.grid_size
    assert torch.equal(grid.grid_classes(10, 20), rows[10:20])


def test_draws_are_even_over_classes() -> None:
    space = SPACES["inversynth"]
    classes = drawn_classes(space, 16_000)
    for column in classes.unbind(1):
        # 1,000 expected per class; 6 standard deviations of a binomial count are 184.
        assert int((torch.bincount(column, minlength=16) - 1000).abs().max()) < 184


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cutof": 1.0}, "there is no knob 'cutof'; did you mean 'cutoff'?"),
        ({"cutoff": 99.0}, "cutoff is 99, but takes 100 to 10000 Hz"),
        ({"cutoff": "loud"}, "cutoff takes a number, not 'loud'"),
        ({"cutoff": float("nan")}, "cutoff is nan, but takes 100 to 10000 Hz"),
        ({"wave": "sin"}, "wave has no choice 'sin'; did you mean 'sine'?"),
    ],
)
def test_a_value_that_cannot_be_names_its_knob(values: dict[str, float | str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        SMALL.from_values(values)


def test_levels_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ConfigError, match="noise has levels that do not ascend"):
        SMALL.with_levels({"noise": (0.5, 0.1)})
