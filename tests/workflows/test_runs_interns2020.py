"""The run files after the experiments of 2020 say what these did, and their tiny versions play the same game."""

from pathlib import Path

import pytest
import torch

from retimbre.core.config import build, read_run_file
from retimbre.gan.base import CriticConfig, Form, GeneratorConfig
from retimbre.gan.config import CriticEntry
from retimbre.gan.hearing import critic_representation
from retimbre.gan.sounds import own_representation, shape_of
from retimbre.workflows.training.gan_run import GanRun

RUNS = Path(__file__).resolve().parents[2] / "runs"

# Epochs; what is generated, scaled how; and what each critic hears, with its weight.
EXPERIMENTS: dict[str, tuple[int, tuple[str, str], list[tuple[str, float]]]] = {
    "wave-gan": (2500, ("waveform", ""), [("", 1.0)]),
    "spec-gan": (1800, ("interns2020-mag", "cell"), [("", 1.0)]),
    "spec-phase-gan": (2500, ("interns2020-mag-phase", "cell"), [("", 1.0)]),
    "mag-if": (2500, ("interns2020-mag-if", "cell"), [("", 1.0)]),
    "stft-gan": (1800, ("interns2020-stft", ""), [("", 1.0)]),
    "stft-spec-gan": (1800, ("interns2020-stft", ""), [("", 1.0), ("interns2020-mag", 1.0)]),
    "stft-wave-gan": (300, ("interns2020-stft", ""), [("", 1e-3), ("waveform", 1.0)]),
    "wave-spec-gan": (300, ("waveform", ""), [("", 1.0), ("interns2020-mag", 1e-3)]),
    "gan-tts": (300, ("waveform", ""), [("", 1.0)]),
}
NAMES = sorted(EXPERIMENTS)
# Those whose networks are told a history or keys, in batches of their own size.
TOLD: dict[str, tuple[int, tuple[str, str], list[tuple[str, float]]]] = {
    "last-chunk-wave-spec": (300, ("waveform", ""), [("", 1.0), ("interns2020-mag", 1e-3)]),
    "last-chunk-stft-mag": (300, ("interns2020-stft", ""), [("", 1.0), ("interns2020-mag", 1.0)]),
    "midi-wave-spec": (300, ("waveform", ""), [("", 1.0), ("interns2020-mag", 1e-3)]),
    "midi-stft-mag": (300, ("interns2020-stft", ""), [("", 1.0), ("interns2020-mag", 1.0)]),
}
BATCHES = {"last-chunk-wave-spec": 32, "last-chunk-stft-mag": 32, "midi-wave-spec": 32, "midi-stft-mag": 16}
CLIPS = {"sets/digits": 18_500, "sets/maestro": 6 * 3600 * 16_000 // 16_384 + 1}
MILLIONS = {"wavegan": (26.14, 25.08), "specgan": (27.20, 25.11), "gan-tts": (37.91, 6.72)}


def read(folder: str, name: str) -> GanRun:
    return build(GanRun, read_run_file(RUNS / folder / f"{name}.toml"), "")


def num_millions(run: GanRun, config: GeneratorConfig | CriticConfig, shape: tuple[int, ...]) -> float:
    """Parameters, counted on the device that keeps no numbers."""
    with torch.device("meta"):
        network = config.build(Form(shape, {}, run.task.latent_dim))
    return sum(weights.numel() for weights in network.parameters()) / 1e6


def shapes(run: GanRun) -> tuple[tuple[int, ...], list[tuple[CriticEntry, tuple[int, ...]]]]:
    """Of what the generator makes, and of what each critic hears."""
    own = own_representation(run.task, None)
    heard = [(entry, critic_representation(run.task, entry) or own) for entry in run.task.critics]
    length = run.task.num_samples
    return shape_of(own, length), [(entry, shape_of(each, length)) for entry, each in heard]


@pytest.mark.parametrize("folder", ["interns2020", "tiny"])
@pytest.mark.parametrize("name", [*NAMES, *TOLD])
def test_an_experiment_is_generated_and_judged_in_the_representations_it_is_known_for(
    folder: str, name: str
) -> None:
    _, (generated, standardize), heard = (EXPERIMENTS | TOLD)[name]
    task = read(folder, name).task
    assert (task.representation, task.standardize) == (generated, standardize)
    assert [(entry.representation, entry.weight) for entry in task.critics] == heard
    assert (task.loss.kind, task.loss.gradient_penalty, task.latent) == ("wgan", 10.0, "uniform")


@pytest.mark.parametrize("name", [*NAMES, *TOLD])
def test_the_epochs_of_an_experiment_are_as_many_steps(name: str) -> None:
    """The generator is updated at every fifth of the batches that five times the clips make."""
    run, batch = read("interns2020", name), BATCHES.get(name, 64)
    assert run.train.steps == (EXPERIMENTS | TOLD)[name][0] * (CLIPS[run.data.set] * 5 // batch // 5)
    assert (run.train.batch_size, run.train.learning_rate, run.train.betas) == (batch, 1e-4, (0.5, 0.9))
    assert run.task.loss.critic_steps == 5


@pytest.mark.parametrize("folder", ["interns2020", "tiny"])
@pytest.mark.parametrize("name", TOLD)
def test_an_experiment_with_conditions_makes_fakes_for_others_and_penalizes_both(
    folder: str, name: str
) -> None:
    task = read(folder, name).task
    assert list(task.conditions) == ["midi" if "midi" in name else "history"]
    assert task.loss.independent_conditions
    assert task.loss.condition_penalty == task.loss.gradient_penalty == 10.0


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_of_an_experiment_have_their_published_size(name: str) -> None:
    run = read("interns2020", name)
    made, heard = shapes(run)
    of_generator, _ = MILLIONS[run.task.generator.kind]
    # Two digits are known; a second channel adds 0.002.
    assert num_millions(run, run.task.generator, made) == pytest.approx(of_generator, abs=0.01)
    for entry, shape in heard:
        assert num_millions(run, entry.network, shape) == pytest.approx(
            MILLIONS[entry.network.kind][1], abs=0.01
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_version_has_networks_of_the_same_kinds_and_a_few_ten_thousand_weights(name: str) -> None:
    tiny, full = read("tiny", name), read("interns2020", name)
    assert tiny.task.generator.kind == full.task.generator.kind
    assert [entry.network.kind for entry in tiny.task.critics] == [
        entry.network.kind for entry in full.task.critics
    ]
    made, heard = shapes(tiny)
    assert num_millions(tiny, tiny.task.generator, made) < 0.06
    assert all(num_millions(tiny, entry.network, shape) < 0.03 for entry, shape in heard)
