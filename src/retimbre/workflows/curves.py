"""A whole recording followed by a voice whose knobs move: read, listened to window by window, and played again.

Where a match looks for the one note of a recording and a patch for it, this takes the recording as it is, from its
first sample to its last. What comes out is a curve for each knob that can move, and the sound of the curves beside
the recording's, with two scores: that of the curves, and that of a voice which stands still, every knob at the median
of its curve. The difference is what moving was good for.
"""

import dataclasses
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp import audiofile
from retimbre.matching.contour import Contour, hear_contour, key_for, semitones_beyond
from retimbre.matching.curves import Curves, CurveSettings, check_length, find_curves, resynthesise, still
from retimbre.matching.held import check_able_to_curve
from retimbre.matching.inverter import Inverter
from retimbre.metrics.suite import SuiteReference
from retimbre.workflows.match.models import load_models

# Ten minutes: a voice with curves holds some twenty signals of the sound's length at once, under 1 GB for as long.
LONGEST_S = 600.0

# As much is scored: the measures hold several spectrograms of it.
_SCORED_S = 60.0
_MEASURES = ("mss", "sot", "rms")

# Less than this beyond the reach of the knobs is nothing to speak of, in semitones.
_WITHIN_REACH = 0.5


@final
@dataclasses.dataclass(frozen=True, eq=False)
class FollowedSound:
    """A recording, the curves that follow it, and their sound.

    Attributes:
        model: The name of the inverter that listened.
        recording: At `sample_rate`, the inverter's.
        sound: What the curves sound like, as long and as loud.
        scores: Of the curves, by the names of the suite; over the first minute.
        still_scores: Of the same voice with every knob at the median of its curve.
        warnings: What a reader should know, one clause each.
    """

    model: str
    curves: Curves
    contour: Contour
    recording: Float[Tensor, " samples"]
    sound: Float[Tensor, " samples"]
    sample_rate: int
    scores: dict[str, float]
    still_scores: dict[str, float]
    warnings: tuple[str, ...]


def curve_inverter(synth: str, models: tuple[str, ...]) -> tuple[str, Inverter]:
    """The inverter that listens for curves, with its name: the first of those named, or of those shipped.

    Raises:
        ConfigError: The synthesizer has no curves, or there is no inverter for it.
        CheckpointError: A model cannot be read, or is for another synthesizer.
    """
    check_able_to_curve(synth)
    name, inverter = next(iter(load_models(synth, models).items()))
    if inverter is None:
        raise ConfigError(
            f"curves take an inverter for {synth!r}, and none is shipped; name one with --model"
        )
    return name, inverter


def check_sound(path: Path, inverter: Inverter, settings: CurveSettings) -> None:
    """Refuses a sound that is too short for curves before any work is done.

    Raises:
        AudioError: It is, or its header cannot be read.
    """
    try:
        check_length(inverter, round(audiofile.probe(path).seconds * inverter.config.sample_rate), settings)
    except AudioError as error:
        raise AudioError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def follow(
    path: Path, named: tuple[str, Inverter], pitch_hz: float | str, settings: CurveSettings, *, seed: int = 0
) -> FollowedSound:
    """Finds the curves of a recording and plays them.

    Args:
        named: The inverter that listens, after its name.
        pitch_hz: The note to play, or `auto` to choose it by the pitch heard.

    Raises:
        AudioError: The file cannot be read, or is too short or silent.
    """
    name, inverter = named
    rate = inverter.config.sample_rate
    source = audiofile.read(path, sample_rate=rate, max_seconds=LONGEST_S)
    recording = source.samples
    window, hop = inverter.num_samples, inverter.num_samples // settings.overlap
    contour = hear_contour(recording, rate, window=window, hop=hop)
    key_hz = key_for(inverter.synth.name, inverter.space, contour) if isinstance(pitch_hz, str) else pitch_hz
    try:
        curves = find_curves(inverter, recording, key_hz, contour, settings, seed=seed)
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    sound = resynthesise(curves, inverter.synth, recording)
    return FollowedSound(
        model=name,
        curves=curves,
        contour=contour,
        recording=recording,
        sound=sound,
        sample_rate=rate,
        scores=_scores(recording, sound, rate),
        still_scores=_scores(recording, resynthesise(still(curves), inverter.synth, recording), rate),
        warnings=_warnings(curves, contour, chosen=isinstance(pitch_hz, str), seconds=source.seconds),
    )


def _scores(recording: Tensor, sound: Tensor, sample_rate: int) -> dict[str, float]:
    most = round(_SCORED_S * sample_rate)
    scores = SuiteReference.of(recording[:most], sample_rate).score(sound[None, :most], _MEASURES)
    return {name: float(score) for name, score in scores.items()}


def _warnings(curves: Curves, contour: Contour, *, chosen: bool, seconds: float) -> tuple[str, ...]:
    silent = int((~curves.sounding).sum())
    beyond = semitones_beyond(curves.synth, curves.space, contour, curves.key_hz)
    clauses = {
        f"a long file: only its first {LONGEST_S:g} s have curves": seconds >= LONGEST_S,
        f"{silent} of {len(curves.sounding)} windows are silent; the curves go straight through them": silent
        > 0,
        f"no steady pitch was heard, so the key of the curves is {curves.key_hz:g} Hz": chosen
        and not contour.is_sure,
        f"the pitch goes {beyond:.1f} semitones beyond what the frequency knobs reach at this key": beyond
        > _WITHIN_REACH,
    }
    return tuple(clause for clause, applies in clauses.items() if applies)
