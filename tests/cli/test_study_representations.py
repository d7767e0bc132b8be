import json


def test_a_dry_run_tells_who_would_be_trained_for_how_long_and_writes_nothing(run, tmp_path):
    words = ["study", "representations", "--dry-run", "--out", tmp_path / "s"]
    status, out, err = run(*words, "--models", "residual", "--representations", "waveform,mfcc")
    assert status == 0
    assert out.splitlines()[1].startswith("residual/mfcc")
    # Whoever is left out is part of the answer, so it goes where the answer goes: nothing is mixed up on the way.
    assert out.splitlines()[2].startswith("not in the comparison: residual/waveform: ")
    assert out.endswith(" hours with 1 worker on idle cores\n")
    assert err == ""
    assert not (tmp_path / "s").exists()
    status, out, err = run(*words, "--representations", "mfcc,mel", "--seeds", 2, "--json")
    plan = json.loads(out)
    assert (status, err, plan["seeds"]) == (0, "", 2)
    assert plan["contestants"] == [
        "progressive/mfcc", "progressive/mel", "residual/mfcc", "residual/mel",
    ]  # fmt: skip


def test_a_mistake_is_one_line(run, tmp_path):
    status, out, err = run("study", "representations", "--models", "residul", "--out", tmp_path / "s")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "did you mean 'residual'" in err
