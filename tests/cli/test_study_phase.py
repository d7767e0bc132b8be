import json
import math

import torch

from retimbre.dsp.audiofile import write


def test_the_table_of_the_sounds_that_could_be_read_is_printed_and_the_status_tells_of_the_others(
    run, tmp_path
):
    tone = 0.3 * torch.sin(2 * math.pi * 300.0 * torch.arange(4000) / 16_000)
    write(tmp_path / "sounds" / "tone.wav", tone, 16_000)
    (tmp_path / "sounds" / "bad.wav").write_text("no sound")
    words = ["study", "phase", tmp_path / "sounds", "--method", "pghi", "--out", tmp_path / "out"]
    status, out, err = run(*words)
    assert status == 1
    assert [line.split()[0] for line in out.splitlines()] == ["overlap", "75", "87.5", "report:"]
    assert err.splitlines()[-1].startswith("error: 1 sounds or parts of the study failed: ")
    assert "bad.wav" in err
    status, out, _ = run(*words, "--json")
    assert (status, json.loads(out)["sounds"]) == (1, 1)
