"""What surrounds a training: what it learns from is counted, what it makes is kept, what it will cost is told."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from PIL import Image
from several import in_processes

from retimbre.cli.app import run
from retimbre.core.errors import ConfigError
from retimbre.gan.growth import Growth
from retimbre.gan.sounds import load_generator
from retimbre.training.checkpoint import read_header
from retimbre.training.loop import Progress
from retimbre.training.task import Task
from retimbre.workflows.training import fit, gan_samples, rehearsal
from retimbre.workflows.training.census import TrainingCensus, counts_of
from retimbre.workflows.training.fit import rehearse, train
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.gan_trials import penalties_before, trials_of
from retimbre.workflows.training.kind import Prepared, Session, Trial
from retimbre.workflows.training.run import read_run
from retimbre.workflows.training.samples import Samples, write_samples

TINY = """
seed = 1
[task]
kind = "gan"
sample_rate = 4000
num_samples = 256
latent_dim = 4
attributes = ["pitch", "family"]
generator = { kind = "dense", width = 16 }
critics = [{ network = { kind = "dense", width = 16 } }]
loss = { kind = "wgan", gradient_penalty = 10.0, critic_steps = 2, penalty_every = 4 }
[data]
notes = 40
instruments = 3
lowest_pitch = 60
highest_pitch = 63
families = ["bass", "organ"]
validation_clips = 12
[train]
steps = 6
batch_size = 4
optimizer = "adam"
log_every = 2
validate_every = 3
checkpoint_every = 3
"""
SAMPLES = ["train.samples_every=4"]  # and at the last step, the sixth


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def gan_run(run_file: Path, *overrides: str) -> GanRun:
    config = read_run(run_file, overrides)
    assert isinstance(config, GanRun)
    return config


def samples_in(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("samples/*/*"))}


def test_every_so_many_steps_a_run_leaves_sounds_and_pictures(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "run", overrides=SAMPLES)
    names = ("generated.wav", "rainbowgrams.png", "real.wav")
    folders = [f"samples/step-{step:08d}" for step in (4, 6)]
    left = samples_in(tmp_path / "run")
    assert list(left) == [f"{folder}/{name}" for folder in folders for name in names]
    # The same clips each time, and a generator that has learned something between.
    assert len({left[f"{folder}/real.wav"] for folder in folders}) == 1
    assert len({left[f"{folder}/generated.wav"] for folder in folders}) == 2
    audio, rate = soundfile.read(tmp_path / "run" / folders[0] / "real.wav")
    # Six clips with silences of 0.15 s between.
    assert (len(audio), rate) == (6 * 256 + 5 * 600, 4000)
    assert Image.open(tmp_path / "run" / folders[0] / "rainbowgrams.png").width > 1000


def test_a_run_that_was_stopped_leaves_the_samples_of_an_unbroken_one(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "unbroken", overrides=SAMPLES)

    def interrupt(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run_file, tmp_path / "broken", overrides=SAMPLES, progress=interrupt)
    assert len(samples_in(tmp_path / "broken")) == 3
    train(run_file, tmp_path / "broken", overrides=SAMPLES)  # goes on after step 3
    assert samples_in(tmp_path / "broken") == samples_in(tmp_path / "unbroken")


def test_samples_change_nothing_of_what_is_learned(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "with", overrides=SAMPLES)
    train(run_file, tmp_path / "without")
    assert not (tmp_path / "without/samples").exists()
    ours, theirs = (load_generator(tmp_path / name).network.state_dict() for name in ("with", "without"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_kind_that_makes_no_sounds_says_so_before_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "inverter.toml"
    path.write_text('[task]\nsynth = "two-sine"\nmodel = "C1"\n[train]\nsteps = 1\nsamples_every = 1\n')
    with pytest.raises(ConfigError, match=r"samples_every is for what makes sounds; .* 'inversion' takes 0"):
        train(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def train_and_tell_who_writes(run_file: Path, out: Path) -> list[str]:
    """The folders that this process wrote samples into."""
    written: list[str] = []

    def note(folder: Path, samples: Samples) -> None:
        written.append(folder.name)

    gan_samples.write_samples = note
    train(run_file, out, overrides=SAMPLES, device="cpu")
    return written


def test_of_several_processes_the_first_one_writes_samples(run_file: Path, tmp_path: Path) -> None:
    first, second = in_processes(2, train_and_tell_who_writes, run_file, tmp_path / "run")
    assert first.value == [f"step-{step:08d}" for step in (4, 6)]
    assert second.value == []


def test_samples_that_are_there_are_replaced_and_sounds_may_be_silent(tmp_path: Path) -> None:
    for level in (0.0, 0.5):
        clips = torch.full((2, 100), level)
        write_samples(tmp_path / "new/samples", Samples(clips, clips, ("1", "2"), 4000))
    audio, _ = soundfile.read(tmp_path / "new/samples/generated.wav")
    assert audio.max() == 0.5


def test_a_census_travels_with_the_model_and_is_told_before_the_first_step(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(run_file), "--out", str(tmp_path / "run"), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["finished"]
    lines = output.err.splitlines()
    assert lines[0].split() == ["training", "set", "number", "which"]
    assert lines[1].split() == ["clips", "40", "0.064", "s", "each"]
    facts = read_header(tmp_path / "run/model.safetensors").metadata["facts"]
    assert facts["census"] == json.loads((tmp_path / "run/census.json").read_text())
    counts = facts["census"]["attributes"]
    assert list(counts) == ["corpus", "family", "pitch", "velocity"]
    assert {name: sum(values.values()) for name, values in counts.items()} == dict.fromkeys(counts, 40)
    # What the generator is not told of is counted, too.
    assert set(counts["velocity"]) <= {"25", "50", "75", "100", "127"}
    assert set(counts["pitch"]) == {"60", "61", "62", "63"}


def test_a_table_of_a_census_lists_few_values_and_sums_up_many() -> None:
    pitches = counts_of([*range(20), 3, 3])
    census = TrainingCensus(
        22, 1.0, {"silent": 5, "broken": 0}, {"family": {"organ": 20, "reed": 2}, "pitch": pitches}
    )
    assert [tuple(row.values()) for row in census.rows()] == [
        ("clips", "22", "1 s each"),
        ("silent", "5", "left out"),
        ("family", "2", "organ (20), reed (2)"),
        ("pitch", "20", "0 to 19, 1 to 3 clips each"),
    ]
    assert list(pitches) == [str(pitch) for pitch in range(20)]  # as numbers, not as words


def test_a_manifest_says_how_many_clips_the_critics_saw_in_a_second(run_file: Path, tmp_path: Path) -> None:
    manifest = train(run_file, tmp_path / "run")
    assert manifest["clips_seen"] == 6 * 4 * 2
    # Seconds are told to a tenth.
    assert 48 / manifest["images_per_second"] == pytest.approx(manifest["seconds"], abs=0.051)


def test_a_rehearsal_tells_steps_with_and_without_penalty_and_memory(run_file: Path, tmp_path: Path) -> None:
    told = rehearse(gan_run(run_file), Session(tmp_path / "run", "cpu"))
    assert [(row["sort"], row["steps"], row["clips"]) for row in told["trials"]] == [
        ("update, penalties: 0", 3, 8),
        ("update, penalties: 1", 3, 8),
    ]
    assert told["parameters"] < told["critic_parameters"][0] * 3
    # PyTorch alone takes 100 MB, and nothing here takes 100 GB.
    assert 100 < told["peak_memory_mb"] < 100_000
    # A rehearsal makes a handful of the clips; a million more of 256 samples in 16 bits are 512 MB.
    more = rehearse(gan_run(run_file, "data.notes=1000040"), Session(tmp_path / "run", "cpu"))
    assert more["peak_memory_mb"] >= told["peak_memory_mb"] + 511
    assert not (tmp_path / "run").exists()


@dataclasses.dataclass
class Clock:
    """A clock that stands until it is moved."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s


