"""From a torch module to an ONNX graph.

ONNX is a file format for functions of tensors: a graph of named operators with the weights inside, which runtimes in
many languages execute. The set of operators grows by numbered versions (opset); a runtime reads those up to its own, so
the oldest set that says all we need is the one that most can read.

torch's exporter runs the module on stand-ins for tensors, which have shapes and no numbers, and writes down the
operators that were called. The size of the batch stays a symbol and the rest is fixed. Two things need care. Tables
that the program keeps once computed (windows, mel bands) must exist before, or stand-ins would be kept in their place.
And inputs that nothing uses, such as the note of a network that is not told it, are taken off the graph.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any, final

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from retimbre.core.errors import ConfigError, RetimbreError
from retimbre.workflows.export.part import Part
from retimbre.workflows.export.recording import Recording

# What the exporter writes directly, and the newest that onnxruntime 1.20, the oldest we take, can read.
OLDEST_OPSET, NEWEST_OPSET = 18, 21

BATCH = "batch"  # the name of the first axis of everything

# Who reports on exporting by the standard library's logging.
_REPORTERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def check_opset(opset: int) -> None:
    """Refuses operator sets that cannot be written.

    Raises:
        ConfigError: It is one.
    """
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ConfigError(f"opset is {opset}, but takes {OLDEST_OPSET} to {NEWEST_OPSET}")


def to_onnx(part: Part, opset: int) -> Any:
    """A part as an `onnx.ModelProto`, self-contained, in which the first axis of everything is the batch.

    Raises:
        RetimbreError: The module does something that has no operator.
    """
    example = part.trials[next(iter(part.trials))]
    names = list(part.inputs)
    batch = torch.export.Dim(BATCH)
    with torch.no_grad(), _quiet():
        module = _Listed(part.module)
        module(*example)  # makes the tables
        try:
            with Recording():
                program = torch.onnx.export(
                    module,
                    example,
                    dynamo=True,
                    input_names=names,
                    output_names=list(part.outputs),
                    dynamic_shapes=(tuple({0: batch} for _ in names),),
                    opset_version=opset,
                    external_data=False,
                    verbose=False,
                )
        except torch.onnx.OnnxExporterError as error:
            raise RetimbreError(f"{part.name}: cannot be written as ONNX: {_reason(error)}") from error
    if program is None:
        raise RetimbreError(f"{part.name}: cannot be written as ONNX: the exporter gave nothing")
    model = program.model_proto
    _remove_unused_inputs(model.graph)
    if any(port.type.tensor_type.shape.dim[0].dim_param != BATCH for port in model.graph.input):
        raise RetimbreError(
            f"{part.name}: cannot be written as ONNX: what it does depends on the size of the batch"
        )
    return model


@final
class _Listed(nn.Module):
    """A module whose inputs are one list, so that the exporter need not know how each is called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Shaped[Tensor, "batch ..."]) -> Any:
        """What the module makes of them."""
        return self.module(*inputs)


def _remove_unused_inputs(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [given for given in graph.input if given.name in used]
    del graph.input[:]
    graph.input.extend(kept)


def _reason(error: BaseException) -> str:
    """The first line of the deepest cause: what it was that could not be translated."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error) or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the exporter tells its own developers from the reader."""
    reporters = [logging.getLogger(name) for name in _REPORTERS]
    levels = [reporter.level for reporter in reporters]
    for reporter in reporters:
        reporter.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for reporter, level in zip(reporters, levels, strict=True):
            reporter.setLevel(level)
