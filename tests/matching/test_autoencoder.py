"""Label autoencoders: codes and back, each half alone, and what is refused."""

from pathlib import Path

import pytest
import torch

from retimbre.core import random
from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.matching.autoencoder import (
    LabelAutoencoder,
    LabelAutoencoderConfig,
    LabelDecoder,
    LabelEncoder,
    differing_knobs,
    load_autoencoder,
    num_parameters,
    save_autoencoder,
)
from retimbre.matching.inverter import load_inverter
from retimbre.matching.label_task import ClassBatch, LabelTask, commonest, shares_right
from retimbre.matching.networks.catalog import num_trainable
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS, find_synth
from retimbre.training import checkpoint
from retimbre.training.schedule import ScheduleConfig
from retimbre.training.update import UpdateConfig

CONFIGS = [
    LabelAutoencoderConfig("inversynth", bottleneck=35),
    LabelAutoencoderConfig("inversynth", bottleneck=5, hidden=(64, 16)),
    LabelAutoencoderConfig("subtractive", bottleneck=7, fixed={"cutoff": 1000.0}, levels={"attack": 4}),
]


def made(config: LabelAutoencoderConfig) -> LabelAutoencoder:
    torch.manual_seed(0)
    return LabelAutoencoder(config).eval()


def vectors(autoencoder: LabelAutoencoder, count: int) -> torch.Tensor:
    uniform = random.uniform(0, "test vectors", torch.arange(count), len(autoencoder.space.searched))
    return autoencoder.space.draw_classes(uniform)


def task_of(autoencoder: LabelAutoencoder, steps: int = 100, ema_decay: float = 0.0) -> LabelTask:
    schedule = ScheduleConfig(1e-2, "constant")
    config = UpdateConfig(schedule, steps, optimizer="adam", clip_norm=0.0, ema_decay=ema_decay)
    return LabelTask(autoencoder, config, torch.device("cpu"))


@pytest.mark.parametrize("config", CONFIGS)
def test_a_code_has_the_bottlenecks_size_is_never_negative_and_decodes_to_probabilities(
    config: LabelAutoencoderConfig,
) -> None:
    autoencoder = made(config)
    classes = vectors(autoencoder, 9)
    codes = autoencoder.encode(classes)
    assert codes.shape == (9, config.bottleneck)
    assert (codes >= 0.0).all()
    probabilities = autoencoder.decoder(codes)
    assert probabilities.shape == (9, autoencoder.space.total_classes)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    torch.testing.assert_close(probabilities, autoencoder(autoencoder.space.to_one_hot(classes)))


@pytest.mark.parametrize("config", CONFIGS)
def test_any_code_decodes_to_a_patch_that_the_synthesizer_renders(config: LabelAutoencoderConfig) -> None:
    autoencoder = made(config)
    codes = 100.0 * torch.rand(3, config.bottleneck, generator=random.generator(0, "codes"))
    counts = torch.tensor(autoencoder.space.class_counts)
    classes = autoencoder.decode(codes)
    assert ((classes >= 0) & (classes < counts)).all()
    knobs = autoencoder.decode_patch(codes)
    assert torch.equal(autoencoder.space.to_classes(knobs), classes)
    for name, value in config.fixed.items():
        assert (knobs[name] == float(value)).all()
    audio = find_synth(config.synth).render(knobs, Note.of(3), num_samples=2000)
    assert audio.isfinite().all()


def test_there_is_a_nonlinearity_on_either_side_of_every_inner_layer() -> None:
    # Trap 3: layers without one between them are one layer.
    labels = torch.randn(64, 30, generator=random.generator(0, "labels"))
    torch.manual_seed(0)
    for half in (LabelEncoder((30, 20, 10)), LabelDecoder((30, 20, 10)).logits):
        origin = half(torch.zeros(1, 30))
        assert not torch.allclose(half(2 * labels) - origin, 2 * (half(labels) - origin), atol=1e-3)


def test_the_count_of_parameters_is_that_of_the_network() -> None:
    for config in CONFIGS:
        autoencoder = made(config)
        assert num_parameters(autoencoder.space.total_classes, config) == num_trainable(autoencoder)
    # 368 x 35 weights and 35 biases, and back.
    assert num_parameters(368, CONFIGS[0]) == 368 * 35 + 35 + 35 * 368 + 368


@pytest.mark.parametrize("name", sorted(SYNTHS))
def test_every_synthesizer_has_a_label_autoencoder(name: str) -> None:
    autoencoder = made(LabelAutoencoderConfig(name, bottleneck=3))
    classes = vectors(autoencoder, 4)
    assert autoencoder.decode(autoencoder.encode(classes)).shape == classes.shape


