"""Training a listener: what its losses count, and that a step makes it better."""

import copy

import pytest
import torch

from retimbre.listening.heard import Heard
from retimbre.listening.listener import Listener, ListenerConfig
from retimbre.listening.listener_task import LabelledNotes, ListenerTask, losses_of, shares_right
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.share import Share
from retimbre.training.update import UpdateConfig

CONFIG = ListenerConfig(lowest_pitch=57, highest_pitch=69)
CPU = torch.device("cpu")


def notes(count: int) -> LabelledNotes:
    """Sines of random pitches whose family is whether they are high."""
    pitch = torch.randint(57, 70, (count,), generator=torch.Generator().manual_seed(1))
    time_s = torch.arange(4000) / 16_000
    audio = torch.sin(6.2832 * (440 * 2 ** ((pitch - 69) / 12))[:, None] * time_s)
    families = ["bass" if each < 63 else "flute" for each in pitch.tolist()]
    labels = {
        "pitch": pitch.tolist(),
        "register": pitch.tolist(),
        "family": families,
        "velocity": [75] * count,
    }
    return LabelledNotes(audio, {name: CONFIG.targets(name, labels[name]) for name in CONFIG.attributes})


def task_of(steps: int) -> ListenerTask:
    torch.manual_seed(0)
    return ListenerTask(Listener(CONFIG), UpdateConfig(ScheduleConfig(3e-3), steps, ema_decay=0.0), CPU)


def test_training_teaches_pitch_and_family() -> None:
    task, batch = task_of(15), notes(16)
    before = task.validate([batch])
    for step in range(1, 16):
        task.update(batch, step=step)
    after = task.validate([batch])
    assert after["loss"] < 0.5 * before["loss"]
    assert after["pitch_near"] >= after["pitch"] > 0.9
    assert after["family"] > 0.9


def test_two_shares_of_a_batch_have_the_gradient_of_the_whole() -> None:
    batch = notes(6)
    whole = task_of(1)
    whole.update(batch, step=1)
    parts = task_of(1)
    gradients = []
    for first, count in ((0, 4), (4, 2)):
        rows = slice(first, first + count)
        targets = {name: classes[rows] for name, classes in batch.targets.items()}
        share = Share(first, count, 6)
        parts.optimizer.zero_grad()
        losses = losses_of(parts.listener.train()(batch.audio[rows]), targets)
        (losses["loss"] * share.weight).backward()
        gradients.append([weights.grad.clone() for weights in parts.listener.parameters()])
    alone = task_of(1)
    losses_of(alone.listener.train()(batch.audio), batch.targets)["loss"].backward()
    for one, other, weights in zip(*gradients, alone.listener.parameters(), strict=True):
        # Sums in another order: the relative rounding of float32 over some thousand terms.
        torch.testing.assert_close(one + other, weights.grad, atol=1e-5, rtol=1e-3)


def test_clips_without_a_class_count_nothing() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    heard = Heard(torch.zeros(2, 1), {"pitch": logits}, {"pitch": logits})
    both = losses_of(heard, {"pitch": torch.tensor([0, -1])})["pitch_loss"]
    assert float(both) == pytest.approx(float(torch.log1p(torch.tensor(-2.0).exp())), rel=1e-6)
    none = losses_of(heard, {"pitch": torch.tensor([-1, -1])})
    assert float(none["loss"]) == 0.0


def test_a_semitone_off_is_near_and_an_octave_off_is_not() -> None:
    logits = torch.nn.functional.one_hot(torch.tensor([3, 4, 15]), 20).float()
    heard = Heard(torch.zeros(3, 1), {"pitch": logits}, {"pitch": logits})
    shares = shares_right(heard, {"pitch": torch.tensor([3, 3, 3])})
    assert float(shares["pitch"]) == pytest.approx(1 / 3)
    assert float(shares["pitch_near"]) == pytest.approx(2 / 3)
    # The mean by which the best state is picked: here of one attribute.
    assert float(shares["right"]) == pytest.approx(1 / 3)


def test_a_clip_without_a_class_is_neither_right_nor_wrong() -> None:
    logits = torch.nn.functional.one_hot(torch.zeros(4, dtype=torch.int64), 5).float()
    heard = Heard(torch.zeros(4, 1), {"pitch": logits, "family": logits}, {"pitch": logits})
    unknown = torch.full((4,), -1)
    shares = shares_right(heard, {"pitch": torch.tensor([0, -1, -1, -1]), "family": unknown})
    # The one pitch that is known is right; nobody knows a family, which then has no part in the mean.
    assert {name: float(share) for name, share in shares.items()} == {
        "pitch": 1.0,
        "pitch_near": 1.0,
        "family": 0.0,
        "right": 1.0,
    }
    wrong = shares_right(heard, {"pitch": torch.tensor([3, -1, -1, -1]), "family": unknown})
    assert float(wrong["pitch"]) == float(wrong["pitch_near"]) == float(wrong["right"]) == 0.0


def test_a_validation_is_the_same_with_clips_without_a_class_and_in_any_batches() -> None:
    known, task = notes(6), task_of(1)
    strange = {name: torch.cat([each, torch.full((3,), -1)]) for name, each in known.targets.items()}
    audio = torch.cat([known.audio, torch.randn(3, 4000, generator=torch.Generator().manual_seed(0))])
    alone = task.validate([known])
    parts = [
        LabelledNotes(audio[rows], {name: each[rows] for name, each in strange.items()})
        for rows in (slice(0, 5), slice(5, 9))
    ]
    assert alone["loss"] > 0
    for found in (task.validate([LabelledNotes(audio, strange)]), task.validate(parts)):
        # Sums of float32 in another order.
        assert found == pytest.approx(alone, rel=1e-4)


def test_a_saved_state_goes_on_as_if_nothing_had_happened() -> None:
    batch = notes(4)
    first, second = task_of(4), task_of(4)
    for step in (1, 2):
        first.update(batch, step=step)
    # Through a file nothing is shared; here the optimizer would take over the very tensors.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for task in (first, second):
        task.update(batch, step=3)
    for name, weights in first.listener.state_dict().items():
        assert torch.equal(weights, second.listener.state_dict()[name])
