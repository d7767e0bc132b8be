"""How much memory a call takes at its highest moment, beyond what the process held before.

On a CUDA device torch counts its own tensors. On the CPU the kernel's count of the process's resident pages is used:
its high-water mark is set back, the call is made, and the mark is read. Freed memory that the C library keeps for reuse
would hide what the call takes, so it is given back first. Where the system has no such mark the answer is None.
"""

import ctypes
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# Written to clear_refs, it sets the high-water mark to what is resident now (Linux 4.0 and later).
_RESET_PEAK = "5"


def peak_bytes(call: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, int | None]:
    """What a call gives, and how many bytes more than before were in use at its highest moment.

    References:
        https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = call()
        torch.cuda.synchronize(device)
        return result, torch.cuda.max_memory_allocated(device) - before
    before = _kilobytes("VmRSS") if _start_anew() else None
    result = call()
    after = _kilobytes("VmHWM") if before is not None else None
    if before is None or after is None:
        return result, None
    return result, 1024 * max(0, after - before)


def _start_anew() -> bool:
    """Gives freed memory back and sets the high-water mark to what is left; False where that cannot be done."""
    if sys.platform != "linux":
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    try:
        if trim is not None:
            trim(0)
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _kilobytes(name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) if found else None
