"""How much sooner does the modern GAN learn a toy than the progressive one that it takes the place of?

Both learn the same twelve pitches from the same notes, on one thread of the same machine: runs/toy/modern.toml and
runs/toy/progressive.toml, their steps stretched so that a run takes the CPU time that is asked for (`--cpu-s`, and
`--longer` times as much in a second run of each). While a run goes on, its sounds, by the average of the
weights, are held beside those of instruments that nobody was trained on: FAD and KAD of band statistics, and the share
of notes that a pitch estimator without a network hears within 50 cents of their key. Time is that of the process in
updates alone: neither what is prepared nor what is measured counts.

Both are tuned alike: each has as many trials (TRIALS), which begin with its run file as it is and change what a
training depends on most. Each trial trains for a tenth of the time, its sounds are held beside validation instruments,
and the one of the least FAD is what the runs are made with. The run files themselves were found by hand, the modern one
in more attempts than the port's: docs/log.md tells. What a run comes to is its state of the least FAD beside validation
instruments (`retimbre train` keeps the one of the least KAD), and is told beside test instruments.

    python benchmarks/gan_toy.py OUT [--cpu-s 600] [--longer 3] [--seeds 0 1 2]

Every trial and run leaves a file in OUT, named by all that it depends on, and one that is there is not repeated: to go
on after an interruption, or to add seeds, run the same command again. Printed are what real sounds score, what every
run comes to, when the modern one first is as near to test instruments as what the progressive one comes to, and when
it is as well in tune besides, and the ratios of these times.
"""

import argparse
import dataclasses
import hashlib
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retimbre.core.files import write_json
from retimbre.dsp.level import normalise_peak
from retimbre.gan.task import GanTask
from retimbre.listening.statistics import BandStatistics
from retimbre.metrics.bootstrap import Bootstrap
from retimbre.metrics.distances.base import Vectors
from retimbre.metrics.distances.catalog import DISTANCES
from retimbre.metrics.notes.pitch import fundamentals, pitch_errors
from retimbre.training import devices
from retimbre.workflows.training.gan import GAN
from retimbre.workflows.training.gan_pool import ClipPool, Part, clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.kind import Prepared, Session
from retimbre.workflows.training.run import read_run

RUNS = Path(__file__).parent.parent / "runs" / "toy"
PORT, MODERN = "progressive", "modern"

_TWICE = {"train.learning_rate": 1e-3, "task.critic_learning_rate": 4e-3}
TRIALS: dict[str, tuple[dict[str, float], ...]] = {
    MODERN: (
        {},
        _TWICE,
        {"train.learning_rate": 2e-3, "task.critic_learning_rate": 8e-3},
        _TWICE | {"task.loss.r1": 1.0, "task.loss.r2": 1.0},
        _TWICE | {"task.loss.r1": 0.02, "task.loss.r2": 0.02},
    ),
    PORT: (
        {},
        {"train.learning_rate": 8e-4},
        {"train.learning_rate": 4e-3},
        {"task.loss.class_weight_critic": 10.0, "task.loss.class_weight_generator": 10.0},
        {"task.loss.gradient_penalty": 1.0},
    ),
}
"""Options of the run files that are tried for each model, as many for either; the first is the file as it is."""
TRIAL_SHARE = 0.1  # of a run's time

CLIPS = 1100  # that sounds are measured by: twice the 512 band statistics
HEARD = 300  # of these whose pitch is estimated
MEASUREMENTS = 20  # in a run, closer together at its beginning

Row = dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """Held-out clips, against which others with the same labels are measured.

    Attributes:
        keys: MIDI numbers of the clips.
    """

    pool: ClipPool
    audio: Tensor
    vectors: Vectors
    keys: Tensor
    sample_rate: int

    @classmethod
    def of(cls, config: GanRun, part: Part) -> "Judge":
        """The clips of a part."""
        pool = clip_pool(config.data, config.task, part, most=CLIPS, seed=config.seed)
        audio, rate = pool.audio(torch.arange(len(pool))), config.task.sample_rate
        keys = (pool.labels["pitch"] + config.data.lowest_pitch).float()
        return cls(pool, audio, vectors_of(audio, rate), keys, rate)

    def measure(self, audio: Tensor, keys: Tensor) -> Row:
        """Distances of sounds, and how many of them have their key."""
        sounds = normalise_peak(audio)
        once, vectors = Bootstrap(resamples=1), vectors_of(sounds, self.sample_rate)
        row = {
            name: DISTANCES[name].measure(self.vectors, vectors, once).values["value"].value
            for name in ("fad", "kad")
        }
        heard = fundamentals(sounds[:HEARD], self.sample_rate)
        return row | {"pitch": float(pitch_errors(heard, keys[:HEARD]).in_tune.values.mean())}

    @torch.no_grad()
    def generated(self, task: GanTask) -> Row:
        """The same of a generator's sounds with the labels of the clips."""
        latent = task.sounds.draw_latents(len(self.pool), seed=0, purpose="gan toy")
        task.generator.eval()
        with task.average.applied():
            return self.measure(task.sounds(latent, self.pool.labels), self.keys)


