"""The subsets of NSynth that published work was trained on, under names.

A preset is a starting point: every filter of it can be overridden. What the papers leave open is said here, and a
number that cannot be reached by their own description is not pretended to be.

`gansynth`: acoustic notes of MIDI pitch 24 to 84, in full length, shuffled and parted 80 to 20 without regard to
instruments, because the corpus's own parts share none. The paper counts 70,379 notes; the pitch counts in its
published code add up to 60,788 for training alone, so not both can be of one list. The notes are the same here; which
of them are held out is drawn by us, since the authors' list is a file of their own.

`sony2020`: the defaults of the program behind "Comparing representations for audio synthesis using generative
adversarial networks": acoustic basses by their file names, pitch 24 to 84, the first second, labelled with family and
pitch. Its size has no default, and families were chosen per experiment: `--family brass,flute --size 5000`.

References:
    Engel et al., GANSynth: Adversarial Neural Audio Synthesis, ICLR 2019, https://arxiv.org/abs/1902.08710
    Nistal, Lattner and Richard, Comparing Representations for Audio Synthesis Using Generative Adversarial Networks,
    EUSIPCO 2020, https://arxiv.org/abs/2006.09266
"""

import dataclasses
from typing import final

from retimbre.core.errors import ConfigError, near_miss
from retimbre.corpora.nsynth.scan import NSynthFilters
from retimbre.data.folder import Cutting
from retimbre.data.manifest import Fractions

NSYNTH_RATE_HZ = 16_000
NOTE_SECONDS = 4.0


@final
@dataclasses.dataclass(frozen=True)
class Preset:
    """Which notes, cut how, parted how.

    Attributes:
        split: What is held out, where the preset does not keep the corpus's own parts.
    """

    description: str
    filters: NSynthFilters
    cutting: Cutting
    split: Fractions = dataclasses.field(default_factory=Fractions)


PRESETS: dict[str, Preset] = {
    "full": Preset(
        description="every note, 4 s, in the corpus's own parts",
        filters=NSynthFilters(),
        cutting=Cutting(sample_rate=NSYNTH_RATE_HZ, seconds=NOTE_SECONDS),
    ),
    "gansynth": Preset(
        description="acoustic, pitch 24 to 84, 4 s, instruments shuffled over an 80 to 20 split",
        filters=NSynthFilters(sources=("acoustic",), pitches=(24, 84), parting="mixed"),
        cutting=Cutting(sample_rate=NSYNTH_RATE_HZ, seconds=NOTE_SECONDS),
        split=Fractions(validation=0.0, test=0.2),
    ),
    "sony2020": Preset(
        description="acoustic basses by file name, pitch 24 to 84, the first second, labels family and pitch",
        filters=NSynthFilters(
            families=("bass",),
            name_contains=("acoustic",),
            pitches=(24, 84),
            attributes=("family", "pitch"),
            parting="mixed",
        ),
        cutting=Cutting(sample_rate=NSYNTH_RATE_HZ, seconds=1.0),
    ),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: There is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; {near_miss(name, PRESETS)}")
    return PRESETS[name]
