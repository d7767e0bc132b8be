"""How far a sound is from the nearest one of another set: whether a generator invents or repeats its training sounds.

Distances to the training set mean something beside those of held-out real sounds to it: a set of copies is much nearer
to the training set than new sounds of the same kind are.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.pairs import blocks, squared_distances


def nearest_distance(estimate: Vectors, training: Vectors) -> Float64[Tensor, " clips"]:
    """The Euclidean distance of each clip to its nearest vector of the training set, averaged over the clip's vectors.

    Raises:
        ConfigError: Vectors of different sizes.
    """
    if estimate.dim != training.dim:
        raise ConfigError(
            f"distances take vectors of one size; the training set has {training.dim} numbers per vector, the set "
            f"judged {estimate.dim}"
        )
    origin = training.values.mean(dim=0)
    known, asked = training.values - origin, estimate.values - origin
    parts = blocks(len(asked), len(known))
    squared = [squared_distances(asked[part], known).min(dim=1).values for part in parts]
    sums = torch.zeros(estimate.num_clips, dtype=torch.float64, device=asked.device)
    sums.index_add_(0, estimate.clips, torch.cat(squared).sqrt())
    return sums / estimate.rows_per_clip
