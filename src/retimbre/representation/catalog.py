"""The representations by name. To add one: write it, add a line here, and every test of the catalog runs on it."""

from retimbre.core.errors import ConfigError, near_miss
from retimbre.representation.base import Representation
from retimbre.representation.steps import DecibelSpectrogram, LogMel, Waveform

REPRESENTATIONS: dict[str, Representation] = {
    "waveform": Waveform(),
    "db-spectrogram": DecibelSpectrogram(),
    "db-spectrogram-trainable": DecibelSpectrogram(trainable=True),
    "log-mel": LogMel(),
}


def representation(name: str, sample_rate: int) -> Representation:
    """The representation of that name, for audio at that sample rate in Hz.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in REPRESENTATIONS:
        raise ConfigError(f"there is no representation {name!r}; {near_miss(name, REPRESENTATIONS)}")
    return REPRESENTATIONS[name].at_rate(sample_rate)
