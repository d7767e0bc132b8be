"""Laws of devices, precision and random streams."""

import json

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.training import devices
from retimbre.training.devices import Precision


def test_auto_is_the_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_available, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=is_available: found)
        assert devices.pick_device("auto").type == name
        assert devices.pick_device("cpu").type == "cpu"


def test_cuda_on_a_machine_without_it_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for built, reason in ((None, "built without CUDA"), ("13.0", "finds no GPU")):
        monkeypatch.setattr(torch.version, "cuda", built)
        with pytest.raises(ConfigError, match=reason) as caught:
            devices.pick_device("cuda")
        assert "\n" not in str(caught.value)


def test_a_misspelt_device_is_answered_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="did you mean 'cuda'"):
        devices.pick_device("coda")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_precision_is_that_of_matrix_products_and_leaves_weights_alone(
    precision: str, dtype: torch.dtype
) -> None:
    layer = torch.nn.Linear(4, 4)
    with Precision(precision).autocast(torch.device("cpu")):
        out = layer(torch.ones(2, 4))
    assert out.dtype == dtype
    out.float().mean().backward()
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad.dtype == torch.float32


def test_what_a_step_draws_depends_on_its_address_alone() -> None:
    def draw(seed: int, purpose: str, step: int) -> list[float]:
        devices.restart_random(seed, purpose, step)
        return torch.rand(3).tolist()

    first = draw(1, "update", 5)
    torch.rand(100)
    assert draw(1, "update", 5) == first
    others = [draw(2, "update", 5), draw(1, "validation", 5), draw(1, "update", 6)]
    assert all(other != first for other in others)


def test_threads_are_set_or_left_alone_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    devices.set_threads(0)
    devices.set_threads(3)
    assert asked == [3]
    with pytest.raises(ConfigError, match="threads is -1"):
        devices.set_threads(-1)


def test_the_description_of_a_machine_is_json() -> None:
    description = devices.describe()
    assert json.loads(json.dumps(description)) == description
    assert description["torch"] == torch.__version__
    assert len(description["gpus"]) == torch.cuda.device_count()


def test_deterministic_algorithms_are_asked_for_and_only_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.os, "environ", environment := {})
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    was_benchmark = torch.backends.cudnn.benchmark
    try:
        devices.make_deterministic()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.backends.cudnn.benchmark
        assert environment["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(was_deterministic)
        torch.backends.cudnn.benchmark = was_benchmark
