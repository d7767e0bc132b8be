"""Whether an exported file says what the model says: both are given the same inputs, and their outputs compared.

A translation can fail silently: an operator whose edge case differs, a table that was rounded. So each file is run by
onnxruntime, one clip at a time and several at once, before it is put in its place. Sums in another order round
differently, and decibels of what is nearly nothing magnify that: differences of a millionth are usual, and each part
says the most that is let through.

A logarithm is as exact as its probability is only where that is not small. Differences of logarithms are therefore
taken relative to their size, where that is above 1: what would change ln p = -30 by 1e-3 changes nothing.
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from retimbre.core.errors import CheckpointError, RetimbreError
from retimbre.workflows.export.part import TOLERANCE, Part


def session(model: bytes, name: str) -> Any:
    """A graph in onnxruntime, on the CPU, with as many threads as torch has.

    Raises:
        RetimbreError: onnxruntime cannot run it.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as refusals  # pyright: ignore (compiled)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (
        refusals.Fail,
        refusals.InvalidGraph,
        refusals.InvalidProtobuf,
        refusals.NotImplemented,
    ) as error:
        raise RetimbreError(f"{name}: onnxruntime cannot run it: {str(error).splitlines()[0]}") from error


def largest_differences(part: Part, model: bytes) -> dict[str, float]:
    """For each output, the largest difference between torch and onnxruntime over all trials of a part.

    Raises:
        CheckpointError: The model itself says NaN, which any file that is as broken would agree with.
    """
    runtime = session(model, part.name)
    wanted = {given.name for given in runtime.get_inputs()}
    largest = dict.fromkeys(part.outputs, 0.0)
    for trial in part.trials.values():
        with torch.no_grad():
            expected = part.module(*trial)
        expected = expected if isinstance(expected, tuple) else (expected,)
        fed = {
            name: tensor.numpy() for name, tensor in zip(part.inputs, trial, strict=True) if name in wanted
        }
        found = runtime.run(list(part.outputs), fed)
        for name, here, there in zip(part.outputs, expected, found, strict=True):
            if bool(here.isnan().any()):
                raise CheckpointError(f"{part.name}: its {name} is NaN; the weights are damaged")
            largest[name] = max(largest[name], difference(here.numpy(), there))
    return largest


def difference(
    expected: Float[np.ndarray, "*shape"] | NDArray[Any], found: Float[np.ndarray, "*shape"] | NDArray[Any]
) -> float:
    """The largest difference, relative to what is expected where that is above 1; infinite where only one is finite."""
    finite = np.isfinite(expected)
    if expected.shape != found.shape or not np.array_equal(finite, np.isfinite(found)):
        return math.inf
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True):
        return math.inf
    size = np.maximum(np.abs(expected[finite]), 1.0)
    return float(np.max(np.abs(expected[finite] - found[finite]) / size, initial=0.0))


def refuse_others(name: str, found: dict[str, float], tolerance: float = TOLERANCE) -> None:
    """Refuses a file that is not what it was made from.

    Args:
        name: Of the part.
        found: Its largest differences.
        tolerance: Of the part.

    Raises:
        RetimbreError: One of them is above it.
    """
    worst = max(found, key=lambda output: found[output])
    if not found[worst] <= tolerance:
        raise RetimbreError(
            f"{name}: the difference of {worst} between onnxruntime and torch is {found[worst]:.2g}, but "
            f"{tolerance:g} is allowed; nothing was written"
        )
