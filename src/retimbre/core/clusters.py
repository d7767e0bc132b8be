"""K-means: a set of vectors as K points, such that every vector is near one of them.

It finds K centres for which the squared distances from each vector to its nearest centre are small together. Numbering
the centres turns every vector into one of K words, or into a count in one of K bins. The answer depends on where the
search starts; the start takes its chance from a generator, so that the same vectors and seed give the same centres.

References:
    Arthur and Vassilvitskii, "k-means++: The advantages of careful seeding", SODA 2007,
    https://theory.stanford.edu/~sergei/papers/kMeansPP-soda.pdf
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Vectors that the first centres are chosen among: seeding goes through all of them once for every centre.
_SEEDING_VECTORS = 16_384

# Vectors whose distances to all centres are held at a time.
_CHUNK_VECTORS = 8192


def k_means(
    vectors: Float[Tensor, "vectors width"], count: int, generator: torch.Generator, *, num_rounds: int
) -> Float[Tensor, "count width"]:
    """Centres of `count` clusters, by Lloyd's algorithm from a k-means++ start.

    A centre that is nearest to no vector stays where it is.
    """
    centres = first_centres(vectors, count, generator)
    for _ in range(num_rounds):
        labels = nearest(vectors, centres)
        sizes = torch.bincount(labels, minlength=count)
        sums = torch.zeros_like(centres, dtype=torch.float64).index_add_(0, labels, vectors.double())
        means = (sums / sizes.clamp_min(1)[:, None]).to(vectors.dtype)
        centres = torch.where(sizes[:, None] > 0, means, centres)
    return centres


def first_centres(
    vectors: Float[Tensor, "vectors width"], count: int, generator: torch.Generator
) -> Float[Tensor, "count width"]:
    """Vectors drawn one after the other, each with a chance that grows with its distance from those drawn before."""
    order = torch.randperm(len(vectors), generator=generator)[:_SEEDING_VECTORS]
    candidates = vectors[order]
    chosen = [candidates[0]]
    distance = torch.full((len(candidates),), torch.inf, dtype=vectors.dtype)
    for _ in range(1, count):
        distance = torch.minimum(distance, (candidates - chosen[-1]).square().sum(1))
        # The cumulative sum in float64 has a place for each of them; where all distances are zero, the last is drawn.
        places = distance.double().cumsum(0)
        drawn = torch.rand((), generator=generator, dtype=torch.float64) * places[-1]
        chosen.append(candidates[int(torch.searchsorted(places, drawn).clamp_max(len(places) - 1))])
    return torch.stack(chosen)


def nearest(
    vectors: Float[Tensor, "vectors width"], centres: Float[Tensor, "centres width"]
) -> Int[Tensor, " vectors"]:
    """The number of the centre that is nearest to each vector."""
    # The squared length of a vector is the same for all centres, so it is left out of the distance.
    half_squares = 0.5 * centres.square().sum(1)
    parts = [(half_squares - part @ centres.T).argmin(1) for part in vectors.split(_CHUNK_VECTORS)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=vectors.device)
