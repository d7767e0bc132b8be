"""Every command of `retimbre evaluate` looks where its results will go before it reads anything."""

from pathlib import Path

import pytest

COMMANDS = {
    "fad": ["fad", "--fake", "nowhere", "--real", "nowhere"],
    "pis": ["pis", "nobody"],
    "listener": ["listener", "nobody", "--real", "nowhere"],
    "notes": ["notes", "--fake", "nowhere"],
    "report": ["report", "nobody", "--real", "nowhere"],
    "inversion": ["inversion", "nobody"],
    "recordings": ["recordings", "nobody", "--real", "nowhere"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_where_a_folder_belongs_is_named_before_anything_is_read(
    command: str, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither the model nor the sounds exist, so whoever read first would complain of them.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "afile").write_text("what was there")
    status, out, err = run("evaluate", *COMMANDS[command], "--out", "afile")
    assert (status, out, err) == (2, "", "error: afile is a file, but --out takes a folder\n")
    assert (tmp_path / "afile").read_text() == "what was there"
