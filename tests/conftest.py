"""What all tests share: one thread for torch, so that tests do not fight over the cores and sums have one order."""

import ctypes.util
import os

import pytest
import torch

EXPECTED = {"gpu", "fluidsynth"}
"""The marks of tests that may be skipped."""


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the skips that are expected, and puts the files with slow tests first.

    Files are handed to processes one by one, in their order. With the long ones at the end one process would be left
    with them while the others have nothing to do.
    """
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: item.path not in slow)  # which keeps the order within either kind
    skip_what_is_not_there(items)


def skip_what_is_not_there(items: list[pytest.Item]) -> None:
    """Skips the tests marked with something that is not there."""
    missing = {
        "gpu": "" if torch.cuda.is_available() else "no CUDA device",
        "fluidsynth": "" if ctypes.util.find_library("fluidsynth") else "no library FluidSynth",
    }
    for item in items:
        for mark, reason in missing.items():
            if reason and mark in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI every extra is installed, so a skip without one of the marks is an error."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    unexpected = [
        report for report in reporter.stats.get("skipped", []) if not EXPECTED & set(report.keywords)
    ]
    if unexpected:
        reporter.write_line(
            f"unexpected skips: {', '.join(report.nodeid for report in unexpected)}", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
