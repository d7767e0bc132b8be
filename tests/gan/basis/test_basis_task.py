"""What a basis is taught by: errors of samples and spectra, keys that are read from its codes, and a critic."""

import copy
import dataclasses

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.core.random import generator
from retimbre.gan.basis.config import BasisCriticConfig, BasisTaskConfig, ClassifierConfig
from retimbre.gan.basis.judges import KeyClassifier, WaveCritic, key_cross_entropy
from retimbre.gan.basis.task import BasisBatch, BasisTask, split
from retimbre.representation.basis_functions import FreeConfig, WindowedConfig
from retimbre.representation.learned_basis import Basis, BasisConfig
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.update import UpdateConfig

CPU = torch.device("cpu")
RECTIFIED = BasisConfig(FreeConfig(num_functions=24), code="rectified", sample_rate=8000)
SPARSE = BasisConfig(WindowedConfig(num_bands=(16, 64)), sample_rate=8000)
TASK = BasisTaskConfig(
    basis=RECTIFIED, num_samples=1024, loss="l1", nonzeros_per_s=(500.0, 500.0), rounds=2, polish=2
)
CRITIC = BasisCriticConfig(weight=0.01, channels=(4, 8), steps=3)


def task_of(
    config: BasisTaskConfig, *, learning_rate: float = 3e-3, states: tuple[int, int] = (0, 0)
) -> BasisTask:
    torch.manual_seed(0)
    update = UpdateConfig(
        ScheduleConfig(learning_rate), num_steps=100, optimizer="adam", clip_norm=0.0, ema_decay=0.0
    )
    return BasisTask(Basis(config.basis), config, update, CPU, states)


def batch_of(clips: int, *, step: int = 0, noise: float = 0.0) -> BasisBatch:
    """Decaying tones of one of eight keys each, and states that say which."""
    source = generator(0, "tones", step)
    keys = torch.randint(8, (clips,), generator=source)
    time = torch.arange(1024) / 8000
    audio = 0.3 * torch.sin(2 * torch.pi * 200.0 * 2.0 ** (keys[:, None] / 4) * time) * torch.exp(-8.0 * time)
    states = torch.nn.functional.one_hot(keys, 8).float()[:, None].expand(-1, 16, -1)
    drawn = noise * torch.randn(audio.shape, generator=source)
    return BasisBatch(audio, drawn, torch.rand(clips, generator=source), 500.0, states.contiguous())


@pytest.mark.parametrize("loss", ["l1", "l2", "snr"])
@pytest.mark.parametrize("basis", [RECTIFIED, SPARSE], ids=["rectified", "sparse"])
def test_the_sound_that_comes_back_gets_better_by_any_loss(loss: str, basis: BasisConfig) -> None:
    functions = basis.functions
    if isinstance(functions, WindowedConfig):
        # Windows that say nothing: what is won is learned.
        basis = dataclasses.replace(basis, functions=dataclasses.replace(functions, start="flat"))
    task = task_of(dataclasses.replace(TASK, basis=basis, loss=loss), learning_rate=2e-2)
    before = task.validate([batch_of(8)])
    for step in range(1, 21):
        task.update(batch_of(8, step=step), step=step)
    after = task.validate([batch_of(8)])
    # Half a decibel is far beyond what a step up and down makes.
    assert after["snr_db"] > before["snr_db"] + 0.5
    assert after["loss"] < before["loss"]


def test_noise_is_left_out_again() -> None:
    task = task_of(dataclasses.replace(TASK, loss="l2", noise=0.1), learning_rate=1e-2)
    for step in range(1, 101):
        last = task.update(batch_of(8, step=step, noise=0.1), step=step)
    # What gave back all that it was given would be at the power of the noise.
    assert float(last["l2"]) < 0.5 * 0.1**2


