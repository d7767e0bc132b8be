"""Which knobs of a patch can be heard in a clip.

A release cannot be heard before the key comes up, the second oscillator's wave not while the mix is all on the
first, and the resonance of a filter not where it passes everything. The value of such a knob says nothing about the
sound: a network should not be blamed for missing it, nor a listener be told that it matters.

The test is the plainest there is: turn the knob as far as it goes, render again, and listen for a difference.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from retimbre.synth.base import Note, Synth
from retimbre.synth.knobs import Choice, Parameter
from retimbre.synth.parameters import Knobs

# A difference this far below the louder of the two renderings is under what a careful listener notices.
DIFFERENCE_FLOOR_DB = -60.0


@torch.no_grad()
def audible(
    synth: Synth, knobs: Knobs, note: Note, *, num_samples: int, floor_db: float = DIFFERENCE_FLOOR_DB
) -> Bool[Tensor, "batch searched"]:
    """Whether turning each searched knob changes each clip.

    A knob with an order is moved to the end of its travel that is further away, a choice to the next choice in its
    list. Samples are compared, so a change of phase alone counts as one that is heard.

    Args:
        floor_db: How much energy, relative to the louder of the two clips, the difference must have to count.
    """
    played = synth.render_in_chunks(knobs, note, num_samples=num_samples)
    columns = []
    for parameter in synth.space.searched:
        turned = {**knobs, parameter.name: _turned(parameter, knobs[parameter.name])}
        other = synth.render_in_chunks(turned, note, num_samples=num_samples)
        columns.append(_differs(played, other, floor_db))
    return torch.stack(columns, dim=1)


def _turned(parameter: Parameter, knob: Tensor) -> Tensor:
    if isinstance(parameter, Choice):
        following = (knob.argmax(dim=-1) + 1) % parameter.width
        return torch.nn.functional.one_hot(following, parameter.width).to(knob.dtype)
    values = parameter.class_values()
    ends = torch.tensor([values[0], values[-1]], dtype=knob.dtype, device=knob.device)
    travel = parameter.to_unit(knob if knob.ndim == 1 else knob.mean(dim=1))
    far = (travel[:, None] - parameter.to_unit(ends)).abs().argmax(dim=1)
    return ends[far]


def _differs(
    one: Float[Tensor, "batch samples"], other: Float[Tensor, "batch samples"], floor_db: float
) -> Bool[Tensor, " batch"]:
    difference, first, second = (audio.double().square().sum(dim=1) for audio in (one - other, one, other))
    return difference > 10.0 ** (floor_db / 10.0) * torch.maximum(first, second)
