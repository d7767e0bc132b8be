"""The instruments, by name. To add one: write it, add a line here, and every law-test runs on it."""

from retimbre.core.errors import ConfigError, near_miss
from retimbre.synth.base import Synth
from retimbre.synth.musical_voices import Fm2Op, Wavetable
from retimbre.synth.paper_voices import Fm, Fm4, InverSynth, TwoSine
from retimbre.synth.subtractive import Subtractive

SYNTHS: dict[str, Synth] = {
    "two-sine": TwoSine(),
    "fm": Fm(),
    "fm4": Fm4(),
    "inversynth": InverSynth(),
    "fm2op": Fm2Op(),
    "wavetable": Wavetable(),
    "subtractive": Subtractive(),
}


def find_synth(name: str) -> Synth:
    """The instrument of that name."""
    if name not in SYNTHS:
        raise ConfigError(f"there is no synth {name!r}; {near_miss(name, SYNTHS)}")
    return SYNTHS[name]
