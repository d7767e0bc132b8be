import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_a_large_block_that_was_freed_is_handed_out_again_without_touching_new_pages() -> None:
    program = """
import resource, sys
from retimbre.core.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(2):
    bytearray(64 << 20)
before = faults()
for _ in range(5):
    bytearray(64 << 20)
print(faults() - before)
"""
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", program, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("keep", "default")
    )
    assert kept < 0.1 * given_back
