"""Where a study is kept: a folder, which need not be there yet."""

from pathlib import Path

from retimbre.core.errors import ExistsError


def study_folder(out: str | Path) -> Path:
    """The path of a study's folder; asked for before anything is measured, so that no work is lost at the first file.

    Raises:
        ExistsError: It is a file, or lies below one.
    """
    folder = Path(out)
    for path in (folder, *folder.parents):
        if path.exists() and not path.is_dir():
            raise ExistsError(f"{path} is a file, but a study is kept in a folder")
    return folder
