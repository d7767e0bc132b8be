"""An inverter proposes patches that can be played, and one file holds all of it."""

from pathlib import Path

import pytest
import torch

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.matching.inverter import (
    Inverter,
    InverterConfig,
    load_inverter,
    read_inverter,
    save_inverter,
)
from retimbre.matching.sampling import draw_class_vectors, within_classes
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS
from retimbre.training import checkpoint

CONFIGS = {
    "paper": InverterConfig("two-sine", "C1"),
    "regression": InverterConfig("fm", "C3", head="regression", seconds=0.5, levels={"C": 5}),
    "sigmoid": InverterConfig("fm", "E2E", head="sigmoid", seconds=0.25),
    "embedded": InverterConfig("fm", "MLP", head="regression", seconds=0.25),
    "fitted": InverterConfig("two-sine", "FC1", seconds=0.25),
    "musical": InverterConfig("subtractive", "ResMel", sample_rate=16_000, seconds=0.5),
}


def inverter(kind: str) -> Inverter:
    torch.manual_seed(0)
    return Inverter(CONFIGS[kind]).eval()


def clip(model: Inverter, count: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(count, model.num_samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_proposals_are_distinct_points_of_the_cube_that_the_synthesizer_can_play(kind: str) -> None:
    model = inverter(kind)
    source = torch.Generator().manual_seed(0)
    unit = model.propose(clip(model), Note.of(1), 8, generator=source)
    assert unit.shape == (8, model.space.width)
    assert float(unit.min()) >= 0.0
    assert float(unit.max()) <= 1.0
    assert len({tuple(row) for row in unit.tolist()}) == 8
    audio = model.synth.render(model.space.from_unit(unit), Note.of(8), num_samples=model.num_samples)
    assert audio.isfinite().all()


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_the_first_proposal_is_the_likeliest_class_of_every_knob_and_chance_is_the_generators(
    kind: str,
) -> None:
    model = inverter(kind)
    first = model.propose(clip(model), Note.of(1), 4, generator=torch.Generator().manual_seed(0))
    likeliest = model.probabilities(clip(model), Note.of(1)).argmax(2)
    assert torch.equal(model.space.to_classes(model.space.from_unit(first[:1])), likeliest)
    again = model.propose(clip(model), Note.of(1), 4, generator=torch.Generator().manual_seed(0))
    other = model.propose(clip(model), Note.of(1), 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(first, again)
    assert not torch.equal(first[1:], other[1:])


def test_a_sampled_knob_lands_within_its_class() -> None:
    space = SYNTHS["subtractive"].space
    uniform = torch.rand(500, len(space.searched), generator=torch.Generator().manual_seed(0))
    classes = space.draw_classes(uniform)
    unit = within_classes(space, classes, torch.Generator().manual_seed(1))
    kept = space.to_classes(space.from_unit(unit)) == classes
    # A draw exactly on the border between two classes rounds either way.
    assert float(kept.double().mean()) > 0.999


def test_draws_follow_the_probabilities_and_repeat_only_when_they_must() -> None:
    source = torch.Generator().manual_seed(0)
    flat = draw_class_vectors(torch.zeros(6, 16), 64, source)
    assert len({tuple(row) for row in flat.tolist()}) == 64
    certain = torch.full((2, 4), -100.0)
    certain[:, 2] = 0.0
    assert (draw_class_vectors(certain, 5, source) == 2).all()


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_a_saved_inverter_says_the_same_in_half_the_bytes(kind: str, tmp_path: Path) -> None:
    model = inverter(kind)
    save_inverter(tmp_path / "model.safetensors", model, facts={"seed": 3})
    loaded, facts = read_inverter(tmp_path)
    assert facts == {"seed": 3}
    assert loaded.config == model.config
    audio, note = clip(model, 2), Note.of(2)
    # 11 bits of mantissa per weight.
    torch.testing.assert_close(
        loaded.probabilities(audio, note), model.probabilities(audio, note), atol=5e-3, rtol=0
    )
    save_inverter(tmp_path / "exact.safetensors", model, facts={}, half=False)
    exact = load_inverter(tmp_path / "exact.safetensors")
    assert torch.equal(exact.probabilities(audio, note), model.probabilities(audio, note))
    assert (tmp_path / "model.safetensors").stat().st_size < 0.6 * (
        tmp_path / "exact.safetensors"
    ).stat().st_size


def test_a_fixed_knob_keeps_its_value_in_every_proposal_and_in_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Inverter(InverterConfig("fm", "C1", fixed={"C": 500.0}))
    save_inverter(tmp_path / "model.safetensors", model, facts={})
    loaded = load_inverter(tmp_path / "model.safetensors")
    unit = loaded.propose(clip(loaded), Note.of(1), 6, generator=torch.Generator().manual_seed(0))
    assert (loaded.space.from_unit(unit)["C"] == 500.0).all()


def tampered(path: Path, change: dict) -> Path:
    state, metadata = checkpoint.load(path)
    checkpoint.save(path, state, kind="inverter", metadata={**metadata, **change})
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"config": {"synth": "moog", "model": "Conv1"}}, "there is no synth 'moog'"),
        ({"knobs": []}, "another version of 'two-sine'"),
        ({"config": {"synth": "two-sine", "model": "Conv2"}}, "cannot be used"),
        ({"config": {"synth": "two-sine", "model": "Conv1", "colour": 1}}, "no option 'colour'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_the_program_is_refused_with_its_reason(
    change: dict, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_inverter(path, inverter("paper"), facts={})
    with pytest.raises(CheckpointError, match=reason):
        load_inverter(tampered(path, change))


def test_a_knob_whose_range_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_inverter(path, inverter("musical"), facts={})
    knobs = checkpoint.load(path)[1]["knobs"]
    changed = next(knob for knob in knobs if "high" in knob)
    changed["high"] *= 2
    with pytest.raises(CheckpointError, match=f"another version of 'subtractive': {changed['name']} was"):
        load_inverter(tampered(path, {"knobs": knobs}))


def test_a_missing_foreign_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no model 'nothing'"):
        load_inverter("nothing")
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        load_inverter(tmp_path)
    (tmp_path / "text.safetensors").write_text("not tensors")
    with pytest.raises(CheckpointError, match="damaged"):
        load_inverter(tmp_path / "text.safetensors")
    checkpoint.save(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, kind="training", metadata={})
    with pytest.raises(CheckpointError, match="training"):
        load_inverter(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"synth": "fmm", "model": "C1"}, "no synth 'fmm'"),
        ({"synth": "fm", "model": "C9"}, "no model 'C9'"),
        ({"synth": "fm", "model": "C1", "representation": "mell"}, "no representation 'mell'"),
        ({"synth": "fm", "model": "C1", "fixed": {"carrier": 1.0}}, "no knob 'carrier'"),
        ({"synth": "fm", "model": "C1", "seconds": 100.0}, "up to 60 s"),
        ({"synth": "fm", "model": "C1", "representation": "statistics"}, "Conv1 hears maps"),
        ({"synth": "fm", "model": "MLP", "representation": "clap"}, "needs the file of its weights"),
        ({"synth": "fm", "model": "MLP", "representation_file": "a.bin"}, "takes no representation_file"),
        ({"synth": "fm", "model": "MLP", "representation": "statistic"}, "did you mean 'statistics'"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(config: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Inverter(InverterConfig(**config))