def vectors_of(audio: Tensor, sample_rate: int) -> Vectors:
    return Vectors.of(BandStatistics(sample_rate)(audio).double())


def of_real_sounds(seed: int) -> dict[str, Row]:
    """What other instruments score, and what the held-out sounds themselves score through each representation."""
    rows: dict[str, Row] = {}
    for model in (MODERN, PORT):
        config = config_of(model, seed)
        judge, other = Judge.of(config, "test"), Judge.of(config, "valid")
        sounds = task_of(prepared(config)).sounds
        through = sounds.heard(sounds.representation.encode(judge.audio))
        rows["other instruments"] = judge.measure(other.audio, other.keys)
        rows[f"through the representation of {model}"] = judge.measure(through, judge.keys)
    return rows


def config_of(model: str, seed: int, options: Mapping[str, float] | None = None) -> GanRun:
    changes = [f"{name}={value}" for name, value in (options or {}).items()]
    config = read_run(RUNS / f"{model}.toml", [f"seed={seed}", *changes])
    if not isinstance(config, GanRun):
        raise TypeError(f"{model}.toml trains no GAN")
    return config


def prepared(config: GanRun, *, rehearsal: bool = False) -> Prepared[Any]:
    return GAN.prepare(config, Session(out=Path(), device="cpu", rehearsal=rehearsal))


def task_of(started: Prepared[Any]) -> GanTask:
    if not isinstance(started.task, GanTask):
        raise TypeError("the run trains no GAN")
    return started.task


def stretched(config: GanRun, factor: float) -> GanRun:
    """A run of so many times the steps, growth included."""
    train = dataclasses.replace(config.train, steps=max(1, round(factor * config.train.steps)))
    growth = config.growth
    if growth is not None:
        steps = tuple(max(1, round(factor * each)) for each in growth.steps)
        lengths = [round(factor * growth.fade_length(scale)) for scale in range(len(steps))]
        growth = dataclasses.replace(
            growth, steps=steps, fade_jumps=tuple(lengths), fade_jump_steps=(1,) * len(steps)
        )
    return dataclasses.replace(config, train=train, growth=growth)


def all_steps_s(config: GanRun) -> float:
    """CPU seconds of all steps of a run, from a few of each sort."""
    tried, total_s = prepared(config, rehearsal=True), 0.0
    for trial in tried.trials:
        times_s = []
        for _ in range(4):
            batch = tried.batch_at(trial.step)
            begun_s = time.process_time()
            tried.task.update(batch, step=trial.step)
            times_s.append(time.process_time() - begun_s)
        total_s += trial.count * statistics.median(times_s[1:])
    return total_s


def updates(config: GanRun, started: Prepared[Any], budget_s: float) -> Iterator[tuple[int, float]]:
    """Trains; after each step its number and the CPU seconds of all of them. A tenth over the budget is the end."""
    used_s = 0.0
    for step in range(1, config.train.steps + 1):
        batch = started.batch_at(step)
        begun_s = time.process_time()
        devices.restart_random(config.seed, "update", step)
        started.task.update(batch, step=step)
        used_s += time.process_time() - begun_s
        yield step, used_s
        if used_s > 1.1 * budget_s:
            return


def measured_at_s(budget_s: float, number: int) -> list[float]:
    """CPU seconds at which a run is measured: from a fiftieth of it to its end, in equal ratios."""
    return [budget_s * 50 ** (index / (number - 1) - 1) for index in range(number)]


