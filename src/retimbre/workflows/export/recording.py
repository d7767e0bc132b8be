"""What a module does differently while its graph is recorded for other programs.

**Fourier transforms** become convolutions and matrix products (`fourier`).

**Complex numbers** become pairs of real ones, since few operators take them. What treats every number alike (cutting,
joining, turning) is done to each part; products are written out. A complex tensor still passes from one function to
the next, but all that is ever asked of it is its parts, which are kept beside it; so it does not get into the graph.

**The logarithm of a sigmoid** is minus a softplus. Written as what its name says, as the exporter does, it is minus
infinity where the sigmoid of -104 and less rounds to zero, and loses digits long before.

**The running maximum** has no operator. The maximum with what stands one place before, then two, then four, and so on
is the same. Nor has the maximum of each of so many stretches, which are looked up.

**A batch is not split.** Some modules take a large batch a few clips at a time to save memory. How many pieces there
are depends on the size of the batch, which a graph leaves open; so it has one piece.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Complex, Float, Shaped
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from retimbre.core.errors import RetimbreError
from retimbre.workflows.export.fourier import Parts, fft_by_product, irfft_by_product, stft_by_convolution


def _getter(attribute: str) -> Callable[..., Any]:
    """What torch reports as called when an attribute is asked for."""
    return getattr(Tensor, attribute).__get__


_REAL, _IMAGINARY = _getter("real"), _getter("imag")
_PRODUCTS = (Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.mul)
# What may be done to each part by itself.
_BY_PARTS = (functional.pad, torch.cat, Tensor.__getitem__, Tensor.transpose, _getter("mT"), Tensor.flip)


class Maxima(NamedTuple):
    """What `cummax` gives, as far as anyone here asks."""

    values: Tensor


@final
class Recording(TorchFunctionMode):
    """While it is entered, calls of torch are as a graph should have them."""

    def __init__(self) -> None:
        super().__init__()
        # Parts of the complex tensors that were made, by identity; the tensors are kept, or theirs would be used anew.
        self._parts: dict[int, tuple[Tensor, Parts]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls the function, or its replacement."""
        named = dict(kwargs or {})
        if func is torch.stft and not named.get("center", True):
            audio, n_fft = args
            return stft_by_convolution(audio, n_fft, named["hop_length"], named["window"])
        if func in _INSTEAD:
            return _INSTEAD[func](*args, **named)
        if func is Tensor.split and not isinstance(args[0].shape[named.get("dim", 0)], int):
            return (args[0],)
        if func is torch.complex or _any_complex(args):
            return self._complex(func, args, named)
        return func(*args, **named)

    def _complex(self, func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Calls a function that takes or makes complex numbers, with their parts."""
        if func is torch.complex:
            return self._joined(*args)
        if func == _REAL:
            return self._parts_of(args[0])[0]
        if func == _IMAGINARY:
            return self._parts_of(args[0])[1]
        if func in _PRODUCTS:
            return self._joined(*self._product(*args))
        if func in _BY_PARTS:
            return self._joined(*(func(*self._each(args, part), **named) for part in (0, 1)))
        if func is torch.fft.fft and not named and len(args) == 1:
            return self._joined(*fft_by_product(*self._parts_of(args[0])))
        if func is torch.fft.irfft and len(args) == 1 and args[0].shape[-1] == named["n"] // 2 + 1:
            n_fft = named["n"]
            scale = 1.0 / (math.sqrt(n_fft) if named.get("norm") == "ortho" else n_fft)
            return irfft_by_product(*self._parts_of(args[0]), n_fft, scale)
        return func(*args, **named)

    def _joined(
        self, real: Shaped[Tensor, "*axes"], imaginary: Shaped[Tensor, "*axes"]
    ) -> Complex[Tensor, "*axes"]:
        """A complex tensor whose parts are known."""
        whole = torch.complex(real, imaginary)
        self._parts[id(whole)] = whole, (real, imaginary)
        return whole

    def _parts_of(self, whole: Complex[Tensor, "*axes"]) -> Parts:
        known = self._parts.get(id(whole))
        return (whole.real, whole.imag) if known is None else known[1]

    def _product(self, first: Any, second: Any) -> Parts:
        """The parts of a product of two numbers of which at least one is complex."""
        if not _any_complex((first,)):
            first, second = second, first
        real, imaginary = self._parts_of(first)
        if not _any_complex((second,)):
            return real * second, imaginary * second
        other_real, other_imaginary = self._parts_of(second)
        return (
            real * other_real - imaginary * other_imaginary,
            real * other_imaginary + imaginary * other_real,
        )

    def _each(self, values: Any, part: int) -> Any:
        """The same values with one part of each complex tensor among them."""
        if isinstance(values, list | tuple):
            return type(values)(self._each(value, part) for value in values)
        return self._parts_of(values)[part] if _any_complex((values,)) else values


def log_sigmoid(values: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """The logarithm of a sigmoid, also where that is nearly 0."""
    return -functional.softplus(-values)


def running_maximum(values: Shaped[Tensor, "*axes"], dim: int) -> Maxima:
    """The largest value so far along an axis."""
    largest, size = values.movedim(dim, -1), values.shape[dim]
    for step in (2**power for power in range((size - 1).bit_length())):
        # What has nothing before it is compared with itself.
        before = torch.cat([largest[..., :step], largest[..., :-step]], dim=-1)
        largest = torch.maximum(largest, before)
    return Maxima(largest.movedim(-1, dim))


def largest_of_each(
    values: Float[Tensor, "*axes places"], output_size: int, return_indices: bool = False
) -> Float[Tensor, "*axes output_size"]:
    """The largest of each of so many stretches, as equal as can be; where they are not, neighbours share a place.

    Raises:
        RetimbreError: It is also asked where the largest are.
    """
    if return_indices:
        raise RetimbreError("no graph tells where the largest of each stretch is")
    size = values.shape[-1]
    ends = [
        (place * size // output_size, -(-(place + 1) * size // output_size)) for place in range(output_size)
    ]
    widest = max(end - start for start, end in ends)
    # A place that is named twice is still the same maximum.
    index = torch.tensor([[min(start + step, end - 1) for step in range(widest)] for start, end in ends])
    return values[..., index.to(values.device)].amax(dim=-1)


# By the function of torch, what is called instead, with the same arguments.
_INSTEAD: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.logsigmoid: log_sigmoid,
    Tensor.cummax: running_maximum,
    functional.adaptive_max_pool1d: largest_of_each,
}


def _any_complex(values: Iterable[Any]) -> bool:
    """Whether a complex tensor is among them, or in a list of them."""
    return any(
        _any_complex(value)
        if isinstance(value, list | tuple)
        else isinstance(value, Tensor) and value.is_complex()
        for value in values
    )
