"""The corpora that `retimbre data` can make ready, each with where it comes from and what its licence asks.

One line here and one command make a corpus known to the program; `retimbre list corpora` prints this table. Nothing is
ever downloaded: a corpus of others is a folder that the user has, and its licence is the user's to keep. The licence
and the citation are written into the header of every set that is cut from it, so that they travel with the sounds.
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
        citation: What its authors ask to be cited; empty where there is nothing to cite.
        labels: What is known about each sound.
    """

    description: str
    command: str
    licence: str
    citation: str
    labels: str


OWN_LICENCE = "yours: nothing is downloaded, the program renders them"

CORPORA: dict[str, Corpus] = {
    "synth": Corpus(
        description="Sounds of a built-in synthesizer at drawn knobs, with the knobs as labels",
        command="retimbre data synth",
        licence=OWN_LICENCE,
        citation="",
        labels="every knob's class and value, and the key that was pressed",
    ),
    "folder": Corpus(
        description="Any folder of recordings, cut or padded to clips of one length and rate",
        command="retimbre data folder",
        licence="that of the recordings",
        citation="",
        labels="the name of the sub-folder that a recording lies in",
    ),
    "nsynth": Corpus(
        description="NSynth: 305,979 notes of 1,006 instruments, 4 s at 16 kHz, or any folder in its layout",
        command="retimbre data nsynth",
        licence="CC BY 4.0 (another corpus in NSynth's layout: its own)",
        citation="Engel, Resnick, Roberts, Dieleman, Eck, Simonyan and Norouzi, Neural Audio Synthesis of Musical "
        "Notes with WaveNet Autoencoders, ICML 2017, https://arxiv.org/abs/1704.01279",
        labels="pitch, velocity, instrument, family, source, qualities",
    ),
    "maestro": Corpus(
        description="MAESTRO: piano performances with aligned MIDI, cut to chunks, or any pairs of audio and MIDI",
        command="retimbre data maestro",
        licence="CC BY-NC-SA 4.0",
        citation="Hawthorne, Stasyuk, Roberts, Simon, Huang, Dieleman, Elsen, Engel and Eck, Enabling Factorized Piano "
        "Music Modeling and Generation with the MAESTRO Dataset, ICLR 2019, https://arxiv.org/abs/1810.12247",
        labels="keys and pedal every 2 ms, composer, title, year",
    ),
    "speech-commands": Corpus(
        description="Speech Commands: spoken words of a second, 35 words by 2,618 speakers; the ten digits unless told",
        command="retimbre data speech-commands",
        licence="CC BY 4.0",
        citation="Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, 2018, "
        "https://arxiv.org/abs/1804.03209",
        labels="word, speaker",
    ),
    "notes": Corpus(
        description="Notes of drawn instruments in NSynth's layout: families, pitches and velocities, from a seed",
        command="retimbre data notes",
        licence=OWN_LICENCE,
        citation="",
        labels="pitch, velocity, instrument, family, source",
    ),
    "envelopes": Corpus(
        description="Basic signals under envelopes of drawn attack, sustain and release: a toy set with exact labels",
        command="retimbre data envelopes",
        licence=OWN_LICENCE,
        citation="",
        labels="attack, decay, sustain, release, and the envelope itself",
    ),
    "soundfont": Corpus(
        description="Notes of a General MIDI SoundFont in NSynth's layout, played by FluidSynth",
        command="retimbre data soundfont",
        licence="that of the SoundFont (FluidR3 GM: MIT)",
        citation="",
        labels="pitch, velocity, instrument, family, source",
    ),
    "performances": Corpus(
        description="Piano pieces drawn by chance with their MIDI, in MAESTRO's layout, played by a SoundFont",
        command="retimbre data performances",
        licence="that of the SoundFont (FluidR3 GM: MIT)",
        citation="",
        labels="keys and pedal, through retimbre data maestro",
    ),
}
