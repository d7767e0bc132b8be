"""Weights of the earlier envelope system: a state dict of that shape loads and gives what its formula gives."""

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from retimbre.core.errors import AudioError, CheckpointError
from retimbre.workflows.generate.envelope.curve import Stages
from retimbre.workflows.generate.envelope.reshape import EnvelopeOptions, generate_envelope
from retimbre.workflows.legacy import neurosynth
from retimbre.workflows.legacy.neurosynth import (
    is_legacy,
    load_critic_weights,
    load_generator_weights,
    reshape_as_neurosynth,
)
from retimbre.workflows.legacy.neurosynth_networks import NeuroSynthCritic, NeuroSynthGenerator, numbers, told

# Float32 against float64 through ten layers.
ROUNDING = 2e-5

# What the files of that program hold, by name.
GENERATOR_SHAPES = {
    "conv1.weight": (8, 11, 4),
    "conv1.bias": (8,),
    "conv2.weight": (16, 8, 4),
    "conv2.bias": (16,),
    **{f"res{block}.main.{layer}.weight": (16, 16, 3) for block in (1, 2) for layer in (0, 3)},
    **{
        f"res{block}.main.{layer}.{part}": (16,)
        for block in (1, 2)
        for layer in (1, 4)
        for part in ("weight", "bias")
    },
    "tcnv1.weight": (16, 8, 4),
    "tcnv1.bias": (8,),
    "tcnv2.weight": (8, 1, 4),
    "tcnv2.bias": (1,),
    **{
        f"in{layer}.{part}": (width,)
        for layer, width in ((1, 8), (2, 16), (3, 8))
        for part in ("weight", "bias")
    },
}
CRITIC_SHAPES = {
    **{
        f"conv{layer}.weight": (after, before, 4)
        for layer, before, after in ((1, 3, 8), (2, 8, 16), (3, 16, 32))
    },
    **{f"conv{layer}.bias": (width,) for layer, width in ((1, 8), (2, 16), (3, 32))},
    **{
        f"in{layer}.{part}": (width,)
        for layer, width in ((1, 8), (2, 16), (3, 32))
        for part in ("weight", "bias")
    },
    "cls_output.weight": (9, 32, 16),
    "src_output.weight": (1, 32, 16),
}


def state_of(shapes, seed=0):
    source = torch.Generator().manual_seed(seed)
    return {name: 0.4 * torch.randn(shape, generator=source) for name, shape in shapes.items()}


def convolved(x, weight, bias=None, *, stride=1):
    """[channels, samples] by [out, in, taps], padded by one at each end."""
    padded = np.pad(x, ((0, 0), (1, 1)))
    taps = weight.shape[2]
    places = range(0, padded.shape[1] - taps + 1, stride)
    made = np.stack(
        [np.einsum("oit,it->o", weight, padded[:, place : place + taps]) for place in places], axis=1
    )
    return made if bias is None else made + bias[:, None]


def spread(x, weight, bias):
    """A transposed convolution of stride 2, [in, out, 4], whose outermost samples are cut off."""
    made = np.zeros((weight.shape[1], 2 * x.shape[1] + 2))
    for place in range(x.shape[1]):
        made[:, 2 * place : 2 * place + 4] += np.einsum("i,iot->ot", x[:, place], weight)
    return made[:, 1:-1] + bias[:, None]


