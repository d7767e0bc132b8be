"""How a command line ends: one line for what went wrong, the right exit status, and clean standard output."""

import json

import pytest

import retimbre
from retimbre.cli import app, listing
from retimbre.core.errors import AudioError, PartialFailure, UserError
from retimbre.workflows.catalogs import KINDS


def failing(error: BaseException) -> object:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("no such knob"), 2),
        (AudioError("not a sound"), 2),
        (PartialFailure("2 of 3 failed"), 1),
        (OSError(28, "No space left on device", "out.wav"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_and_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int
) -> None:
    monkeypatch.setitem(app.COMMANDS, "doctor", failing(error))
    assert app.run(["doctor"]) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1


def test_an_error_of_several_lines_is_told_in_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(app.COMMANDS, "doctor", failing(UserError("first\n  second")))
    app.run(["doctor"])
    assert capsys.readouterr().err == "error: first second\n"


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.COMMANDS, "doctor", failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        app.run(["doctor"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lists"], "'list'"),
        (["list"], "'CATALOG'"),
        (["list", "synts"], "'synts'"),
        (["list", "synths", "more"], "more"),
        (["doctor", "--jsn"], "--json"),
        (["--nothing"], "--nothing"),
    ],
)
def test_a_misspelt_command_line_is_named_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert app.run(words) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert app.run(words) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in [*app.COMMANDS, *app.GROUPS])


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"retimbre {retimbre.__version__}\n"


def test_every_catalog_can_be_listed_from_the_command_line() -> None:
    assert set(listing.Kind.__args__) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_listing_as_json_is_one_list_of_named_things(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert app.run(["list", kind, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(isinstance(row["name"], str) for row in rows)
    assert isinstance(rows, list)


def test_doctor_says_the_same_to_programs_and_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert app.run(["doctor"]) == 0
    told = capsys.readouterr().out
    assert all(f"{library} {version}" in told for library, version in facts["packages"].items())
    assert all(name in told for name in facts)
