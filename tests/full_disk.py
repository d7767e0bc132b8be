"""A full disk, for tests: the system refuses to write more than so much into any file."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def files_end_after(size_bytes: int) -> Iterator[None]:
    """The system refuses to write more than so much into a file, as it does where the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
