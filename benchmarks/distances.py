"""How fast and how exact are the distances of sets, against the libraries that others measure with?

Two normal sets, the second a little wider and shifted. For every measure: seconds of one core for the value alone, and
with the interval of 200 resamples; seconds of the other library for the value; the ratio of the two; the relative
difference of the values. The libraries give no intervals. Time is that of the process, so a busy machine disturbs
little; the value is measured several times and the best counts, the interval once.

    python benchmarks/distances.py --clips 1000 --dims 64 128 512       needs torchmetrics and scipy (extra `dev`)

prdc and torch-fidelity (https://github.com/toshas/torch-fidelity, whose Gaussian kernel is KAD's) are compared with
where they are installed.
"""

import argparse
import functools
import importlib.util
import io
import sys
import time
import types
from collections.abc import Callable
from contextlib import redirect_stdout
from unittest.mock import MagicMock

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore as TheirScore
from torchmetrics.image.kid import KernelInceptionDistance

from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.catalog import DISTANCES
from retimbre.metrics.distances.frechet import FrechetDistance
from retimbre.metrics.distances.inception import InceptionScore
from retimbre.metrics.distances.mmd import median_distance
from retimbre.metrics.distances.sliced import SlicedWasserstein

RESAMPLES = 200
CLASSES = 61


class Identity(torch.nn.Module):
    """The features are the vectors."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """What it was given."""
        return features


def torchmetrics_fad(real: torch.Tensor, judged: torch.Tensor) -> float:
    metric = FrechetInceptionDistance(feature=Identity(real.shape[1]), input_img_size=(real.shape[1],))
    metric.set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(judged, real=False)
    return float(metric.compute())


def torchmetrics_kid(real: torch.Tensor, judged: torch.Tensor) -> float:
    metric = KernelInceptionDistance(feature=Identity(real.shape[1]), subsets=1, subset_size=len(real))
    metric.update(real, real=True)
    metric.update(judged, real=False)
    return float(metric.compute()[0])


def torchmetrics_is(real: torch.Tensor, judged: torch.Tensor) -> float:
    metric = TheirScore(feature=Identity(CLASSES), splits=1)
    metric.update(judged[:, :CLASSES])
    return float(metric.compute()[0])


@functools.cache
def fidelity_mmd() -> Callable[..., dict[str, float]]:
    """torch-fidelity's arithmetic without what reads pictures."""
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(importlib.util.find_spec("torch_fidelity").submodule_search_locations)
    package.__spec__ = importlib.util.find_spec("torch_fidelity")
    sys.modules.update({"torch_fidelity": package, "torch_fidelity.utils": MagicMock(), "tqdm": MagicMock()})
    sys.modules["tqdm"].tqdm = lambda things, **_: things
    from torch_fidelity.metric_kid import kid_features_to_metric

    return kid_features_to_metric


def fidelity_kad(real: torch.Tensor, judged: torch.Tensor) -> float:
    found = fidelity_mmd()(
        real,
        judged,
        kid_subsets=1,
        kid_subset_size=len(real),
        kid_kernel="rbf",
        kid_kernel_rbf_sigma=median_distance(real, 0),
        verbose=False,
    )
    return 100.0 * found["kernel_inception_distance_mean"]


def scipy_imq(real: torch.Tensor, judged: torch.Tensor) -> float:
    first, second = real.numpy(), judged.numpy()
    total = 0.0
    for values in (first, second):
        similar = 16.0 / (16.0 + cdist(values, values, "sqeuclidean"))
        total += (similar.sum() - np.trace(similar)) / (len(values) * (len(values) - 1))
    return float(total - 2.0 * (16.0 / (16.0 + cdist(first, second, "sqeuclidean"))).mean())


def prdc_coverage(real: torch.Tensor, judged: torch.Tensor) -> float:
    from prdc import compute_prdc

    with redirect_stdout(io.StringIO()):
        return float(compute_prdc(real.numpy(), judged.numpy(), nearest_k=5)["coverage"])


