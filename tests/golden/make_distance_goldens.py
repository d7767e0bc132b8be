"""Makes distances.json: distances of sets by torch-fidelity, prdc and scikit-learn, nothing of retimbre.

The sets are seeded NumPy streams, so the tests recompute them from this file instead of storing them. torch-fidelity's
functions on tensors use nothing of its modules for pictures, which are left out. Its Gaussian kernel is given the
bandwidth of KAD, the median distance within the reference, by SciPy.

    python tests/golden/make_distance_goldens.py       needs torch-fidelity 0.4, prdc 0.2, scikit-learn and scipy
"""

import contextlib
import importlib.metadata
import importlib.util
import io
import json
import sys
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

CLASSES = 12
SPLITS = 10
NEIGHBOURS = 5


def sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs (reference, set judged) of vectors in float64, by the name of what distinguishes them."""
    stream = np.random.default_rng(20261121)
    real = stream.standard_normal((300, 16))
    mixing = stream.standard_normal((16, 16)) / 4.0
    scales = 10.0 ** np.linspace(-3.0, 1.0, 16)
    return {
        "same distribution": (real, stream.standard_normal((300, 16))),
        "shifted": (real, stream.standard_normal((300, 16)) + 0.5),
        "narrower": (real, 0.5 * stream.standard_normal((300, 16))),
        "correlated": (real @ mixing, stream.standard_normal((300, 16)) @ mixing.T),
        "stretched": (real * scales, 1.2 * stream.standard_normal((300, 16)) * scales),
        "heavy tails": (real, stream.standard_t(3.0, (300, 16))),
        "far from zero": (real + 50.0, stream.standard_normal((300, 16)) + 50.2),
        "wide": (stream.standard_normal((150, 100)), 1.1 * stream.standard_normal((150, 100))),
    }


def logits() -> np.ndarray:
    """What a fair classifier says of 500 clips."""
    stream = np.random.default_rng(20261122)
    return (
        2.0 * stream.standard_normal((500, CLASSES)) + 4.0 * np.eye(CLASSES)[stream.integers(0, CLASSES, 500)]
    )


def _torch_fidelity() -> None:
    """Makes torch-fidelity's arithmetic importable without what reads pictures: torchvision, Pillow, progress bars."""
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(importlib.util.find_spec("torch_fidelity").submodule_search_locations)
    bars = types.ModuleType("tqdm")
    bars.tqdm = lambda things, **_: things
    sys.modules.update(torch_fidelity=package, tqdm=bars)
    sys.modules["torch_fidelity.utils"] = MagicMock()


def distances(real: np.ndarray, judged: np.ndarray) -> dict[str, float]:
    """Every distance that these libraries have."""
    import torch
    from prdc import compute_prdc
    from scipy.spatial.distance import pdist
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    first, second = torch.from_numpy(real), torch.from_numpy(judged)
    whole = {"kid_subsets": 1, "kid_subset_size": len(real), "verbose": False}
    bandwidth = float(np.median(pdist(real)))
    with contextlib.redirect_stdout(io.StringIO()):
        four = compute_prdc(real, judged, NEIGHBOURS)
    statistics = (fid_features_to_statistics(first), fid_features_to_statistics(second))
    gaussian = {"kid_kernel": "rbf", "kid_kernel_rbf_sigma": bandwidth}
    balls = prc_features_to_metric(
        second, first, prc_neighborhood=NEIGHBOURS, save_cpu_ram=False, verbose=False
    )
    return {
        "fid": fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"],
        "kid": kid_features_to_metric(first, second, **whole)["kernel_inception_distance_mean"],
        "rbf": kid_features_to_metric(first, second, **whole, **gaussian)["kernel_inception_distance_mean"],
        "bandwidth": bandwidth,
        "tf_precision": balls["precision"],
        "tf_recall": balls["recall"],
        **{name: float(value) for name, value in four.items()},
    }


def main() -> None:
    """Writes distances.json beside this file."""
    _torch_fidelity()
    import torch
    from torch_fidelity.metric_isc import isc_features_to_metric

    said = torch.from_numpy(logits())
    scores = {
        str(splits): isc_features_to_metric(said, splits=splits, shuffle=False)["inception_score_mean"]
        for splits in (1, SPLITS)
    }
    goldens = {
        "versions": {name: importlib.metadata.version(name) for name in ("torch-fidelity", "prdc", "scipy")},
        "inception_score": scores,
        "distances": {name: distances(*pair) for name, pair in sets().items()},
    }
    path = Path(__file__).with_name("distances.json")
    path.write_text(json.dumps(goldens, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
