"""Where training runs, in which precision, and from which random stream.

A *device* is a processor with its memory: the CPU or a CUDA GPU. `auto` takes a GPU if there is one.

*Precision*: weights stay in float32. With bf16, PyTorch's autocast runs the matrix products and convolutions in
bfloat16, which has the range of float32 with 8 bits of mantissa: about twice as fast where the hardware knows it, and
with no need to scale the loss as float16 has. Sums and losses stay in float32.

*Random streams*: layers such as dropout draw from one global stream per device. `restart_random` moves all of them to
an address, (seed, purpose, step), so that what a step draws depends on the step alone: not on what was drawn before,
nor on the number of devices, nor on whether the run was stopped in between.
"""

import contextlib
import enum
import os
import platform
from typing import Any

import torch

from retimbre.core import random
from retimbre.core.errors import ConfigError, near_miss

DEVICE_NAMES = ("auto", "cpu", "cuda")


class Precision(enum.StrEnum):
    """The number format of matrix products and convolutions."""

    FP32 = "fp32"
    BF16 = "bf16"

    def autocast(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        """A context in which the operations on a device that profit from it run in this precision."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self is Precision.BF16)


def pick_device(name: str) -> torch.device:
    """The device of a name.

    Args:
        name: `cpu`, `cuda`, or `auto`: the GPU if there is one, else the CPU.

    Raises:
        ConfigError: another name, or `cuda` on a machine where PyTorch finds none.
    """
    if name not in DEVICE_NAMES:
        raise ConfigError(f"device is {name!r}; {near_miss(name, DEVICE_NAMES)}")
    if name == "cuda" and not torch.cuda.is_available():
        built = "it is built without CUDA" if torch.version.cuda is None else "it finds no GPU"
        raise ConfigError(
            f"device 'cuda' is not available to PyTorch {torch.__version__}: {built}; takes cpu or auto"
        )
    use_cuda = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_cuda else "cpu")


def set_threads(num_threads: int) -> None:
    """Lets CPU operations use this many threads; 0 leaves PyTorch's choice. Raises ConfigError if it is negative."""
    if num_threads < 0:
        raise ConfigError(f"threads is {num_threads}; takes 0 (PyTorch's choice) or more")
    if num_threads > 0:
        torch.set_num_threads(num_threads)


def make_deterministic() -> None:
    """Makes the rest of the process repeat itself bit for bit on a GPU, somewhat slower. On a CPU it already does.

    An operation without a deterministic form warns and runs. Call it before the first CUDA operation: cuBLAS reads
    its workspace setting once.

    References:
        https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)


def restart_random(seed: int, purpose: str, step: int) -> None:
    """Moves PyTorch's global random streams, of the CPU and of every GPU in use, to the address of a step."""
    address = random.key(seed, purpose, step)
    # torch.manual_seed would do it too, but walks the call stack each time while CUDA is not in use.
    torch.default_generator.manual_seed(address)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(address)


def describe() -> dict[str, Any]:
    """What this machine offers, as JSON can hold it: for `doctor`, and beside every published figure."""
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [_describe_gpu(index) for index in range(torch.cuda.device_count())],
    }


def _describe_gpu(index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    return {
        "name": properties.name,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "capability": f"{properties.major}.{properties.minor}",
    }
