import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from retimbre.core.errors import CheckpointError
from retimbre.dsp.resample import resample
from retimbre.listening import clap, clap_weights
from retimbre.listening.clap import NUM_SAMPLES, RATE_HZ, ClapEmbedder
from retimbre.listening.htsat import HtsatConfig

transformers = pytest.importorskip("transformers", reason="the yardstick of this encoder, a dev dependency")

SMALL = HtsatConfig(width=8, depths=(1, 2, 3, 2), heads=(1, 2, 2, 4))
SMALL_DIM = 12


def yardstick(config: HtsatConfig, dim: int) -> "transformers.ClapModel":
    """A CLAP of transformers with a text half that is as small as can be, all weights random and none neutral."""
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    audio = {
        "patch_embeds_hidden_size": config.width,
        "depths": list(config.depths),
        "num_attention_heads": list(config.heads),
        "hidden_size": config.dim,
        "projection_dim": dim,
    }
    model = transformers.ClapModel(
        transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=dim)
    ).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weights in model.audio_model.named_parameters():
            # Norms scale by about 1, matrices keep the size of what they multiply, biases matter.
            fan = weights[0].numel() if weights.dim() > 1 and "bias" not in name else 25.0
            middle = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weights.copy_(middle + torch.randn(weights.shape, generator=random) / math.sqrt(fan))
        norm = model.audio_model.audio_encoder.batch_norm
        # Decibels of real sounds.
        norm.running_mean.copy_(torch.linspace(-30.0, -60.0, 64))
        norm.running_var.copy_(torch.linspace(150.0, 400.0, 64))
    return model


def listener() -> "transformers.ClapFeatureExtractor":
    """As the published unfused model configures it."""
    return transformers.ClapFeatureExtractor(
        frequency_min=50, frequency_max=14_000, truncation="rand_trunc", padding="repeatpad"
    )


def sounds() -> dict[str, np.ndarray]:
    """Clips at 48 kHz whose spectra are full, bare, steep and empty, and whose lengths do and do not divide 10 s."""
    random = np.random.default_rng(0)
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    return {
        "noise": 0.1 * random.standard_normal(RATE_HZ),
        "tone": 0.5 * np.sin(2.0 * np.pi * 440.0 * time_s),
        "pluck": np.exp(-8.0 * time_s[:33_333]) * np.sign(np.sin(2.0 * np.pi * 110.0 * time_s[:33_333])),
        "click": np.eye(1, 4_801)[0],
        "silence": np.zeros(9_600),
        "ten seconds": 0.1 * random.standard_normal(NUM_SAMPLES),
    }


