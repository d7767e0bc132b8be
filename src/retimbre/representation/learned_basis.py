"""A learned basis as a representation: a sound is its codes, the amounts of functions that were found by training.

The functions and how codes are found come from a file (`gan.basis` trains them). There are two kinds of code. A
*sparse* one is found by a pursuit (`dsp.pursuit`): the few functions that explain most, with signs. A *rectified* one
is a convolution with kernels of its own and then no negative values, as in a convolutional autoencoder. Either way
the sound is linear in its codes.

Neither is exact. A sparse code keeps what `nonzeros_per_s` values a second can hold, which is the point of it; a
rectified one what its training reached. What is kept is measured in docs/studies/basis.md.
"""

import dataclasses
import functools
import importlib.resources
import json
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from retimbre.core.config import build
from retimbre.core.errors import CheckpointError, ConfigError, RetimbreError
from retimbre.core.files import fingerprint, sha256_of
from retimbre.dsp.pursuit import PursuitSettings, pursue
from retimbre.representation.base import Representation, check_finite
from retimbre.representation.basis_functions import (
    AnyFunctions,
    FreeFunctions,
    WindowedConfig,
    WindowedFunctions,
)

KIND = "basis"
SHIPPED = "piano-basis"

_MOST_PER_S = 1e6


@final
@dataclasses.dataclass(frozen=True)
class BasisConfig:
    """What a basis is: its functions and how codes are found."""

    functions: AnyFunctions = dataclasses.field(default_factory=WindowedConfig)
    """Their family, and what they may become."""
    code: Literal["sparse", "rectified"] = "sparse"
    """By a pursuit, or by one convolution with kernels of its own; the latter for `free` functions."""
    sample_rate: int = 16_000
    """Of the sounds that it was trained on, in Hz."""

    def __post_init__(self) -> None:
        """Refuses rectified codes of functions that have no encoder."""
        if self.code == "rectified" and self.functions.kind != "free":
            raise ConfigError(
                f"code is 'rectified', but functions of kind {self.functions.kind!r} have no encoder; takes 'sparse', "
                "or functions of kind 'free'"
            )
        if self.sample_rate < 1:
            raise ConfigError(f"sample_rate is {self.sample_rate}, but takes 1 or more")


