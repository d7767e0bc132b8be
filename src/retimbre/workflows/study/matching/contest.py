"""Which networks the comparison of inverters is between, and with what budget each is trained.

The InverSynth paper compares fourteen models on one synthesizer: four dense networks over a bag of words, six
convolutional ones of growing depth, a larger one, one that hears the samples, and two over hand-crafted features.
Here each trains on the same pairs with the same optimizer for the same number of clips, and beside each runs a
control: the same network on the same sounds with the labels of other sounds, whose score is what the measure gives
for nothing.

A `Budget` scales the contest down without touching its run files: what they say of synthesizer, network and
optimizer stays.

References:
    Barkan et al. (2019), "InverSynth: deep estimation of synthesizer parameter configurations from audio signals",
    https://arxiv.org/abs/1812.06349
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retimbre.core.config import apply_overrides, build, dump
from retimbre.core.errors import ConfigError, near_miss
from retimbre.listening.catalog import EMBEDDERS
from retimbre.matching.inverter import InverterConfig
from retimbre.training.devices import Precision
from retimbre.workflows.training.matching_run import DataConfig, MatchingRun
from retimbre.workflows.training.run import read_matching_run
from retimbre.workflows.training.settings import TrainConfig

# The paper's mean percentile rank of each model, in the order of its table.
PAPER_RANKS: dict[str, float] = {
    "FCLinear": 65.59,
    "FC1": 66.85,
    "FC2": 67.05,
    "FC3": 66.72,
    "Conv1": 70.69,
    "Conv2": 75.78,
    "Conv3": 76.51,
    "Conv4": 77.35,
    "Conv5": 77.66,
    "Conv6": 77.81,
    "Conv6XL": 77.9,
    "E2E": 76.17,
    "HC": 72.8,
    "HC3": 75.8,
}
PAPER_SYNTH = "inversynth"

# Embeddings of this many clips take some two gigabytes.
MOST_CACHED = 500_000

# The full budget: as many clips as the paper's 100 epochs over 200,000 sounds.
_FULL = TrainConfig(
    steps=78_125,
    batch_size=256,
    warmup_steps=50,
    final_fraction=0.01,
    validate_every=2500,
)


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much each model is trained and measured.

    Attributes:
        overrides: What is set over the run file, as `train.steps=1000`; the run file's own where there is none.
        control_steps: Updates of a control; 0 for as many as the model has.
        test_clips: Held-out clips on which the knobs are judged.
        audio_clips: Of these, how many answers are rendered and compared as sounds.
    """

    overrides: tuple[str, ...]
    control_steps: int
    test_clips: int
    audio_clips: int


def _small(steps: int, batch_size: int, validate_every: int, validation_clips: int) -> tuple[str, ...]:
    return (
        f"train.steps={steps}",
        f"train.batch_size={batch_size}",
        f"train.validate_every={validate_every}",
        f"data.validation_clips={validation_clips}",
        "train.threads=1",
    )


BUDGETS: dict[str, Budget] = {
    "smoke": Budget(_small(20, 16, 20, 64), control_steps=0, test_clips=64, audio_clips=16),
    "cpu": Budget(_small(1000, 64, 250, 1024), control_steps=250, test_clips=8192, audio_clips=1024),
    "full": Budget((), control_steps=0, test_clips=20_480, audio_clips=4096),
}


@dataclasses.dataclass(frozen=True)
class Entrant:
    """One training of the contest.

    Attributes:
        name: Of its run folder: the network's, with `-control` behind it for a control.
        config: The run.
        is_control: Whether its labels are shuffled.
    """

    name: str
    config: MatchingRun
    is_control: bool

    @property
    def front_end(self) -> str:
        """What the network listens through; entrants that share one share its cache."""
        task = self.config.task
        return task.representation if isinstance(task, InverterConfig) else ""