@dataclasses.dataclass
class Costly(Task[int]):
    """A task whose first update is slow, and whose even steps take four times as long as odd ones."""

    clock: Clock
    first_s: float
    odd_s: float
    updates: int = 0

    def batch_at(self, step: int) -> int:
        self.clock.now_s += 0.5
        return step

    def update(self, batch: int, *, step: int) -> dict[str, float]:
        self.updates += 1
        usual_s = self.odd_s * (4.0 if step % 2 == 0 else 1.0)
        self.clock.now_s += self.first_s if self.updates == 1 else usual_s
        return {"loss": float(step)}

    def validate(self, batches: Iterable[int]) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


def cost_of(task: Costly, trials: list[Trial], tell: Callable[[str], object]) -> dict[str, Any]:
    return rehearsal.cost_of(Prepared(task, task.batch_at, list, {}), trials, torch.device("cpu"), tell)


def test_the_hours_of_a_rehearsal_are_those_of_all_sorts_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(rehearsal, "time", clock)
    trials = [Trial("odd", 3, 900, 10), Trial("even", 4, 100, 20)]
    lines: list[str] = []
    told = cost_of(Costly(clock, first_s=15.0, odd_s=1.0), trials, lines.append)
    assert lines == [
        "trying a step of 2 sorts, 1: odd (10 clips)",
        "trying a step of 2 sorts, 2: even (20 clips)",
    ]
    seconds = 900 * 1.5 + 100 * 4.5
    assert told["hours"] == round(seconds / 3600, 2)
    assert told["images_per_second"] == round((900 * 10 + 100 * 20) / seconds, 1)
    assert told["loss"] == 4.0


