"""The page that listeners score sounds on: one file, nothing fetched, no key inside.

It follows the rules of the report (a content security policy that forbids the network, all text escaped) and adds one:
what it holds about a sound is an opaque name and the sound. Names of systems, files and items are not in it, so that no
look at its source breaks the blindness; only the manifest, which listeners do not get, has them.

The order of screens, and of sounds on a screen, is drawn from the pack's name and the listener's, so that each listener
has another order and a page that is opened again has the same. Answers are kept by the browser while the test lasts and
leave it as a CSV file that the listener saves and sends back:

    pack,listener,position,trial,sound,score,plays,seconds

Up to `MOST_EMBEDDED_BYTES` of sounds are in the page itself, which then is all that a listener needs. Beyond, it refers
to the files beside it, and the folder has to travel whole.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, final

from retimbre.core.files import write_text
from retimbre.workflows.report.audio import data_uri
from retimbre.workflows.report.page import fill

MOST_EMBEDDED_BYTES = 24_000_000
"""Sounds in a page, before base64 makes them a third larger: what mail and a phone's browser still take."""
PRACTICE_SOUNDS = 4
"""How many sounds are offered before the test, to set the volume and to know the range."""

ANSWER_COLUMNS = ("pack", "listener", "position", "trial", "sound", "score", "plays", "seconds")
"""The columns of a file of answers."""

MOS_LABELS = {5: "Excellent", 4: "Good", 3: "Fair", 2: "Poor", 1: "Bad"}
"""The categories of absolute rating (ITU-T P.800)."""


@final
@dataclass(frozen=True)
class Screen:
    """What a listener scores at once.

    Attributes:
        trial: The name of the list.
        sounds: Opaque names.
        reference: The opaque name of the open reference; empty if there is none.
    """

    trial: str
    sounds: tuple[str, ...]
    reference: str


def write_rating_page(path: Path, pack: str, test: tuple[str, str], screens: Sequence[Screen]) -> bool:
    """Writes the page; its sounds are `sounds/NAME.flac` beside it.

    Args:
        pack: The name of the pack in the answers.
        test: The kind of test and the question that listeners are asked.

    Returns:
        Whether the sounds are in the page.
    """
    names = [
        name
        for screen in screens
        for name in (*screen.sounds, *([screen.reference] * bool(screen.reference)))
    ]
    files = {name: path.parent / "sounds" / f"{name}.flac" for name in names}
    embedded = sum(file.stat().st_size for file in files.values()) <= MOST_EMBEDDED_BYTES
    addresses = {
        name: data_uri("audio/flac", file.read_bytes()) if embedded else f"sounds/{file.name}"
        for name, file in files.items()
    }
    write_text(path, render_rating_page(pack, test, screens, addresses))
    return embedded


def render_rating_page(
    pack: str, test: tuple[str, str], screens: Sequence[Screen], addresses: dict[str, str]
) -> str:
    """The page as HTML; `addresses` holds the sounds, or says where they are, by name."""
    mode, question = test
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    beside = any(not address.startswith("data:") for address in addresses.values())
    # A page opened from a disk is no origin, so its own folder is not 'self' there.
    media = "'self' file:" if beside else "data:"
    practice = [screen.sounds[0] for screen in _spread(screens)]
    content: dict[str, Any] = {
        "pack": pack,
        "mode": mode,
        "columns": ANSWER_COLUMNS,
        "practice": practice,
        "screens": [
            {"trial": each.trial, "sounds": each.sounds, "reference": each.reference} for each in screens
        ],
        "addresses": addresses,
    }
    return fill(
        "rate.html.jinja",
        policy=(
            f"default-src 'none'; img-src data:; media-src {media}; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        ),
        beside=beside,
        rating_script=script,
        mode=mode,
        question=question,
        labels=MOS_LABELS,
        num_screens=len(screens),
        num_sounds=sum(len(screen.sounds) for screen in screens),
        content=content,
    )


def _spread(screens: Sequence[Screen]) -> list[Screen]:
    """A few screens from all over the list, the same for every listener."""
    step = max(1, len(screens) // PRACTICE_SOUNDS)
    return list(screens[::step][:PRACTICE_SOUNDS])


def _script() -> str:
    templates = resources.files("retimbre.workflows.report").joinpath("templates")
    return templates.joinpath("rate.js").read_text(encoding="utf-8")
