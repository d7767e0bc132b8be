"""Embeddings that are kept: the same training as without, under a name that changes with everything they depend on."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from retimbre.core.errors import CheckpointError
from retimbre.listening.base import Embedder, ExternalEmbedder, FittedEmbedder
from retimbre.listening.catalog import EMBEDDERS, ExternalEntry
from retimbre.listening.statistics import BandStatistics
from retimbre.matching.embedded import EmbeddedSource, fit_embedder
from retimbre.matching.inverter import Inverter, InverterConfig, load_inverter, read_inverter, save_inverter
from retimbre.matching.networks.dense import DENSE_LAYERS
from retimbre.matching.pairs import NoteRange, PairSource
from retimbre.matching.source import Source
from retimbre.matching.task import InversionTask
from retimbre.synth.base import Note
from retimbre.training import checkpoint, devices
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.update import UpdateConfig

CPU = torch.device("cpu")
PAIRS, BATCH, STEPS, HELD_OUT = 512, 64, 48, 192


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def inverter(model: str, *, head: Any = "softmax", representation: str = "", file: str = "") -> Inverter:
    devices.restart_random(0, "weights", 0)
    return Inverter(
        InverterConfig(
            "fm",
            model,
            seconds=0.25,
            head=head,
            representation=representation,
            representation_file=file,
        )
    )


def pairs(of: Inverter, *, shuffled: bool = False, distinct: int = PAIRS) -> PairSource:
    notes = NoteRange(gate_low_s=0.2, gate_high_s=0.2)
    return PairSource(of.synth, of.space, of.num_samples, notes, distinct=distinct, shuffled_labels=shuffled)


def trained(of: Inverter, source: Source, num_steps: int = STEPS) -> InversionTask:
    """Trained by a few updates without average."""
    task = InversionTask(of, UpdateConfig(ScheduleConfig(1e-3), num_steps=num_steps, ema_decay=0.0), CPU)
    for step in range(1, num_steps + 1):
        devices.restart_random(0, "training", step)
        task.update(source.batch(step, BATCH, "train", CPU), step=step)
    return task


def percentile_rank(model: str, folder: Path, *, shuffled: bool) -> float:
    """Of a network that was trained on a few hundred pairs, on pairs that it never heard."""
    made = inverter(model)
    source = pairs(made, shuffled=shuffled)
    assert isinstance(made.front_end, Embedder)
    if isinstance(made.front_end, FittedEmbedder):
        fit_embedder(made.front_end, source, seed=0, num_clips=256, folder=folder)
    embedded = EmbeddedSource(source, made.front_end, folder)
    task = trained(made, embedded)
    return task.validate([embedded.pairs(torch.arange(HELD_OUT), "validation")])["percentile_rank"]


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(DENSE_LAYERS))
def test_a_baseline_learns_and_its_control_with_shuffled_labels_does_not(model: str, cache: Path) -> None:
    # Ranks of guesses are even over 0 to 100, with a deviation of 31 for 16 classes; knobs are drawn independently.
    knobs = len(inverter(model).space.searched)
    chance_error = 31.0 / (HELD_OUT * knobs) ** 0.5
    learned = percentile_rank(model, cache, shuffled=False)
    control = percentile_rank(model, cache, shuffled=True)
    assert learned > 50.0 + 5.0 * chance_error
    assert control < learned - 5.0 * chance_error
    assert abs(control - 50.0) < 5.0 * chance_error


def test_all_runs_over_one_embedder_share_one_table(cache: Path) -> None:
    made = inverter("MLP")
    assert isinstance(made.front_end, Embedder)
    paths = {
        EmbeddedSource(pairs(made, shuffled=shuffled), made.front_end, cache).path
        for shuffled in (False, True)
    }
    assert len(paths) == 1


def test_the_table_holds_embeddings_and_true_labels_even_if_a_control_made_it(tmp_path: Path) -> None:
    made = inverter("MLP")
    assert isinstance(made.front_end, Embedder)
    source = pairs(made, shuffled=True, distinct=40)
    embedded = EmbeddedSource(source, made.front_end, tmp_path)
    batch = embedded.batch(1, 8, "train", CPU)
    state, _ = checkpoint.load(embedded.path)
    truth = source.truthful().batch(1, 40, "train", CPU)
    assert state["embeddings"].shape == (40, made.front_end.dim)
    assert torch.equal(state["params"], truth.unit)
    assert torch.equal(state["classes"], truth.classes)
    assert not torch.equal(batch.classes, truth.classes[:8])
    torch.testing.assert_close(state["embeddings"], made.front_end(truth.audio))


@pytest.mark.parametrize("model", ["MLP", "FC2"])
def test_training_from_the_table_is_training_without_it(model: str, tmp_path: Path) -> None:
    losses = []
    for kept in (True, False):
        made = inverter(model)
        source = pairs(made, distinct=128)
        assert isinstance(made.front_end, Embedder)
        if isinstance(made.front_end, FittedEmbedder):
            fit_embedder(made.front_end, source, seed=0, num_clips=64, folder=None)
        fed = EmbeddedSource(source, made.front_end, tmp_path) if kept else source
        task = trained(made, fed, num_steps=6)  # three passes
        losses.append(task.validate([fed.pairs(torch.arange(32), "validation")])["loss"])
    # Batches of another size are summed in another order.
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


class Stub(Embedder):
    """As many numbers as a user's own embedder might give; works without any file or network."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__(sample_rate)
        self.dim = 5
        self.num_calls = 0

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Five parts' levels."""
        self.num_calls += 1
        return torch.stack([part.square().mean(1).sqrt() for part in audio.chunk(5, dim=1)], dim=1)

    def settings(self) -> Mapping[str, Any]:
        """None."""
        return {}