def test_the_cross_entropy_of_every_key_falls_and_the_codes_are_what_learns() -> None:
    classifier = ClassifierConfig(weight=0.05, hidden=(16,))
    task = task_of(dataclasses.replace(TASK, classifier=classifier), states=(16, 8))
    kernels = task.basis.functions.encoder.detach().clone()

    def per_key() -> torch.Tensor:
        batch = batch_of(64, step=1000)
        with torch.no_grad():
            codes = task.basis.encode(batch.audio, 1, task.config.pursuit)
            return key_cross_entropy(task.learned["classifier"](codes), batch.states)

    before = per_key()
    for step in range(1, 61):
        task.update(batch_of(8, step=step), step=step)
    assert (per_key() < before).all()
    assert not torch.equal(task.basis.functions.encoder, kernels)


def test_gradients_of_the_classifier_reach_the_encoder() -> None:
    task = task_of(
        dataclasses.replace(TASK, classifier=ClassifierConfig(weight=1.0, hidden=(8,))), states=(16, 8)
    )
    batch = batch_of(4)
    codes = task.basis.encode(batch.audio, 1, task.config.pursuit)
    key_cross_entropy(task.learned["classifier"](codes), batch.states).sum().backward()
    assert task.basis.functions.encoder.grad.abs().sum() > 0.0


def test_the_critic_is_updated_as_often_as_it_says_for_each_update_of_the_basis() -> None:
    task = task_of(dataclasses.replace(TASK, critic=CRITIC))
    for step in range(1, 5):
        reported = task.update(batch_of(12, step=step), step=step)
    steps = [int(state["step"]) for state in task.critic_optimizer.state.values()]
    assert set(steps) == {4 * 3}
    assert {int(state["step"]) for state in task.optimizer.state.values()} == {4}
    assert {"critic", "penalty", "adversarial"} <= reported.keys()


def test_a_batch_is_split_into_clips_of_its_own_for_every_update_of_the_critic() -> None:
    batch = batch_of(12)
    parts = split(batch, 3)
    assert torch.equal(torch.cat([part.audio for part in parts]), batch.audio)
    assert [len(part.states) for part in parts] == [4, 4, 4]


def test_a_state_is_taken_up_whole() -> None:
    config = dataclasses.replace(TASK, critic=CRITIC)
    first, second = task_of(config), task_of(config)
    first.update(batch_of(12, step=1), step=1)
    # A copy, as from a file: an optimizer goes on with the very tensors that it is given.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    reported = [task.update(batch_of(12, step=2), step=2) for task in (first, second)]
    assert reported[0] == reported[1]


def test_a_classifier_looks_at_one_frame_for_every_state() -> None:
    classifier = KeyClassifier(24, (8,), 5, step=2)
    codes = torch.randn(2, 24, 64)
    changed = codes.clone()
    changed[:, :, 1::2] = 0.0
    assert classifier(codes).shape == (2, 32, 5)
    assert torch.equal(classifier(codes), classifier(changed))


def test_the_critic_scores_each_clip_by_itself() -> None:
    critic, audio = WaveCritic(1024, (4, 8)), torch.randn(3, 1024)
    torch.testing.assert_close(critic(audio)[1:2], critic(audio[1:2]), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"basis": SPARSE, "classifier": ClassifierConfig(weight=1.0)}, "takes code = 'rectified'"),
        ({"nonzeros_per_s": (0.0, 10.0)}, "takes more than 0, the smaller first"),
        ({"noise": -1.0}, "noise is -1"),
        ({"num_samples": 1000, "critic": CRITIC}, "takes a multiple of 16"),
    ],
)
def test_tasks_that_teach_nothing_are_refused(settings: dict, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        dataclasses.replace(TASK, **settings)


def test_codes_that_do_not_fit_the_midi_states_are_refused() -> None:
    with pytest.raises(ConfigError, match="no whole number of frames for each of 48 MIDI states"):
        task_of(dataclasses.replace(TASK, classifier=ClassifierConfig(weight=1.0)), states=(48, 8))