def run(config: GanRun, budget_s: float, number: int, part: Part) -> dict[str, Any]:
    """Trains for a CPU time and returns how its sounds came nearer to those of a part, and to the one for choosing."""
    fitted = stretched(config, budget_s / all_steps_s(config))
    started, judge = prepared(fitted), Judge.of(fitted, part)
    chooser = judge if part == "valid" else Judge.of(fitted, "valid")
    curve: list[Row] = []
    due_s = measured_at_s(budget_s, number)[:-1]  # the end is measured whenever it comes

    def measure(step: int, used_s: float) -> None:
        row = {"cpu_s": used_s, "step": step, "clips": fitted.clips_after(step)}
        row |= judge.generated(task_of(started))
        row["valid_fad"] = row["fad"] if chooser is judge else chooser.generated(task_of(started))["fad"]
        print("  " + "  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
        curve.append(row)

    step, used_s = 0, 0.0
    for step, used_s in updates(fitted, started, budget_s):
        if due_s and used_s >= due_s[0]:
            measure(step, used_s)
            due_s = [each for each in due_s if each > used_s]
    if not curve or step > curve[-1]["step"]:
        measure(step, used_s)
    return {"steps": fitted.train.steps, "sizes": started.sizes, "curve": curve}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A training that is to be measured.

    Attributes:
        model: Whose run file it is.
        options: What is changed in it.
        budget_s: CPU time.
        number: Measurements.
        part: Whom its sounds are held beside.
    """

    model: str
    options: Mapping[str, float]
    seed: int
    budget_s: float
    number: int
    part: Part

    @property
    def config(self) -> GanRun:
        """The whole run."""
        return config_of(self.model, self.seed, self.options)

    def result(self, folder: Path) -> dict[str, Any]:
        """What the run came to, from the file of an earlier call with the same settings if there is one."""
        changes = ", ".join(f"{name}={value:g}" for name, value in self.options.items())
        print(
            f"{self.model}, seed {self.seed}, {self.budget_s:.0f} CPU s, {changes or 'as it is'}", flush=True
        )
        facts = [self.config, self.budget_s, self.number, self.part, CLIPS, HEARD]
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
        path = folder / f"{self.model}-{self.part}-seed{self.seed}-{self.budget_s:.0f}s-{digest}.json"
        return once(path, lambda: run(self.config, self.budget_s, self.number, self.part))


def once(path: Path, made: Callable[[], Any]) -> Any:
    """What a function returns, from the file of an earlier call if there is one."""
    if not path.exists():
        write_json(path, made())
    return json.loads(path.read_text())


def tuned(model: str, budget_s: float, folder: Path) -> Mapping[str, float]:
    """The options of the best trial of a model."""
    ends: list[float] = []
    for options in TRIALS[model]:
        curve = Entry(model, options, 0, budget_s, 2, "valid").result(folder)["curve"]
        ends.append(curve[-1]["fad"])
        print(f"  pitch {curve[-1]['pitch']:.3f}  FAD {ends[-1]:.2f}", flush=True)
    return TRIALS[model][ends.index(min(ends))]


def kept(curve: Sequence[Row]) -> Row:
    """What a run comes to: its state of the least FAD beside validation instruments."""
    return min(curve, key=lambda row: row["valid_fad"])


def reached_s(curve: Sequence[Row], *, fad: float, pitch: float = 0.0) -> float:
    """CPU seconds when a curve first is as near, and as well in tune; infinite if it never is."""
    return next((row["cpu_s"] for row in curve if row["fad"] <= fad and row["pitch"] >= pitch), float("inf"))


def report(found: dict[str, dict[int, Any]]) -> None:
    """Prints what every run comes to, and how much sooner the modern one is as near as the other."""
    print(f"{'run':<20} seed  CPU s    clips  pitch    FAD    KAD | at its end: CPU s  pitch    FAD")
    for name, runs in found.items():
        for seed, result in runs.items():
            end, best = result["curve"][-1], kept(result["curve"])
            print(
                f"{name:<20} {seed:>4} {best['cpu_s']:>6.0f} {best['clips']:>8} {best['pitch']:>6.3f} "
                f"{best['fad']:>6.2f} {best['kad']:>6.2f} | {end['cpu_s']:>18.0f} "
                f"{end['pitch']:>6.3f} {end['fad']:>6.2f}"
            )
    for name, seed in itertools.product((PORT, f"{PORT} longer"), found[MODERN]):
        goal, curve = kept(found[name][seed]["curve"]), found[MODERN][seed]["curve"]
        near_s = reached_s(curve, fad=goal["fad"])
        tuned_s = reached_s(curve, fad=goal["fad"], pitch=goal["pitch"])
        print(
            f"{name} seed {seed}: FAD {goal['fad']:.2f}, pitch {goal['pitch']:.3f} after {goal['cpu_s']:.0f} s; modern "
            f"as near after {near_s:.0f} s ({goal['cpu_s'] / near_s:.1f} times sooner), as well in tune besides after "
            f"{tuned_s:.0f} s ({goal['cpu_s'] / tuned_s:.1f} times)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--cpu-s", type=float, default=600.0)
    parser.add_argument("--longer", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, row in once(args.out / "real.json", lambda: of_real_sounds(args.seeds[0])).items():
        print(name, {key: round(value, 3) for key, value in row.items()}, flush=True)
    options = {model: tuned(model, TRIAL_SHARE * args.cpu_s, args.out) for model in (MODERN, PORT)}
    found: dict[str, dict[int, Any]] = {}
    runs = {MODERN: (MODERN, 1.0), PORT: (PORT, 1.0), f"{PORT} longer": (PORT, args.longer)}
    for (name, (model, length)), seed in itertools.product(runs.items(), args.seeds):
        entry = Entry(model, options[model], seed, length * args.cpu_s, MEASUREMENTS, "test")
        found.setdefault(name, {})[seed] = entry.result(args.out)
    report(found)


if __name__ == "__main__":
    main()
