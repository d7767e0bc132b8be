"""Sounds from few values: a learned basis against transforms, at the same number of values that are not zero.

Every contender may keep K values of an excerpt, K being so many per second times its length, and which ones it keeps is
its own affair: the largest of an orthonormal transform, which no other choice of K of its values can beat, or what a
pursuit finds. What is kept is compared by the signal-to-noise ratio of the samples.

The rival is the MDCT, top-k, at several window lengths and with both of its usual windows; at every number of values it
is given the one that serves these very sounds best, a choice that the learned basis does not have. Two more say what
the difference is due to. A union of MDCTs of several lengths, searched by the same pursuit, has what comes of being
able to choose the length as one goes. The basis as it began, before it learned, has what comes with its form.

Counting values flatters a basis with more functions than samples: to say which few of many were chosen takes more bits
than to say which few of fewer. The tables tell the codes per sample.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.dsp.lapped import LappedSettings, inverse_lapped, lapped
from retimbre.dsp.pursuit import PursuitSettings, pursue
from retimbre.metrics.bootstrap import bootstrap, paired_difference
from retimbre.representation.basis_functions import FreeFunctions, WindowedConfig
from retimbre.representation.learned_basis import Basis

MDCT, UNION, LEARNED, UNTRAINED = "mdct", "mdcts", "learned", "untrained"
WORDS = {
    LEARNED: "learned",
    UNTRAINED: "the same, untrained",
    UNION: "several MDCTs, by pursuit",
    MDCT: "MDCT, its best window",
}
"""What the families are called on a page."""
MDCT_BANDS = (256, 512, 1024, 2048, 4096)
UNION_BANDS = (256, 1024, 4096)

Row = dict[str, Any]
Coder = Callable[[Tensor, int], Tensor]
"""Excerpts `[batch, samples]` and a number of values to the excerpts that these make."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Contender:
    """A way to make a sound of few values.

    Attributes:
        name: Its name in the tables.
        family: What it is a variant of; of a family the best variant is compared.
        codes_per_sample: Values there are to choose from, per sample.
        code: What it makes of an excerpt.
    """

    name: str
    family: str
    codes_per_sample: float
    code: Coder


def mdct_contenders() -> list[Contender]:
    """The MDCT at every length and with both windows."""
    settings = {
        f"mdct-{2 * bands}-{window}": LappedSettings(bands, window=window)
        for bands in MDCT_BANDS
        for window in ("sine", "kbd")
    }
    return [Contender(name, MDCT, 1.0, _largest_of_mdct(each)) for name, each in settings.items()]


