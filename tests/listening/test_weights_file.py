"""Laws of reading weights: every format gives the same network, nothing of a file runs, and nothing odd passes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_weights import drawn, shapes_of
from safetensors.torch import save_file
from torch import Tensor, nn

from retimbre.core.errors import CheckpointError
from retimbre.listening.weights_file import pour, read_tensors


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def state() -> dict[str, Tensor]:
    return drawn(shapes_of(network()))


def pickled(held: object, path: Path) -> Path:
    torch.save(held, path)  # noqa: TID251 (as others published their weights)
    return path


def as_safetensors(path: Path) -> Path:
    save_file(state(), path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def as_arrays(path: Path) -> Path:
    np.savez(path.with_suffix(".npz"), **{f"{name}:0": each.numpy() for name, each in state().items()})
    return path.with_suffix(".npz")


def as_training_record(path: Path) -> Path:
    """With the NumPy state of a sampler, as published beside the weights of PANNs."""
    sampler = {"indexes": np.arange(5), "pointer": np.int64(3), "loss": np.float64(0.5)}
    weights = {f"module.{name}": each for name, each in state().items()}
    return pickled({"iteration": 7, "model": weights, "sampler": sampler}, path.with_suffix(".pth"))


def as_half(path: Path) -> Path:
    return pickled({name: each.half() for name, each in state().items()}, path.with_suffix(".bin"))


FORMS: dict[str, tuple[Callable[[Path], Path], float]] = {
    "safetensors": (as_safetensors, 0.0),
    "NumPy arrays": (as_arrays, 0.0),
    "a record of a training": (as_training_record, 0.0),
    "half precision": (as_half, 1e-2),  # of sums of 16 products, each with three digits
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_gives_the_same_frozen_network(form: str, tmp_path: Path) -> None:
    write, tolerance = FORMS[form]
    path = write(tmp_path / "weights")
    expected, found = network(), network()
    expected.load_state_dict(state(), strict=False)
    pour(path, read_tensors(path), found)
    pictures = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found(pictures), expected.eval()(pictures), rtol=0.0, atol=tolerance)
    assert not found.training
    assert not any(weights.requires_grad for weights in found.parameters())


def test_a_tensor_that_is_not_wanted_is_not_read(tmp_path: Path) -> None:
    for write in (as_safetensors, as_arrays, as_training_record):
        found = read_tensors(write(tmp_path / "weights"), lambda name: "3." in name)
        assert sorted(found) == ["3.bias", "3.weight"]


FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "one is missing": (lambda held: held.pop("3.bias"), "lacks the tensor '3.bias'$"),
    "five are missing": (
        lambda held: [held.pop(name) for name in list(held)[:5]],
        r"lacks the tensor '0.weight', '0.bias', '1.weight' and 2 more$",
    ),
    "two have another shape": (
        lambda held: held.update({"3.weight": torch.zeros(2, 15), "3.bias": torch.zeros(3)}),
        r"'3.weight' is \[2, 15\], but takes \[2, 16\]; '3.bias' is \[3\], but takes \[2\]$",
    ),
    "one is too many": (
        lambda held: held.update({"4.weight": torch.zeros(1)}),
        "has no place for the tensor '4.weight'$",
    ),
    "one is not finite": (
        lambda held: held["1.bias"].fill_(torch.nan),
        "'1.bias' holds values that are not finite$",
    ),
    "several things are wrong": (
        lambda held: [held.pop("0.bias"), held.update({"4.weight": torch.zeros(1)})],
        "lacks the tensor '0.bias'; has no place for the tensor '4.weight'$",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named_in_one_line_and_nothing_is_poured(fault: str) -> None:
    change, reason = FAULTS[fault]
    held, untouched = state(), network()
    before = {name: each.clone() for name, each in untouched.state_dict().items()}
    change(held)
    with pytest.raises(CheckpointError, match=reason) as refused:
        pour(Path("some.pth"), held, untouched)
    assert "\n" not in str(refused.value)
    assert all(torch.equal(each, before[name]) for name, each in untouched.state_dict().items())


def test_what_is_to_be_ignored_may_be_there() -> None:
    held = state() | {"head.weight": torch.zeros(1), "1.num_batches_tracked": torch.tensor(5)}
    pour(Path("some.pth"), held, network(), ignored=("head.",))


class Hostile:
    """Pickled, this is a program that makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (str(self.folder),)


def test_nothing_of_a_file_is_run_and_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    broken_in = tmp_path / "broken in"
    pickled({"model": Hostile(broken_in)}, tmp_path / "hostile.pth")
    pickled([torch.zeros(2)], tmp_path / "list.pth")
    np.savez(tmp_path / "hostile.npz", np.array([Hostile(broken_in)], dtype=object))
    np.savez(tmp_path / "words.npz", np.array(["weights"]))
    np.save(tmp_path / "single.npy", np.zeros(2))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    whole = as_arrays(tmp_path / "whole").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    np.savez_compressed(tmp_path / "packed.npz", values=np.arange(4000.0))
    packed = (tmp_path / "packed.npz").read_bytes()
    (tmp_path / "packed.npz").write_bytes(packed[:300] + bytes(50) + packed[350:])
    for suffix in (".safetensors", ".npz", ".pth"):
        (tmp_path / f"text{suffix}").write_text("<html>not found</html>")
        (tmp_path / f"empty{suffix}").touch()
    odd = [path for path in tmp_path.iterdir() if path.name != "whole.npz"]
    assert len(odd) == 13
    for path in (*odd, tmp_path, tmp_path / "missing.pth"):
        with pytest.raises(CheckpointError) as refused:
            read_tensors(path)
        assert "\n" not in str(refused.value)
    assert not broken_in.exists()
