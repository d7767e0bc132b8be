"""Laws of reading a listening test.

What a browser saved is read, what is wrong is named by its line, and the statistics are those of known listeners.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import DatasetError, ExistsError
from retimbre.workflows.study.listening.answers import REQUIRED, read_answers
from retimbre.workflows.study.listening.manifest import FORMAT, Pack, PackedSound, read_pack
from retimbre.workflows.study.listening.page import ANSWER_COLUMNS
from retimbre.workflows.study.listening.results import read_scores, results

SYSTEMS = ("ours", "theirs", "real", "real-griffin-lim")

# What the page saved in a browser (Chromium), driven by a script: three items of four systems.
SAVED = """pack,listener,position,trial,sound,score,plays,seconds
f84da3e2aa827233,anna,1,003,0c79ef4d,5,1,3.0
f84da3e2aa827233,anna,2,001,65121903,4,1,2.2
f84da3e2aa827233,anna,3,003,3b4b2c65,3,1,1.9
f84da3e2aa827233,anna,4,002,68623967,2,1,1.9
f84da3e2aa827233,anna,5,003,45c23fef,1,1,1.9
f84da3e2aa827233,anna,6,001,63269f67,5,1,1.9
"""


def manifest(mode: str, items: int, identity: str = "0123456789abcdef") -> dict[str, Any]:
    """A manifest with a sound for each system and item, whose name is both."""
    sounds = {
        f"{system}.{item}": {
            "system": system,
            "item": f"item {item}",
            "trial": f"{item:03d}",
            "role": "scored",
        }
        for system in SYSTEMS
        for item in range(items)
    }
    sounds["open"] = {"system": "real", "item": "item 0", "trial": "000", "role": "reference"}
    return {
        "format": FORMAT,
        "id": identity,
        "mode": mode,
        "reference": "real",
        "systems": {name: {} for name in SYSTEMS},
        "sounds": sounds,
    }


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    def packed(mode: str = "mos", items: int = 6) -> Path:
        folder = tmp_path / f"{mode}-{items}"
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(manifest(mode, items)))
        return folder

    return packed


def answers(
    path: Path, pack: Path, listener: str, score: Callable[[str, int], int], leave_out: int = 0
) -> Path:
    """A file of answers as the page writes them."""
    content = json.loads((pack / "manifest.json").read_text())
    scored = [(name, each) for name, each in content["sounds"].items() if each["role"] == "scored"]
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ANSWER_COLUMNS)
        for place, (name, each) in enumerate(scored[leave_out:]):
            value = score(each["system"], int(name.rpartition(".")[2]))
            writer.writerow([content["id"], listener, place + 1, each["trial"], name, value, 1, "2.0"])
    return path


def opinions_of(strictness: float, seed: int) -> Callable[[str, int], int]:
    noise = torch.Generator().manual_seed(seed)
    worth = {"ours": 3.6, "theirs": 2.4, "real": 4.6, "real-griffin-lim": 3.7}

    def score(system: str, item: int) -> int:
        chance = float(torch.randn((), generator=noise))
        return min(5, max(1, round(worth[system] - strictness + 0.2 * (item % 3) + 0.4 * chance)))

    return score


def test_what_a_browser_saved_is_read(tmp_path: Path) -> None:
    sounds = {row.split(",")[4]: row.split(",")[3] for row in SAVED.splitlines()[1:]}
    places = {name: PackedSound("ours", f"item {trial}", trial) for name, trial in sounds.items()}
    pack = Pack("f84da3e2aa827233", "mos", places, ("ours",), "")
    (tmp_path / "saved.csv").write_text(SAVED)
    found = read_answers(pack, [tmp_path / "saved.csv"])
    assert found.listeners == ("anna",)
    assert found.opinions.scores.tolist() == [5, 4, 3, 2, 1, 5]
    assert [found.items[item] for item in found.opinions.items.tolist()] == [
        f"item {trial}" for trial in sounds.values()
    ]


def test_the_page_writes_every_column_that_is_read() -> None:
    assert set(REQUIRED) <= set(ANSWER_COLUMNS)
    assert tuple(SAVED.splitlines()[0].split(",")) == ANSWER_COLUMNS


def test_systems_are_ranked_with_intervals_and_a_clear_difference_is_found(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    pack, back = packed(), tmp_path / "back"
    for number in range(8):
        answers(back / f"{number}.csv", pack, f"listener{number}", opinions_of(0.1 * number - 0.4, number))
    result = read_scores(pack, [back], tmp_path / "out")
    assert result["systems"][0]["name"] == "real"
    assert (result["system"], result["n"]) == ("ours", 48)
    assert result["settings"]["listeners"] == 8
    for row in result["systems"]:
        assert row["low"] < row["value"] < row["high"]
        assert (row["listeners"], row["items"], row["n"]) == (8, 6, 48)
    found = {(row["first"], row["second"]): row for row in result["pairs"]}
    assert len(found) == 6
    assert found["ours", "theirs"]["distinguishable"]
    assert found["ours", "theirs"]["holm_p"] >= found["ours", "theirs"]["p"]
    close = found.get(("ours", "real-griffin-lim")) or found["real-griffin-lim", "ours"]
    assert not close["distinguishable"]
    out = tmp_path / "out"
    assert json.loads((out / "scores.json").read_text()) == result
    with (out / "pairs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    page = (out / "report.html").read_text()
    assert "not distinguishable" in page
    assert "data:image/png;base64," in page


def test_who_does_not_find_the_hidden_reference_is_left_out_of_a_mushra_test_and_named(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    pack, back = packed("mushra"), tmp_path / "back"
    worth = {"ours": 60, "theirs": 40, "real": 100, "real-griffin-lim": 80}
    for number in range(4):
        answers(
            back / f"{number}.csv",
            pack,
            f"good{number}",
            lambda system, item, n=number: worth[system] - n % 2,
        )
    answers(back / "deaf.csv", pack, "deaf", lambda system, item: 89 if system == "real" else 90)
    result = read_scores(pack, [back], tmp_path / "out")
    assert result["screened"] == [{"listener": "deaf", "missed": 1.0}]
    assert (result["settings"]["listeners"], result["settings"]["answered"]) == (4, 5)
    assert {row["name"]: row["value"] for row in result["systems"]} == {
        name: value - 0.5 for name, value in worth.items()
    }
    assert "deaf" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(DatasetError, match=r"no listener is left: all 1 .* more than 15%"):
        read_scores(pack, [back / "deaf.csv"], tmp_path / "other")


def test_unfinished_and_uniform_answers_are_counted_and_said(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    pack, back = packed(), tmp_path / "back"
    answers(back / "1.csv", pack, "early", opinions_of(0.0, 1), leave_out=10)
    answers(back / "2.csv", pack, "bored", lambda system, item: 3)
    result = read_scores(pack, [back], tmp_path / "out")
    assert "early scored 14 of 24 sounds" in result["remarks"]
    assert "bored gave every sound the score 3" in result["remarks"]
    assert any("with 2 listeners" in line for line in result["remarks"])
    assert {row["name"]: row["n"] for row in result["systems"]}["ours"] == 6


def test_one_listener_has_means_and_says_nothing_of_others(
    packed: Callable[..., Path], tmp_path: Path
) -> None:
    pack = packed("mos", 1)
    result = read_scores(
        pack, [answers(tmp_path / "1.csv", pack, "lone", opinions_of(0.0, 1))], tmp_path / "out"
    )
    assert all(row["low"] is None and row["high"] is None for row in result["systems"])
    assert all(row["p"] is None and not row["distinguishable"] for row in result["pairs"])
    assert any("one listener" in line for line in result["remarks"])
    assert any("one item" in line for line in result["remarks"])


def test_equal_differences_are_not_called_a_finding(packed: Callable[..., Path], tmp_path: Path) -> None:
    pack = packed("mos", 2)
    worth = {"ours": 4, "theirs": 3, "real": 5, "real-griffin-lim": 4}
    back = answers(tmp_path / "1.csv", pack, "ann", lambda system, item: worth[system])
    result = read_scores(pack, [back], tmp_path / "out")
    assert len(result["pairs"]) == 6
    for row in result["pairs"]:
        assert (row["low"], row["high"], row["p"], row["holm_p"]) == (None, None, None, None)
        assert not row["distinguishable"]
        assert f"{row['first']} and {row['second']} ({row['value']:g})" in result["remarks"][-1]
    assert result["remarks"][-1].startswith("no test of 6 of 6 pairs")
    assert "ours: all 2 scores are 4" in " ".join(result["remarks"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "no test" in page
    assert ">differ<" not in page


def test_a_pair_that_cannot_be_tested_counts_as_compared(packed: Callable[..., Path], tmp_path: Path) -> None:
    pack, back = packed(), tmp_path / "back"
    for number in range(6):
        # Ours and Griffin-Lim's are told apart by nobody; the rest varies.
        score = opinions_of(0.1 * number, number)
        answers(
            back / f"{number}.csv",
            pack,
            f"listener{number}",
            lambda system, item, own=score: (
                3 if system in ("ours", "real-griffin-lim") else own(system, item)
            ),
        )
    pairs = read_scores(pack, [back], tmp_path / "out")["pairs"]
    tested = [row for row in pairs if row["p"] is not None]
    assert len(tested) == 5
    least = min(tested, key=lambda row: row["p"])
    assert least["holm_p"] == pytest.approx(min(1.0, 6 * least["p"]))


def test_a_file_that_was_sent_twice_counts_once(packed: Callable[..., Path], tmp_path: Path) -> None:
    pack = packed()
    one = answers(tmp_path / "1.csv", pack, "anna", opinions_of(0.0, 1))
    again = answers(tmp_path / "2.csv", pack, "anna", opinions_of(0.0, 1))
    both, single = (
        results(read_pack(pack), read_answers(read_pack(pack), files)) for files in ([one, again], [one])
    )
    assert both["systems"] == single["systems"]
    assert "24 scores were sent twice and count once" in both["remarks"]


WRONG = {
    "is of the pack 'feed', not of": ("feed", "anna", "ours.0", "3"),
    "'nosuch' is no sound that is scored": ("0123456789abcdef", "anna", "nosuch", "3"),
    "'open' is no sound that is scored": ("0123456789abcdef", "anna", "open", "3"),
    "the score is '6'; it takes a whole number from 1 to 5": ("0123456789abcdef", "anna", "ours.0", "6"),
    "the score is '0'": ("0123456789abcdef", "anna", "ours.0", "0"),
    "the score is '3.5'": ("0123456789abcdef", "anna", "ours.0", "3.5"),
    "the score is ''": ("0123456789abcdef", "anna", "ours.0", ""),
    "the score is 'nan'": ("0123456789abcdef", "anna", "ours.0", "nan"),
    "has no listener": ("0123456789abcdef", " ", "ours.0", "3"),
    "two listeners of one name": ("0123456789abcdef", "anna", "ours.1", "1"),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_wrong_line_is_named_by_file_and_line(
    packed: Callable[..., Path], tmp_path: Path, says: str
) -> None:
    file = tmp_path / "back.csv"
    good = "0123456789abcdef,anna,ours.1,5"
    file.write_text("\n".join(["pack,listener,sound,score", good, ",".join(WRONG[says]), ""]))
    with pytest.raises(DatasetError) as error:
        read_scores(packed(), [file], tmp_path / "out")
    assert str(error.value).startswith(f"{file}:3: ")
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_answers_are_named(packed: Callable[..., Path], tmp_path: Path) -> None:
    pack, file = packed(), tmp_path / "x.csv"
    for content, says in (
        ("listener,sound,score\n", "has no column 'pack'"),
        ("", "has no column 'pack'"),
        ("pack,listener,sound,score\n", "there are no scores in it"),
    ):
        file.write_text(content)
        with pytest.raises(DatasetError, match=says):
            read_scores(pack, [file], tmp_path / "out")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_scores(pack, [file], tmp_path / "out")
    with pytest.raises(DatasetError, match="is not there"):
        read_scores(pack, [tmp_path / "nowhere"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"holds no \.csv file"):
        read_scores(pack, [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(DatasetError, match="--scores"):
        read_scores(pack, [], tmp_path / "out")


@pytest.mark.parametrize("content", ["", "{bad", "[]", "{}", json.dumps({"format": FORMAT}), None])
def test_a_damaged_pack_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        read_pack(tmp_path)


def test_results_are_replaced_by_force_alone(packed: Callable[..., Path], tmp_path: Path) -> None:
    pack, out = packed(), tmp_path / "out"
    files = [answers(tmp_path / "1.csv", pack, "anna", opinions_of(0.0, 1))]
    read_scores(pack, files, out)
    with pytest.raises(ExistsError, match="--force"):
        read_scores(pack, files, out)
    read_scores(pack, files, out, force=True)