@final
class Basis(nn.Module):
    """Functions with the way to codes and back; codes are as a network sees them.

    Attributes:
        config: What it is.
        functions: The dictionary.
    """

    def __init__(self, config: BasisConfig) -> None:
        super().__init__()
        self.config = config
        self.functions: WindowedFunctions | FreeFunctions = config.functions.build()

    def encode(
        self, audio: Float[Tensor, "batch samples"], num_nonzeros: int, settings: PursuitSettings
    ) -> Float[Tensor, "batch channels ..."]:
        """The codes of clips.

        Args:
            num_nonzeros: Of each clip; passed over by rectified codes, as the settings are.
        """
        if self.config.code == "rectified" and isinstance(self.functions, FreeFunctions):
            return self.functions.folded(self.functions.encode_once(audio))
        return self.functions.folded(pursue(self.functions, audio, num_nonzeros, settings))

    def decode(
        self, codes: Float[Tensor, "batch channels ..."], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sum of the functions."""
        flat = self.functions.flat(codes)
        if self.config.code == "rectified" and isinstance(self.functions, FreeFunctions):
            return self.functions.decode_once(flat, num_samples=num_samples)
        return self.functions.combine(flat, num_samples=num_samples)

    def num_codes(self, num_samples: int) -> int:
        """Codes of a clip, zeros and others."""
        functions = self.functions
        padded = functions.padded(num_samples)
        if isinstance(functions, WindowedFunctions):
            return 2 * len(functions.config.num_bands) * padded
        return padded // functions.config.stride * functions.config.num_functions

    def num_nonzeros(self, nonzeros_per_s: float, num_samples: int, sample_rate: int) -> int:
        """How many values a clip may have: one at least, and for short clips as many as there are codes."""
        return max(1, min(self.num_codes(num_samples), round(nonzeros_per_s * num_samples / sample_rate)))


@final
@dataclasses.dataclass(frozen=True)
class LearnedBasis(Representation):
    """Codes of a learned basis: `[batch, 2 * scales, rows, frames]` or `[batch, functions, frames]`.

    The gradient of sparse codes is that of their amounts; which functions are in changes in jumps.

    Attributes:
        weights: A shipped basis, a file or a run folder.
        nonzeros_per_s: Values of a sparse code that are not zero, per second.
        rounds: Of the pursuit; more find a better choice, and take as much longer.
        polish: Steps of conjugate gradients after it.
        sample_rate: Of the audio, in Hz; functions count in samples.
    """

    formula: ClassVar[str] = "x ≈ Σ_k c_k φ_k with at most K of the c_k not zero, φ_k learned"
    reference: ClassVar[str] = (
        "Smith & Lewicki (2006), Efficient auditory coding, https://doi.org/10.1038/nature04485; Blumensath & Davies "
        "(2008), Gradient pursuits, https://doi.org/10.1109/TSP.2007.916124"
    )

    weights: str = SHIPPED
    nonzeros_per_s: float = 1_000.0
    rounds: int = 8
    polish: int = 8
    sample_rate: int = 16_000

    def __post_init__(self) -> None:
        """Refuses no values at all, and a pursuit that ends tomorrow."""
        if not 0.0 < self.nonzeros_per_s <= _MOST_PER_S:
            raise ConfigError(
                f"nonzeros_per_s is {self.nonzeros_per_s:g}, but takes more than 0 and up to {_MOST_PER_S:g}"
            )
        _ = self.pursuit

    @property
    def exact(self) -> bool:
        """Few values cannot keep everything."""
        return False

    @property
    def pursuit(self) -> PursuitSettings:
        """How codes are found."""
        return PursuitSettings(self.rounds, self.polish)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """With as many values per second at another rate."""
        return {"sample_rate": sample_rate}

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """Audio to codes."""
        check_finite(audio)
        basis = _on_device(find_basis(self.weights), audio.device)
        num_nonzeros = basis.num_nonzeros(self.nonzeros_per_s, audio.shape[1], self.sample_rate)
        return basis.encode(audio, num_nonzeros, self.pursuit)

    def decode(
        self, features: Float[Tensor, "batch channels ..."], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Codes to audio."""
        basis = _on_device(find_basis(self.weights), features.device)
        return basis.decode(features, num_samples=num_samples)

    def identity(self) -> str:
        """Of the settings and of what the weights are, wherever they lie."""
        settings = dataclasses.asdict(self) | {"weights": sha256_of(find_basis(self.weights))}
        return fingerprint({"representation": type(self).__name__, **settings})


def find_basis(weights: str | Path) -> Path:
    """The file of a shipped basis, of a run folder, or as it was named.

    Raises:
        CheckpointError: There is no such file.
    """
    shipped = Path(str(importlib.resources.files("retimbre"))) / "checkpoints" / f"{weights}.safetensors"
    for path in (Path(weights) / "model.safetensors", Path(weights), shipped):
        if path.is_file():
            return path
    raise CheckpointError(
        f"there is no basis {str(weights)!r}; takes a file, a run folder or the shipped {SHIPPED!r}"
    )


def load_basis(weights: str | Path) -> tuple[Basis, dict[str, Any]]:
    """A basis from a shipped name, a file or a run folder, on the CPU, and what is known of it.

    Raises:
        CheckpointError: There is none, it is damaged, or it is a model of another kind.
    """
    path = find_basis(weights)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = file.metadata() or {}
            if about.get("kind") != KIND:
                raise CheckpointError(f"{path}: a model of kind {about.get('kind')!r}; takes {KIND!r}")
            metadata = json.loads(about["metadata"])
            state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
        basis = Basis(build(BasisConfig, metadata["config"], "config"))
        basis.load_state_dict(state)
    except CheckpointError:
        raise
    except (SafetensorError, OSError, RetimbreError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: damaged, or no basis: {reason}") from error
    return basis.eval().requires_grad_(False), metadata.get("facts", {})


def _on_device(path: Path, device: torch.device) -> Basis:
    about = path.stat()
    return _loaded(path, about.st_mtime_ns, about.st_size, device)


@functools.lru_cache(maxsize=8)
def _loaded(path: Path, changed_ns: int, size: int, device: torch.device) -> Basis:
    """Read once for as long as the file is the same one."""
    with torch.inference_mode(False):
        return load_basis(path)[0].to(device)
