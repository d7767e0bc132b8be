"""Options that several commands have, as one parameter of each."""

import dataclasses
import inspect
from typing import Annotated, Any

import pytest
import typer

from retimbre.cli.unfolding import unfolded

Depth = Annotated[int, typer.Option("--depth", min=1, help="How deep.")]
Loud = Annotated[bool, typer.Option("--loud", help="Whether it is loud.")]


@dataclasses.dataclass(frozen=True)
class Shared:
    depth: Depth = 3
    loud: Loud = False


def group() -> tuple[Any, list[tuple[str, Shared, int]]]:
    seen: list[tuple[str, Shared, int]] = []

    @unfolded
    def dig(place: str, shared: Shared, times: int = 1) -> None:
        """Digs."""
        seen.append((place, shared, times))

    app = typer.Typer()
    app.command("dig")(dig)
    app.callback()(lambda: None)
    return typer.main.get_command(app), seen


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("here", Shared(), 1)),
        (["--depth", "5", "--times", "2"], ("here", Shared(depth=5), 2)),
        (["--loud"], ("here", Shared(loud=True), 1)),
    ],
    ids=str,
)
def test_a_command_gets_the_options_of_its_dataclass_as_one_value(words, expected):
    command, seen = group()
    command(["dig", "here", *words], standalone_mode=False)
    assert seen == [expected]


def test_limits_of_an_option_hold_within_a_dataclass():
    command, seen = group()
    with pytest.raises(typer.TyperException, match="greater than or equal to 1"):
        command(["dig", "here", "--depth", "0"], standalone_mode=False)
    assert seen == []


def test_own_options_come_first_and_name_and_help_stay_the_command_s():
    @unfolded
    def dig(place: str, shared: Shared, times: int = 1) -> None:
        """Digs."""

    assert list(inspect.signature(dig).parameters) == ["place", "times", "depth", "loud"]
    assert (dig.__name__, dig.__doc__) == ("dig", "Digs.")
