"""What of a clip an embedder hears: all of it at once, or windows of it, and at which level.

Published figures differ here before any statistics begin. One program scales each clip by its largest sample, another
by its largest positive one, a third not at all; one hears windows of 0.96 s every 0.96 s and drops the rest, another
pads it. `Framing` is that choice as data (`metrics.distances.profiles`), and this module carries it out.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.level import fit_length
from retimbre.metrics.distances.profiles import Framing

_FULL_SCALE = 32_768  # of 16-bit integers


def num_windows(num_samples: int, sample_rate: int, framing: Framing) -> int:
    """How many windows a clip has.

    Raises:
        ConfigError: It is shorter than one, and what is left over is dropped.
    """
    window, hop = _in_samples(num_samples, sample_rate, framing)
    if framing.remainder == "pad":
        return max(-(-(num_samples - window) // hop), 0) + 1
    if num_samples < window:
        raise ConfigError(
            f"a clip of {num_samples / sample_rate:g} s holds no window of {framing.window_s:g} s: take longer clips"
        )
    return (num_samples - window) // hop + 1


def windows(
    audio: Float[Tensor, "clips samples"], sample_rate: int, framing: Framing
) -> Float[Tensor, "clips windows window"]:
    """The windows of each clip, after its level was set.

    Raises:
        ConfigError: As `num_windows`.
    """
    count = num_windows(audio.shape[1], sample_rate, framing)
    window, hop = _in_samples(audio.shape[1], sample_rate, framing)
    levelled = _levelled(audio, framing)
    return fit_length(levelled, (count - 1) * hop + window).unfold(1, window, hop)


def _in_samples(num_samples: int, sample_rate: int, framing: Framing) -> tuple[int, int]:
    """Length and distance of windows."""
    if framing.window_s == 0.0:
        return num_samples, num_samples
    return max(round(framing.window_s * sample_rate), 1), max(round(framing.hop_s * sample_rate), 1)


def _levelled(audio: Float[Tensor, "clips samples"], framing: Framing) -> Float[Tensor, "clips samples"]:
    """Rounded and brought to the level that the framing asks for; silence stays silent."""
    if framing.int16:
        audio = (audio * _FULL_SCALE).round().clamp(-_FULL_SCALE, _FULL_SCALE - 1) / _FULL_SCALE
    if framing.level == "none":
        return audio
    reach = audio.abs() if framing.level == "peak" else audio
    largest = reach.amax(dim=1, keepdim=True)
    return audio / torch.where(largest > 0, largest, 1.0)