def numpy_mind(real: torch.Tensor, judged: torch.Tensor) -> float:
    directions = SlicedWasserstein().directions(real.shape[1]).numpy().T
    gaps = np.sort(real.numpy() @ directions, axis=0) - np.sort(judged.numpy() @ directions, axis=0)
    return float(3.0 * real.shape[1] * (gaps**2).mean())


OTHERS: dict[str, tuple[str, str, Callable[[torch.Tensor, torch.Tensor], float]]] = {
    "fad": ("torchmetrics", "torchmetrics", torchmetrics_fad),
    "kid": ("torchmetrics", "torchmetrics", torchmetrics_kid),
    "is": ("torchmetrics", "torchmetrics", torchmetrics_is),
    "kad": ("torch-fidelity", "torch_fidelity", fidelity_kad),
    "imq": ("scipy", "scipy", scipy_imq),
    "prdc": ("prdc", "prdc", prdc_coverage),
    "mind": ("numpy", "numpy", numpy_mind),
}


def ours(name: str, real: Vectors, judged: Vectors, resamples: int) -> float:
    how = Bootstrap(resamples=resamples)
    if name == "is":
        return (
            InceptionScore(splits=1)
            .measure(Vectors.of(judged.values[:, :CLASSES]), how)
            .values["value"]
            .value
        )
    # The extrapolation is a figure of its own, so it is timed with the interval only.
    plain = FrechetDistance(infinity="none", small_sets="mark")
    settings = {"fad": plain} if resamples == 1 else {"fad": FrechetDistance(small_sets="mark")}
    return settings.get(name, DISTANCES[name]).measure(real, judged, how).values["value"].value


def seconds(run: Callable[[], float], repeats: int) -> tuple[float, float]:
    best, value = float("inf"), 0.0
    for _ in range(repeats):
        start = time.process_time()
        value = run()
        best = min(best, time.process_time() - start)
    return best, value


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the distances of sets against other libraries.")
    parser.add_argument("--clips", type=int, nargs="+", default=[1000])
    parser.add_argument("--dims", type=int, nargs="+", default=[64, 128, 512])
    parser.add_argument("--measures", nargs="+", default=[*OTHERS, "ndb"])
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the best counts (default 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"seconds of one core; interval of {RESAMPLES} resamples; ratio of the other's value to ours")
    print(
        f"{'clips':>6}{'dim':>5} {'measure':<6}{'value':>9}{'interval':>10}{'other':>9}{'ratio':>8}{'difference':>12}"
    )
    for clips in options.clips:
        for dim in options.dims:
            source = torch.Generator().manual_seed(0)
            first, second = (torch.randn(clips, dim, generator=source, dtype=torch.float64) for _ in range(2))
            second = 1.1 * second + 0.05
            real, judged = Vectors.of(first), Vectors.of(second)
            for name in options.measures:
                print(row(name, real, judged, options.repeats), flush=True)


def row(name: str, real: Vectors, judged: Vectors, repeats: int) -> str:
    value_s, value = seconds(lambda: ours(name, real, judged, 1), repeats)
    interval_s, _ = seconds(lambda: ours(name, real, judged, RESAMPLES), 1)
    opening = f"{real.num_clips:>6}{real.dim:>5} {name:<6}{value_s:>9.3f}{interval_s:>10.2f}"
    library, module, compute = OTHERS.get(name, ("", "", None))
    if compute is None or importlib.util.find_spec(module) is None:
        return f"{opening}{'-':>9}{'-':>8}{'-':>12}  {library}"
    other_s, expected = seconds(lambda: compute(real.values, judged.values), repeats)
    difference = abs(value / expected - 1.0)
    return f"{opening}{other_s:>9.3f}{other_s / value_s:>7.1f}x{difference:>12.1e}  {library}"


if __name__ == "__main__":
    main()
