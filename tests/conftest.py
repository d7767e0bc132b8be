"""What all tests share: one thread for torch, so that tests do not fight over the cores and sums have one order."""

import os

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests marked `gpu` where there is none: the one skip that is expected."""
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI every extra is installed, so a skip without the mark `gpu` is an error."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    unexpected = [report for report in reporter.stats.get("skipped", []) if "gpu" not in report.keywords]
    if unexpected:
        reporter.write_line(
            f"unexpected skips: {', '.join(report.nodeid for report in unexpected)}", red=True
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
