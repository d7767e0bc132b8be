"""What a synthesizer promises: knobs and a note go in, audio comes out, and nothing is remembered in between.

A synthesizer here has no state. Its knobs (`ParameterSpace`) describe the patch; a `Note` describes the key
press: which pitch, how hard, how long the key is held, and which noise is drawn. Both are batched, and item
`i` of the output depends on item `i` of the inputs alone. Everything a voice does is differentiable torch
code that runs on the device of its inputs.
"""

import abc
import dataclasses
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.synth.clock import Clock
from retimbre.synth.parameters import Knobs, ParameterSpace

CHUNK_SAMPLES = 1 << 20  # 4 MB a tensor: large enough to hide overheads, small enough that malloc keeps it
REFERENCE_PITCH_HZ = 440.0  # the note at which a knob that is itself a frequency means what it says


@dataclasses.dataclass(frozen=True)
class Note:
    """One key press per item of a batch.

    Attributes:
        pitch_hz: Fundamental frequency of the key.
        velocity: How hard, 0 to 1; scales the amplitude.
        gate_s: Seconds from key-down to key-up; the sound goes on through its release.
        noise_seed: Which stretch of noise a voice with a noise source plays.
    """

    pitch_hz: Float[Tensor, " batch"]
    velocity: Float[Tensor, " batch"]
    gate_s: Float[Tensor, " batch"]
    noise_seed: Int[Tensor, " batch"]

    @classmethod
    def of(
        cls,
        batch: int,
        *,
        pitch_hz: float = REFERENCE_PITCH_HZ,
        velocity: float = 1.0,
        gate_s: float = 0.75,
        noise_seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> "Note":
        """The same note for every item of a batch."""
        if not 1.0 <= pitch_hz <= 20_000.0:
            raise ConfigError(f"pitch is {pitch_hz:g} Hz, but takes 1 to 20000 Hz")
        if not 0.0 <= velocity <= 1.0:
            raise ConfigError(f"velocity is {velocity:g}, but takes 0 to 1")
        if not gate_s >= 0.0:
            raise ConfigError(f"gate is {gate_s:g} s, but takes 0 s or more")
        return cls(
            pitch_hz=torch.full((batch,), pitch_hz, device=device),
            velocity=torch.full((batch,), velocity, device=device),
            gate_s=torch.full((batch,), gate_s, device=device),
            noise_seed=torch.full((batch,), noise_seed, dtype=torch.int64, device=device),
        )

    def __getitem__(self, items: slice) -> "Note":
        return Note(self.pitch_hz[items], self.velocity[items], self.gate_s[items], self.noise_seed[items])

    def to(self, device: torch.device) -> "Note":
        """The same note on another device."""
        return Note(
            self.pitch_hz.to(device),
            self.velocity.to(device),
            self.gate_s.to(device),
            self.noise_seed.to(device),
        )


class Synth(abc.ABC):
    """A synthesizer at one sample rate. Final subclasses are frozen dataclasses: two equal ones sound the same.

    Attributes:
        name: Its name in the catalog. space: Its knobs. sample_rate: In Hz. default_seconds: The length of
        clip its networks are trained on. default_gate_s: How long the key is held in such a clip. curves:
        Names of the knobs that may vary within a clip, given as `[batch, points]`: values at equal distances
            from the clip's first sample to its last, joined by straight lines.
    """

    name: str
    space: ParameterSpace
    sample_rate: int
    default_seconds: float
    default_gate_s: float
    curves: frozenset[str]

    @abc.abstractmethod
    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """Knobs and notes to audio."""

    def clock(self, note: Note, num_samples: int) -> Clock:
        """The samples of a clip at the synthesizer's rate, on the note's device."""
        return Clock.of(num_samples, self.sample_rate, note.pitch_hz.device)

    def render_in_chunks(
        self, knobs: Knobs, note: Note, *, num_samples: int, chunk_samples: int = CHUNK_SAMPLES
    ) -> Float[Tensor, "batch samples"]:
        """As `render`, a few items at a time: memory stays bounded whatever the batch, and caches stay warm.

        Args:
            chunk_samples: About how many samples of audio are in the making at once.
        """
        batch = note.pitch_hz.shape[0]
        audio = torch.empty(batch, num_samples, device=note.pitch_hz.device)
        for items in chunks(batch, max(1, chunk_samples // max(num_samples, 1))):
            part = {name: knob[items] for name, knob in knobs.items()}
            audio[items] = self.render(part, note[items], num_samples=num_samples)
        return audio


def chunks(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most `size` that cover `count` items."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def check_curves(synth: Synth, knobs: Knobs) -> None:
    """Refuses a curve for a knob that cannot vary within a clip."""
    for parameter in synth.space.parameters:
        is_curve = knobs[parameter.name].ndim == 2 and not hasattr(parameter, "choices")
        if is_curve and parameter.name not in synth.curves:
            able = ", ".join(sorted(synth.curves)) or "none"
            raise ConfigError(f"{synth.name}: {parameter.name} cannot vary within a clip; these can: {able}")
