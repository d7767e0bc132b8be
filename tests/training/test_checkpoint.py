"""Laws of checkpoints: what goes in comes out, and what is not one is refused with its reason."""

import json
import math
import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from retimbre.core.errors import CheckpointError
from retimbre.training import checkpoint
from retimbre.training.run_checkpoints import Checkpoints

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]
OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, betas=(0.5, 0.9)),
    "adam with amsgrad": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, amsgrad=True),
    "adam with a tensor rate": lambda parameters: torch.optim.Adam(
        parameters, lr=torch.tensor(1e-3), foreach=False
    ),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=1e-3, centered=True),
}

# One file is written over and over by one property: the folder need not be fresh for each example.
one_folder = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    values = torch.arange(math.prod(shape)).reshape(shape) % 2
    tensor = values.to(draw(st.sampled_from(DTYPES)))
    return tensor.transpose(0, -1) if shape and draw(st.booleans()) else tensor


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), tensors())
words = st.one_of(st.text(max_size=3), st.sampled_from(["a", "a/b", "0", "__metadata__", "tensor"]))
keys = st.one_of(words, st.integers(-2, 2))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)


def same(left: Any, right: Any) -> bool:
    """Equality to the bit and to the type, NaN included."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and left.shape == right.shape and torch.equal(left, right)
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right) or (math.isnan(left) and math.isnan(right))
    return left == right


@one_folder
@given(state=st.dictionaries(words, trees, max_size=4))
def test_any_state_comes_back_as_it_was_saved(tmp_path: Path, state: dict[str, Any]) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, state, kind="test", metadata={})
    assert same(checkpoint.load(path)[0], state)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_continues_bit_for_bit_from_its_saved_state(tmp_path: Path, name: str) -> None:
    def step(layer: torch.nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
        optimizer.zero_grad()
        image = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(number))
        layer(image).square().mean().backward()
        optimizer.step()

    def fresh() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(3, 4, 3)
        layer.weight.data = layer.weight.data.to(memory_format=torch.channels_last)
        return layer, OPTIMIZERS[name](layer.parameters())

    layer, optimizer = fresh()
    for number in range(3):
        step(layer, optimizer, number)
    path = tmp_path / "state.safetensors"
    state = {"layer": layer.state_dict(), "optimizer": optimizer.state_dict()}
    checkpoint.save(path, state, kind="test", metadata={})
    resumed_layer, resumed_optimizer = fresh()
    loaded, _ = checkpoint.load(path)
    resumed_layer.load_state_dict(loaded["layer"])
    resumed_optimizer.load_state_dict(loaded["optimizer"])
    for number in range(3, 6):
        step(layer, optimizer, number)
        step(resumed_layer, resumed_optimizer, number)
    assert same(dict(resumed_layer.state_dict()), dict(layer.state_dict()))
    assert same(resumed_optimizer.state_dict(), optimizer.state_dict())


def test_a_random_stream_continues_from_its_saved_state(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    torch.rand(7, generator=generator)
    checkpoint.save(tmp_path / "rng.safetensors", {"rng": generator.get_state()}, kind="test", metadata={})
    expected = torch.rand(5, generator=generator)
    resumed = torch.Generator()
    resumed.set_state(checkpoint.load(tmp_path / "rng.safetensors")[0]["rng"])
    assert torch.equal(torch.rand(5, generator=resumed), expected)


def test_tensors_that_share_memory_come_back_apart_and_equal(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    state = {"whole": whole, "again": whole, "part": whole[2:4], "spread": torch.ones(1).expand(4)}
    checkpoint.save(tmp_path / "shared.safetensors", state, kind="test", metadata={})
    loaded, _ = checkpoint.load(tmp_path / "shared.safetensors")
    assert same(loaded, state)
    loaded["whole"].zero_()
    assert torch.equal(loaded["again"], torch.arange(6.0))


@pytest.mark.parametrize(
    ("shape", "layout"), [((2, 3, 4, 5), torch.channels_last), ((2, 3, 2, 4, 5), torch.channels_last_3d)]
)
def test_a_tensor_keeps_its_layout_in_memory(
    tmp_path: Path, shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    image = torch.rand(shape).to(memory_format=layout)
    checkpoint.save(tmp_path / "image.safetensors", {"image": image}, kind="test", metadata={})
    loaded = checkpoint.load(tmp_path / "image.safetensors")[0]["image"]
    assert torch.equal(loaded, image)
    assert loaded.stride() == image.stride()


def test_the_header_can_be_read_without_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    metadata = {"labels": ["bass", "brass"], "quality": {"mpr": 77.9}}
    checkpoint.save(path, {"weights": torch.zeros(1000)}, kind="network", metadata=metadata)
    header = checkpoint.read_header(path)
    assert (header.kind, header.metadata) == ("network", metadata)
    assert checkpoint.load(path)[1] == metadata


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, {True: 1}, {1.5: 1}])
def test_what_a_checkpoint_cannot_hold_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path, value: object
) -> None:
    with pytest.raises(TypeError, match="outer/inner"):
        checkpoint.save(tmp_path / "x.safetensors", {"outer": {"inner": value}}, kind="test", metadata={})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, {"step": 1}, kind="test", metadata={})
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoint.save(path, {"step": 2}, kind="test", metadata={"quality": math.nan})
    assert checkpoint.load(path)[0] == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def good_file(path: Path) -> bytes:
    checkpoint.save(path, {"weights": torch.arange(100.0), "step": 3}, kind="test", metadata={})
    return path.read_bytes()


def with_header(path: Path, **changes: str | None) -> None:
    """Writes a file like `good_file` whose header words differ; None leaves one out."""
    good_file(path)
    with checkpoint.safe_open(path, framework="pt") as file:
        words = dict(file.metadata()) | changes
    save_file(
        {"weights": torch.arange(100.0)},
        path,
        metadata={key: word for key, word in words.items() if word is not None},
    )


def test_a_sound_file_that_begins_like_a_pickle_is_read(tmp_path: Path) -> None:
    # A safetensors file begins with the length of its header: 0x80 in the lowest byte for one in some 32 lengths.
    starts = set()
    for length in range(0, 256, 8):
        path = tmp_path / f"{length}.safetensors"
        checkpoint.save(path, {"word": "x" * length}, kind="test", metadata={})
        starts.add(path.read_bytes()[:1])
        assert checkpoint.load(path)[0] == {"word": "x" * length}
    assert b"\x80" in starts


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.safetensors"
    whole = good_file(path)
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors: damaged"):
        checkpoint.load(path)


def test_a_file_that_goes_on_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    path.write_bytes(good_file(path) + b"more")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_refused(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "noise.safetensors"
    noise = torch.randint(0, 256, (500,), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    path.write_bytes(bytes(noise.tolist()))
    with pytest.raises(CheckpointError, match=r"noise\.safetensors: "):
        checkpoint.load(path)


def test_a_header_that_promises_ten_gigabytes_is_refused_without_allocating_them(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    num_bytes = 10 * 2**30
    entry = {"dtype": "F32", "shape": [num_bytes // 4], "data_offsets": [0, num_bytes]}
    header = json.dumps({"weights": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)
    path.write_bytes(struct.pack("<Q", num_bytes) + header)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


def test_a_json_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "patch.json"
    path.write_text('{"weights": [1, 2, 3]}')
    with pytest.raises(CheckpointError, match="damaged, or no safetensors file"):
        checkpoint.load(path)


# A pickle that creates the file named after it when it is opened: c = a global's name, S = a string, R = call.
_ARMED_PICKLE = b"\x80\x02cpathlib\nPath.touch\n(cpathlib\nPath\n(S'%s'\ntRtR."


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_is_refused_and_not_opened(tmp_path: Path, zipped: bool) -> None:
    path, proof = tmp_path / "model.pt", tmp_path / "was_opened"
    pickled = _ARMED_PICKLE % str(proof).encode()
    path.write_bytes(pickled)
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
    with pytest.raises(CheckpointError, match="a pickle"):
        checkpoint.load(path)
    assert not proof.exists()


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="no Retimbre checkpoint"):
        checkpoint.load(path)
    save_file({"weights": torch.zeros(3)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="no Retimbre checkpoint"):
        checkpoint.load(path)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    good_file(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="of kind 'test'; takes 'training'"):
        checkpoint.load(tmp_path / "x.safetensors", kind="training")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "2"}, "version 2; this program reads version 1"),
        ({"version": None}, "version None"),
        ({"kind": None}, "incomplete"),
        ({"structure": None}, "incomplete"),
        ({"metadata": "{"}, "incomplete"),
        ({"metadata": "[" * 100_000}, "incomplete"),
        ({"metadata": "[]"}, "no table"),
        ({"structure": "{"}, "disagree"),
        ({"structure": "[" * 100_000}, "disagree"),
        ({"structure": "[" * 200 + "]" * 200}, "disagree"),
        ({"structure": '{"dict": [["a", {"tensor": ["absent", "contiguous"]}]]}'}, "disagree"),
        ({"structure": '{"dict": [["a", {"tensor": ["weights", "sideways"]}]]}'}, "disagree"),
        ({"structure": '{"dict": [["a", {"tensor": ["weights", "channels_last"]}]]}'}, "disagree"),
        ({"structure": '{"dict": [["a", {"tensor": [["weights"], "contiguous"]}]]}'}, "disagree"),
        ({"structure": '{"dict": [["a", {"eval": "1"}]]}'}, "disagree"),
        ({"structure": '{"dict": [[["a"], 1]]}'}, "disagree"),
        ({"structure": '{"dict": 3}'}, "disagree"),
        ({"structure": "{}"}, "disagree"),
        ({"structure": "[]"}, "holds a list"),
    ],
)
def test_a_header_with_a_flaw_is_refused_with_its_reason(
    tmp_path: Path, changes: dict[str, str | None], reason: str
) -> None:
    with_header(tmp_path / "x.safetensors", **changes)
    with pytest.raises(CheckpointError, match=reason) as caught:
        checkpoint.load(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match="a folder"):
        checkpoint.load(tmp_path)


def test_the_snapshots_of_a_run_are_found_in_the_order_of_their_steps(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (100, 9, 123_456_789):
        checkpoints.save(checkpoints.at(step), {"step": step})
    (tmp_path / "step-draft.safetensors").touch()
    assert checkpoints.at(9).name == "step-00000009.safetensors"
    assert {step: checkpoint.load(path)[0]["step"] for step, path in checkpoints.snapshots().items()} == {
        9: 9,
        100: 100,
        123_456_789: 123_456_789,
    }
    assert list(checkpoints.snapshots()) == [9, 100, 123_456_789]


def test_every_checkpoint_of_a_run_carries_its_metadata(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, {"synth": "fm"})
    for path in (checkpoints.last, checkpoints.best, checkpoints.final, checkpoints.at(1)):
        checkpoints.save(path, {"step": 1})
        assert checkpoint.read_header(path).metadata == {"synth": "fm"}


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes there")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_checkpoint_may_be_read_by_whom_other_new_files_may_be(
    tmp_path: Path, umask: int, mode: int
) -> None:
    path = tmp_path / "model.safetensors"
    before = os.umask(umask)
    try:
        checkpoint.save(path, {"step": 1}, kind="test", metadata={})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_same_state_is_the_same_file_to_the_byte(tmp_path: Path) -> None:
    metadata = {f"fact {index}": index for index in range(20)}
    state = {f"layer {index}": torch.full((2,), float(index)) for index in range(20)}
    paths = [tmp_path / f"{turn}.safetensors" for turn in range(4)]
    for path in paths:
        checkpoint.save(path, state, kind="test", metadata=metadata)
    assert len({path.read_bytes() for path in paths}) == 1
