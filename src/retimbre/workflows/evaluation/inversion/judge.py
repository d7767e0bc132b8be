"""Measuring one inverter on held-out clips: what it says of the knobs, and how its answer sounds.

Two questions are asked. *Knobs*: every clip is heard, and the true class of each knob is looked up in the network's
ranking (`metrics.parameters`), together with whether the knob can be heard in that clip at all
(`synth.audibility`). *Sounds*: the likeliest class of every knob is rendered with the clip's true note and
compared with the clip (`metrics.signal`, `metrics.suite`). A wrong class that sounds the same costs nothing
there, and a class that is next to right may cost much.

Two anchors give the sounds a scale, rendered and measured in the same way: `truth`, the true class of every knob,
which is the best that any answer in classes can do, and `chance`, the answer to another clip, which is what a network
that knows the instrument but does not listen would get.

Clips are rendered, heard and compared a batch at a time; what is kept of a clip is its ranking and its scores.
"""

import dataclasses
from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retimbre.matching.inverter import Inverter
from retimbre.matching.sampling import class_centres
from retimbre.matching.source import PairBatch
from retimbre.metrics.catalog import METRICS
from retimbre.metrics.parameters import ParameterReport, ParameterTable, Predictions
from retimbre.metrics.suite import SuiteReference
from retimbre.synth.audibility import audible
from retimbre.synth.base import Note
from retimbre.synth.knobs import Choice, Parameter
from retimbre.workflows.evaluation.inversion import paper
from retimbre.workflows.evaluation.inversion.held_out import HeldOutClips

# Measures of sounds, those of the InverSynth study first, then the suite of the sound-matching papers.
SIGNAL_MEASURES = ("stft_correlation", "ft_correlation", "log_spectral_frobenius", "mfcc_distance")
SUITE_MEASURES = ("mss", "wmfcc", "sot", "rms")
SOUND_MEASURES = (*SIGNAL_MEASURES, *SUITE_MEASURES)
ANCHORS = ("prediction", "truth", "chance")

# Clips in memory at once: with the paper's networks and clips of 2 s, some 300 MB.
CLIPS_AT_ONCE = 64

# The least that a logarithm of a probability counts as: a class that a network rules out is still one of the classes.
_LEAST_LOG = -1e4

Progress = Callable[[float], object]
Scores = dict[str, dict[str, Float[Tensor, " clips"]]]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """What an inverter says of the knobs of some clips.

    Attributes:
        predictions: Logarithms of probabilities, and the true classes.
        audible: Whether each searched knob can be heard in each clip.
        pitch_hz: Of the key of each clip.
        gate_s: How long that key is held.
        row: The number of each clip where it is from: a data set, or the endless split.
    """

    predictions: Predictions
    audible: Bool[Tensor, "clips searched"]
    pitch_hz: Float[Tensor, " clips"]
    gate_s: Float[Tensor, " clips"]
    row: Int[Tensor, " clips"]

    @property
    def likeliest(self) -> Int[Tensor, "clips searched"]:
        """The answer: the likeliest class of each knob."""
        return self.predictions.scores.argmax(dim=2)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
    """How good an inverter is.

    Attributes:
        report: Of the knobs.
        scores: By anchor and measure, one value for each of the first clips; empty if no sounds were compared.
    """

    answers: Answers
    report: ParameterReport
    scores: Scores


@torch.no_grad()
def judge(
    inverter: Inverter,
    clips: HeldOutClips,
    *,
    audio_clips: int,
    device: torch.device,
    progress: Progress = lambda share: None,
) -> Judgement:
    """Measures an inverter on held-out clips.

    Args:
        audio_clips: How many of the clips, the first ones, are compared as sounds; 0 for none.
        progress: Called with the share of the work that was done since the last call.
    """
    inverter = inverter.to(device).eval()
    num_sounds = min(audio_clips, clips.count)
    total = clips.count + num_sounds
    answers = _listen(inverter, clips, device, lambda count: progress(count / total))
    scores = _compare(inverter, clips, answers, num_sounds, lambda count: progress(count / total))
    return Judgement(
        answers, ParameterReport.of(answers.predictions, table_of(inverter), answers.audible), scores
    )


def table_of(inverter: Inverter) -> ParameterTable:
    """Names, groups and class values of the searched knobs; the classes of a choice stand for their own numbers."""
    searched = inverter.space.searched
    most = max(inverter.space.class_counts)
    rows = []
    for parameter in searched:
        values = [float(value) for value in numeric_values(parameter)]
        rows.append(values + [0.0] * (most - len(values)))
    groups = tuple(group_of(inverter.config.synth, parameter) for parameter in searched)
    return ParameterTable(tuple(each.name for each in searched), groups, torch.tensor(rows))


