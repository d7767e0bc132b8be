"""Rendering whole batches of one shape with fused loops: for training and data sets.

Compilation takes seconds for each new shape, so it pays where the same shape is rendered many times, and not
for a single note.
"""

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth.base import CHUNK_SAMPLES, Note, Synth, chunks
from retimbre.synth.fusing import fused
from retimbre.synth.parameters import Knobs

FUSED_CHUNK_SAMPLES = 4 * CHUNK_SAMPLES  # fused loops have fewer tensors in the making


@dataclasses.dataclass(frozen=True)
class CompiledRenderer:
    """Renders batches of one synthesizer in chunks of one shape.

    Attributes:
        chunk: Items rendered at once, 0 for as many as memory and caches like; the last, smaller chunk is filled up
            by repeating its last item.
    """

    synth: Synth
    chunk: int = 0

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """As `Synth.render`, without gradients; uncompiled where there is no compiler."""
        device = note.pitch_hz.device
        batch = note.pitch_hz.shape[0]
        size = self.chunk or max(1, min(batch, FUSED_CHUNK_SAMPLES // max(num_samples, 1)))
        with torch.no_grad(), fused(device):
            if batch == size:
                return self.synth.render(knobs, note, num_samples=num_samples)
            audio = torch.empty(batch, num_samples, device=device)
            for items in chunks(batch, size):
                made = self.synth.render(*_filled(knobs, note, items, size), num_samples=num_samples)
                audio[items] = made[: items.stop - items.start]
        return audio


def _filled(knobs: Knobs, note: Note, items: slice, size: int) -> tuple[Knobs, Note]:
    """The knobs and notes of a chunk, as many as a full one holds."""
    if items.stop - items.start == size:
        return {name: knob[items] for name, knob in knobs.items()}, note[items]
    rows = torch.arange(items.start, items.start + size, device=note.pitch_hz.device).clamp(
        max=items.stop - 1
    )
    filled = Note(*(getattr(note, field.name)[rows] for field in dataclasses.fields(note)))
    return {name: knob[rows] for name, knob in knobs.items()}, filled