def test_a_rehearsal_makes_a_step_that_takes_long_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(rehearsal, "time", clock)
    task = Costly(clock, first_s=60.0, odd_s=60.0)
    told = cost_of(task, [Trial("odd", 3, 10, 64)], lambda line: None)
    assert task.updates == 1
    assert told["render_s"] == 0.5
    assert told["update_s"] == 60.0


@pytest.mark.parametrize(("critic_steps", "penalty_every"), [(1, 1), (5, 1), (1, 8), (5, 8), (2, 3), (3, 2)])
def test_the_sorts_of_steps_are_all_steps_and_all_penalties(
    critic_steps: int, penalty_every: int, run_file: Path
) -> None:
    config = gan_run(
        run_file,
        f"task.loss.critic_steps={critic_steps}",
        f"task.loss.penalty_every={penalty_every}",
        "train.steps=100",
    )
    trials = trials_of(config)
    assert sum(trial.count for trial in trials) == 100
    assert sum(
        trial.count * (penalties_before(config, trial.step + 1) - penalties_before(config, trial.step))
        for trial in trials
    ) == (100 * critic_steps // penalty_every)
    assert {trial.clips for trial in trials} == {4 * critic_steps}


def test_a_growing_network_has_sorts_of_steps_at_every_scale(run_file: Path) -> None:
    growth = Growth(steps=(10, 20, 30), batch_sizes=(8, 4, 2))
    config = dataclasses.replace(
        gan_run(run_file, "task.loss.penalty_every=1", "train.steps=50"), growth=growth
    )
    assert trials_of(config) == [
        Trial("scale 0", 5, 10, 16),
        Trial("scale 1", 20, 20, 8),
        Trial("scale 2", 40, 20, 4),
    ]
    assert config.clips_after(50) == sum(trial.count * trial.clips for trial in trials_of(config))
    assert config.clips_after(15) == 10 * 16 + 5 * 8


def test_every_kind_of_run_is_rehearsed_with_its_memory(tmp_path: Path) -> None:
    path = tmp_path / "inverter.toml"
    path.write_text('[task]\nsynth = "two-sine"\nmodel = "C1"\nseconds = 0.05\n[train]\nsteps = 10\n')
    told = rehearse(read_run(path, []), Session(tmp_path / "run", "cpu"))
    assert {"render_s", "update_s", "images_per_second", "hours", "peak_memory_mb"} <= told.keys()
    assert [each.name for each in tmp_path.iterdir()] == ["inverter.toml"]
    basis = read_run(Path(__file__).parents[2] / "runs/tiny/basis.toml", [])
    told = rehearse(basis, Session(tmp_path / "run", "cpu"))
    assert {"update_s", "images_per_second", "hours", "peak_memory_mb"} <= told.keys()
    assert [each.name for each in tmp_path.iterdir()] == ["inverter.toml"]
    # The others are rehearsed elsewhere in these tests.
    assert set(fit.KINDS) == {"inversion", "label-autoencoder", "listener", "gan", "basis"}