def test_training_on_labels_with_structure_lowers_the_loss_and_brings_every_vector_back() -> None:
    autoencoder = made(LabelAutoencoderConfig("fm", bottleneck=16))
    # Eight patches only: a code of sixteen numbers has more than one for each, and a unit may begin dead.
    classes = vectors(autoencoder, 8).repeat(8, 1)
    task = task_of(autoencoder)
    before = task.validate([ClassBatch(classes)])
    for step in range(1, 201):
        task.update(ClassBatch(classes), step=step)
    after = task.validate([ClassBatch(classes)])
    assert after["loss"] < 0.2 * before["loss"]
    assert (after["exact"], after["within_one"], after["perfect"]) == (1.0, 1.0, 1.0)


def test_figures_over_batches_are_those_over_one_batch() -> None:
    autoencoder = made(CONFIGS[1])
    classes = vectors(autoencoder, 10)
    task = task_of(autoencoder, ema_decay=0.9)
    whole = task.validate([ClassBatch(classes)])
    apart = task.validate([ClassBatch(part) for part in classes.split(3)])
    assert apart == pytest.approx(whole, rel=1e-5)


def test_shares_right_are_those_counted_by_hand() -> None:
    truth = torch.tensor([[3, 1, 2], [0, 0, 0]])
    answer = torch.tensor([[3, 2, 1], [0, 0, 0]])
    # The third knob is a choice, so next to right is wrong.
    exact, near, perfect = shares_right(answer, truth, torch.tensor([True, True, False]))
    assert (float(exact), float(near), float(perfect)) == pytest.approx((4 / 6, 5 / 6, 1 / 2))


def test_without_a_code_the_commonest_classes_are_right_as_often_as_they_occur() -> None:
    two = {name: find_synth("two-sine").space[name].default for name in ("a1", "a2")}
    space = LabelAutoencoderConfig("two-sine", fixed=two).space
    train = torch.tensor([[1, 2]] * 3 + [[0, 2]])
    figures = commonest(space, train, torch.tensor([[1, 2], [0, 2], [2, 0], [1, 1]]))
    assert figures["exact"] == pytest.approx(4 / 8)
    assert figures["perfect"] == pytest.approx(1 / 4)
    # A class that never occurred in training costs a finite loss.
    assert 0.0 < figures["loss"] < 10.0


# The checkpoint


@pytest.mark.parametrize("config", CONFIGS)
def test_a_checkpoint_holds_all_that_encoder_and_decoder_need(
    config: LabelAutoencoderConfig, tmp_path: Path
) -> None:
    autoencoder = made(config)
    save_autoencoder(tmp_path / "model.safetensors", autoencoder, facts={"seed": 3})
    for place in (tmp_path, tmp_path / "model.safetensors"):
        again = load_autoencoder(place)
        assert again.config == autoencoder.config
        codes = torch.rand(5, config.bottleneck)
        assert torch.equal(again.decode(codes), autoencoder.decode(codes))
        classes = vectors(autoencoder, 5)
        assert torch.equal(again.encode(classes), autoencoder.encode(classes))
    header = checkpoint.read_header(tmp_path / "model.safetensors")
    assert (header.kind, header.metadata["task"]) == ("label-autoencoder", "label-autoencoder")


def test_an_inverter_is_no_autoencoder_and_an_autoencoder_no_inverter(tmp_path: Path) -> None:
    save_autoencoder(tmp_path / "labels.safetensors", made(CONFIGS[0]), facts={})
    with pytest.raises(CheckpointError, match="of kind 'label-autoencoder'; takes 'inverter'"):
        load_inverter(tmp_path / "labels.safetensors")
    with pytest.raises(CheckpointError, match="of kind 'inverter'; takes 'label-autoencoder'"):
        load_autoencoder("inversynth-resmel")


def test_spaces_differ_in_knobs_that_are_held_and_in_levels_but_not_in_rounding() -> None:
    space = find_synth("fm").space
    assert differing_knobs(space, space) == []
    assert differing_knobs(space, space.with_fixed({"A": 1.0})) == ["A"]
    assert differing_knobs(space, space.with_levels({"M": 5})) == ["M"]
    rounded = tuple(float(f"{level:.7g}") for level in space["M"].class_values())
    assert differing_knobs(space, space.with_levels({"M": rounded})) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bottleneck": 0}, "bottleneck is 0"),
        ({"hidden": (8, 0)}, "layers take 1 unit or more"),
        ({"synth": "fmm"}, "no synth 'fmm'"),
        ({"fixed": {"Z": 1.0}}, "no knob 'Z'"),
        (
            {
                "synth": "two-sine",
                "fixed": {knob.name: knob.default for knob in find_synth("two-sine").space.parameters},
            },
            "every knob is fixed",
        ),
    ],
)
def test_what_cannot_be_an_autoencoder_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelAutoencoder(LabelAutoencoderConfig(**{"synth": "fm", **changes}))
