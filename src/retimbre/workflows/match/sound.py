"""Matching one sound: from a recording to ranked patches of a synthesizer that sound like it.

    read      the file to one note: stretch, pitch, gate, level                      matching/target.py
    propose   a pool of patches, from networks that listened and evenly drawn        matching/propose.py
    refine    the best of them moved nearer, for as long as the budget lasts         matching/search.py
    judge     the survivors at full rate, as they are written, against the file      matching/verdict.py

`match_sound` does this for one file and keeps everything in memory; `batch.py` runs it over many files
and writes what comes out. Several networks are each given an equal share of the budget and rank side by side.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool
from torch import Tensor

from retimbre.core import random
from retimbre.core.errors import ConfigError
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.matching.audition import Audition, Budget, Meter, search_rate
from retimbre.matching.confidence import Confidence, confidence
from retimbre.matching.curves import CurveSettings
from retimbre.matching.held import check_able_to_curve
from retimbre.matching.inverter import Inverter
from retimbre.matching.propose import Proposals, even_pool, joined, network_pool
from retimbre.matching.search import Found, Search, SearchConfig
from retimbre.matching.target import Target, TargetSettings, read_target
from retimbre.matching.verdict import Bench, Candidate
from retimbre.synth.audibility import audible
from retimbre.synth.catalog import find_synth
from retimbre.synth.parameters import ParameterSpace
from retimbre.synth.patches import synth_at_rate
from retimbre.training.devices import pick_device
from retimbre.workflows.curves import FollowedSound
from retimbre.workflows.match.models import load_models
from retimbre.workflows.melody import Melody, PlayedMelody

# How many proposals begin a search: those of a network, those drawn evenly beside them, and those drawn evenly
# where there is no network.
NETWORK_POOL = 64
BESIDE_POOL = 64
EVEN_POOL = 256

Progress = Callable[[float], None]


def ignore(amount: float) -> None:
    """The progress that nobody looks at."""


@final
@dataclasses.dataclass(frozen=True)
class MatchOptions:
    """How sounds are matched.

    Attributes:
        synth: A name in the catalog.
        models: Run folders, checkpoint files or names of shipped checkpoints; empty stands for the shipped ones of
            the synthesizer, if there are any.
        candidates: How many patches to give for each sound and model.
        budget: What refinement may cost for each sound, shared among the models.
        target: How a sound is read.
        device: Where candidates are rendered and compared: `auto`, `cpu` or `cuda`.
        threads: How many renderings run side by side on a CPU.
        melody: What the nearest candidate plays, read at the synthesizer's rate; None for nothing.
        curves: How the whole recording is followed by moving knobs; None for not at all.
    """

    synth: str
    models: tuple[str, ...] = ()
    candidates: int = 8
    budget: Budget = dataclasses.field(default_factory=lambda: Budget(seconds=10.0))
    target: TargetSettings = dataclasses.field(default_factory=TargetSettings)
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    melody: Melody | None = None
    curves: CurveSettings | None = None

    def __post_init__(self) -> None:
        """Refuses what makes no sense before any sound is read."""
        find_synth(self.synth)
        pick_device(self.device)
        if not 1 <= self.candidates <= 64:
            raise ConfigError(f"candidates is {self.candidates}, but takes 1 to 64")
        if self.curves is not None:
            check_able_to_curve(self.synth)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ModelMatch:
    """What one model's proposals led to.

    Attributes:
        model: Its name; `models.NO_MODEL` where the search began from evenly drawn patches alone.
        space: The knobs that were searched.
        candidates: The nearest first.
        heard: For each candidate, which searched knobs can be heard.
        start_loss: The search-rate loss of the best proposal before refinement.
        evaluations: Renderings made by the refinement.
        seconds: What the refinement took.
    """

    model: str
    space: ParameterSpace
    candidates: tuple[Candidate, ...]
    heard: Bool[Tensor, "candidates searched"]
    start_loss: float
    evaluations: int
    seconds: float


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Match:
    """The match of one sound.

    Attributes:
        models: One entry per model, in the order they were given.
        search_rate: At which candidates were compared while searching, in Hz.
        confidence: In the best candidate of all.
        seconds: Wall time of each stage.
        interrupted: Whether the user ended the refinement early.
        played: The melody that was asked for, once it is played.
        followed: The curves that were asked for, once they are found.
    """

    target: Target
    options: MatchOptions
    models: tuple[ModelMatch, ...]
    search_rate: int
    confidence: Confidence
    seconds: dict[str, float]
    interrupted: bool
    played: PlayedMelody | None = None
    followed: FollowedSound | None = None

    @property
    def best(self) -> ModelMatch:
        """The model whose first candidate is the nearest."""
        return min(self.models, key=lambda found: found.candidates[0].loss)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know about the sound and the match, one clause each."""
        stopped = ("refinement was stopped early; this is the best until then",) if self.interrupted else ()
        return (*self.target.warnings, *stopped)


