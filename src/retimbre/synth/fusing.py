"""Loops over the audio that a compiler may fuse.

A voice spends its time in a few functions that touch every sample, and in many small operations on short
tensors, a few numbers per block. `fusible` marks functions of either sort. They run as ordinary torch code,
one operation after another, until a `fused()` block says otherwise: then each is compiled by torch into a few
loops, which is several times faster and takes seconds to make, once for each shape of its inputs. Under
`fused()` without a compiler they run as ordinary code.

A fusible function does one sort of work or the other. With block arithmetic inside a loop over the audio, a
compiler would repeat it at every sample.
"""

import contextlib
import contextvars
import functools
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch

Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")

_fusing: contextvars.ContextVar[bool] = contextvars.ContextVar("fusing", default=False)


def fusible(function: Callable[Inputs, Output]) -> Callable[Inputs, Output]:
    """Marks a function of tensors and plain values that is compiled when called under `fused`."""
    compiled = functools.cache(lambda: torch.compile(function, dynamic=False, fullgraph=True))

    @functools.wraps(function)
    def call(*inputs: Inputs.args, **named: Inputs.kwargs) -> Output:
        return (compiled() if _fusing.get() else function)(*inputs, **named)

    return call


@contextlib.contextmanager
def fused(device: torch.device) -> Iterator[None]:
    """Inside, fusible functions are compiled, if the device has a compiler."""
    token = _fusing.set(compiler_available(device))
    try:
        yield
    finally:
        _fusing.reset(token)


def compiler_available(device: torch.device) -> bool:
    """Whether torch can compile for a device: a C++ compiler for the CPU, Triton for a GPU."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++"))
