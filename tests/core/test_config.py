"""A run file becomes frozen dataclasses strictly, and comes back unchanged."""

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from retimbre.core.config import apply_overrides, build, dump, read_run_file, write_toml
from retimbre.core.errors import ConfigError


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 1e-3
    name: Literal["adam", "sgd"] = "adam"

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError(f"'learning_rate' should be positive, not {self.learning_rate}")


@dataclass(frozen=True)
class Train:
    steps: int
    fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    mode: Mode = Mode.FAST
    layers: tuple[int, ...] = (1, 2)
    data: Path | None = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    stages: tuple[Optimizer, ...] = ()
    spare: Optimizer | None = None
    named: dict[str, Optimizer] = field(default_factory=dict)


FULL = Train(
    steps=3,
    fraction=0.25,
    mode=Mode.EXACT,
    layers=(4, 5, 6),
    data=Path("a/b"),
    optimizer=Optimizer(learning_rate=0.1, name="sgd"),
    stages=(Optimizer(0.5), Optimizer(0.25)),
    spare=Optimizer(2.0),
    named={"x": Optimizer(3.0)},
)


@pytest.mark.parametrize("config", [Train(steps=1), FULL])
def test_what_is_dumped_builds_an_equal_configuration(config: Train) -> None:
    assert build(Train, dump(config), "train") == config


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_run_file_comes_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    if suffix == "toml":
        write_toml(path, {"train": dump(FULL)})
    else:
        path.write_text('{"train": {"steps": 3, "layers": [4]}}')
    expected = FULL if suffix == "toml" else Train(steps=3, layers=(4,))
    assert build(Train, read_run_file(path)["train"], "train") == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"stepz": 3}, "[train] has no option 'stepz'; did you mean 'steps'?"),
        ({}, "[train] needs the option 'steps'"),
        ({"steps": "3"}, "[train] 'steps' should be a valid integer, not '3'"),
        ({"steps": True}, "[train] 'steps' should be a valid integer, not True"),
        ({"steps": 1, "fraction": 1.5}, "[train] 'fraction' should be less than or equal to 1, not 1.5"),
        ({"steps": 1, "mode": "slow"}, "[train] 'mode' should be 'fast' or 'exact', not 'slow'"),
        ({"steps": 1, "layers": [1, "x"]}, "[train] 'layers.1' should be a valid integer, not 'x'"),
        ({"steps": 1, "optimizer": 3}, "[train.optimizer] should be a table of options, not 3"),
        (
            {"steps": 1, "optimizer": {"learningrate": 1.0}},
            "[train.optimizer] has no option 'learningrate'; did you mean 'learning_rate'?",
        ),
        (
            {"steps": 1, "optimizer": {"learning_rate": -1.0}},
            "[train.optimizer] 'learning_rate' should be positive, not -1.0",
        ),
        (
            {"steps": 1, "stages": [{}, {"name": "adan"}]},
            "[train.stages.1] 'name' should be 'adam' or 'sgd', not 'adan'",
        ),
        ({"steps": 1, "stages": {}}, "[train] 'stages' should be a list of tables, not {}"),
        ({"steps": 1, "spare": {"nam": "sgd"}}, "[train.spare] has no option 'nam'; did you mean 'name'?"),
        (
            {"steps": 1, "named": {"x": {"y": 1}}},
            "[train.named.x] has no option 'y'; known: learning_rate, name",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line_with_what_is_taken(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Train, table, "train")
    assert str(caught.value) == message


def test_an_override_changes_a_copy_and_only_what_it_names() -> None:
    table = {"train": {"steps": 1, "optimizer": {"name": "adam"}}}
    changed = apply_overrides(table, ["train.optimizer.name=sgd", "train.layers=[1, 2]", "new.rate=0.5"])
    assert changed == {
        "train": {"steps": 1, "optimizer": {"name": "sgd"}, "layers": [1, 2]},
        "new": {"rate": 0.5},
    }
    assert table == {"train": {"steps": 1, "optimizer": {"name": "adam"}}}


@given(
    st.recursive(
        st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.text(),
        lambda inner: st.lists(inner, max_size=3),
    )
)
def test_a_value_written_as_toml_is_read_as_that_value(value: Any) -> None:
    text = tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")
    assert apply_overrides({}, [f"v={text}"]) == {"v": value}


@pytest.mark.parametrize("text", ["plain text", "a=b", "1\nother = 2", ""])
def test_a_value_that_is_not_toml_is_text(text: str) -> None:
    assert apply_overrides({}, [f"v={text}"]) == {"v": text}


@pytest.mark.parametrize("override", ["steps", "=3", "train..steps=3", "train.steps.more=3"])
def test_a_malformed_override_is_refused(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_overrides({"train": {"steps": 1}}, [override])
    assert repr(override) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.toml", b"steps = ", "not a TOML file"),
        ("run.json", b"{", "not a JSON file"),
        ("run.json", b"[1]", "not list"),
        ("run.toml", b"\xff\xfe", "not a TOML file"),
        ("run.yaml", b"", "ends in .toml or .json"),
    ],
)
def test_a_file_that_is_no_run_file_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_run_file(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_run_file_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        read_run_file(Path("nowhere.toml"))
