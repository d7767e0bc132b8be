"""Growth: the fades of system C's schedule, and what is said of a schedule that cannot complete them."""

import dataclasses

import pytest

from retimbre.core.errors import ConfigError
from retimbre.gan.base import Stage
from retimbre.gan.growth import Growth

# System C's defaults for its first scales: 600 jumps, 32 iterations apart, at every scale but the first.
SYSTEM_C = Growth(steps=(48_000, 96_000, 96_000), fade_jumps=(0, 600, 600), fade_jump_steps=(0, 32, 32))
# The example in that program's README.
README = Growth(steps=(50,) * 5, fade_jumps=(600, 600, 600, 600, 1200), fade_jump_steps=(32,) * 5)
CUSTOM = Growth(steps=(10, 20), fade="custom", fade_steps=((), (2, 5, 9)), fade_values=((), (0.75, 0.5, 0.0)))


@pytest.mark.parametrize(
    ("done", "fade"),
    [
        (0, 1.0),
        (31, 1.0),
        (32, 599 / 600),
        (64, 598 / 600),
        (9_600, 0.5),
        (19_199, 1 / 600),
        (19_200, 0.0),
        (95_999, 0.0),
    ],
)
@pytest.mark.parametrize("scale", [1, 2])
def test_a_scale_takes_over_in_six_hundred_jumps_of_32_updates(scale: int, done: int, fade: float) -> None:
    stage = SYSTEM_C.at(1 + sum(SYSTEM_C.steps[:scale]) + done)
    assert stage.scale == scale
    # A rounded quotient taken from 1.
    assert stage.fade == pytest.approx(fade, abs=1e-15)


def test_nothing_is_faded_in_at_the_scale_that_training_begins_with() -> None:
    assert {SYSTEM_C.at(step) for step in (1, 2, 33, 48_000)} == {Stage(0)}
    later = dataclasses.replace(SYSTEM_C, start_scale=1)
    assert later.at(1) == Stage(1)
    assert later.at(96_001) == Stage(2, 1.0)
    assert (SYSTEM_C.total_steps, later.total_steps) == (240_000, 192_000)


def test_the_last_scale_stays_when_the_schedule_is_over() -> None:
    assert SYSTEM_C.at(SYSTEM_C.total_steps + 1_000_000) == Stage(2)
    # Even one that had no time to take over.
    assert README.at(250) == Stage(4, 1 - 1 / 1200)
    assert README.at(50 * 4 + 1200 * 32 + 1) == Stage(4, 0.0)


def test_the_example_of_the_readme_is_remarked_to_complete_no_fade() -> None:
    remarks = README.remarks()
    assert len(remarks) == 4
    assert "scale 1 has 50 steps, but its fade takes 600 x 32 = 19,200" in remarks[0]
    assert "it ends at 0.9983 of the scale before, the next begins with a jump" in remarks[0]
    assert "1,200 x 32 = 38,400" in remarks[3]
    assert remarks[3].endswith("and there it stays")
    assert SYSTEM_C.remarks() == []


def test_a_fade_ends_within_a_scale_of_one_step_more_and_not_in_one_of_as_many() -> None:
    def schedule(steps: int) -> Growth:
        return Growth(steps=(1, steps), fade_jumps=(0, 4), fade_jump_steps=(1, 2))

    assert schedule(9).remarks() == []
    assert schedule(9).at(10).fade == 0.0
    assert len(schedule(8).remarks()) == 1
    assert schedule(8).at(9).fade == 0.25


def test_a_fade_may_jump_where_one_likes() -> None:
    fades = [CUSTOM.at(10 + step).fade for step in range(1, 12)]
    assert fades == [1.0, 1.0, 0.75, 0.75, 0.75, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]
    assert CUSTOM.remarks() == []
    stuck = dataclasses.replace(CUSTOM, fade_values=((), (0.75, 0.5, 0.25)))
    assert "its fade takes longer" in stuck.remarks()[0]


def test_without_jumps_a_scale_is_there_at_once() -> None:
    assert Growth(steps=(3, 3)).at(4) == Stage(1, 0.0)
    assert Growth(steps=(3, 3), fade="custom", fade_steps=((), ()), fade_values=((), ())).at(4) == Stage(1)


def test_each_scale_has_its_batch_size_or_the_run_decides() -> None:
    sized = dataclasses.replace(SYSTEM_C, batch_sizes=(12, 12, 8))
    assert [sized.batch_size_at(step) for step in (1, 48_000, 48_001, 144_000, 144_001, 10**9)] == [
        12,
        12,
        12,
        12,
        8,
        8,
    ]
    assert SYSTEM_C.batch_size_at(1) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": ()}, r"steps is \[\]; takes 1 or more"),
        ({"steps": (5, 0, 5)}, r"steps is \[5, 0, 5\]"),
        ({"start_scale": 3}, "start_scale is 3; takes 0 to 2"),
        ({"fade_jumps": (1, 2)}, "fade_jumps has 2 values, but there are 3 scales"),
        ({"fade_jump_steps": (0, 32, 0)}, r"fade_jump_steps is \[0, 32, 0\]; takes 1 or more"),
        ({"batch_sizes": (0, 1, 1)}, r"batch_sizes is \[0, 1, 1\]"),
        ({"fade_steps": ((), (), ())}, 'are for fade = "custom"'),
        ({"fade": "custom"}, 'are for fade = "linear"'),
    ],
)
def test_lists_that_do_not_fit_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(SYSTEM_C, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fade_steps": ((),)}, "fade_steps has 1 lists"),
        ({"fade_steps": ((), (2, 5))}, "scale 1 has 2 fade_steps and 3 fade_values"),
        ({"fade_steps": ((), (5, 2, 9))}, r"fade_steps of scale 1 are \[5, 2, 9\]; they rise"),
        ({"fade_values": ((), (0.75, 0.5, 1.5))}, "fade_values of scale 1 are .*; takes 0 to 1"),
    ],
)
def test_custom_fades_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CUSTOM, **change)
