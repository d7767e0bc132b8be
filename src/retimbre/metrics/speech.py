"""Measures of speech that a panel of listeners stands behind: how good it sounds, and how well it is understood.

PESQ, the perceptual evaluation of speech quality, predicts what listeners would say of a telephone line. Reference and
estimate are brought to one level, cut into utterances and aligned in time; both then go through a model of the ear
(Bark bands, loudness), and their disturbances are mapped to the scale of a listening test: 1 is bad, 4.64 is the best
that the wide-band version gives and 4.55 the best of the narrow-band one. Wide band (ITU-T P.862.2, up to 7 kHz) is
heard at 16 kHz, narrow band (P.862 with the map of P.862.1, a telephone's 3.4 kHz) at 8 kHz; their figures are not
comparable with each other. PESQ was made for sentences of speech: of a musical note it says nothing, and for a single
word of half a second its figure is only an ordering.

STOI, the short-time objective intelligibility, predicts how many of the words are understood. Both sounds are brought
to 10 kHz, the silence of the reference is cut out of both, and over stretches of 384 ms the envelopes of 15 bands, a
third of an octave each (150 Hz to 4.3 kHz), are correlated: 1 where they rise and fall together, 0 where they have
nothing in common, seldom below. The extended version correlates whole spectra over time instead, and so hears what is
left in the gaps of a noise that comes and goes. How a figure translates to words depends on the language and the
sentences; figures of the two versions are not comparable. It takes 31 frames of speech, 0.41 s.

The algorithms are the ITU's own C code, as the library `pesq` wraps it, and the authors' as the library `pystoi` has
them, both behind the extra `speech`. The first fails for some inputs and crashes for others, the second gives 0.00001
for what is too short and draws from numpy's global random numbers; here what cannot be judged is told in one line, what
comes is a finite number, and the same one every time.

References:
    ITU-T P.862 (2001), "Perceptual evaluation of speech quality (PESQ)", https://www.itu.int/rec/T-REC-P.862
    ITU-T P.862.2 (2007), "Wideband extension to Recommendation P.862", https://www.itu.int/rec/T-REC-P.862.2
    Taal, Hendriks, Heusdens and Jensen (2011), "An algorithm for intelligibility prediction of time-frequency weighted
    noisy speech", https://doi.org/10.1109/TASL.2011.2114881
    Jensen and Taal (2016), "An algorithm for predicting the intelligibility of speech masked by modulated noise
    maskers", https://doi.org/10.1109/TASLP.2016.2585878
"""

import contextlib
import functools
import importlib
import importlib.metadata
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
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

STOI_SHORTEST_S = 0.41
"""The shortest sound that STOI takes; silence does not count, so a longer one may still hold too little."""

STOI_LOWEST_RATE = 8_000
"""The lowest rate in Hz that STOI takes: below it, most of its highest band (3.4 to 4.3 kHz) would be missing."""


def pesq(
    reference: Float[Tensor, "batch samples"], estimate: Float[Tensor, "batch samples"], sample_rate: int
) -> Float[Tensor, " batch"]:
    """PESQ of each pair: wide band at 16 kHz, narrow band at 8 kHz. Does not hear level.

    Raises:
        AudioError: Another rate, or a pair that PESQ cannot judge; the message names its index and says why.
        MissingExtra: The library is not installed.
    """
    return _of_pairs(functools.partial(pesq_of_pair, sample_rate=sample_rate), reference, estimate)


def pesq_of_pair(
    reference: Float[Tensor, " samples"], estimate: Float[Tensor, " samples"], sample_rate: int
) -> float:
    """PESQ of one pair.

    Raises:
        AudioError: Another rate, a length that PESQ does not take, a sound that is silent or not finite, or one in
            which it finds no speech.
        MissingExtra: The library is not installed.
    """
    library = _library("pesq", "PESQ")
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


