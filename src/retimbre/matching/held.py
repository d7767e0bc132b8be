"""A voice that sounds for as long as a recording does: its own envelope held open, its level led by another sound.

The envelopes of the voices end. `fm` falls silent after four seconds at most, `fm4` after 1.1 s, and the gater of
`inversynth` cuts the sound on and off. To follow a recording of any length, a voice is *held*: the settings below
keep it sounding from the first sample to the last. What its envelope no longer does, the recording does instead:
`led_by` multiplies the held sound by the ratio of the two short-term levels, so that attacks, swells, pauses and
the end are where they are in the recording. The ratio is smoothed over a sixteenth of a second, which hides nothing
slower than a tremolo of 8 Hz and leaves the wave itself alone.

Held settings may lie outside a knob's travel (a sustain of 20 s); `Synth.render` takes them, a patch file does not.
"""

import dataclasses
from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from retimbre.core.errors import ConfigError
from retimbre.synth.base import Synth
from retimbre.synth.catalog import SYNTHS, find_synth

# Length and distance of the stretches whose power is compared, in seconds: two periods of a tone of 32 Hz.
_STRETCH_S = 1 / 16
_STRIDE_S = 1 / 64

# A held sound is raised by at most 40 dB: where a voice is all but silent there is nothing to lead.
_HIGHEST_GAIN = 100.0


@final
@dataclasses.dataclass(frozen=True)
class HeldVoice:
    """A voice whose envelope is held open.

    Attributes:
        synth: The voice, with a longer hold where that is its own and no knob.
        knobs: The settings that hold it, by name.
    """

    synth: Synth
    knobs: dict[str, float]


def _held_fm(synth: Synth, seconds: float) -> HeldVoice:
    # Its amplitude does nothing but set the level, which is the recording's.
    open_for = {"attack": 0.0, "decay": 0.0, "sustain": seconds, "sustain_level": 1.0, "release": 1.0}
    return HeldVoice(synth, {"A": 1.0, **open_for})


def _held_fm4(synth: Synth, seconds: float) -> HeldVoice:
    return HeldVoice(dataclasses.replace(synth, key_up_s=seconds), {})  # pyright: ignore[reportArgumentType]


def _held_inversynth(synth: Synth, seconds: float) -> HeldVoice:
    # The gater's first half-cycle, in which it lets everything pass, lasts the whole sound and a little more.
    return HeldVoice(synth, {"a": 0.001, "d": 0.001, "s": 1.0, "r": 1.0, "f_gate": 0.49 / seconds})


_HOLDS: dict[str, Callable[[Synth, float], HeldVoice]] = {
    "fm": _held_fm,
    "fm4": _held_fm4,
    "inversynth": _held_inversynth,
}


def able_to_curve() -> list[str]:
    """The names of the synthesizers with knobs that vary within a clip and with an envelope that can be held."""
    return [name for name, synth in SYNTHS.items() if synth.curves and name in _HOLDS]


def check_able_to_curve(synth: str) -> None:
    """Refuses a synthesizer whose knobs all stand still within a clip.

    Raises:
        ConfigError: It is one, or there is none of that name.
    """
    if find_synth(synth).name not in able_to_curve():
        raise ConfigError(
            f"curves take a synthesizer whose knobs can vary within a sound, which {synth!r} is not; "
            f"these are: {', '.join(able_to_curve())}"
        )


def held(synth: Synth, seconds: float) -> HeldVoice:
    """A voice that sounds evenly for some seconds.

    Raises:
        ConfigError: It has no knobs that vary within a clip.
    """
    check_able_to_curve(synth.name)
    return _HOLDS[synth.name](synth, seconds)


def led_by(
    recording: Float[Tensor, "*#batch samples"], sound: Float[Tensor, "*batch samples"], sample_rate: int
) -> Float[Tensor, "*batch samples"]:
    """A sound with the level of a recording at every moment."""
    one, other = short_term_power(recording, sample_rate), short_term_power(sound, sample_rate)
    smallest = torch.finfo(sound.dtype).tiny
    gain = (one / other.clamp_min(smallest)).sqrt().clamp(max=_HIGHEST_GAIN)
    rows = gain.reshape(-1, 1, gain.shape[-1])
    length = (gain.shape[-1] - 1) * _stride(sample_rate) + 1
    over_time = functional.interpolate(rows, size=length, mode="linear", align_corners=True)
    return sound * over_time[..., : sound.shape[-1]].reshape(*gain.shape[:-1], -1)


def short_term_power(
    sound: Float[Tensor, "*batch samples"], sample_rate: int
) -> Float[Tensor, "*batch stretches"]:
    """Mean power around moments a stride apart, from the first sample to the last or just beyond it."""
    half, stride = round(_STRETCH_S * sample_rate / 2), _stride(sample_rate)
    rows = sound.square().reshape(-1, 1, sound.shape[-1])
    power = functional.avg_pool1d(rows, 2 * half, stride, half, ceil_mode=True, count_include_pad=False)
    return power.reshape(*sound.shape[:-1], power.shape[-1])


def _stride(sample_rate: int) -> int:
    return round(_STRIDE_S * sample_rate)