def match_sound(path: str | Path, options: MatchOptions, *, progress: Progress = ignore) -> Match:
    """Finds patches that sound like a file.

    Args:
        progress: Called with the seconds of budget spent since the last call.

    Raises:
        AudioError: The file cannot be read, or is silent or too short.
        CheckpointError: A model cannot be read, or is for another synthesizer.
    """
    watch = Stopwatch(progress)
    with one_torch_thread():
        target = read_target(path, options.target)
        watch.lap("read")
        models = load_models(options.synth, options.models)
        watch.lap("load")
        return _matched(target, models, options, watch)


@final
class Stopwatch:
    """Wall time, by the name of what it was spent on, and where progress is told."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Books the time since the last lap."""
        now_s = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now_s - self._last_s
        self._last_s = now_s


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keeps torch to one thread: renderings run side by side instead, which scales better than splitting each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _matched(
    target: Target, models: dict[str, Inverter | None], options: MatchOptions, watch: Stopwatch
) -> Match:
    synth = find_synth(options.synth)
    rate = search_rate(synth, target.sample_rate, target.search_samples / target.sample_rate)
    heard = resample(target.searched, target.sample_rate, rate)
    at_rate = synth_at_rate(options.synth, rate)
    bench = Bench.of(target)
    watch.lap("read")
    device = pick_device(options.device)
    threads = options.threads if device.type == "cpu" else 1
    found: list[ModelMatch] = []
    interrupted = False
    for name, inverter in models.items():
        space = synth.space if inverter is None else inverter.space
        audition = Audition.of(at_rate, heard, space=space, device=device, threads=threads)
        arm = _Arm(name, inverter, audition, len(models))
        one, stopped = _match_with(arm, target, bench, options, watch)
        found.append(one)
        interrupted = interrupted or stopped
    best = min((one.candidates for one in found), key=lambda candidates: candidates[0].loss)
    trust = confidence(best[0].search_loss, target.hint.confidence)
    return Match(target, options, tuple(found), rate, trust, watch.seconds, interrupted)


@dataclasses.dataclass(frozen=True, eq=False)
class _Arm:
    """One model's part of a match: its network if it has one, where it is judged, and how many models there are."""

    name: str
    inverter: Inverter | None
    audition: Audition
    num_models: int


def _match_with(
    arm: _Arm, target: Target, bench: Bench, options: MatchOptions, watch: Stopwatch
) -> tuple[ModelMatch, bool]:
    """One model's match, and whether the user stopped it."""
    audition = arm.audition
    pool = _pool(arm, target, options)
    losses = audition.losses(pool)
    watch.lap("propose")
    budget = Budget(options.budget.seconds / arm.num_models, options.budget.evaluations / arm.num_models)
    search = Search(audition, target.hint, SearchConfig(count=options.candidates), options.seed)
    found = search.run(
        pool, losses, Meter(budget, time.perf_counter), lambda share: watch.progress(share / arm.num_models)
    )
    watch.lap("refine")
    synth = find_synth(options.synth)
    finalists, final_losses = _with_start(found, pool, losses)
    candidates = bench.candidates(synth, audition.space, finalists, final_losses)[: options.candidates]
    watch.lap("judge")
    heard = _heard(audition, joined(*(candidate.proposal for candidate in candidates)))
    watch.lap("listen for knobs")
    one = ModelMatch(
        arm.name, audition.space, tuple(candidates), heard, found.start_loss, found.evaluations, found.seconds
    )
    return one, found.interrupted


def _with_start(found: Found, pool: Proposals, losses: Tensor) -> tuple[Proposals, Tensor]:
    """What was found, and the best proposal beside what became of it: so nothing gets worse at full rate either."""
    first = int(losses.argmin())
    start = pool[first : first + 1]
    if bool((found.proposals.unit == start.unit).all(dim=1).any()):
        return found.proposals, found.losses
    return joined(found.proposals, start), torch.cat([found.losses, losses[first : first + 1]])


def _pool(arm: _Arm, target: Target, options: MatchOptions) -> Proposals:
    chance = random.generator(options.seed, "proposals")
    space = arm.audition.space
    if arm.inverter is None:
        return even_pool(options.synth, space, target.hint, EVEN_POOL, chance)
    rate = arm.inverter.config.sample_rate
    clip = fit_length(resample(target.samples, target.sample_rate, rate), arm.inverter.num_samples)
    return joined(
        network_pool(arm.inverter, clip, target.hint, NETWORK_POOL, chance),
        even_pool(options.synth, space, target.hint, BESIDE_POOL, chance),
    )


def _heard(audition: Audition, proposals: Proposals) -> Bool[Tensor, "candidates searched"]:
    knobs = audition.space.from_unit(proposals.unit.to(audition.device))
    note = proposals.note().to(audition.device)
    every = audible(audition.synth, knobs, note, num_samples=audition.num_samples).cpu()
    order = [parameter.name for parameter in audition.synth.space.searched]
    return every[:, [order.index(parameter.name) for parameter in audition.space.searched]]