def paper_run(model: str) -> MatchingRun:
    """The full run of one of the paper's models; `runs/paper/` holds the same as files."""
    if model not in PAPER_RANKS:
        raise ConfigError(f"the paper has no model {model!r}; {near_miss(model, PAPER_RANKS)}")
    task = InverterConfig(PAPER_SYNTH, model).resolved()
    return MatchingRun(task, dataclasses.replace(_FULL, precision=Precision.BF16), DataConfig(), seed=0)


def entrants(
    run_files: Sequence[Path], budget: str, overrides: Sequence[str], cache: Path
) -> list[tuple[Entrant, Entrant]]:
    """Every model of the contest with its control.

    Args:
        run_files: The models' run files; empty for the paper's fourteen.
        budget: A name in `BUDGETS`.
        overrides: Options set over run file and budget.
        cache: Where embeddings are kept, to be shared.

    Raises:
        ConfigError: No such budget, a run file is wrong or trains no inverter, two have one name, or they would not
            hear the same sounds.
    """
    if budget not in BUDGETS:
        raise ConfigError(f"there is no budget {budget!r}; {near_miss(budget, BUDGETS)}")
    named = _runs(run_files)
    size = BUDGETS[budget]
    found = []
    for name, config in named.items():
        model = build(MatchingRun, apply_overrides(dump(config), [*size.overrides, *overrides]), "")
        model = _with_cache(model, cache)
        steps = min(size.control_steps or model.train.steps, model.train.steps)
        control = dataclasses.replace(
            model,
            train=dataclasses.replace(model.train, steps=steps),
            data=dataclasses.replace(model.data, shuffled_labels=True),
        )
        found.append((Entrant(name, model, False), Entrant(f"{name}-control", control, True)))
    _check_alike([model for model, _ in found])
    return found


def _with_cache(config: MatchingRun, cache: Path) -> MatchingRun:
    """The same run; embeddings of a training short enough to be kept are computed once for all who hear them."""
    clips = config.train.steps * config.train.batch_size
    if isinstance(config.task, InverterConfig) and config.task.representation not in EMBEDDERS:
        return config
    if clips > MOST_CACHED or config.data.pairs or config.data.folder:
        return config
    # One pass over as many pairs as are heard is what an endless training hears.
    return dataclasses.replace(config, data=dataclasses.replace(config.data, pairs=clips, cache=str(cache)))


def _runs(run_files: Sequence[Path]) -> dict[str, MatchingRun]:
    if not run_files:
        return {model: paper_run(model) for model in PAPER_RANKS}
    named: dict[str, MatchingRun] = {}
    for path in run_files:
        config = read_matching_run(path, [])
        if not isinstance(config.task, InverterConfig):
            raise ConfigError(f"{path}: trains a {config.task.kind}, but the study compares inverters")
        if path.stem in named:
            raise ConfigError(f"two run files are named {path.stem!r}; the study needs one name for each")
        named[path.stem] = config
    return named


def _check_alike(models: Sequence[Entrant]) -> None:
    """Refuses a contest whose models would not hear the same sounds.

    Raises:
        ConfigError: Two runs differ in what they hear; the message says in what.
    """
    first = _hears(models[0].config)
    for other in models[1:]:
        theirs = _hears(other.config)
        differing = [what for what in first if first[what] != theirs[what]]
        if differing:
            raise ConfigError(
                f"{models[0].name} and {other.name} differ in {', '.join(differing)}; models side by side hear the "
                "same sounds of one synthesizer"
            )


def _hears(config: MatchingRun) -> dict[str, Any]:
    """What decides which sounds a run trains on and is judged by."""
    task, data = dump(config.task), dump(config.data)
    of_task = {name: task.get(name) for name in ("synth", "sample_rate", "seconds", "fixed", "levels")}
    of_data = {name: data.get(name) for name in ("folder", "draw", "pitch_hz", "gate_s", "folds", "fold")}
    return {**of_task, **of_data, "seed": config.seed}
