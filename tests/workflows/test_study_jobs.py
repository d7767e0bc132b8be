"""Laws of the parts of a study: one that crashes stops no other, and Ctrl-C ends all of them."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashing import Crashing

from retimbre.core.errors import ConfigError
from retimbre.workflows.study.jobs import run_jobs

# Six parts of a minute each, two at a time, ended by Ctrl-C as the program does it.
STUDY = """
import signal
import sys
import time
from pathlib import Path

from retimbre.workflows.study.jobs import run_jobs

# As in a terminal: what a shell starts in the background, such as these tests, does not hear Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Sleeper:
    def __init__(self, name):
        self.name = name

    def run(self):
        Path(sys.argv[1], self.name).touch()
        time.sleep(60)
        return self.name


if __name__ == "__main__":
    try:
        print("begins", flush=True)
        run_jobs([Sleeper(str(number)) for number in range(6)], 2, print)
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_part_that_crashes_stops_no_other_however_many_run_side_by_side(workers: int) -> None:
    told: list[str] = []
    jobs = [
        Crashing("refused", ConfigError("too few clips")),
        Crashing("broken", ZeroDivisionError("division by zero")),
        Crashing("silent", RuntimeError()),
        Crashing("whole"),
    ]
    failures = run_jobs(jobs, workers, told.append)
    # A mistake of the program is called by its name, since nobody wrote its line to be read alone.
    expected = [
        "broken: ZeroDivisionError: division by zero",
        "refused: too few clips",
        "silent: RuntimeError",
    ]
    assert sorted(failures) == expected
    assert sorted(told) == [*(f"failed: {line}" for line in expected), "whole: done"]


def test_ctrl_c_is_no_crash_of_a_part() -> None:
    @dataclasses.dataclass(frozen=True)
    class Interrupted:
        name: str

        def run(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_jobs([Interrupted("a"), Crashing("b")], 1, print)


@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl-C is no signal to a group of processes")
@pytest.mark.parametrize("awaited", [[], ["0", "1"]], ids=["while they start", "while they work"])
def test_ctrl_c_ends_every_process_at_once_and_with_one_line(awaited: list[str], tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(STUDY)
    command = [sys.executable, str(tmp_path / "study.py"), str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        deadline_s = time.monotonic() + 50.0
        while not all((tmp_path / name).exists() for name in awaited) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        # A terminal sends it to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        sent_s = time.monotonic()
        # Every process has these pipes, so they close when the last one has ended.
        _, said = process.communicate(timeout=50.0)
        took_s = time.monotonic() - sent_s
    assert (process.returncode, said.splitlines()) == (1, ["interrupted"])
    # The parts would go on for a minute, and four of them are waiting; ending processes takes a moment.
    assert took_s < 20.0
    assert {path.name for path in tmp_path.iterdir()} <= {"study.py", "0", "1"}
