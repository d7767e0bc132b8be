import json


def test_names_are_repeated_or_joined_and_the_table_is_printed(run, tmp_path):
    words = ["--seconds", 0.05, "--batch", 1, "--out", tmp_path / "t"]
    status, out, err = run(
        "study", "timing", "--representations", "waveform,mdct", "--representations", "stft", *words
    )
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["name", "waveform", "mdct", "stft", "report:"]
    assert err.count("x real time\n") == 3
    status, out, err = run("study", "timing", "--representations", "mdct", *words, "--json")
    assert [row["name"] for row in json.loads(out)["rows"]] == ["mdct"]
    assert (status, err) == (0, "")


def test_a_mistake_is_one_line(run, tmp_path):
    status, out, err = run("study", "timing", "--representations", "mtdc", "--out", tmp_path / "t")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "did you mean 'mdct'" in err
