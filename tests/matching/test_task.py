"""An inverter learns, with every head, and its state is all that its training depends on."""

import copy

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.matching.heads import HEADS
from retimbre.matching.inverter import Inverter, InverterConfig
from retimbre.matching.pairs import NoteRange, PairSource
from retimbre.matching.task import InversionTask
from retimbre.training.devices import Precision
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.update import UpdateConfig

CPU = torch.device("cpu")
FIGURES = {"loss", "exact", "within_one", "percentile_rank"}


def task(head: str = "softmax", *, model: str = "Conv1", precision: str = "fp32") -> InversionTask:
    torch.manual_seed(0)
    config = UpdateConfig(ScheduleConfig(3e-3), num_steps=100, ema_decay=0.9, precision=Precision(precision))
    return InversionTask(Inverter(InverterConfig("two-sine", model, head=head, seconds=0.25)), config, CPU)


def source(trained: InversionTask) -> PairSource:
    inverter = trained.inverter
    return PairSource(inverter.synth, inverter.space, inverter.num_samples, NoteRange())


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_the_same_set_well_above_chance(head: str) -> None:
    trained = task(head)
    pairs = source(trained)
    for step in range(1, 101):
        trained.update(pairs.batch(step, 16, "train", CPU), step=step)
    values = trained.validate([pairs.batch(1, 64, "test", CPU)])
    assert set(values) == FIGURES
    # Chance is 50; three classes per knob make the measure coarse.
    assert values["percentile_rank"] > 70.0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_restored_task_goes_on_bit_for_bit(precision: str) -> None:
    first, second = task(precision=precision, model="ResMel"), task(precision=precision, model="ResMel")
    pairs = source(first)
    batches = [pairs.batch(step, 4, "train", CPU) for step in (1, 2, 3)]
    first.update(batches[0], step=1)
    # A state on its way through a file is a copy; optimizers take up the very tensors that they are given.
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for each in (first, second):
        for step in (2, 3):
            each.update(batches[step - 1], step=step)
    for before, after in zip(first.inverter.parameters(), second.inverter.parameters(), strict=True):
        assert torch.equal(before, after)
    assert first.validate(batches) == second.validate(batches)


def test_validation_changes_nothing_and_measures_the_average_of_the_weights() -> None:
    trained = task()
    pairs = source(trained)
    batch = pairs.batch(1, 8, "train", CPU)
    for step in range(1, 6):
        trained.update(batch, step=step)
    before = [weights.clone() for weights in trained.inverter.parameters()]
    measured = trained.validate([batch])
    assert all(torch.equal(a, b) for a, b in zip(before, trained.inverter.parameters(), strict=True))
    with trained.average.applied():
        outputs = trained.inverter.outputs(batch.audio, batch.note)
        hits = trained.inverter.head.probabilities(outputs).argmax(2) == batch.classes
    assert measured["exact"] == pytest.approx(float(hits.double().mean()), abs=1e-6)


def test_what_an_update_reports_stays_on_its_device() -> None:
    trained = task()
    reported = trained.update(source(trained).batch(1, 4, "train", CPU), step=1)
    assert isinstance(reported["loss"], torch.Tensor)
    assert not reported["loss"].requires_grad


def test_a_negative_norm_or_decay_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 or more"):
        UpdateConfig(ScheduleConfig(), num_steps=1, clip_norm=-1.0)