def normalised(x, weight, bias):
    level = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=1, keepdims=True)) / level * weight[:, None] + bias[:, None]


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def formula(state, sound, classes):
    """What that program computes, written down from its description in float64."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}
    planes = np.zeros((9, len(sound)))
    for block, place in enumerate(classes):
        planes[3 * block + place] = 1.0
    x = np.concatenate([sound[None], np.arange(128.0)[None], planes])
    for layer in ("1", "2"):
        x = convolved(x, w[f"conv{layer}.weight"], w[f"conv{layer}.bias"], stride=2)
        x = leaky(normalised(x, w[f"in{layer}.weight"], w[f"in{layer}.bias"]))
    for block in ("res1", "res2"):
        inner = convolved(x, w[f"{block}.main.0.weight"])
        inner = np.maximum(normalised(inner, w[f"{block}.main.1.weight"], w[f"{block}.main.1.bias"]), 0.0)
        inner = convolved(inner, w[f"{block}.main.3.weight"])
        x = normalised(inner, w[f"{block}.main.4.weight"], w[f"{block}.main.4.bias"])
    x = leaky(normalised(spread(x, w["tcnv1.weight"], w["tcnv1.bias"]), w["in3.weight"], w["in3.bias"]))
    return np.tanh(spread(x, w["tcnv2.weight"], w["tcnv2.bias"]))[0]


def save(path, state, *, zipped=True):
    torch.save(state, path, _use_new_zipfile_serialization=zipped)  # noqa: TID251 (as that program does)
    return path


def sounds(rows=3):
    return torch.randn(rows, 128, generator=torch.Generator().manual_seed(1))


def test_the_networks_are_as_large_as_that_program_s():
    sizes = [
        sum(weights.numel() for weights in network.parameters())
        for network in (NeuroSynthGenerator(), NeuroSynthCritic())
    ]
    assert sizes == [4_705, 7_944]


@pytest.mark.parametrize("kind", ["bare pickle", "zip archive", "safetensors"])
def test_a_state_dict_of_that_shape_loads_and_gives_what_the_formula_gives(tmp_path, kind):
    state = state_of(GENERATOR_SHAPES)
    path = tmp_path / ("G_0.safetensors" if kind == "safetensors" else "G_0.pth.tar")
    if kind == "safetensors":
        save_file(state, path)
    else:
        save(path, state, zipped=kind == "zip archive")
    assert is_legacy(path)
    generator = load_generator_weights(path)
    classes = torch.tensor([[2, 2, 2], [1, 1, 0], [0, 0, 0]])
    made = reshape_as_neurosynth(generator, sounds(), classes)
    for row in range(3):
        expected = formula(state, sounds()[row].double().numpy(), classes[row].tolist())
        np.testing.assert_allclose(made[row], expected, atol=ROUNDING)


def test_the_critic_s_state_loads_and_says_a_probability_and_nine_logits(tmp_path):
    critic = load_critic_weights(save(tmp_path / "D_0.pth.tar", state_of(CRITIC_SHAPES)))
    with torch.no_grad():
        score, classes = critic(torch.cat([sounds()[:, None], sounds()[:, None], numbers(sounds())], dim=1))
    assert score.shape == (3,)
    assert classes.shape == (3, 9)
    assert ((score > 0) & (score < 1)).all()


def test_samples_are_numbered_from_0_to_127_here_and_nowhere_else():
    channels = told(sounds(), torch.zeros(3, 3, dtype=torch.int64))
    assert torch.equal(channels[0, 1], torch.arange(128.0))
    assert channels[:, 2:].sum(dim=1).unique().tolist() == [3.0]


@pytest.mark.parametrize("length", [1, 5, 127, 130, 4_001])
def test_sounds_of_other_lengths_keep_theirs(length):
    made = reshape_as_neurosynth(
        NeuroSynthGenerator(), torch.randn(2, length), torch.zeros(2, 3, dtype=torch.int64)
    )
    assert made.shape == (2, length)
    assert made.isfinite().all()


def test_generate_envelope_takes_such_a_file_for_a_model(tmp_path, monkeypatch):
    state = state_of(GENERATOR_SHAPES)
    model = save(tmp_path / "G_1000.pth.tar", state)
    soundfile.write(tmp_path / "in.wav", sounds()[0].numpy() / 4, 16_000, subtype="FLOAT")
    options = EnvelopeOptions(Stages(0.4, 0.0, 0.4, 0.2), device="cpu")
    manifest = generate_envelope(model, tmp_path / "in.wav", tmp_path / "out", options)
    made, _ = soundfile.read(tmp_path / "out" / "in.wav")
    expected = formula(state, sounds()[0].double().numpy() / 4, (2, 2, 1))
    np.testing.assert_allclose(made, expected, atol=ROUNDING)
    assert manifest["remarks"] == []
    monkeypatch.setattr(neurosynth, "MOST_SAMPLES", 100)
    with pytest.raises(AudioError, match="takes 100 samples at most, not 128"):
        generate_envelope(model, tmp_path / "in.wav", tmp_path / "other", options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("conv1.bias"), "lacks the tensor 'conv1.bias'"),
        (
            lambda state: state.update({"conv1.weight": torch.zeros(8, 12, 4)}),
            r"\[8, 12, 4\], but takes \[8, 11, 4\]",
        ),
        (
            lambda state: state.update({"conv4.bias": torch.zeros(1)}),
            "has no place for the tensor 'conv4.bias'",
        ),
        (lambda state: state["in1.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_other_tensors_are_refused_by_name(tmp_path, change, message):
    state = state_of(GENERATOR_SHAPES)
    change(state)
    with pytest.raises(CheckpointError, match=message) as refused:
        load_generator_weights(save(tmp_path / "G_0.pth.tar", state))
    assert "\n" not in str(refused.value)


def test_a_critic_in_the_generator_s_place_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="holds the critic of NeuroSynth; takes its generator"):
        load_generator_weights(save(tmp_path / "D_0.pth.tar", state_of(CRITIC_SHAPES)))
    (tmp_path / "G_1.pth.tar").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged, or holds more than weights"):
        load_generator_weights(tmp_path / "G_1.pth.tar")
