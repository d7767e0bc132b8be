"""Features scaled by their own statistics, so that a network sees values of about one size everywhere.

The bins of a log-spectrogram differ: low ones are loud, high ones are soft and hardly move. A network that generates
them learns faster if each has mean zero and the same spread, and its last layer can be a tanh if they all lie in
[-1, 1]. So the mean and the standard deviation of each bin (or of each bin in each frame) are measured once over a set
of clips, and then

    normalized = (x - mean) / (3 (deviation + 1e-6)),   clipped to [-1, 1]

which leaves out, of a normal distribution, the 0.3 % beyond three deviations. What was not clipped comes back as it
was. The statistics belong to one representation with one set of settings; a file of them knows which one.

References:
    Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", section 3.1 (SpecGAN),
    https://arxiv.org/abs/1802.04208
"""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from retimbre.core.errors import CheckpointError, ConfigError, UserError
from retimbre.core.files import fingerprint, whole_file
from retimbre.representation.base import Representation

FILE_KIND = "feature statistics"
# Added to the deviation: a bin that never changes is divided by this, not by zero.
EPSILON = 1e-6
DEVIATIONS = 3.0  # that become 1
Per = Literal["bin", "cell"]


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and standard deviation of the features of a representation; equal content, equal `content_hash`.

    Attributes:
        mean: In float64, with the axes of the features of one clip; the last has size 1 if they are per bin.
        deviation: Of the same shape.
        num_clips: Over how many clips.
        representation: The identity of what made the features.
    """

    mean: Float[Tensor, "channels ..."]
    deviation: Float[Tensor, "channels ..."]
    num_clips: int
    representation: str
    _kept: dict[torch.device, tuple[Tensor, Tensor]] = dataclasses.field(
        default_factory=dict, init=False, repr=False
    )

    def on(self, device: torch.device) -> tuple[Float[Tensor, "channels ..."], Float[Tensor, "channels ..."]]:
        """Mean and scale (three deviations) on a device, brought there once: every batch needs them."""
        if device not in self._kept:
            with torch.inference_mode(False):  # what is kept for later may be needed for learning then
                scale = DEVIATIONS * (self.deviation.to(device) + EPSILON)
                self._kept[device] = self.mean.to(device), scale
        return self._kept[device]

    @property
    def content_hash(self) -> str:
        """Sixteen digits that name the numbers and whose they are."""
        digest = hashlib.sha256()
        for tensor in (self.mean, self.deviation):
            digest.update(tensor.contiguous().numpy().tobytes())
        return fingerprint([digest.hexdigest(), list(self.mean.shape), self.representation])

    def save(self, path: Path) -> None:
        """Writes a whole safetensors file."""
        tensors = {"mean": self.mean.contiguous(), "deviation": self.deviation.contiguous()}
        metadata = {
            "kind": FILE_KIND,
            "num_clips": str(self.num_clips),
            "representation": self.representation,
        }
        with whole_file(path) as aside:
            save_file(tensors, aside, metadata=metadata)

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Reads what `save` wrote.

        Raises:
            CheckpointError: The file is missing, damaged or of something else.
        """
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file of {FILE_KIND}")
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                metadata = file.metadata() or {}
                if metadata.get("kind") != FILE_KIND:
                    raise CheckpointError(f"{path}: not a file of {FILE_KIND}")
                mean, deviation = file.get_tensor("mean"), file.get_tensor("deviation")
                return cls(mean, deviation, int(metadata["num_clips"]), metadata["representation"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise CheckpointError(f"{path}: damaged or not a file of {FILE_KIND}: {error}") from error


@dataclasses.dataclass(frozen=True)
class Standardized(Representation):
    """Another representation with each bin (or cell) scaled by its statistics, three deviations to one.

    Attributes:
        inner: What makes the features.
        statistics: Of its features over a set of clips.
        clip: Whether what lies beyond three deviations is cut off there.

    Raises:
        ConfigError: The statistics are those of another representation, or of other settings.
    """

    inner: Representation
    statistics: Statistics
    clip: bool = True

    formula: ClassVar[str] = "(x - mean) / (3 (deviation + 1e-6)), clipped to [-1, 1]"
    reference: ClassVar[str] = (
        'Donahue, McAuley and Puckette (2019), "Adversarial audio synthesis", https://arxiv.org/abs/1802.04208'
    )

    def __post_init__(self) -> None:
        """Refuses the statistics of something else."""
        if self.statistics.representation != self.inner.identity():
            raise ConfigError(
                f"the statistics are of the representation {self.statistics.representation}, "
                f"not of this {type(self.inner).__name__}, {self.inner.identity()}"
            )

    @property
    def exact(self) -> bool:
        """If the inner one is and nothing is clipped."""
        return self.inner.exact and not self.clip

    @property
    def invertible(self) -> bool:
        """If the inner one is."""
        return self.inner.invertible

    def encode(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channels ..."]:
        """Audio to normalized features.

        Raises:
            UserError: The features have another shape than the statistics.
        """
        return self.normalize(self.inner.encode(audio))

    def decode(
        self, features: Float[Tensor, "batch channels ..."], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """Normalized features to audio."""
        return self.inner.decode(self.unnormalize(features), num_samples=num_samples)

    def normalize(self, features: Float[Tensor, "batch channels ..."]) -> Float[Tensor, "batch channels ..."]:
        """Features of the inner representation to normalized ones."""
        mean, scale = self._fitting(features)
        normalized = ((features.double() - mean) / scale).to(features.dtype)
        return normalized.clamp(-1.0, 1.0) if self.clip else normalized

    def unnormalize(
        self, features: Float[Tensor, "batch channels ..."]
    ) -> Float[Tensor, "batch channels ..."]:
        """Normalized features to those of the inner representation."""
        mean, scale = self._fitting(features)
        return (features.double() * scale + mean).to(features.dtype)

    def rate_settings(self, sample_rate: int) -> dict[str, Any]:
        """None, if the inner representation is the same at that rate.

        Raises:
            ConfigError: It is not, so the statistics do not hold.
        """
        return {"inner": self.inner.at_rate(sample_rate)}

    def identity(self) -> str:
        """Names the inner representation, the numbers and whether they clip."""
        return fingerprint(["Standardized", self.inner.identity(), self.statistics.content_hash, self.clip])

    def _fitting(
        self, features: Float[Tensor, "batch channels ..."]
    ) -> tuple[Float[Tensor, "channels ..."], Float[Tensor, "channels ..."]]:
        """Mean and scale on the device of the features, in float64 so that rounding happens once."""
        shape, wanted = list(features.shape[1:]), list(self.statistics.mean.shape)
        if shape[:-1] != wanted[:-1] or wanted[-1] not in {1, shape[-1]}:
            raise UserError(f"the statistics are of features of shape {wanted}, these have {shape}")
        return self.statistics.on(features.device)


def fit_statistics(
    inner: Representation, batches: Iterable[Float[Tensor, "_ _"]], *, per: Per = "bin"
) -> Statistics:
    """Measures the features of a set of clips in one pass, without keeping them.

    Args:
        inner: What makes the features.
        batches: The clips, a batch at a time.
        per: "bin" for one mean over all frames of a bin (clips may then differ in length from batch to batch), "cell"
            for one in each frame.

    Raises:
        UserError: There are no clips; or, per cell, they differ in length.

    References:
        Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance", equation 2.1,
        https://doi.org/10.1080/00031305.1983.10483115
    """
    total, clips = _Moments.none(), 0
    for audio in batches:
        features = inner.encode(audio).detach().double().cpu()
        total = total.joined(_Moments.of(features, per))
        clips += len(audio)
    if not clips:
        raise UserError("statistics need at least one clip")
    return Statistics(total.mean, (total.squares / total.count).sqrt(), clips, inner.identity())


@dataclasses.dataclass(frozen=True)
class _Moments:
    """How many values, their mean, and the sum of their squared distances from it."""

    count: int
    mean: Float[Tensor, "channels ..."]
    squares: Float[Tensor, "channels ..."]

    @classmethod
    def none(cls) -> "_Moments":
        return cls(0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))

    @classmethod
    def of(cls, features: Float[Tensor, "batch channels ..."], per: Per) -> "_Moments":
        axes = (0, features.ndim - 1) if per == "bin" else (0,)
        mean = features.mean(dim=axes, keepdim=True)
        squares = (features - mean).square().sum(dim=axes, keepdim=True)
        return cls(features.numel() // mean.numel(), mean[0], squares[0])

    def joined(self, other: "_Moments") -> "_Moments":
        if self.count and self.mean.shape != other.mean.shape:
            raise UserError(
                f"statistics per cell need clips of one length, got features of shape {list(self.mean.shape)} "
                f"and {list(other.mean.shape)}"
            )
        count = self.count + other.count
        between = other.mean - self.mean
        mean = self.mean + between * (other.count / count)
        squares = self.squares + other.squares + between.square() * (self.count * other.count / count)
        return _Moments(count, mean, squares)