def heard(model: "transformers.ClapModel", clip: np.ndarray) -> Tensor:
    features = listener()(clip, sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        return model.get_audio_features(input_features=features["input_features"].float()).pooler_output


def as_batch(clip: np.ndarray) -> Tensor:
    return torch.from_numpy(clip).float()[None]


def pickled(held: object, path: Path) -> None:
    torch.save(held, path)  # noqa: TID251 (as others published their weights)


def laion_dialect(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state of transformers under the names that LAION's training gave its tensors."""
    renamed: dict[str, Tensor] = {}
    pairs = (
        ("audio_model.audio_encoder", "audio_branch"),
        ("batch_norm", "bn0"),
        ("attention.output.dense", "attn.proj"),
        ("attention.self", "attn"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
        ("linear1", "0"),
        ("linear2", "2"),
    )
    for name, weights in state.items():
        other = name
        for theirs, original in pairs:
            other = other.replace(theirs, original)
        if ".attn.key" in other or ".attn.value" in other:
            continue
        if ".attn.query" in other:
            parts = [state[name.replace("query", part)] for part in ("query", "key", "value")]
            other, weights = other.replace("query", "qkv"), torch.cat(parts)
        renamed[f"module.{other}"] = weights
    return renamed


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple["transformers.ClapModel", Path]:
    """A small CLAP and the file that transformers saved it to."""
    model = yardstick(SMALL, SMALL_DIM)
    folder = tmp_path_factory.mktemp("clap")
    model.save_pretrained(folder)
    return model, folder / "model.safetensors"


@pytest.fixture(autouse=True)
def small_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(clap_weights.SIZES, SMALL.width, SMALL)


@pytest.mark.parametrize("name", sounds())
def test_log_mels_are_those_of_the_training(name: str) -> None:
    clip = sounds()[name].astype(np.float32)
    theirs = listener()(clip, sampling_rate=RATE_HZ, return_tensors="pt")["input_features"][0, 0]
    ours = clap.log_mels(clap.ten_seconds(as_batch(clip)), 64)[0]
    # Decibels; theirs rounds the spectrum to complex64.
    torch.testing.assert_close(ours, theirs.float(), rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("name", sounds())
def test_embeddings_are_those_of_transformers(
    small: tuple["transformers.ClapModel", Path], name: str
) -> None:
    model, file = small
    clip = sounds()[name].astype(np.float32)
    torch.testing.assert_close(
        ClapEmbedder(RATE_HZ, file)(as_batch(clip)), heard(model, clip), rtol=0.0, atol=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("config", [HtsatConfig(), HtsatConfig(width=128, depths=(2, 2, 12, 2))])
def test_embeddings_of_the_published_sizes_are_those_of_transformers(
    config: HtsatConfig, tmp_path: Path
) -> None:
    model = yardstick(config, 512)
    model.save_pretrained(tmp_path)
    embedder = ClapEmbedder(RATE_HZ, tmp_path / "model.safetensors")
    for clip in (sounds()["noise"].astype(np.float32), sounds()["pluck"].astype(np.float32)):
        torch.testing.assert_close(embedder(as_batch(clip)), heard(model, clip), rtol=0.0, atol=1e-4)


def test_different_sounds_get_different_vectors(small: tuple["transformers.ClapModel", Path]) -> None:
    """The parity above would hold for a network that says the same of everything."""
    embedder = ClapEmbedder(RATE_HZ, small[1])
    vectors = torch.cat([embedder(as_batch(clip)) for clip in sounds().values()])
    apart = torch.cdist(vectors, vectors) + torch.eye(len(vectors))
    assert float(apart.min()) > 1e-3


def test_every_form_of_the_file_gives_the_same_network(
    small: tuple["transformers.ClapModel", Path], tmp_path: Path
) -> None:
    file = small[1]
    state = load_file(file)
    pickled(state, tmp_path / "pytorch_model.bin")
    training = {"epoch": 7, "name": "run", "best": np.float64(0.5), "state_dict": laion_dialect(state)}
    training["state_dict"]["module.audio_branch.tscam_conv.weight"] = torch.zeros(3)
    pickled(training, tmp_path / "laion.pt")
    save_file({name: weights.half() for name, weights in state.items()}, tmp_path / "half.safetensors")
    clip = as_batch(sounds()["pluck"])
    expected = ClapEmbedder(RATE_HZ, file)
    for other in ("pytorch_model.bin", "laion.pt"):
        found = ClapEmbedder(RATE_HZ, tmp_path / other)
        torch.testing.assert_close(found(clip), expected(clip), rtol=0.0, atol=0.0)
        assert found.file_sha256 == hashlib.sha256((tmp_path / other).read_bytes()).hexdigest()
    # Half precision keeps three digits of each weight.
    halved = ClapEmbedder(RATE_HZ, tmp_path / "half.safetensors")
    torch.testing.assert_close(halved(clip), expected(clip), rtol=0.0, atol=0.02)


def test_a_clip_may_have_any_length_and_its_vector_is_its_own(
    small: tuple["transformers.ClapModel", Path],
) -> None:
    embedder = ClapEmbedder(16_000, small[1])
    random = torch.Generator().manual_seed(1)
    # The last batch is larger than what goes through the network at once.
    for num_clips, num_samples in ((2, 0), (2, 1), (2, 159), (2, 160_000), (2, 160_001), (9, 800)):
        clips = 0.1 * torch.randn(num_clips, num_samples, generator=random)
        vectors = embedder(clips)
        assert vectors.shape == (num_clips, SMALL_DIM)
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(num_clips))
        # A batch is multiplied in another order than a single clip.
        torch.testing.assert_close(vectors[-1:], embedder(clips[-1:]), rtol=0.0, atol=1e-5)


def test_what_follows_ten_seconds_is_not_heard_and_what_precedes_is(
    small: tuple["transformers.ClapModel", Path],
) -> None:
    embedder = ClapEmbedder(RATE_HZ, small[1])
    long = 0.1 * torch.randn(1, NUM_SAMPLES + 5_000, generator=torch.Generator().manual_seed(2))
    assert torch.equal(embedder(long), embedder(long[:, :NUM_SAMPLES]))
    assert float((embedder(long) - embedder(long[:, 5_000:])).abs().max()) > 1e-4


def test_a_clip_at_another_rate_is_heard_as_the_same_sound(
    small: tuple["transformers.ClapModel", Path],
) -> None:
    at_48k = 0.3 * torch.sin(2.0 * torch.pi * 500.0 * torch.arange(96_000) / RATE_HZ)[None]
    at_16k = resample(at_48k, RATE_HZ, 16_000)
    theirs = ClapEmbedder(RATE_HZ, small[1])(resample(at_16k, 16_000, RATE_HZ))
    assert torch.equal(ClapEmbedder(16_000, small[1])(at_16k), theirs)


def test_weights_are_frozen_stay_out_of_checkpoints_and_name_the_embedder(
    small: tuple["transformers.ClapModel", Path], tmp_path: Path
) -> None:
    embedder = ClapEmbedder(RATE_HZ, small[1]).train()
    assert not any(weights.requires_grad for weights in embedder.parameters())
    assert not embedder.network.training
    assert embedder.state_dict() == {}
    embedder.load_state_dict({})
    state = load_file(small[1])
    state["audio_projection.linear2.bias"] += 1e-6
    save_file(state, tmp_path / "model.safetensors")
    same, moved = ClapEmbedder(RATE_HZ, small[1]), ClapEmbedder(RATE_HZ, tmp_path / "model.safetensors")
    assert same.identity() == embedder.identity()
    assert moved.identity() != embedder.identity()
    assert ClapEmbedder(16_000, small[1]).identity() != embedder.identity()


TENSOR = "audio_model.audio_encoder.layers.2.blocks.1.attention.self.key.weight"
DAMAGE = {
    "a tensor is missing": (lambda state: state.pop(TENSOR), f"lacks the tensor '{TENSOR}'"),
    "a tensor has another shape": (
        lambda state: state.update({TENSOR: torch.zeros(31, 32)}),
        r"key\.weight' is \[31, 32\], but takes \[32, 32\]",
    ),
    "a block is too many": (
        lambda state: state.update({TENSOR.replace("blocks.1", "blocks.7"): torch.zeros(32, 32)}),
        "has no place for the tensor '.*blocks.7",
    ),
    "the model is a fused one": (
        lambda state: state.update({"audio_model.audio_encoder.patch_embed.fusion_model.w": torch.zeros(1)}),
        "fused CLAP, take the unfused",
    ),
    "a value is not a number": (lambda state: state[TENSOR].fill_(math.nan), "not finite"),
    "the tower is of no known width": (
        lambda state: state.update(
            {"audio_model.audio_encoder.patch_embed.proj.weight": torch.zeros(7, 1, 4, 4)}
        ),
        "its tower is 7 wide",
    ),
    "the projection is missing": (
        lambda state: [state.pop(name) for name in list(state) if name.startswith("audio_projection")],
        r"lacks the tensor 'audio_projection\.linear2\.weight'",
    ),
    "there is no audio half": (
        lambda state: [state.pop(name) for name in list(state) if name.startswith("audio_")],
        "no audio half of a CLAP",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    small: tuple["transformers.ClapModel", Path], tmp_path: Path, damage: str
) -> None:
    change, reason = DAMAGE[damage]
    state = load_file(small[1])
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=reason) as refused:
        ClapEmbedder(RATE_HZ, tmp_path / "model.safetensors")
    assert "\n" not in str(refused.value)


class Hostile:
    """Pickled, this is a program that makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (str(self.folder),)


def test_what_is_no_file_of_weights_is_refused_in_one_line_and_runs_nothing(tmp_path: Path) -> None:
    pickled({"state_dict": Hostile(tmp_path / "broken in")}, tmp_path / "hostile.pt")
    pickled([torch.zeros(2)], tmp_path / "list.bin")
    (tmp_path / "text.safetensors").write_text("<html>not found</html>")
    (tmp_path / "text.bin").write_text("<html>not found</html>")
    (tmp_path / "empty.pt").touch()
    for name in ("hostile.pt", "list.bin", "text.safetensors", "text.bin", "empty.pt", "missing.bin", "."):
        with pytest.raises(CheckpointError) as refused:
            ClapEmbedder(RATE_HZ, tmp_path / name)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "broken in").exists()
