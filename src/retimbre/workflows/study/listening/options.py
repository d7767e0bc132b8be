"""What a listening pack is like."""

from dataclasses import dataclass
from typing import final

from retimbre.core.errors import ConfigError
from retimbre.workflows.study.listening.manifest import Mode
from retimbre.workflows.study.listening.sounds import check_through

QUESTIONS: dict[Mode, str] = {
    "mos": "How good is the quality of this sound?",
    "mushra": "How good is each sound, compared with the reference?",
}


@final
@dataclass(frozen=True)
class PackOptions:
    """What a pack is like.

    Attributes:
        mode: `mos`, single sounds from 1 to 5, or `mushra`, sounds of one item beside the real one from 0 to 100.
        count: Items at most.
        seconds: How much of each sound is played, from its start.
        question: What listeners are asked; the mode's own of `QUESTIONS` if it is empty.
        licence: A note on the rights in the sounds, for the manifest.
        seed: Of the draw of items, of names, of the anchors' phases and of what generators are asked.
        through: Representations that the real sounds are sent through, each for an anchor of its own.
        reel: Sounds of one system in a file for the loudspeaker; 0 for no such files.

    Raises:
        ConfigError: Too many items or none, a length beyond 0 to 30 s, or a representation that there is none of, that
            cannot be turned back to sound, or that is named twice.
    """

    mode: Mode = "mos"
    count: int = 10
    seconds: float = 10.0
    question: str = ""
    licence: str = ""
    seed: int = 0
    through: tuple[str, ...] = ()
    reel: int = 0

    def __post_init__(self) -> None:
        """Refuses a test of nothing, or of more than anyone would hear."""
        if not 0 <= self.reel <= 500:
            raise ConfigError(f"--reel takes 1 to 500 sounds in a file, or 0 for none, not {self.reel}")
        check_through(self.through)
        if not 1 <= self.count <= 500:
            raise ConfigError(f"--count takes 1 to 500 items, not {self.count}")
        if not 0.0 < self.seconds <= 30.0:
            raise ConfigError(f"--seconds takes a length above 0 and up to 30, not {self.seconds:g}")

    @property
    def asked(self) -> str:
        """The question on the page."""
        return self.question.strip() or QUESTIONS[self.mode]