def test_a_sound_is_heard_once_however_many_passes_and_runs(tmp_path: Path) -> None:
    stub = Stub(16_384)
    source = pairs(inverter("MLP"), distinct=40)
    first = EmbeddedSource(source, stub, tmp_path)
    batches = [first.batch(step, 16, "train", CPU) for step in range(1, 8)]
    assert stub.num_calls == 1
    again = EmbeddedSource(source, stub, tmp_path).batch(7, 16, "train", CPU)
    assert stub.num_calls == 1
    assert torch.equal(again.features, batches[-1].features)
    assert batches[0].audio.shape == (16, 0)


CHANGES: dict[str, Any] = {
    "seed": {"seed": 1},
    "number": {"distinct": 41},
    "length": {"num_samples": 4000},
    "draw": {"draw": "continuous"},
    "notes": {"notes": NoteRange(gate_low_s=0.1, gate_high_s=0.2)},
    "compiling": {"compiled": True},
    "levels": {"space": inverter("MLP").space.with_levels({"C": 3})},
    "fixed": {"space": inverter("MLP").space.with_fixed({"C": 500.0})},
    "rate": {"synth": dataclasses.replace(inverter("MLP").synth, sample_rate=22_050)},  # pyright: ignore
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_the_key_changes_with_every_option_of_the_pairs(change: str, tmp_path: Path) -> None:
    source = pairs(inverter("MLP"), distinct=40)
    other = dataclasses.replace(source, **CHANGES[change])
    stub = Stub(16_384)
    assert EmbeddedSource(source, stub, tmp_path).path != EmbeddedSource(other, stub, tmp_path).path


def test_the_key_changes_with_the_embedder_its_rate_and_its_weights(tmp_path: Path) -> None:
    source = pairs(inverter("MLP"), distinct=40)
    fitted = inverter("FC1").front_end
    assert isinstance(fitted, FittedEmbedder)
    keys = {EmbeddedSource(source, each, tmp_path).path for each in (Stub(16_384), Stub(8_000), fitted)}
    fit_embedder(fitted, source, seed=0, folder=None)
    keys.add(EmbeddedSource(source, fitted, tmp_path).path)
    assert len(keys) == 4


def test_a_table_of_another_shape_is_refused(tmp_path: Path) -> None:
    embedded = EmbeddedSource(pairs(inverter("MLP"), distinct=40), Stub(16_384), tmp_path)
    checkpoint.save(embedded.path, {"embeddings": torch.zeros(3, 5)}, kind="embeddings", metadata={})
    with pytest.raises(CheckpointError, match="holds no 40 x 5 embeddings"):
        embedded.batch(1, 4, "train", CPU)


def test_what_was_fitted_is_shared_and_a_foreign_one_refused(tmp_path: Path) -> None:
    source = pairs(inverter("FC1"), distinct=40)
    made = [inverter("FC1").front_end for _ in range(2)]
    for each in made:
        assert isinstance(each, FittedEmbedder)
        fit_embedder(each, source, seed=0, folder=tmp_path)
    (file,) = tmp_path.glob("embedder-*.safetensors")
    assert len({each.identity() for each in made if isinstance(each, Embedder)}) == 1
    checkpoint.save(file, {"words": torch.zeros(1)}, kind="embedder", metadata={})
    fresh = inverter("FC1").front_end
    assert isinstance(fresh, FittedEmbedder)
    with pytest.raises(CheckpointError, match="does not fit BagOfWords"):
        fit_embedder(fresh, source, seed=0, folder=tmp_path)


@pytest.mark.parametrize("model", ["FC1", "HC"])
def test_a_saved_baseline_hears_as_it_did_without_the_clips_it_was_fitted_to(
    model: str, tmp_path: Path
) -> None:
    made = inverter(model)
    assert isinstance(made.front_end, FittedEmbedder)
    source = pairs(made, distinct=40)
    fit_embedder(made.front_end, source, seed=0, folder=None)
    audio, note = source.audio(torch.arange(3), "train"), Note.of(3)
    save_inverter(tmp_path / "model.safetensors", made.eval(), facts={})
    loaded = load_inverter(tmp_path)
    assert torch.equal(loaded.front_end(audio), made.front_end(audio))
    # The network's weights have 11 bits of mantissa.
    torch.testing.assert_close(
        loaded.probabilities(audio, note), made.probabilities(audio, note), atol=5e-3, rtol=0
    )


class Outside(ExternalEmbedder):
    """An embedder whose file is a text with one number."""

    def __init__(self, sample_rate: int, file: Path) -> None:
        super().__init__(sample_rate)
        self.register_buffer("factor", torch.tensor(float(file.read_text())))
        self.file_sha256, self.dim = f"{float(self.factor):064.0f}", 7

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Seven parts' means."""
        return self.factor * torch.stack([part.mean(1) for part in audio.chunk(7, dim=1)], dim=1)

    def settings(self) -> Mapping[str, Any]:
        """The file."""
        return {"file_sha256": self.file_sha256}

    factor: Tensor


def test_the_weights_of_others_stay_in_their_file_which_is_known_by_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EMBEDDERS, "outside", ExternalEntry("A number in a file", Outside))
    (tmp_path / "there").mkdir()
    file, saved = tmp_path / "there" / "weights.txt", tmp_path / "run" / "model.safetensors"
    file.write_text("3")
    made = inverter("MLP", representation="outside", file=str(file))
    save_inverter(saved, made, facts={})
    assert [name for name in checkpoint.load(saved)[0] if name.startswith("front_end")] == []
    loaded, _ = read_inverter(saved)
    assert loaded.config.representation_sha256 == made.config.representation_sha256 != ""
    audio = torch.randn(2, made.num_samples)
    assert torch.equal(loaded.front_end(audio), made.front_end(audio))

    file.rename(saved.parent / "weights.txt")  # beside the checkpoint it is found, too
    assert isinstance(load_inverter(saved).front_end, Outside)
    (saved.parent / "weights.txt").write_text("4")
    with pytest.raises(CheckpointError, match="not the weights it was trained with"):
        load_inverter(saved)


def test_a_regressed_network_over_an_embedding_learns(tmp_path: Path) -> None:
    made = inverter("MLP", head="regression")
    assert isinstance(made.front_end, BandStatistics)
    source = EmbeddedSource(pairs(made), made.front_end, tmp_path)
    held_out = source.pairs(torch.arange(64), "validation")
    before = InversionTask(made, UpdateConfig(ScheduleConfig(1e-3), num_steps=1), CPU).validate([held_out])
    after = trained(made, source).validate([held_out])
    # Squared errors in the unit interval: the mean alone leaves 0.094 for 16 even classes.
    assert after["loss"] < min(before["loss"], 0.094)
