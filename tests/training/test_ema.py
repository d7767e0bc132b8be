"""Laws of the moving average of weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.training import checkpoint
from retimbre.training.ema import ExponentialMovingAverage


def network() -> nn.Sequential:
    """Parameters, float buffers and a counter, a buffer that is not saved, and a weight used twice."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    module.register_buffer("window", torch.ones(4), persistent=False)
    return module


def disturb(module: nn.Module, number: int) -> None:
    """Stands for an update of the weights."""
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    module(torch.randn(8, 3, generator=generator))


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_average_follows_its_recurrence() -> None:
    module = network()
    average = ExponentialMovingAverage(module, decay=0.5)
    expected = module[0].weight.detach().double()
    for number in range(1, 30):
        disturb(module, number)
        average.update()
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * module[0].weight.detach().double()
    with average.applied():
        # Tolerance: float32 rounding, about 1e-7 of a weight of size 5, over the few updates that are remembered.
        assert torch.allclose(module[0].weight.double(), expected, rtol=0, atol=5e-6)
        assert module[2].weight is module[0].weight
        assert int(module[1].num_batches_tracked) == 29


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_has_its_own_weights_again_after_the_block(fails: bool) -> None:
    module = network()
    average = ExponentialMovingAverage(module, decay=0.9)
    disturb(module, 1)
    average.update()
    own = weights(module)
    try:
        with average.applied():
            assert not same(weights(module), own)
            if fails:
                raise KeyError
    except KeyError:
        pass
    assert same(weights(module), own)


def test_a_constant_weight_is_its_own_average() -> None:
    module = network()
    before = weights(module)
    average = ExponentialMovingAverage(module, decay=0.999)
    for _ in range(50):
        average.update()
    with average.applied():
        assert same(weights(module), before)


def test_no_decay_is_no_averaging() -> None:
    module = network()
    average = ExponentialMovingAverage(module, decay=0.0)
    disturb(module, 1)
    average.update()
    with average.applied():
        averaged = weights(module)
    assert same(averaged, weights(module))


def test_the_average_survives_a_checkpoint_and_differs_from_the_raw_weights(tmp_path: Path) -> None:
    module = network()
    average = ExponentialMovingAverage(module, decay=0.99)
    for number in range(1, 6):
        disturb(module, number)
        average.update()
    state = {"module": module.state_dict(), "average": average.state_dict()}
    checkpoint.save(tmp_path / "x.safetensors", state, kind="test", metadata={})

    resumed_module = network()
    resumed = ExponentialMovingAverage(resumed_module, decay=0.99)
    loaded, _ = checkpoint.load(tmp_path / "x.safetensors")
    resumed_module.load_state_dict(loaded["module"])
    resumed.load_state_dict(loaded["average"])
    for number in range(6, 9):
        for each, its_average in ((module, average), (resumed_module, resumed)):
            disturb(each, number)
            its_average.update()
    assert same(weights(resumed_module), weights(module))
    with average.applied(), resumed.applied():
        assert same(weights(resumed_module), weights(module))
        averaged = weights(module)
    assert not torch.equal(averaged["0.weight"], module[0].weight)


def test_narrow_weights_are_averaged_in_float32() -> None:
    module = nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    with torch.no_grad():
        module.weight.fill_(1.0)
    average = ExponentialMovingAverage(module, decay=0.999)
    with torch.no_grad():
        module.weight.fill_(2.0)
    for _ in range(8_000):
        average.update()
    # What is left of the way is exp(-8), 3e-4. In bfloat16 a thousandth of the way rounds to nothing, and the
    # average would never leave 1.
    assert float(average.state_dict()["averages"]["weight"]) == pytest.approx(2.0, abs=5e-4)


def test_the_state_of_another_module_is_refused_and_changes_nothing() -> None:
    average = ExponentialMovingAverage(nn.Linear(3, 3), decay=0.9)
    before = {name: tensor.clone() for name, tensor in average.state_dict()["averages"].items()}
    for other, reason in ((nn.Linear(3, 3, bias=False), "'bias'"), (nn.Linear(3, 2), r"\(2, 3\)")):
        with pytest.raises(CheckpointError, match=reason):
            average.load_state_dict(ExponentialMovingAverage(other, decay=0.9).state_dict())
    assert same(average.state_dict()["averages"], before)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0, float("nan")])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(ConfigError, match="takes a number from 0 to below 1"):
        ExponentialMovingAverage(nn.Linear(1, 1), decay=decay)
