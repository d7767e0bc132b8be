"""Measures of speech that a panel of listeners stands behind.

PESQ, the perceptual evaluation of speech quality, predicts what listeners would say of a telephone line. Reference and
estimate are brought to one level, cut into utterances and aligned in time; both then go through a model of the ear
(Bark bands, loudness), and their disturbances are mapped to the scale of a listening test: 1 is bad, 4.64 is the best
that the wide-band version gives and 4.55 the best of the narrow-band one. Wide band (ITU-T P.862.2, up to 7 kHz) is
heard at 16 kHz, narrow band (P.862 with the map of P.862.1, a telephone's 3.4 kHz) at 8 kHz; their figures are not
comparable with each other. PESQ was made for sentences of speech: of a musical note it says nothing, and for a single
word of half a second its figure is only an ordering.

The algorithm is the ITU's own C code, as the library `pesq` wraps it, behind the extra `speech`. That code fails for
some inputs and crashes for others; here both are told in one line before, and what it gives is a finite number.

References:
    ITU-T P.862 (2001), "Perceptual evaluation of speech quality (PESQ)", https://www.itu.int/rec/T-REC-P.862
    ITU-T P.862.2 (2007), "Wideband extension to Recommendation P.862", https://www.itu.int/rec/T-REC-P.862.2
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, MissingExtra
from retimbre.dsp.level import peak

Band = Literal["wide", "narrow"]

BANDS: dict[int, Band] = {16_000: "wide", 8_000: "narrow"}
"""The version of PESQ for each sample rate in Hz."""

BEST: dict[Band, float] = {"wide": 4.643888, "narrow": 4.548638}
"""What PESQ gives for a perfect estimate, to six decimals."""

SHORTEST_S = 0.25
"""The shortest sound that the ITU's code takes."""

# The code has room for 50 utterances and writes beyond it without looking. An utterance lasts 0.2 s at least and so
# does the pause to the next, so no 20 seconds hold more.
LONGEST_S = 20.0


def pesq(
    reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"], sample_rate: int
) -> Float[Tensor, " batch"]:
    """PESQ of each pair: wide band at 16 kHz, narrow band at 8 kHz. Does not hear level.

    Raises:
        AudioError: Another rate, or a pair that PESQ cannot judge; the message names its index and says why.
        MissingExtra: The library is not installed.
    """
    values = []
    for index, (one, other) in enumerate(zip(reference, estimate, strict=True)):
        try:
            values.append(pesq_of_pair(one, other, sample_rate))
        except AudioError as error:
            raise AudioError(f"clip {index}: {error}") from error
    return torch.tensor(values, dtype=reference.dtype, device=reference.device)


def pesq_of_pair(
    reference: Float[Tensor, " samples"], estimate: Float[Tensor, " samples"], sample_rate: int
) -> float:
    """PESQ of one pair.

    Raises:
        AudioError: Another rate, a length that PESQ does not take, a sound that is silent or not finite, or one in
            which it finds no speech.
        MissingExtra: The library is not installed.
    """
    library = _library()
    check_clip(reference, sample_rate, "the reference")
    check_clip(estimate, sample_rate, "the estimate")
    mode = {"wide": "wb", "narrow": "nb"}[BANDS[sample_rate]]
    signals = [sound.detach().cpu().float().numpy() for sound in (reference, estimate)]
    try:
        value = float(library.pesq(sample_rate, *signals, mode))
    except library.NoUtterancesError as error:
        raise AudioError("PESQ finds no speech in it") from error
    except (library.PesqError, ValueError) as error:
        raise AudioError(f"PESQ failed: {_words(error)}") from error
    if not math.isfinite(value):
        raise AudioError(f"PESQ gave {value}, which is no score")
    return value


def check_clip(sound: Float[Tensor, " samples"], sample_rate: int, name: str) -> None:
    """Refuses what PESQ cannot judge, with the reason; whether there is speech in it, only PESQ finds out.

    Raises:
        AudioError: A rate other than 8 and 16 kHz, a length out of bounds, samples that are not finite, or silence.
    """
    seconds = len(sound) / sample_rate
    if sample_rate not in BANDS:
        raise AudioError(
            f"PESQ takes {' or '.join(map(str, sorted(BANDS)))} Hz, but {name} is at {sample_rate} Hz"
        )
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise AudioError(f"PESQ takes {SHORTEST_S:g} to {LONGEST_S:g} s, but {name} lasts {seconds:.3g} s")
    if not bool(sound.isfinite().all()):
        raise AudioError(f"{name} holds samples that are not finite")
    if float(peak(sound)) == 0.0:
        raise AudioError(f"{name} is silent")


def library_version() -> str:
    """The version of the library, which a score depends on.

    Raises:
        MissingExtra: It is not installed.
    """
    import importlib.metadata

    _library()
    return importlib.metadata.version("pesq")


def _library() -> Any:
    try:
        import pesq as library
    except ImportError as error:
        raise MissingExtra("pesq", extra="speech", purpose="PESQ") from error
    return library


def _words(error: Exception) -> str:
    """The library's message; it comes as bytes."""
    first: Any = error.args[0] if error.args else type(error).__name__
    decode: Callable[[], str] | None = getattr(first, "decode", None)
    return decode() if decode else str(first)
