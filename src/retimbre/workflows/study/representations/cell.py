"""A contestant's part of the study: its pace, its trials, its trainings, and what they got.

    CONTESTANT/pace.json              what its updates take, from which follows how many it makes
    CONTESTANT/trials/                a short training for each setting
    CONTESTANT/untrained.json         what it gets before it has learned anything
    CONTESTANT/seed-0/run/            a training with the best setting: a run folder like any other
    CONTESTANT/seed-0/marks.json      what it got
    CONTESTANT/seed-0/sounds/         what it plays

Each part is done if its file is there, and otherwise begun or continued, so it does not matter when the study is
stopped.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from retimbre.core.config import dump
from retimbre.core.files import fingerprint, sha256_of
from retimbre.gan.base import Stage
from retimbre.gan.sounds import load_generator
from retimbre.training.devices import pick_device
from retimbre.workflows.study.representations.contest import Contestant
from retimbre.workflows.study.representations.costs import costs_of
from retimbre.workflows.study.representations.generated import sounds_for, write_scale
from retimbre.workflows.study.representations.judge import Yardstick, judge, yardstick
from retimbre.workflows.study.representations.marks import Marks, kept_marks, read_marks
from retimbre.workflows.study.representations.pace import Pace, pace_of
from retimbre.workflows.study.representations.spent import CoreClock, add_session, core_seconds
from retimbre.workflows.study.representations.trials import best_setting
from retimbre.workflows.training.fit import run_session
from retimbre.workflows.training.gan import build_parts
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import RunFolder


class OutOfTime(Exception):
    """The time of the study is over; what was begun can be continued."""


@final
@dataclasses.dataclass(frozen=True)
class Cell:
    """A contestant and where it is kept.

    Attributes:
        contestant: Who.
        study: The folder of the study.
        seeds: Of its trainings.
        device: `auto`, `cpu` or `cuda`.
        deadline_s: The time, as `time.time` gives it, after which no part is begun.
    """

    contestant: Contestant
    study: Path
    seeds: tuple[int, ...]
    device: str = "auto"
    deadline_s: float = float("inf")

    @property
    def name(self) -> str:
        """Of the contestant."""
        return self.contestant.name

    @property
    def folder(self) -> Path:
        """Its own."""
        return self.study / "contestants" / self.name

    @property
    def trials_folder(self) -> Path:
        """Where its settings were tried."""
        return self.folder / "trials"

    @property
    def untrained_file(self) -> Path:
        """What it gets untrained."""
        return self.folder / "untrained.json"

    def marks_file(self, seed: int) -> Path:
        """What a training got."""
        return self.folder / f"seed-{seed}" / "marks.json"

    def sounds_folder(self, seed: int) -> Path:
        """What a training plays."""
        return self.folder / f"seed-{seed}" / "sounds"

    @property
    def finished(self) -> bool:
        """Whether all parts are there."""
        files = (self.untrained_file, *(self.marks_file(seed) for seed in self.seeds))
        return all(read_marks(path) is not None for path in files)

    def run(self) -> str:
        """Does what is missing, as far as time allows, and says how far it got."""
        started_s = time.time()
        try:
            self._begin()
            pace = pace_of(self.contestant, self.folder / "pace.json", self.device)
            best = best_setting(self.contestant, pace, self.trials_folder, self._trained)
            against = yardstick(self.contestant, str(self.study / "vectors"), self.device)
            self._judge_untrained(against)
            told = [self._train_and_judge(seed, pace, best, against) for seed in self.seeds]
        except OutOfTime:
            return f"{self.name}: stopped, to be continued"
        return f"{self.name}: {'; '.join(told)}; {time.time() - started_s:.0f} s"

    def _begin(self) -> None:
        """Raises OutOfTime when the time is over."""
        if time.time() >= self.deadline_s:
            raise OutOfTime

    def _trained(self, config: GanRun, folder: Path) -> Mapping[str, Any]:
        """The manifest of a training that is finished. Raises OutOfTime where it is not."""
        self._begin()
        if self.deadline_s < float("inf"):
            minutes = max((self.deadline_s - time.time()) / 60, 0.01)
            config = dataclasses.replace(config, train=dataclasses.replace(config.train, minutes=minutes))
        clock = CoreClock()
        session = Session(folder, self.device, progress=clock.tick, announce=clock.begin)
        manifest = run_session(config, session)
        add_session(folder, clock)
        if not manifest["finished"]:
            raise OutOfTime
        return manifest

    def _train_and_judge(self, seed: int, pace: Pace, best: Mapping[str, float], against: Yardstick) -> str:
        """Trains with a seed and judges what was learned; says how it went."""
        config = self.contestant.run(pace.steps(self.contestant.budget.train_s), best, seed)
        run = RunFolder(self.marks_file(seed).parent / "run")
        manifest = _finished_before(run, config.train.steps) or self._trained(config, run.path)

        def make() -> Marks:
            device = pick_device(self.device)
            sounds = load_generator(run.model).to(device)
            write_scale(self.sounds_folder(seed), sounds, self.contestant.budget.pitches)
            figures = judge(sounds_for(sounds, against.keys, seed, self.name), against)
            costs = dataclasses.asdict(costs_of(sounds, device))
            about = _about(manifest, pace, best) | {"core_seconds": core_seconds(run.path, manifest["step"])}
            return {"figures": figures, "about": about | costs}

        facts = {"model": sha256_of(run.model), **against.key}
        marks = kept_marks(self.marks_file(seed), facts, make)
        in_tune = marks["figures"]["in_tune"]["value"]
        return f"seed {seed}: {manifest['clips_seen']:,} images, {100 * in_tune:.0f} % in tune"

    def _judge_untrained(self, against: Yardstick) -> None:
        """Judges a generator with fresh weights, at full size."""
        num_scales = len(self.contestant.model.weights)
        config = self.contestant.run((1,) * num_scales, {}, seed=0)

        def make() -> Marks:
            pool = clip_pool(config.data, config.task, "train", most=config.data.notes, seed=0)
            sounds = build_parts(config, pool).sounds.eval().to(pick_device(self.device))
            sounds.network.grow(Stage(num_scales - 1))
            figures = judge(sounds_for(sounds, against.keys, 0, "untrained"), against)
            return {"figures": figures, "about": {}}

        self._begin()
        kept_marks(self.untrained_file, {"task": fingerprint(dump(config.task)), **against.key}, make)


def _about(manifest: Mapping[str, Any], pace: Pace, best: Mapping[str, float]) -> dict[str, Any]:
    """How a training went, and how large its networks are."""
    return {
        "seconds": manifest["seconds"],
        "images": manifest["clips_seen"],
        "steps": manifest["steps"],
        "best_step": manifest["best_step"],
        "setting": dict(best),
        "parameters": pace.parameters,
        "critic_parameters": pace.critic_parameters,
        "features": list(pace.features),
    }


def _finished_before(run: RunFolder, steps: int) -> Mapping[str, Any] | None:
    """The manifest of a training that made all its updates before; it need not be prepared once more."""
    if not (run.manifest.is_file() and run.model.is_file()):
        return None
    try:
        manifest = json.loads(run.manifest.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    is_whole = isinstance(manifest, dict) and manifest.get("finished") and manifest.get("step") == steps
    return manifest if is_whole and manifest.get("model_sha256") == sha256_of(run.model) else None