@final
@dataclasses.dataclass(frozen=True)
class MdctUnion:
    """The functions of several MDCTs as one dictionary, as long as whole blocks of the longest are."""

    settings: tuple[LappedSettings, ...]

    def correlate(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch size"]:
        """How much of every function is in each clip."""
        return torch.cat([lapped(audio, each).flatten(1) for each in self.settings], dim=1)

    def combine(
        self, codes: Float[Tensor, "batch size"], *, num_samples: int
    ) -> Float[Tensor, "batch samples"]:
        """The sum of so much of every function."""
        silence = codes.new_zeros(1, num_samples)
        shapes = [lapped(silence, each).shape[1:] for each in self.settings]
        parts = codes.split([math.prod(shape) for shape in shapes], dim=1)
        made = [
            inverse_lapped(part.unflatten(1, shape), each, num_samples=num_samples)
            for part, shape, each in zip(parts, shapes, self.settings, strict=True)
        ]
        return torch.stack(made).sum(dim=0)


def union_contender(basis: Basis, pursuit: PursuitSettings) -> Contender:
    """MDCTs as long as the waves of a basis, where these have windows, by the pursuit that the basis has."""
    functions = basis.config.functions
    bands = functions.num_bands if isinstance(functions, WindowedConfig) else UNION_BANDS
    union = MdctUnion(tuple(LappedSettings(each) for each in bands))

    def code(audio: Float[Tensor, "batch samples"], count: int) -> Float[Tensor, "batch samples"]:
        codes = pursue(union, audio, min(count, len(bands) * audio.shape[1]), pursuit)
        return union.combine(codes, num_samples=audio.shape[1])

    return Contender("-".join(["mdcts", *(str(2 * each) for each in bands)]), UNION, float(len(bands)), code)


def basis_contender(name: str, basis: Basis, pursuit: PursuitSettings) -> Contender:
    """A basis, with as many values as it is allowed."""
    samples = 16 * basis.functions.period
    code = _largest_of_kernels(basis) if basis.config.code == "rectified" else _pursued(basis, pursuit)
    return Contender(name, name, basis.num_codes(samples) / samples, code)


def snr_db(
    reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"]
) -> Float[Tensor, " batch"]:
    """The signal-to-noise ratio of each excerpt, in float64; an estimate without error has 300 dB."""
    signal = reference.double().square().sum(dim=1)
    noise = (reference.double() - estimate.double()).square().sum(dim=1)
    return 10.0 * (signal / noise.clamp_min(1e-30 * signal)).log10()


def measure(
    contender: Contender, excerpts: Float[Tensor, "batch samples"], per_s: float, sample_rate: int
) -> Float[Tensor, " batch"]:
    """The signal-to-noise ratio of each excerpt at so many values per second."""
    count = max(1, round(per_s * excerpts.shape[1] / sample_rate))
    with torch.no_grad():
        return torch.cat([snr_db(one, contender.code(one, count)) for one in excerpts.split(1)])


def best_of_families(
    scores: Mapping[str, Float[Tensor, " batch"]], contenders: Mapping[str, Contender]
) -> dict[str, str]:
    """For each family the contender of the highest mean at one number of values."""
    best: dict[str, str] = {}
    for name, values in scores.items():
        family = contenders[name].family
        if family not in best or float(values.mean()) > float(scores[best[family]].mean()):
            best[family] = name
    return best


def rows_of(
    per_s: float, scores: Mapping[str, Float[Tensor, " batch"]], contenders: Mapping[str, Contender]
) -> list[Row]:
    """A row per family at one number of values: its best contender, and the difference to the best MDCT.

    Intervals are bootstrap intervals over excerpts, those of differences in pairs.
    """
    best = best_of_families(scores, contenders)
    rows = []
    for family, name in best.items():
        interval = bootstrap(scores[name])
        gain = paired_difference(scores[best[MDCT]], scores[name])
        rows.append(
            {
                "nonzeros_per_s": per_s,
                "family": family,
                "contender": name,
                "codes_per_sample": contenders[name].codes_per_sample,
                "snr_db": interval.value,
                "low_db": interval.low,
                "high_db": interval.high,
                "gain_db": gain.value,
                "gain_low_db": gain.low,
                "gain_high_db": gain.high,
                "excerpts": interval.n,
            }
        )
    return rows


def _largest_of_mdct(settings: LappedSettings) -> Coder:
    def code(audio: Float[Tensor, "batch samples"], count: int) -> Float[Tensor, "batch samples"]:
        coefficients = lapped(audio, settings)
        kept = largest(coefficients.flatten(1), coefficients.flatten(1).abs(), count)
        return inverse_lapped(kept.view_as(coefficients), settings, num_samples=audio.shape[1])

    return code


def _pursued(basis: Basis, pursuit: PursuitSettings) -> Coder:
    def code(audio: Float[Tensor, "batch samples"], count: int) -> Float[Tensor, "batch samples"]:
        codes = basis.encode(audio, min(count, basis.num_codes(audio.shape[1])), pursuit)
        return basis.decode(codes, num_samples=audio.shape[1])

    return code


def _largest_of_kernels(basis: Basis) -> Coder:
    """Of a rectified code those that make the loudest kernels."""
    functions = basis.functions
    if not isinstance(functions, FreeFunctions):
        raise ConfigError(f"rectified codes are of free functions, not of {functions.config.kind!r} ones")
    norms = functions.decoder.norm(dim=1)

    def code(audio: Float[Tensor, "batch samples"], count: int) -> Float[Tensor, "batch samples"]:
        codes = basis.encode(audio, count, PursuitSettings())
        heights = (codes * norms[:, None]).flatten(1)
        kept = largest(codes.flatten(1), heights, min(count, heights.shape[1]))
        return basis.decode(kept.view_as(codes), num_samples=audio.shape[1])

    return code


def largest(
    values: Float[Tensor, "batch size"], heights: Float[Tensor, "batch size"], count: int
) -> Float[Tensor, "batch size"]:
    """Values where these heights are largest, zero elsewhere."""
    places = heights.topk(min(count, heights.shape[1])).indices
    return torch.zeros_like(values).scatter(1, places, values.gather(1, places))
