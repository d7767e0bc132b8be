"""Results go to standard output and messages to standard error."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator

import pytest

from retimbre.cli import console


def test_results_and_messages_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_json([1.5, "é"])
    console.say("working")
    console.warn("odd\ninput")
    output = capsys.readouterr()
    assert json.loads(output.out) == [1.5, "é"]
    assert output.err == "working\nwarning: odd input\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        console.show_json({"value": value})


def test_a_table_lines_up_under_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_table([{"name": "fm", "knobs": 9}, {"name": "inversynth", "knobs": 12345}, {"name": "x"}])
    assert capsys.readouterr().out.splitlines() == [
        "name        knobs",
        "fm          9",
        "inversynth  12,345",
        "x           -",
    ]


def test_progress_is_silent_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("matching", total=3) as advance:
        advance(1)
    output = capsys.readouterr()
    assert output.out + output.err == ""


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_person_sees_the_progress_of_work_that_takes_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_quick: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(console, "QUICK_S", 60.0 if is_quick else 0.0)
    with console.progress("matching", total=3) as advance:
        advance(1)
    output = capsys.readouterr()
    assert ("matching" in output.err) is not is_quick
    assert output.out == ""


def test_the_progress_of_a_training_tells_the_clips_of_a_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = iter([10.0, 12.0, 14.0])
    shown: list[tuple[float, str]] = []

    @contextlib.contextmanager
    def progress(title: str, total: float) -> Iterator[Callable[..., None]]:
        yield lambda amount, title="": shown.append((amount, title))

    monkeypatch.setattr(console, "progress", progress)
    monkeypatch.setattr(console.time, "monotonic", lambda: next(now_s))
    with console.steps("toy", 1000, lambda step: 30 * step) as tell:
        for step in (500, 501, 502):  # goes on after 500 steps of other sessions
            tell(step)
    # 30 clips in two seconds.
    assert shown == [(500, "toy"), (1, "toy at 15 images/s"), (1, "toy at 15 images/s")]


def test_a_table_can_be_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_table([{"name": "fm", "knobs": 9}])
    output = capsys.readouterr()
    assert output.err.splitlines() == ["name  knobs", "fm    9"]
    assert output.out == ""