def numeric_values(parameter: Parameter) -> tuple[float, ...]:
    """What the classes of a knob stand for; of a choice, which has no numbers, the classes themselves."""
    if isinstance(parameter, Choice):
        return tuple(float(index) for index in range(len(parameter.choices)))
    return parameter.class_values()


def group_of(synth: str, parameter: Parameter) -> str:
    """What a knob is summed up with: the paper's groups for its synthesizer, else the section of the instrument."""
    return paper.group_of(parameter.name) if synth == paper.SYNTH else parameter.group or "knobs"


def batches(count: int) -> list[range]:
    """The clips that are in memory at once."""
    return [range(start, min(start + CLIPS_AT_ONCE, count)) for start in range(0, count, CLIPS_AT_ONCE)]


def _listen(
    inverter: Inverter, clips: HeldOutClips, device: torch.device, progress: Callable[[int], object]
) -> Answers:
    """Hears every clip."""
    kept: list[tuple[Tensor, ...]] = []
    for rows in batches(clips.count):
        batch = clips.pairs(rows, device)
        note = batch.note
        of_clips = (class_scores(inverter, batch), batch.classes, heard_knobs(inverter, batch))
        # The noise of a clip is that of its number.
        kept.append(tuple(each.cpu() for each in (*of_clips, note.pitch_hz, note.gate_s, note.noise_seed)))
        progress(len(rows))
    scores, truth, heard, pitch_hz, gate_s, row = (torch.cat(each) for each in zip(*kept, strict=True))
    return Answers(Predictions(scores, truth), heard, pitch_hz, gate_s, row)


def class_scores(inverter: Inverter, batch: PairBatch) -> Float[Tensor, "batch searched most"]:
    """What an inverter says of clips: finite for every class there is, minus infinity behind a knob's last."""
    scores = inverter.log_probabilities(batch.audio, batch.note).clamp_min(_LEAST_LOG)
    return scores.masked_fill(~inverter.head.layout.valid, -torch.inf)


def heard_knobs(inverter: Inverter, batch: PairBatch) -> Bool[Tensor, "batch searched"]:
    """Whether each searched knob can be heard in each clip."""
    # The synthesizer's own space has every knob searched, the inverter's may hold some fixed.
    names = inverter.synth.space.names
    columns = [names.index(each.name) for each in inverter.space.searched]
    knobs = inverter.space.from_unit(batch.unit)
    return audible(inverter.synth, knobs, batch.note, num_samples=inverter.num_samples)[:, columns]


def _compare(
    inverter: Inverter, clips: HeldOutClips, answers: Answers, count: int, progress: Callable[[int], object]
) -> Scores:
    """Renders the answers to the first clips, and the anchors, and compares them with the clips."""
    if count == 0:
        return {}
    device = inverter.head.layout.valid.device
    answered = answers.likeliest
    # Another clip's answer, never its own: half-way round the clips.
    shift = max(len(answered) // 2, 1)
    classes = {
        "prediction": answered,
        "truth": answers.predictions.truth,
        "chance": answered.roll(shift, dims=0),
    }
    kept: dict[str, dict[str, list[Tensor]]] = {
        anchor: {measure: [] for measure in SOUND_MEASURES} for anchor in ANCHORS
    }
    for rows in batches(count):
        batch = clips.pairs(rows, device)
        suite = SuiteReference.of(batch.audio, inverter.config.sample_rate)
        for anchor in ANCHORS:
            chosen = classes[anchor][rows.start : rows.stop].to(device)
            audio = clips.as_kept(rendered(inverter, chosen, batch.note))
            values = suite.score(audio, SUITE_MEASURES)
            for measure in SIGNAL_MEASURES:
                values[measure] = METRICS[measure].compute(batch.audio, audio, inverter.config.sample_rate)
            for measure in SOUND_MEASURES:
                kept[anchor][measure].append(values[measure].double().cpu())
        progress(len(rows))
    return {
        anchor: {measure: torch.cat(pieces) for measure, pieces in by_measure.items()}
        for anchor, by_measure in kept.items()
    }


def rendered(
    inverter: Inverter, classes: Int[Tensor, "batch searched"], note: Note
) -> Float[Tensor, "batch samples"]:
    """What an answer in classes sounds like, at the synthesizer's own level."""
    knobs = inverter.space.from_unit(class_centres(inverter.space, classes))
    return inverter.synth.render_in_chunks(knobs, note, num_samples=inverter.num_samples)