def stoi(
    reference: Float[Tensor, "batch samples"],
    estimate: Float[Tensor, "batch samples"],
    sample_rate: int,
    *,
    extended: bool = False,
) -> Float[Tensor, " batch"]:
    """STOI of each pair, about 0 to 1; `extended` for the version of 2016. Does not hear level.

    Raises:
        AudioError: A rate below 8 kHz, or a pair that STOI cannot judge; the message names its index and says why.
        MissingExtra: The library is not installed.
    """
    measure = functools.partial(stoi_of_pair, sample_rate=sample_rate, extended=extended)
    return _of_pairs(measure, reference, estimate)


def stoi_of_pair(
    reference: Float[Tensor, " _"],
    estimate: Float[Tensor, " _"],
    sample_rate: int,
    *,
    extended: bool = False,
) -> float:
    """STOI of one pair.

    Raises:
        AudioError: A rate below 8 kHz, sounds of different length, too little of them that is not silent, or samples
            that are not finite.
        MissingExtra: The library is not installed.
    """
    library = _library("pystoi", "STOI")
    _check_for_stoi(reference, estimate, sample_rate)
    signals = []
    for sound, name in ((reference, "the reference"), (estimate, "the estimate")):
        _check_samples(sound, name)
        # The level is not heard, but what the library adds against divisions by 0 would be, next to a soft sound.
        level = sound.detach().cpu().double()
        signals.append((level / level.abs().max()).numpy())
    with _settled_numpy(), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            value = float(library.stoi(*signals, sample_rate, extended=extended))
        except RuntimeWarning as error:
            raise AudioError(
                "the reference holds too little that is not silent: STOI takes 31 frames, 0.41 s, within 40 dB of the "
                "loudest"
            ) from error
    if not math.isfinite(value):
        raise AudioError(f"STOI gave {value}, which is no score")
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
    _check_samples(sound, name)


def library_version() -> str:
    """The version of the library, which a score depends on.

    Raises:
        MissingExtra: It is not installed.
    """
    _library("pesq", "PESQ")
    return importlib.metadata.version("pesq")


def _of_pairs(
    measure: Callable[[Tensor, Tensor], float],
    reference: Float[Tensor, "batch samples"],
    estimate: Float[Tensor, "batch samples"],
) -> Float[Tensor, " batch"]:
    values = []
    for index, (one, other) in enumerate(zip(reference, estimate, strict=True)):
        try:
            values.append(measure(one, other))
        except AudioError as error:
            raise AudioError(f"clip {index}: {error}") from error
    return torch.tensor(values, dtype=reference.dtype, device=reference.device)


def _library(name: str, purpose: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(name, extra="speech", purpose=purpose) from error


def _check_samples(sound: Float[Tensor, " samples"], name: str) -> None:
    if not bool(sound.isfinite().all()):
        raise AudioError(f"{name} holds samples that are not finite")
    if float(peak(sound)) == 0.0:
        raise AudioError(f"{name} is silent")


def _check_for_stoi(reference: Float[Tensor, " _"], estimate: Float[Tensor, " _"], sample_rate: int) -> None:
    if sample_rate < STOI_LOWEST_RATE:
        raise AudioError(f"STOI takes {STOI_LOWEST_RATE} Hz or more, but the sounds are at {sample_rate} Hz")
    if len(reference) != len(estimate):
        raise AudioError(
            f"STOI takes sounds of one length, but the reference has {len(reference)} samples and the estimate "
            f"{len(estimate)}"
        )
    if len(reference) < STOI_SHORTEST_S * sample_rate:
        seconds = len(reference) / sample_rate
        raise AudioError(f"STOI takes {STOI_SHORTEST_S:g} s or more, but the sounds last {seconds:.3g} s")


@contextlib.contextmanager
def _settled_numpy() -> Iterator[None]:
    """Puts numpy's global random numbers, which the library draws from, in one place, and back afterwards."""
    before = np.random.get_state()  # noqa: NPY002 (what the library uses)
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _words(error: Exception) -> str:
    """The library's message; it comes as bytes."""
    first: Any = error.args[0] if error.args else type(error).__name__
    decode: Callable[[], str] | None = getattr(first, "decode", None)
    return decode() if decode else str(first)
