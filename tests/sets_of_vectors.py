"""Sets of vectors for the tests of distances, and what other libraries measured between some of them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import torch

from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors

_FOLDER = Path(__file__).parent / "golden"
GOLDENS = json.loads((_FOLDER / "distances.json").read_text(encoding="utf-8"))

FEW = Bootstrap(resamples=20)
"""For tests that look at the value alone."""


def _script() -> ModuleType:
    path = _FOLDER / "make_distance_goldens.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAIRS = {
    name: (Vectors.of(torch.from_numpy(real)), Vectors.of(torch.from_numpy(judged)))
    for name, (real, judged) in _script().sets().items()
}
LOGITS = Vectors.of(torch.from_numpy(_script().logits()))


def gaussian(rows: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Independent normal numbers in float64."""
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(clips: int, dim: int, seed: int = 0) -> Vectors:
    """A set of clips of one normal vector each."""
    return Vectors.of(gaussian(clips, dim, seed))


def in_windows(clips: int, windows: int, dim: int, seed: int = 0) -> Vectors:
    """A set of clips of several vectors each, alike within a clip."""
    centres = gaussian(clips, dim, seed).repeat_interleave(windows, dim=0)
    numbers = torch.arange(clips).repeat_interleave(windows)
    return Vectors(centres + 0.1 * gaussian(clips * windows, dim, seed + 1), numbers)
