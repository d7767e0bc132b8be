"""What keeps a critic from growing steep: penalties on its gradient with respect to the features it is shown.

A critic that tells two sets apart perfectly could raise its scores for ever, and the generator would learn nothing from
them but noise. Every penalty here is a value per row that measures how steeply the score of a clip changes with the
clip, to be added to the critic's loss:

    interpolation    (|gradient| - 1)^2 at a random point between a real and a generated clip: slope one everywhere
                     between them, as the Wasserstein game requires (WGAN-GP)
    gradient square  |gradient|^2 at real clips (R1) or at generated ones (R2): flat where the generator should end up
    finite difference   an estimate of the same square from the scores of a clip and of the clip with a little noise

The first two are differentiated twice, the gradient being part of what is made small: about twice the work of a plain
step. The third takes two passes forward and works with layers that have no second derivative. For Gaussian noise of
deviation d, (score(x + d n) - score(x)) / d is close to the gradient's component along n, whose square has the
expected value |gradient|^2; the scatter about it is large (a standard deviation of 1.4 times the value), which the mean
over a batch evens out. What is learned from it is not quite the same: where the noise reaches across the kink of a
rectifier, the estimate feels the change of slope there, which second derivatives pass over.

A `critic` here is a function of features: it has to give the same scores when shown the same features twice, and row i
of its scores should depend on row i of the features. Where it does not (minibatch statistics), the gradient taken is
that of the sum of all scores, as in the published programs.

References:
    Gulrajani et al. (2017), Improved training of Wasserstein GANs, https://arxiv.org/abs/1704.00028
    Mescheder et al. (2018), Which training methods for GANs do actually converge?, https://arxiv.org/abs/1801.04406
    Lin et al. (2025), Diffusion adversarial post-training for one-step video generation,
        https://arxiv.org/abs/2501.08316 (the finite difference)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Features = Float[Tensor, "batch *shape"]
Values = Float[Tensor, " batch"]
Scorer = Callable[[Tensor], Tensor]
"""Features `[batch, ...]` to scores `[batch]`."""


def interpolation_penalty(critic: Scorer, real: Features, fake: Features, chance: Values) -> Values:
    """(|gradient| - 1)^2 at `chance * real + (1 - chance) * fake`.

    Args:
        critic: Features to scores.
        real: Features of real clips.
        fake: Features of generated ones.
        chance: Where between them each row lies, evenly drawn from [0, 1).
    """
    between = fake + chance.view(-1, *[1] * (real.ndim - 1)).to(real.dtype) * (real - fake)
    return (_gradient(critic, between).norm(dim=1) - 1.0).square()


def gradient_square(critic: Scorer, features: Features) -> Values:
    """|gradient|^2 at the features of each row."""
    return _gradient(critic, features).square().sum(1)


def gradient_square_of(scores: Values, features: Features) -> Values:
    """|gradient|^2 of scores that are at hand: without the pass through the critic that they took.

    Args:
        scores: Of these features, computed while gradients were on.
        features: They require gradients, and are float32 at least.
    """
    return _slope(scores, features, is_differentiable=True).square().sum(1)


def finite_difference_square(critic: Scorer, features: Features, noise: Features, deviation: float) -> Values:
    """An estimate of |gradient|^2 that needs no second derivative; exact in expectation for a linear critic.

    The critic runs in full precision even under autocast: the difference of two close scores is lost in bfloat16.

    Args:
        critic: Features to scores.
        features: Where the gradient is estimated.
        noise: Drawn from N(0, 1), of the same shape.
        deviation: How far the noise reaches, in the unit of the features. Curvature adds an error of the order of
            its square; too small a one is lost in rounding (about 1e-3 of the features' deviation in float32).
    """
    still = features.detach()
    with torch.autocast(features.device.type, enabled=False):
        change = critic(still + deviation * noise) - critic(still)
    return (change / deviation).square()


def _gradient(critic: Scorer, features: Features) -> Float[Tensor, "batch size"]:
    """The gradient of each row's score, itself differentiable where gradients are on.

    Under autocast the critic's layers compute in bfloat16, but features, scores and the gradient are float32, so that
    neither the sum of many squares nor the norm is rounded to three digits.
    """
    wanted = torch.is_grad_enabled()
    leaf = features.detach().to(torch.promote_types(features.dtype, torch.float32)).requires_grad_()
    with torch.enable_grad():
        return _slope(critic(leaf), leaf, is_differentiable=wanted)


def _slope(scores: Values, features: Features, *, is_differentiable: bool) -> Float[Tensor, "batch size"]:
    total = scores.to(features.dtype).sum()
    (gradient,) = torch.autograd.grad(total, features, create_graph=is_differentiable)
    return gradient.flatten(1)
