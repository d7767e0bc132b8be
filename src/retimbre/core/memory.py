"""Keeping memory that is about to be needed again.

The C library gives large blocks back to the system the moment they are freed, and the system hands them out again page
by page, each zeroed on first touch. Code that makes and drops many tensors of some megabytes spends a fifth of its time
that way. Asking the library to keep what was freed costs no more memory than the largest moment did.
"""

import ctypes
import sys

# Parameters of glibc's mallopt, and the values asked for: blocks up to 1 GiB come from the heap, which is never trimmed
# and grows by 256 MiB at a time.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {_M_MMAP_THRESHOLD: 1 << 30, _M_TRIM_THRESHOLD: (1 << 31) - 1, _M_TOP_PAD: 1 << 28}


def keep_freed_memory() -> bool:
    """Makes this process keep freed memory for reuse; returns whether its C library has such a setting.

    References:
        https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all(mallopt(name, value) == 1 for name, value in _SETTINGS.items())
