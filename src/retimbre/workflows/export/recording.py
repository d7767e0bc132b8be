"""What a module does differently while its graph is recorded for other programs.

**The Fourier transform** becomes a convolution. ONNX has an operator for the short-time Fourier transform, and it is
not used here: onnxruntime 1.31 computes it well for frames of 256, 512, 1024 samples, but for frames of 1,000, which
are those of mel bands at 16 kHz, a band 80 dB below the loudest is wrong by up to 0.3 dB, a hundred times what rounding
does. And the small runtimes of browsers, phones and plug-ins lack it. Every one of them has convolution, and a Fourier
transform of frames is one, whose kernels are the windowed cosines and sines. Written out these kernels are large (36 MB
for frames of 3,000 samples), but an angle only matters modulo a whole turn, so all of them are made of n_fft different
cosines and as many sines. The file holds those, and the graph looks the kernels up in them, which a runtime does once,
when it loads the file.

**The logarithm of a sigmoid** is minus a softplus. Written as what its name says, as the exporter does, it is minus
infinity where the sigmoid of -104 and less rounds to zero, and loses digits long before.

**A batch is not split.** Some modules take a large batch a few clips at a time to save memory. How many pieces there
are depends on the size of the batch, which a graph leaves open; so it has one piece.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@final
class Recording(TorchFunctionMode):
    """While it is entered, calls of torch are as a graph should have them."""

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
        if func is functional.logsigmoid:
            return -functional.softplus(-args[0])
        if func is Tensor.split and not isinstance(args[0].shape[named.get("dim", 0)], int):
            return (args[0],)
        return func(*args, **named)


def stft_by_convolution(
    audio: Float[Tensor, "batch samples"], n_fft: int, hop_length: int, window: Float[Tensor, " n_fft"]
) -> Complex[Tensor, "batch bins frames"]:
    """What `torch.stft` gives without centring, to the rounding of sums of n_fft products.

    Args:
        audio: Sounds of n_fft samples or more.
        n_fft: Points of the transform.
        hop_length: Samples from one frame to the next.
        window: What each frame is multiplied by.
    """
    turn = [2.0 * math.pi * step / n_fft for step in range(n_fft)]
    waves = torch.tensor(
        [[math.cos(angle) for angle in turn], [-math.sin(angle) for angle in turn]],
        dtype=audio.dtype,
        device=audio.device,
    )
    bins = torch.arange(n_fft // 2 + 1, device=audio.device)
    step = bins[:, None] * torch.arange(n_fft, device=audio.device) % n_fft
    kernels = waves[:, step].flatten(0, 1) * window
    real, imaginary = functional.conv1d(audio[:, None], kernels[:, None], stride=hop_length).chunk(2, dim=1)
    return torch.complex(real, imaginary)
