"""Whose folder is this? What a command does before it writes a data set that it can go on with.

A set that is made shard by shard has its header from the start: it says which set the shards belong to, and what is
finished is said elsewhere. So a folder with the header of this very set is gone on with, a folder with another one is
refused or, where the caller says so, emptied of it, and files of someone else are never touched.
"""

from pathlib import Path

from retimbre.core.errors import ExistsError
from retimbre.data.dataset import CLIPS_FILE
from retimbre.data.manifest import HEADER_FILE, MANIFEST_FILE, Header, read_header, write_header
from retimbre.data.side_arrays import remove_side_arrays
from retimbre.data.store import remove_audio
from retimbre.workflows.dataset.differences import differing_options, told
from retimbre.workflows.dataset.recordings import REJECTS_FILE


def claim_folder(out: Path, header: Header, *, force: bool) -> bool:
    """Makes a folder that of a set, and returns whether it was that already.

    Args:
        force: Whether another set in it is removed, and whether the set may lie beside other files.

    Raises:
        ExistsError: There is another set, or there are other files.
        DatasetError: There is a header that cannot be read.
    """
    if out.exists() and not out.is_dir():
        raise ExistsError(f"{out} is a file, but a data set is a folder")
    if (out / HEADER_FILE).exists():
        there = read_header(out)
        if there.fingerprint == header.fingerprint:
            return True
        if not force:
            names = told(differing_options(there, header))
            raise ExistsError(f"{out} holds a set of other files or options ({names}); --force replaces it")
        _remove_set(out)
    elif out.is_dir() and not force and any(out.iterdir()):
        raise ExistsError(f"{out} holds other files and no data set; --force writes beside them")
    write_header(out, header)
    return False


def _remove_set(out: Path) -> None:
    """Removes the header first: what has none is not a set."""
    (out / HEADER_FILE).unlink(missing_ok=True)
    remove_audio(out, out / MANIFEST_FILE)
    remove_side_arrays(out)
    for name in (CLIPS_FILE, REJECTS_FILE):
        (out / name).unlink(missing_ok=True)
