"""The games that a generator and a critic play: what each tries to make small, given the critic's scores.

A critic gives every clip a score, higher for what it takes to be real. A loss turns the scores of real and generated
clips into two values: one that is small when the critic tells them apart, one that is small when the generator
deceives it. The games differ in how much a score counts that is already clear:

    wgan             the difference of scores itself; the critic has to be kept from growing steep without bound by a
                     gradient penalty (`penalties`), else the values mean nothing
    lsgan            squared distance of scores from 1 (real) and 0 (generated)
    non-saturating   the logarithm of the probability that the critic is right, or, for the generator, wrong
    logistic         the same game by its other name: losses of the published progressive GAN code were called DCGAN
                     and Logistic, and differ only in how they are written down
    relativistic     the same logarithm for pairs: how clearly a real clip is scored above a generated one. Only the
                     difference counts, so a generator cannot win by lifting one region where all real clips lie

Row i of a value depends on row i of the scores alone (in `relativistic`, the real and the generated clip of row i are
the pair), so that a batch may be split between steps and processes at will.

References:
    Arjovsky et al. (2017), Wasserstein GAN, https://arxiv.org/abs/1701.07875
    Mao et al. (2017), Least squares generative adversarial networks, https://arxiv.org/abs/1611.04076
    Goodfellow et al. (2014), Generative adversarial nets, https://arxiv.org/abs/1406.2661
    Jolicoeur-Martineau (2019), The relativistic discriminator, https://arxiv.org/abs/1807.00734
    Huang et al. (2024), The GAN is dead; long live the GAN! A modern baseline GAN, https://arxiv.org/abs/2501.05441
"""

import abc
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

Scores = Float[Tensor, " batch"]


class Loss(abc.ABC):
    """What a critic and a generator make small, as a value per row; the caller takes the mean.

    Values are float32 or finer whatever the scores are in, and their gradients stay finite at scores of any size that
    a float32 can square.

    Attributes:
        uses_real_in_generator: Whether the generator's value depends on the scores of real clips, which then have to
            be computed for its step too.
    """

    uses_real_in_generator: ClassVar[bool] = False

    @abc.abstractmethod
    def critic(self, real: Scores, fake: Scores) -> Scores:
        """The critic's value for the scores of a real and a generated clip per row."""

    @abc.abstractmethod
    def generator(self, real: Scores, fake: Scores) -> Scores:
        """The generator's value. Unless `uses_real_in_generator`, `real` is passed over and may be anything."""


@final
class Wasserstein(Loss):
    """The difference of scores."""

    def critic(self, real: Scores, fake: Scores) -> Scores:
        """How far generated clips score above real ones."""
        return _full(fake) - _full(real)

    def generator(self, real: Scores, fake: Scores) -> Scores:
        """The score, negated."""
        return -_full(fake)


@final
class LeastSquares(Loss):
    """Half the squared distance of scores from 1 for real and 0 for generated clips."""

    def critic(self, real: Scores, fake: Scores) -> Scores:
        """Smallest where real clips score 1 and generated ones 0."""
        return 0.5 * (_full(real) - 1.0).square() + 0.5 * _full(fake).square()

    def generator(self, real: Scores, fake: Scores) -> Scores:
        """Smallest where generated clips score 1."""
        return 0.5 * (_full(fake) - 1.0).square()


@final
class NonSaturating(Loss):
    """Cross-entropy of the critic's guess, sigmoid(score) being the probability that a clip is real.

    The generator raises the logarithm of the probability that its clip is taken for real, rather than lowering the
    logarithm of the other: its gradient is largest where the critic is sure, not smallest.
    """

    def critic(self, real: Scores, fake: Scores) -> Scores:
        """-log p(real is real) - log p(fake is not)."""
        return softplus(-_full(real)) + softplus(_full(fake))

    def generator(self, real: Scores, fake: Scores) -> Scores:
        """-log p(fake is real)."""
        return softplus(-_full(fake))


@final
class Relativistic(Loss):
    """Cross-entropy of the guess which clip of a pair is the real one."""

    uses_real_in_generator: ClassVar[bool] = True

    def critic(self, real: Scores, fake: Scores) -> Scores:
        """-log p(the real one is taken for it)."""
        return softplus(_full(fake) - _full(real))

    def generator(self, real: Scores, fake: Scores) -> Scores:
        """-log p(the generated one is taken for the real)."""
        return softplus(_full(real) - _full(fake))


LOSSES: dict[str, Loss] = {
    "wgan": Wasserstein(),
    "lsgan": LeastSquares(),
    "non-saturating": NonSaturating(),
    "logistic": NonSaturating(),
    "relativistic": Relativistic(),
}


def _full(scores: Scores) -> Scores:
    """At least float32: bfloat16 has two or three digits, too few for the difference of two scores."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
