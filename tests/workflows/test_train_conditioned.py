"""Every small experiment with a history or MIDI states trains from end to end, and is heard by its command.

The set is made here: drawn pieces, played by sines. The distance of the sounds as sets from held-out ones may be so
many times that of before: pianos of strings, and of spectra that are learned, learn in seconds. What goes on from a
history begins near what was heard, at a distance that seconds do not improve, and must not lose it. The networks of
2020 learn nothing in so few.
"""

import math
from pathlib import Path

import pytest
import torch
from checked_steps import every_tenth_step_checked
from small_performances import RATE, make_set, played

from retimbre.cli.app import run
from retimbre.core import random
from retimbre.corpora.performances.performer import write_performance
from retimbre.corpora.performances.score import draw_piece
from retimbre.dsp import audiofile
from retimbre.gan.sounds import load_generator
from retimbre.listening.statistics import BandStatistics
from retimbre.training.journal import read_journal
from retimbre.workflows.training import gan
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.kind import Session
from retimbre.workflows.training.run import read_run

TINY = Path(__file__).parents[2] / "runs/tiny"
MOST_DISTANCE = {
    "last-chunk-wave-spec": math.inf,
    "last-chunk-stft-mag": math.inf,
    "midi-wave-spec": math.inf,
    "midi-stft-mag": math.inf,
    "midi-harmonic": 0.5,
    "midi-spectra": 0.5,
    "continue": 2.0,
}

TRAINED: dict[str, Path] = {}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("performances"))


@pytest.mark.slow
@pytest.mark.parametrize("name", MOST_DISTANCE)
def test_a_small_experiment_trains_and_is_heard_by_its_command(name, prepared, tmp_path):
    overrides = [f"data.set={prepared}"]
    config = read_run(TINY / f"{name}.toml", overrides)
    assert isinstance(config, GanRun)
    begun = gan.prepare(config, Session(tmp_path / "begun", "cpu"))
    kad = begun.task.validate(begun.validation())["kad"]
    with every_tenth_step_checked() as told:
        manifest = train(
            TINY / f"{name}.toml", tmp_path / "run", overrides=overrides, device="cpu", progress=told
        )
    TRAINED[name] = tmp_path / "run"
    assert math.isfinite(manifest["validation"]["kad"])
    assert manifest["validation"]["kad"] < MOST_DISTANCE[name] * kad
    figures = {row.name for row in read_journal(tmp_path / "run/journal.csv") if row.split == "train"}
    # The critics' slopes are penalized with respect to sound and condition, each under a name of its own.
    assert "penalty" in figures
    assert ("condition_penalty" in figures) == (config.task.loss.condition_penalty > 0)
    out = ["--out", str(tmp_path / "made")]
    movements = draw_piece(9, 0, 2.0)
    if "midi" in config.task.conditions:
        write_performance(tmp_path / "piece.mid", movements)
        assert run(["generate", "midi", str(tmp_path / "run"), str(tmp_path / "piece.mid"), *out]) == 0
    else:
        audiofile.write(tmp_path / "piece.wav", played(movements, 2 * RATE), RATE)
        more = ["--chunks", "4"]
        assert (
            run(["generate", "continue", str(tmp_path / "run"), str(tmp_path / "piece.wav"), *more, *out])
            == 0
        )
    assert audiofile.read(tmp_path / "made/piece.wav").samples.abs().max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["midi-harmonic", "midi-spectra"])
def test_what_is_played_from_its_keys_is_nearer_to_the_recording_than_what_is_played_from_others(
    name, prepared, tmp_path
):
    # The keys of `midi-spectra` begin as noise: there both are as far, within 2 %.
    run_file, overrides = TINY / f"{name}.toml", [f"data.set={prepared}"]
    if name not in TRAINED:  # the test before did not run
        train(run_file, tmp_path / "run", overrides=overrides, device="cpu")
    config = read_run(run_file, overrides)
    assert isinstance(config, GanRun)
    pool = clip_pool(config.data, config.task, "test", most=64, seed=0)
    sounds, rows = load_generator(TRAINED.get(name, tmp_path / "run")), torch.arange(len(pool))
    states = pool.told(rows, torch.device("cpu"))["midi"]
    other = states[torch.randperm(len(rows), generator=random.generator(0, "other keys"))]
    listen, latent = BandStatistics(RATE), sounds.draw_latents(len(rows), seed=0)
    with torch.no_grad():
        real = listen(pool.audio(rows))
        own, others = (
            (listen(sounds(latent, {"midi": each})) - real).norm(dim=1).median() for each in (states, other)
        )
    assert own < 0.9 * others
