"""The corpora that `retimbre data` can make ready, each with where it comes from and what its licence asks.

One line here and one command make a corpus known to the program; `retimbre list corpora` prints this table.
"""

import dataclasses
from typing import final


@final
@dataclasses.dataclass(frozen=True)
class Corpus:
    """Where sounds come from.

    Attributes:
        command: The command that makes it ready.
        licence: Under what conditions its sounds may be used.
        labels: What is known about each sound.
    """

    description: str
    command: str
    licence: str
    labels: str


CORPORA: dict[str, Corpus] = {
    "synth": Corpus(
        description="Sounds of a built-in synthesizer at drawn knobs, with the knobs as labels",
        command="retimbre data synth",
        licence="yours: nothing is downloaded, the program renders them",
        labels="every knob's class and value, and the key that was pressed",
    ),
    "folder": Corpus(
        description="Any folder of recordings, cut or padded to clips of one length and rate",
        command="retimbre data folder",
        licence="that of the recordings",
        labels="the name of the sub-folder that a recording lies in",
    ),
}
