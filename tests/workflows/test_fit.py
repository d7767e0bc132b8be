"""Training from a run file: what is written, what is refused, and that running again goes on."""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import CheckpointError, ConfigError, DatasetError, ExistsError, RetimbreError
from retimbre.data.dataset import RenderedSet
from retimbre.data.manifest import Fractions
from retimbre.matching import task as tasks
from retimbre.matching.inverter import load_inverter
from retimbre.synth.levels import ParameterFile
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.training.fit import rehearse, run_session, train
from retimbre.workflows.training.inversion import prepare
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import RunFolder, read_run
from retimbre.workflows.training.settings import RunConfig

RUNS = sorted((Path(__file__).parents[2] / "runs").glob("*.toml"))

TINY = """
seed = 1
[task]
synth = "two-sine"
model = "C1"
seconds = 0.25
[data]
validation_clips = 8
[train]
steps = 6
batch_size = 4
log_every = 2
validate_every = 3
checkpoint_every = 2
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def rows(folder: Path) -> list[list[str]]:
    """The journal without the seconds, which no two runs share."""
    return [row[:-1] for row in csv.reader((folder / "journal.csv").open())]


def test_a_run_leaves_its_settings_journal_curves_states_model_and_manifest(
    run_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    manifest = train(run_file, out)
    assert manifest["finished"]
    assert manifest["clips_seen"] == 24
    assert json.loads((out / "run.json").read_text()) == manifest
    assert tomllib.loads((out / "config.toml").read_text())["train"]["steps"] == 6
    assert (out / "history.png").read_bytes().startswith(b"\x89PNG")
    assert {path.stem for path in (out / "checkpoints").iterdir()} == {"best", "final", "last"}
    assert {row[1] for row in rows(out)[1:]} == {"train", "validation"}
    assert set(manifest["validation"]) == {"loss", "exact", "within_one", "percentile_rank"}
    assert load_inverter(out).config.model == "Conv1"


def test_a_stopped_run_that_is_run_again_equals_an_unbroken_one(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "unbroken")
    stopped = train(run_file, tmp_path / "broken", overrides=["train.minutes=1e-9"])
    assert not stopped["finished"]
    assert stopped["step"] == 1
    finished = train(run_file, tmp_path / "broken")
    assert finished["finished"]
    assert rows(tmp_path / "broken") == rows(tmp_path / "unbroken")
    weights = [load_inverter(tmp_path / name).state_dict() for name in ("broken", "unbroken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_finished_run_that_is_run_again_trains_nothing(run_file: Path, tmp_path: Path) -> None:
    first = train(run_file, tmp_path / "run")
    last = (tmp_path / "run/checkpoints/last.safetensors").stat().st_mtime_ns
    assert train(run_file, tmp_path / "run")["seconds"] == first["seconds"]
    assert (tmp_path / "run/checkpoints/last.safetensors").stat().st_mtime_ns == last


def test_json_and_toml_say_the_same(run_file: Path, tmp_path: Path) -> None:
    as_json = tmp_path / "tiny.json"
    as_json.write_text(json.dumps(tomllib.loads(TINY)))
    assert read_run(as_json, []) == read_run(run_file, [])


def test_the_folder_of_another_run_or_of_something_else_is_refused(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "run")
    with pytest.raises(ExistsError, match=r"differs in seed, task\.model, train\.batch_size"):
        train(run_file, tmp_path / "run", overrides=["train.batch_size=8", "seed=2", "task.model=C2"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match="no run"):
        train(run_file, tmp_path / "other")
    with pytest.raises(ExistsError, match=r"notes.txt is a file, but --out takes a folder"):
        train(run_file, tmp_path / "other/notes.txt")


def test_a_run_may_be_made_longer(run_file: Path, tmp_path: Path) -> None:
    train(run_file, tmp_path / "run")
    assert train(run_file, tmp_path / "run", overrides=["train.steps=8"])["step"] == 8


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stepz=3", r"\[train\] has no option 'stepz'; did you mean 'steps'\?"),
        ("train.steps=many", r"\[train\] 'steps' should be a valid integer"),
        ("train.batch_size=0", "batch_size is 0"),
        ("train.precision=fp8", "precision"),
        ("task.kind=gan", "kind"),
        ("task.synth=fmm", "no synth 'fmm'"),
        ("task.model=Conv9", "no model 'Conv9'"),
        ("data.pitch_hz=[800.0, 100.0]", "ascending range"),
        ("data.folder=nowhere", "nowhere"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_written(
    override: str, message: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, RetimbreError), match=message):
        train(run_file, tmp_path / "run", overrides=[override])
    assert not (tmp_path / "run").exists()


def test_a_rehearsal_writes_nothing_and_tells_the_sizes(run_file: Path, tmp_path: Path) -> None:
    told = rehearse(read_run(run_file, []), Session(tmp_path / "run"))
    assert told["features"] == [1, 16, 257]
    assert told["num_samples"] == 4096
    assert told["config"]["task"]["levels"] == {}
    assert not (tmp_path / "run").exists()


def test_a_warm_start_begins_with_the_weights_of_a_model_and_refuses_another_shape(
    run_file: Path, tmp_path: Path
) -> None:
    train(run_file, tmp_path / "first")
    frozen = ["train.steps=1", "train.learning_rate=1e-12"]
    train(run_file, tmp_path / "second", overrides=frozen, warm_start=str(tmp_path / "first"))
    first, second = (load_inverter(tmp_path / name).state_dict() for name in ("first", "second"))
    for name, weights in first.items():
        # Weight decay and the stored 16 bits.
        torch.testing.assert_close(second[name], weights, atol=1e-3, rtol=1e-3)
    with pytest.raises(CheckpointError) as refused:
        train(run_file, tmp_path / "third", overrides=["task.model=C2"], warm_start=str(tmp_path / "first"))
    shapes = "over db-spectrogram of 4096 samples, 12 outputs for two-sine"
    said = f"first/model.safetensors: is Conv1 {shapes}, but the run's is Conv2 {shapes}"
    assert str(refused.value).endswith(said)


def test_a_failing_batch_ends_the_run_with_its_error_and_leaves_no_model(
    run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, batch: object, *, step: int) -> None:
        raise ValueError("a bad batch")

    monkeypatch.setattr(tasks.InversionTask, "update", fail)
    with pytest.raises(ValueError, match="a bad batch"):
        train(run_file, tmp_path / "run")
    assert not RunFolder(tmp_path / "run").model.exists()
    assert not list((tmp_path / "run").glob("checkpoints/*"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_run_file_of_the_project_is_valid(path: Path) -> None:
    config = read_run(path, [])
    assert isinstance(config, RunConfig)
    assert config.train.warmup_steps < config.train.steps


def on_set(folder: Path, *others: str) -> list[str]:
    """A tiny run of the voice `fm` on a data set."""
    return [
        f'data.folder="{folder}"',
        "data.validation_clips=4",
        "task.synth=fm",
        "task.seconds=0.0625",
        *others,
    ]


def fm_set(folder: Path, **options: Any) -> Path:
    make_dataset(folder, SetOptions("fm", size=60, seconds=0.0625, **options))
    return folder


def test_a_run_can_train_on_a_data_set_of_the_same_synthesizer(run_file: Path, tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", SetOptions("two-sine", size=60, seconds=0.25))
    overrides = [f'data.folder="{tmp_path / "set"}"', "data.validation_clips=4"]
    assert train(run_file, tmp_path / "run", overrides=overrides)["finished"]
    with pytest.raises(ConfigError, match=r"its samples: 4096, but the run's: 8192; .* \[task\] seconds"):
        run_session(read_run(run_file, [*overrides, "task.seconds=0.5"]), Session(tmp_path / "other"))


@pytest.mark.parametrize(
    ("options", "overrides", "message"),
    [
        ({"num_levels": 8}, [], r"its levels of A: 8, but the run's: 16; .* \[task\.levels\]"),
        (
            {"parameters": ParameterFile(searched={"A": "steps 16 from 0.5 to 1"})},
            [],
            r"its levels of A: 0\.5 as level 0, but the run's: 0\.001 as level 0; .* \[task\.levels\]",
        ),
        (
            {"parameters": ParameterFile(fixed={"attack": 0.9})},
            ["task.fixed.attack=0.0"],
            r"its fixed attack: 0\.9, but the run's: 0; .* \[task\.fixed\]",
        ),
        ({"parameters": ParameterFile(fixed={"attack": 0.9})}, [], r"its searched knobs: .* \[task\.fixed\]"),
        ({"sample_rate": 8000}, [], r"its sample rate: 8000, but the run's: 16384; .* \[task\] sample_rate"),
    ],
    ids=["fewer levels", "other levels", "other fixed value", "fixed knob", "rate"],
)
def test_a_set_whose_classes_mean_something_else_is_refused_with_its_remedy(
    options: dict[str, Any], overrides: list[str], message: str, run_file: Path, tmp_path: Path
) -> None:
    config = read_run(run_file, on_set(fm_set(tmp_path / "set", **options), *overrides))
    with pytest.raises(ConfigError, match=message):
        run_session(config, Session(tmp_path / "run"))


FM_KNOBS = ("A", "C", "D", "M", "attack", "decay", "release", "sustain", "sustain_level")


@pytest.mark.parametrize(
    ("options", "overrides"),
    [
        ({"num_levels": 8}, ["task.levels={" + ", ".join(f"{name} = 8" for name in FM_KNOBS) + "}"]),
        ({"parameters": ParameterFile(fixed={"attack": 0.9})}, ["task.fixed={attack = 0.9}"]),
        ({"draw": "continuous"}, []),
    ],
    ids=["levels", "fixed", "continuous"],
)
def test_a_run_that_says_what_the_set_has_trains_on_it(
    options: dict[str, Any], overrides: list[str], run_file: Path, tmp_path: Path
) -> None:
    config = read_run(run_file, on_set(fm_set(tmp_path / "set", **options), *overrides))
    told = rehearse(config, Session(tmp_path / "run"))
    assert told["outputs"] == sum(RenderedSet.open(tmp_path / "set").columns.class_counts)


def test_a_validation_goes_through_each_clip_of_a_set_once(run_file: Path, tmp_path: Path) -> None:
    folder = fm_set(tmp_path / "set")
    stored = len(RenderedSet.open(folder).split("validation"))
    config = read_run(run_file, on_set(folder, "data.validation_clips=2048"))
    batches = prepare(config, Session(tmp_path / "run")).validation()
    numbers = torch.cat([batch.note.noise_seed for batch in batches]).tolist()
    assert stored > 0
    assert len(numbers) == len(set(numbers)) == stored


def test_a_set_that_holds_nothing_out_for_validation_is_refused(run_file: Path, tmp_path: Path) -> None:
    folder = fm_set(tmp_path / "set", split=Fractions(validation=0.0, test=0.5))
    with pytest.raises(DatasetError, match="its validation split is empty"):
        prepare(read_run(run_file, on_set(folder)), Session(tmp_path / "run"))
