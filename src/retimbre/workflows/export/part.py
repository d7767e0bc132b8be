"""One file to be: a module, what goes in and comes out, and what the numbers mean.

A graph is a function of tensors, and what its numbers mean is not in it. So a part says it besides (`about`): which
knob each row is of and which value each class stands for, the rate and the length of a clip, the classes of a
generator. A program that has the two needs nothing of Retimbre.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, final

from torch import Tensor, nn

TOLERANCE = 1e-4
"""Of a probability: the most that a file may differ from torch."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """One file to be.

    Attributes:
        name: Of the file, without its ending.
        module: From the inputs, in their order, to the outputs in theirs.
        inputs: Names and meanings.
        outputs: Names and meanings.
        about: What a program must know to use the outputs; anything JSON can hold.
        trials: Inputs to try it with, by what they are; the first, of several rows, is also the exporter's example.
        core: What of it is continuous, where the whole is not: features that count which of a thousand words is nearest
            jump where two are equally near, so there the least rounding is heard. Then the core is held to the
            tolerance, and the whole is only measured.
        tolerance: The largest difference from torch that is let through.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    about: Mapping[str, Any]
    trials: Mapping[str, tuple[Tensor, ...]]
    core: "Part | None" = None
    tolerance: float = TOLERANCE
