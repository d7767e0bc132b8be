"""Sparse codes: a sound as the sum of as few as possible of very many given functions.

A *dictionary* is a set of functions, more than are needed: a sound is a sum of them in countless ways. The interesting
way is one with few terms, a *sparse code*, for few terms have to fit what is there: a partial, an attack. Finding the
best K terms is a search that nobody can finish. A *pursuit* is greedy instead. It looks for the functions that go best
with what is not yet explained, the residual, takes some of them in, adjusts the amounts of all that are in by least
squares, and looks again:

    round j     correlate the residual with every function; of those not in yet take the strongest
                K j / J - K (j - 1) / J; one step down the gradient of the error over all that are in
    at last     the amounts by the method of conjugate gradients, for the K functions that are in

Taking in many at a time is faster and a little worse, since of functions much alike (a wave and the same half a band
higher) all look good until the first is in. With one round it is thresholding: right for an orthonormal basis, where
functions say nothing about each other.

What is differentiable about it: while the choice stays the same, the amounts are the least-squares solution, linear
in the sound, and their gradient is that of this solution. (The choice itself jumps; at a jump there is no gradient.)

References:
    Mallat and Zhang (1993), Matching pursuits with time-frequency dictionaries, https://doi.org/10.1109/78.258082
    Blumensath and Davies (2008), Gradient pursuits, https://doi.org/10.1109/TSP.2007.916124
    Ravelli, Richard and Daudet (2008), Union of MDCT bases for audio coding, https://doi.org/10.1109/TASL.2008.2004290
"""

import dataclasses
from typing import Any, Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from retimbre.core.errors import ConfigError

_MOST_ROUNDS = 1_024
# Below any energy that a clip of peak 1 can have left, and above where its square would vanish.
_NOTHING = 1e-30


@runtime_checkable
class Dictionary(Protocol):
    """Functions of unit energy, as two maps that are each other's transpose."""

    def correlate(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """How much of every function is in each clip."""
        ...

    def combine(
        self, codes: Float[Tensor, "batch size"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sum of so much of every function."""
        ...


@final
@dataclasses.dataclass(frozen=True)
class PursuitSettings:
    """How long a pursuit takes."""

    rounds: int = 16
    """How often functions are taken in; more find a better choice."""
    polish: int = 8
    """Steps of conjugate gradients at last; more come nearer to least squares."""

    def __post_init__(self) -> None:
        """Refuses none, and what would take a day."""
        for name, least in (("rounds", 1), ("polish", 0)):
            if not least <= getattr(self, name) <= _MOST_ROUNDS:
                raise ConfigError(
                    f"{name} of a pursuit is {getattr(self, name)}, but takes {least} to {_MOST_ROUNDS}"
                )


def pursue(
    dictionary: Dictionary,
    audio: Float[Tensor, "batch samples"],
    num_nonzeros: int,
    settings: PursuitSettings,
) -> Float[Tensor, "batch size"]:
    """Codes with at most `num_nonzeros` values that are not zero; a clip's code does not depend on its level.

    Args:
        num_nonzeros: For each clip, from 1 to the number of functions.
    """
    # Brought to a peak of 1, so that energies of the softest clips are numbers, too.
    peak = audio.detach().abs().amax(dim=1, keepdim=True)
    scale = torch.where(peak > 0.0, peak, torch.ones_like(peak))
    level = audio / scale
    with torch.no_grad():
        codes, chosen = _gather(dictionary, level, num_nonzeros, settings.rounds)
    return _Polish.apply(level, codes, chosen, dictionary, settings.polish) * scale


def _gather(
    dictionary: Dictionary, audio: Float[Tensor, "batch samples"], num_nonzeros: int, rounds: int
) -> tuple[Float[Tensor, "batch size"], Bool[Tensor, "batch size"]]:
    """Amounts that are nearly right, and which functions are in."""
    residual = audio
    slope = dictionary.correlate(residual)
    codes, chosen = torch.zeros_like(slope), torch.zeros_like(slope, dtype=torch.bool)
    taken, rounds = 0, min(rounds, num_nonzeros)
    for turn in range(1, rounds + 1):
        wanted = num_nonzeros * turn // rounds
        strongest = slope.abs().masked_fill(chosen, -1.0).topk(wanted - taken).indices
        chosen = chosen.scatter(1, strongest, True)
        taken = wanted
        direction = slope * chosen
        change = dictionary.combine(direction, num_samples=audio.shape[1])
        step = (change * residual).sum(1) / change.square().sum(1).clamp_min(_NOTHING)
        codes = codes + step[:, None] * direction
        residual = residual - step[:, None] * change
        slope = dictionary.correlate(residual)
    return codes, chosen


class _Polish(torch.autograd.Function):
    """Least squares over the chosen functions, from amounts that are nearly right; its gradient is the solution's."""

    @staticmethod
    def forward(
        ctx: Any, audio: Tensor, codes: Tensor, chosen: Tensor, dictionary: Dictionary, steps: int
    ) -> Tensor:
        """The better amounts."""
        ctx.save_for_backward(chosen)
        ctx.dictionary, ctx.steps, ctx.num_samples = dictionary, steps, audio.shape[1]
        missing = audio - dictionary.combine(codes, num_samples=audio.shape[1])
        right = dictionary.correlate(missing) * chosen
        return codes + _solve(dictionary, right, chosen, steps=steps, num_samples=audio.shape[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  (decorated)
        """The transpose of the solution: the same system, then the sum of functions."""
        (chosen,) = ctx.saved_tensors
        solved = _solve(
            ctx.dictionary, gradients[0] * chosen, chosen, steps=ctx.steps, num_samples=ctx.num_samples
        )
        return ctx.dictionary.combine(solved, num_samples=ctx.num_samples), None, None, None, None


def _solve(
    dictionary: Dictionary,
    right: Float[Tensor, "batch size"],
    chosen: Bool[Tensor, "batch size"],
    *,
    steps: int,
    num_samples: int,
) -> Float[Tensor, "batch size"]:
    """Conjugate gradients for `chosen * correlate(combine(x)) = right`, where `right` is zero outside `chosen`."""
    answer, residual, direction = torch.zeros_like(right), right, right
    energy = residual.square().sum(1)
    for _ in range(steps):
        change = dictionary.combine(direction, num_samples=num_samples)
        step = (energy / change.square().sum(1).clamp_min(_NOTHING))[:, None]
        answer = answer + step * direction
        residual = residual - step * dictionary.correlate(change) * chosen
        left = residual.square().sum(1)
        direction = residual + (left / energy.clamp_min(_NOTHING))[:, None] * direction
        energy = left
    return answer
