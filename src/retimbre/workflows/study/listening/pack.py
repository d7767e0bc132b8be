"""Making a listening pack: sounds without names, a page to score them on, and the key to it all.

    PACK/listeners/rate.html         the page, which needs no network; this folder goes to the listeners
    PACK/listeners/sounds/ID.flac    the sounds, 16 bits, under names that tell nothing
    PACK/playlists/001.wav           all sounds of a list one after the other with silence between, for a loudspeaker
    PACK/reels/SYSTEM/001.wav        some sounds of one system, in the same way, where they were asked for
    PACK/manifest.json               which sound is whose; this stays with the experimenter

Every list holds sounds of one item: one per system, and the anchors made of the real sound. The order in a playlist is
that of the names, which are drawn; the page draws an order of its own for every listener. The pack is made beside its
place and moved there when it is whole.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retimbre.core.errors import ConfigError, ExistsError, PartialFailure
from retimbre.core.files import refuse_to_lose, whole_folder
from retimbre.workflows.study.folder import study_folder
from retimbre.workflows.study.listening.manifest import is_pack
from retimbre.workflows.study.listening.options import PackOptions
from retimbre.workflows.study.listening.selection import Draw, select
from retimbre.workflows.study.listening.sounds import ANCHOR_SETTINGS
from retimbre.workflows.study.listening.sources import open_systems
from retimbre.workflows.study.listening.systems import System
from retimbre.workflows.study.listening.writing import PackWriter

_FILES = ("manifest.json", "listeners/rate.html", "listeners/sounds/*", "playlists/*.wav", "reels/*.wav")

MOST_SIDE_BY_SIDE = 12
"""How many sounds BS.1534 lets a listener compare on one screen."""

Tell = Callable[[str], object]


def make_pack(
    systems: Sequence[str],
    out: str | Path,
    options: PackOptions | None = None,
    *,
    real: Path | None = None,
    force: bool = False,
    tell: Tell = lambda line: None,
) -> dict[str, Any]:
    """Makes a listening pack.

    Args:
        systems: NAME=FOLDER, a folder of sounds, a generator, or a model that answers the real sounds.
        out: The folder of the pack.
        options: What it is like; the defaults if left out.
        real: A folder of real sounds; needed for MUSHRA and by inverters.
        force: Whether a pack that is there is replaced.
        tell: Gets a line about each thing the reader should know.

    Returns:
        The manifest; `partial_failure` makes an error of files that could not be read.

    Raises:
        AudioError: A system has no sound that can be used.
        ConfigError: Names that repeat, no names shared where MUSHRA needs them, no real sounds, too many systems.
        ExistsError: There is something already.
    """
    options = options or PackOptions()
    folder = study_folder(out)
    _check_free(folder, force=force)
    if options.through and real is None:
        raise ConfigError(
            "--through sends real sounds through a representation: name their folder with --real"
        )
    opened, reference = open_systems(systems, real, count=options.count, seed=options.seed)
    _check_mode(options, opened, reference)
    draw = Draw(options.count, options.seconds, options.seed, options.mode == "mushra")
    selection = select(opened, reference, draw)
    with whole_folder(folder) as aside:
        content = PackWriter(aside, options, selection).write(opened, reference)
    for line in content["remarks"]:
        tell(line)
    return content


def partial_failure(content: dict[str, Any]) -> PartialFailure | None:
    """The error to end with where sounds could not be read; None where all could."""
    lines = content["failed"]
    if not lines:
        return None
    count = "1 sound" if len(lines) == 1 else f"{len(lines)} sounds"
    return PartialFailure(f"{count} could not be read: {lines[0]}")


def _check_free(folder: Path, *, force: bool) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise ExistsError(f"{folder} holds files already; --force replaces a listening pack")
    if not is_pack(folder):
        raise ExistsError(f"{folder} holds files that are no listening pack, which --force does not touch")
    refuse_to_lose(folder, *_FILES)


def _check_mode(options: PackOptions, systems: Sequence[System], real: System | None) -> None:
    if options.mode == "mos":
        return
    if real is None:
        raise ConfigError("MUSHRA compares with real sounds: name their folder with --real")
    sounds = len(systems) + 1 + len(ANCHOR_SETTINGS) + len(options.through)
    if sounds > MOST_SIDE_BY_SIDE:
        raise ConfigError(
            f"{len(systems)} systems make {sounds} sounds on a screen with the real one and its anchors; "
            f"MUSHRA takes {MOST_SIDE_BY_SIDE}"
        )
