"""What a GAN's run file, checkpoint or machine may have wrong with it: named in a line, and nothing good is lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from full_disk import files_end_after

from retimbre.cli.app import run
from retimbre.core.errors import CheckpointError, ConfigError, DatasetError
from retimbre.gan.sounds import load_generator
from retimbre.training.checkpoint import read_header
from retimbre.training.run_checkpoints import Checkpoints, kind_of_model
from retimbre.training.shipped import shipped_checkpoints
from retimbre.workflows.training.fit import rehearse, train
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

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
log_every = 2
validate_every = 3
checkpoint_every = 2
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task.generator={kind='wavegam'}"], "generator"),
        (["task.generator={kind='dense',widht=3}"], "did you mean 'width'"),
        (["task.generator={kind=['dense']}"], r"\[task.generator\] has no kind \['dense'\]"),
        (["task.kind=['gan']"], r"\[task\] has no kind \['gan'\]"),
        (["task.representation=log-mel"], "'log-mel', which cannot be turned back to sound"),
        (["task.representation=sft"], "no representation 'sft'; did you mean 'stft'"),
        (["task.generator={kind='specgan'}"], "channels, bins and frames"),
        (["task.attributes=['pitch','colour']"], "colour"),
        (["task.attributes=['instrument']"], "no attribute 'instrument'"),
        (["task.attributes=[]", "task.loss.class_weight_critic=1.0"], "attributes is empty"),
        (
            ["task.loss.class_weight_generator=1.0"],
            r"no critic \(dense\) makes any; see its option class_logits",
        ),
        (["task.loss.class_skip=['velocity']"], "class_skip names 'velocity'"),
        (
            ["growth.steps=[2,4]"],
            r"\[growth\] is for networks that grow, such as 'progressive'; 'dense' has one",
        ),
        (["task.critics=[]"], "critics is empty"),
        (
            ["task.critics=[{ network = { kind = 'dense' }, weight = -1.0 }]"],
            "weight is -1, but takes 0 or more",
        ),
        (
            ["task.critics=[{ network = { kind = 'dense' }, weight = nan }]"],
            "weight is nan, but takes 0 or more",
        ),
        (["task.loss.gradient_penalty=inf"], "gradient_penalty is inf, but takes 0 or more, a finite number"),
        (["task.critic_learning_rate=-1.0"], "critic_learning_rate is -1, but takes 0 or more"),
        (["task.latent_dim=100000000"], "latent_dim is 100000000, but takes 1 to 65536"),
        (
            ["data.lowest_pitch=90", "data.highest_pitch=59"],
            r"\[data\] lowest_pitch is 90, but takes highest_pitch, 59, or less",
        ),
        (
            ["task.generator={ kind = 'harmonic' }"],
            r"sample_rate of the network 'harmonic' is 16000, but that of \[task\] is 4000",
        ),
        (["task.loss.kind=wgna"], "did you mean 'wgan'"),
        (["data.familes=['bass']"], "did you mean 'families'"),
        (["data.families=['bas']"], "no family 'bas'; did you mean 'bass'"),
        (["data.set=nowhere"], "nowhere"),
        (["train.samples_evry=2"], "did you mean 'samples_every'"),
        (["train.steps=-5"], "steps is -5; takes 1 or more"),
        (["train.log_every=0"], "log_every is 0; takes 1 or more"),
        (["train.threads=-1"], "threads is -1, but takes 0 or more"),
        (["train.learning_rate=nan"], "learning_rate is nan; takes a positive number"),
        (["train.clip_norm=nan"], "clip_norm is nan; takes 0 or more"),
        (["train.ema_decay=1.0"], "ema_decay is 1; takes a number from 0 to below 1"),
    ],
)
def test_an_impossible_run_file_is_refused_by_name_before_anything_is_written(
    overrides: list[str], message: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, DatasetError), match=message) as refused:
        train(run_file, tmp_path / "run", overrides=overrides)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_ranges_of_the_training_are_minded_before_a_clip_is_made(run_file: Path) -> None:
    with pytest.raises(ConfigError, match="steps is 0; takes 1 or more"):
        read_run(run_file, ["train.steps=0"])


def test_one_clip_to_validate_with_is_refused_at_the_start_and_not_at_the_first_validation(
    run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="1 clip is held out for validation"):
        train(run_file, tmp_path / "run", overrides=["data.validation_clips=1"])
    assert not (tmp_path / "run/journal.csv").exists()


def test_growth_beyond_the_scales_of_a_network_is_refused_at_the_start_and_not_after_hours(
    tmp_path: Path,
) -> None:
    progressive = "{ kind = 'progressive', depths = [4, 4], factors = [[4, 4], [1, 1]] }"
    path = tmp_path / "growing.toml"
    path.write_text(
        TINY.replace('{ kind = "dense", width = 16 }', progressive) + "[growth]\nsteps = [2, 2, 2]\n"
    )
    with pytest.raises(ConfigError, match="scales 0 to 1 cannot grow to scale 2"):
        train(path, tmp_path / "run")


def test_the_model_of_another_task_or_version_is_refused_where_a_generator_is_wanted(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CheckpointError, match="a checkpoint of kind 'listener'; takes 'generator'"):
        train(run_file, tmp_path / "run", warm_start="listener")
    assert not (tmp_path / "run").exists()
    assert run(["generate", "random", "listener", "--out", str(tmp_path / "made")]) == 2
    assert "a checkpoint of kind 'listener'; takes 'generator'" in capsys.readouterr().err
    newer = tmp_path / "newer.safetensors"
    newer.write_bytes(
        shipped_checkpoints()["listener"].read_bytes().replace(b'"version":"1"', b'"version":"9"', 1)
    )
    assert run(["generate", "random", str(newer), "--out", str(tmp_path / "made")]) == 2
    error = capsys.readouterr().err
    assert "checkpoint version 9; this program reads version 1" in error
    assert error.count("\n") == 1


def test_a_warm_start_takes_the_weights_of_a_generator_and_refuses_other_labels_and_layers(
    run_file: Path, tmp_path: Path
) -> None:
    train(run_file, tmp_path / "first")
    begun = ["train.steps=1", "train.learning_rate=1e-12", "train.weight_decay=0.0"]
    start = str(tmp_path / "first")
    train(run_file, tmp_path / "second", overrides=begun, warm_start=start)
    ours, theirs = (load_generator(tmp_path / name).network.state_dict() for name in ("second", "first"))
    for name, weights in theirs.items():
        torch.testing.assert_close(ours[name], weights, atol=1e-6, rtol=0)
    with pytest.raises(ConfigError, match="classes of pitch, family differ"):
        train(run_file, tmp_path / "third", overrides=["data.highest_pitch=64"], warm_start=start)
    with pytest.raises(CheckpointError, match="a dense generator whose layers have other shapes"):
        train(run_file, tmp_path / "third", overrides=["task.generator.width=8"], warm_start=start)
    assert not (tmp_path / "third").exists()


def test_labels_that_a_generator_does_not_have_are_refused_with_what_it_has(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run_file, tmp_path / "run")
    command = ["generate", "random", str(tmp_path / "run"), "--count", "1", "--out", str(tmp_path / "made")]
    for arguments, message in {
        ("--pitch", "90"): "pitch 90",
        ("--family", "orgn"): "did you mean 'organ'",
        ("--velocity", "100"): "no attribute 'velocity'",
    }.items():
        assert run([*command, *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "made").exists()


def state_in(out: Path) -> Mapping[str, object]:
    state = Checkpoints(out / "checkpoints").load_newest()
    assert state is not None
    return state


def test_a_full_disk_ends_the_run_with_a_line_and_leaves_the_last_good_state(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(run_file, tmp_path / "unbroken")
    save, written = Checkpoints.save, 0

    def fills_up(self: Checkpoints, path: Path, state: Mapping[str, object]) -> None:
        nonlocal written
        written += 1
        # The third is that of step 4, after the last of step 2 and the best of step 3.
        with files_end_after(20_000) if written == 3 else contextlib.nullcontext():
            save(self, path, state)

    with monkeypatch.context() as full:
        full.setattr(Checkpoints, "save", fills_up)
        assert run(["train", str(run_file), "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "last.safetensors: cannot be written" in error
    assert state_in(tmp_path / "run")["step"] == 3
    assert not list((tmp_path / "run/checkpoints").glob(".*"))
    # What there is can be heard, and says what it is of.
    assert (
        run(["generate", "random", str(tmp_path / "run"), "--count", "1", "--out", str(tmp_path / "made")])
        == 0
    )
    assert load_generator(tmp_path / "run").facts["step"] == 3
    assert train(run_file, tmp_path / "run")["finished"]
    same_weights(tmp_path / "run", tmp_path / "unbroken")


@pytest.mark.parametrize("weights", ["average", "raw"])
def test_every_state_of_a_run_is_a_generator_with_its_facts(
    weights: Literal["average", "raw"], run_file: Path, tmp_path: Path
) -> None:
    train(run_file, tmp_path / "run", overrides=["train.keep_every=2", "train.validate_every=6"])
    checkpoints = Checkpoints(tmp_path / "run/checkpoints")
    at_end, of_run = load_generator(checkpoints.last, weights), load_generator(tmp_path / "run", weights)
    latents, labels = of_run.draw_latents(2, seed=0), of_run.labels(2, {"pitch": [60, 63]})
    with torch.no_grad():
        assert torch.equal(at_end(latents, labels), of_run(latents, labels))
        early = load_generator(checkpoints.at(2), weights)
        assert not torch.equal(early(latents, labels), of_run(latents, labels))
    assert (early.facts["step"], early.facts["seed"]) == (2, 1)
    assert early.facts["data"] == of_run.facts["data"]
    assert early.facts["census"] == of_run.facts["census"]
    assert kind_of_model(checkpoints.at(2)) == "generator"


def test_a_state_that_does_not_say_what_it_is_of_is_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(tmp_path / "state.safetensors", {"step": 1})
    with pytest.raises(CheckpointError, match="a checkpoint of kind 'training'; takes 'generator'"):
        load_generator(tmp_path / "state.safetensors")


@pytest.mark.parametrize("overrides", [["data.instruments=1"], ["data.validation_clips=1"]])
def test_a_run_without_clips_to_be_validated_by_is_refused_before_it_takes_its_folder(
    overrides: list[str], run_file: Path, tmp_path: Path
) -> None:
    for attempt in (train, rehearsed):
        with pytest.raises((ConfigError, DatasetError), match=r"held out|no notes in its part 'valid'"):
            attempt(run_file, tmp_path / "run", overrides=overrides)
    assert not (tmp_path / "run").exists()
    # One that is not validated takes none.
    assert train(run_file, tmp_path / "other", overrides=[*overrides, "train.validate_every=0"])["finished"]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (4, r"all \d+ notes of its part 'train' are silent in their first 4 samples"),
        (10**9, "num_samples is 1,0"),
    ],
)
def test_clips_of_no_length_for_notes_are_refused_by_what_is_wrong(
    samples: int, message: str, run_file: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, DatasetError), match=message):
        train(run_file, tmp_path / "run", overrides=[f"task.num_samples={samples}"])
    assert not (tmp_path / "run").exists()


def rehearsed(run_file: Path, out: Path, *, overrides: list[str]) -> dict[str, Any]:
    return rehearse(read_run(run_file, overrides), Session(out))


def same_weights(left: Path, right: Path) -> None:
    ours, theirs = (load_generator(each).network.state_dict() for each in (left, right))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_run_that_is_interrupted_or_killed_goes_on_at_its_last_state(
    sent: signal.Signals, status: int, run_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    plain = ["train.schedule=constant", "train.log_every=1000", "train.validate_every=0"]
    endless = [word for option in [*plain, "train.steps=1000000"] for word in ("--set", option)]
    process = subprocess.Popen(
        [sys.executable, "-m", "retimbre", "train", str(run_file), "--out", str(out), *endless],
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
        # A shell lets what it starts in the background ignore Ctrl-C, and so would this process then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline_s = time.monotonic() + 120
        while not (out / "checkpoints/last.safetensors").exists() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()  # nothing that is trained for ever outlives its test
    assert process.returncode == status
    assert ("run the same command again" in said) is (sent is signal.SIGINT)
    reached = int(str(state_in(out)["step"]))
    assert reached > 0
    assert reached % 2 == 0
    assert not list((out / "checkpoints").glob(".last.*")) or sent is signal.SIGKILL
    for folder in (out, tmp_path / "unbroken"):
        assert train(run_file, folder, overrides=[*plain, f"train.steps={reached + 2}"])["finished"]
    same_weights(out, tmp_path / "unbroken")
    assert read_header(out / "model.safetensors").kind == "generator"
