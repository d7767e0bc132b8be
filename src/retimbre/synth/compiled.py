"""Voices compiled by torch for speed, and eager where there is no compiler.

Compilation fuses a voice into a few loops over the audio, several times faster than one tensor operation
after another. It takes seconds for each new shape, so it pays for training and data sets, which render the
same shape many times, and not for a single note.
"""

import dataclasses
import functools
import os
import shutil

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.synth.base import Note, Synth, chunks
from retimbre.synth.parameters import Knobs


def compiler_available(device: torch.device) -> bool:
    """Whether torch can compile for a device: a C++ compiler for the CPU, Triton for a GPU."""
    if device.type == "cuda":
        return torch.utils._triton.has_triton()  # pyright: ignore[reportAttributeAccessIssue]
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))


@dataclasses.dataclass(frozen=True)
class CompiledRenderer:
    """Renders batches of one synthesizer in chunks of one shape.

    Attributes:
        chunk: Items rendered at once; the last, smaller chunk is filled up by repeating its last item.
    """

    synth: Synth
    chunk: int = 32

    def render(self, knobs: Knobs, note: Note, *, num_samples: int) -> Float[Tensor, "batch samples"]:
        """As `Synth.render`, without gradients; eager where there is no compiler."""
        device = note.pitch_hz.device
        if not compiler_available(device):
            with torch.no_grad():
                return self.synth.render_in_chunks(knobs, note, num_samples=num_samples)
        batch = note.pitch_hz.shape[0]
        audio = torch.empty(batch, num_samples, device=device)
        function = _compiled(self.synth)
        with torch.no_grad():
            for items in chunks(batch, self.chunk):
                full = torch.arange(items.start, items.start + self.chunk, device=device).clamp(max=batch - 1)
                part = Note(*(getattr(note, field.name)[full] for field in dataclasses.fields(note)))
                made = function(
                    {name: knob[full] for name, knob in knobs.items()}, part, num_samples=num_samples
                )
                audio[items] = made[: items.stop - items.start]
        return audio


@functools.cache
def _compiled(synth: Synth):  # noqa: ANN202 - torch.compile returns an object of no public type
    return torch.compile(synth.render, dynamic=False)
