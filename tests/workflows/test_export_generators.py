"""An exported generator makes in onnxruntime what it makes in torch, and whoever has neither can play it."""

import json
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from retimbre.core.config import build
from retimbre.core.errors import ConfigError
from retimbre.dsp import audiofile
from retimbre.gan.base import Stage
from retimbre.gan.config import GanConfig
from retimbre.gan.networks.catalog import GENERATORS
from retimbre.gan.sounds import SoundGenerator, load_generator, save_generator
from retimbre.representation.catalog import REPRESENTATIONS
from retimbre.representation.standardized import Statistics
from retimbre.workflows.export import graph, parity
from retimbre.workflows.export.generators import generator_part, has_graph
from retimbre.workflows.export.onnx import OnnxOptions, export_onnx

PLAYER = Path(__file__).resolve().parents[2] / "examples" / "onnx_player.py"
RATE = 8_000
CLASSES = {"pitch": ("60", "61", "62"), "family": ("brass", "string")}
SMALL = {"n_fft": 64, "hop_length": 16}


def case(kind: str, num_samples: int, representation: str = "waveform", **settings: Any) -> dict[str, Any]:
    """The table [task] of a small generator; `transform` and `told` are settings of the representation, conditions."""
    conditions = settings.pop("told", {})
    attributes = settings.pop("attributes", [] if conditions else [*CLASSES])
    return {
        "generator": {"kind": kind} | settings.pop("network"),
        "critics": [{"network": {"kind": "dense"}}],
        "representation": representation,
        "settings": settings.pop("transform", {}),
        "sample_rate": RATE,
        "num_samples": num_samples,
        "latent_dim": 6,
        "attributes": attributes,
        "conditions": conditions,
        **settings,
    }


FRAMES = {"width": 8, "depth": 1, "kernel": 3}
PYRAMID = {"depths": [6, 4], "factors": [[4, 2], [1, 1]]}

# Every kind of generator, and between them every representation, coordinate and edge that has a graph.
CASES: dict[str, dict[str, Any]] = {
    "dense": case("dense", 64, network={"width": 16}, latent="uniform", attributes=[]),
    "wavegan": case("wavegan", 256, network={"channels": 2}),
    "specgan": case(
        "specgan",
        255,
        "stft-compressed",
        network={"channels": 4, "tanh": False},
        transform=SMALL | {"edges": "packed"},
    ),
    "gan-tts": case(
        "gan-tts",
        480,
        "pqmf",
        network={"channels": [8, 6, 4], "factors": [2, 3, 5]},
        transform={"num_bands": 4, "overlap": 2, "ends": "wrap"},
    ),
    "progressive": case(
        "progressive", 255, "mag-if", network=PYRAMID, transform=SMALL | {"edges": "no-dc"}, clip=False
    ),
    "style": case(
        "style",
        256,
        "interns2020-mag-phase",
        network=PYRAMID | {"style_dim": 8},
        transform=SMALL,
    ),
    "residual": case(
        "residual",
        255,
        "mag-if-gated",
        network={"channels": [8, 4], "group": 4, "embedding": 4, "template": ["pitch"]},
        transform=SMALL,
    ),
    "frames": case("frames", 255, "mel-if", network=FRAMES, transform=SMALL | {"n_mels": 24}),
    "harmonic": case(
        "harmonic",
        300,
        network={
            **{"sample_rate": RATE, "width": 8, "depth": 1, "hop_length": 32},
            **{"bands": 4, "partials": 8, "noise_bands": 3},
        },
    ),
    "history-wave": case("history-wave", 256, network={"channels": 2}, told={"history": 256}),
    "history-spec": case(
        "history-spec",
        255,
        "stft",
        network={"channels": 2},
        transform=SMALL | {"edges": "packed"},
        told={"history": 127},
    ),
    "midi-wave": case("midi-wave", 1024, network={"channels": 2}, told={"midi": 512}),
    "midi-stft": case(
        "midi-stft",
        576,
        "mdct",
        network={"channels": 2},
        transform={"num_bands": 72, "ends": "wrap"},
        told={"midi": 512},
    ),
    "midi-harmonic": case(
        "midi-harmonic",
        512,
        network={"sample_rate": RATE, "width": 8, "depth": 1, "hop_length": 32, "bands": 4, "partials": 3},
        told={"midi": 512},
    ),
    "midi-spectra": case(
        "midi-spectra",
        576,
        "mdct",
        network={"width": 8, "depth": 1, "kernel": 3},
        transform={"num_bands": 72, "ends": "wrap"},
        told={"midi": 512},
    ),
    "told-frames": case(
        "told-frames",
        512,
        "mag-if",
        network=FRAMES,
        transform=SMALL,
        told={"midi": 1024, "history": 256},
    ),
    "envelope": case(
        "envelope",
        260,
        network={"channels": 4, "blocks": 1},
        told={"sound": 260, "envelope": 260},
    ),
    "envelope of classes": case(
        "envelope",
        260,
        network={"channels": 4, "blocks": 1, "ramps": 8, "hears_latent": False},
        told={"sound": 260},
        attributes=["family"],
    ),
}

# Converting takes seconds. Below two more are exported, and held to the tolerance by that.
QUICK = {"dense"}
BY_NAME = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow], id=name) for name in CASES]


def sounding(name: str, statistics: Statistics | None = None) -> SoundGenerator:
    """A generator with fresh weights, and none at zero; one that grows is between two scales."""
    torch.manual_seed(0)
    config = build(GanConfig, CASES[name], name)
    sounds = SoundGenerator(config, {each: CLASSES[each] for each in config.attributes}, statistics).eval()
    with torch.no_grad():
        for weights in sounds.network.parameters():
            if not weights.any():
                weights.normal_(0.0, 0.05)
    if "depths" in CASES[name]["generator"]:
        sounds.grow(Stage(1, 0.5))
    return sounds


def test_every_kind_of_generator_is_put_to_the_test() -> None:
    assert {table["generator"]["kind"] for table in CASES.values()} == set(GENERATORS)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_generator_sounds_the_same_in_onnxruntime_without_operators_that_small_runtimes_lack(
    name: str,
) -> None:
    part = generator_part(sounding(name), name)
    # What hears phases jumps where there is nothing, so there the same features are given to both.
    part = part.core or part
    model = graph.to_onnx(part, 18)
    with torch.no_grad():
        loudest = float(part.module(*part.trials["batch"]).abs().max())
    found = parity.largest_differences(part, model.SerializeToString())["audio"]
    # Sums in another order; the errors of turns of phase add up over frames. And 40 dB below what is heard at least.
    assert found < min(1e-4, 0.01 * loudest)
    assert not {node.op_type for node in model.graph.node} & {"DFT", "STFT", "Loop", "If", "Scan"}


@pytest.mark.slow
def test_features_scaled_by_statistics_are_scaled_back_in_the_graph() -> None:
    plain = sounding("progressive")
    shape = plain.form.shape[:-1]
    draws = torch.Generator().manual_seed(0)
    mean, deviation = (torch.rand(*shape, 1, generator=draws, dtype=torch.float64) for _ in range(2))
    statistics = Statistics(mean - 3.0, deviation, 100, plain.representation.identity())
    part = generator_part(sounding("progressive", statistics), "scaled")
    found = parity.largest_differences(part, graph.to_onnx(part, 18).SerializeToString())
    assert found["audio"] < 1e-4
    with torch.no_grad():
        apart = part.module(*part.trials["batch"]) - plain(
            part.trials["batch"][0], dict(zip(CLASSES, part.trials["batch"][1:], strict=True))
        )
    assert float(apart.abs().max()) > 1e-2


def test_every_representation_either_has_a_graph_or_is_refused_by_name() -> None:
    searched = {"mag", "mel", "mfcc", "cqt", "nsgt"}
    refused = {name for name, entry in REPRESENTATIONS.items() if entry.invertible and not has_graph(entry)}
    assert searched <= refused
    assert not refused & {"waveform", "stft", "mag-if", "mel-stft", "mdct", "pqmf"}
    CASES["searched"] = CASES["specgan"] | {"representation": "mag", "settings": SMALL | {"edges": "no-dc"}}
    try:
        sounds = sounding("searched")
    finally:
        del CASES["searched"]
    with pytest.raises(
        ConfigError, match="notes: makes 'mag', which no graph turns to sound; --network-only"
    ):
        generator_part(sounds, "notes")
    part = generator_part(sounds, "notes", network_only=True)
    with torch.no_grad():
        assert part.module(*part.trials["batch"]).shape == (3, *sounds.form.shape)


def saved(folder: Path, name: str) -> Path:
    """A run folder of that name with a small generator."""
    folder = folder / name
    folder.mkdir()
    save_generator(folder / "model.safetensors", sounding(name), facts={})
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generator of notes and one of envelopes."""
    folder = tmp_path_factory.mktemp("runs")
    export_onnx([saved(folder, "wavegan"), saved(folder, "envelope")], folder / "out")
    return folder / "out"


def test_a_graph_asks_for_what_the_generator_minds(exported: Path) -> None:
    asked = {
        name: [port["name"] for port in about_of(exported, name)["inputs"]]
        for name in ("wavegan", "envelope")
    }
    assert asked == {"wavegan": ["latent", "pitch", "family"], "envelope": ["latent", "sound", "envelope"]}


def about_of(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


def test_a_batch_of_any_size_is_played(exported: Path) -> None:
    runtime = parity.session((exported / "wavegan.onnx").read_bytes(), "wavegan")
    latent = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).repeat(3, 1)[:7].numpy()
    classes = {name: np.arange(7) % 3 % len(names) for name, names in CLASSES.items()}
    (audio,) = runtime.run(["audio"], {"latent": latent, **classes})
    assert audio.shape == (7, 256)
    np.testing.assert_array_equal(audio[0], audio[3])
    assert np.abs(audio[0] - audio[1]).max() > 1e-3


def test_the_files_say_what_goes_in_and_what_comes_out(exported: Path) -> None:
    about = about_of(exported, "wavegan")
    assert about["kind"] == "generator"
    assert about["classes"] == {name: list(names) for name, names in CLASSES.items()}
    assert [(port["name"], port["dtype"], port["shape"]) for port in about["inputs"]] == [
        ("latent", "float32", ["batch", 6]),
        ("pitch", "int64", ["batch"]),
        ("family", "int64", ["batch"]),
    ]
    assert about["outputs"][0]["shape"] == ["batch", about["num_samples"]] == ["batch", 256]
    assert about["parity"]["held"]["tolerance"] == 1e-3
    shaped = about_of(exported, "envelope")
    assert shaped["conditions"] == {"sound": [260], "envelope": [260]}


def test_the_shipped_piano_leaves_as_the_network_that_makes_magnitudes() -> None:
    part = generator_part(load_generator("midi-piano"), "midi-piano", network_only=True)
    found = parity.largest_differences(part, graph.to_onnx(part, 18).SerializeToString())["features"]
    # Sums over 264 spectra in another order; features are of the size of 1.
    assert found < 1e-4


def test_a_growing_generator_is_written_at_its_stage(tmp_path: Path) -> None:
    run = export_onnx([saved(tmp_path, "progressive")], tmp_path / "out", OnnxOptions(network_only=True))
    about = json.loads(run.files[0].sidecar.read_text())
    assert about["stage"] == {"scale": 1, "fade": 0.5}
    assert about["outputs"][0]["name"] == "features"
    assert about["outputs"][0]["shape"] == ["batch", *sounding("progressive").form.shape]


def play(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs the player in a process where torch and retimbre cannot be imported."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'retimbre', 'soundfile', 'scipy']))"
    program = (
        f"{blocked}; sys.argv = {['player', *map(str, words)]!r}; "
        f"import runpy; runpy.run_path({str(PLAYER)!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767.0


def test_the_player_plays_a_scale_with_neither_torch_nor_retimbre(exported: Path, tmp_path: Path) -> None:
    ended = play(exported / "wavegan.onnx", "--scale", "--set", "family=brass", "--out", tmp_path)
    assert ended.stderr == ""
    names = [Path(line).name for line in ended.stdout.splitlines()]
    assert names == ["scale_060.wav", "scale_061.wav", "scale_062.wav"]
    sounds = sounding("wavegan")
    # The player's own random numbers.
    latent = torch.from_numpy(np.random.default_rng([0, 0]).standard_normal((1, 6)).astype(np.float32))
    with torch.no_grad():
        expected = sounds(latent.repeat(3, 1), sounds.labels(3, {"pitch": [60, 61, 62], "family": "brass"}))
    for name, samples in zip(names, expected.numpy(), strict=True):
        # Half a step of 16 bits, and what onnxruntime differs by.
        np.testing.assert_allclose(samples_of(tmp_path / name), samples, atol=2e-5)


def test_the_player_puts_an_envelope_on_a_sound_of_any_length(exported: Path, tmp_path: Path) -> None:
    # A fresh network multiplies by about the curve; so the middle of a tone stays and its ends go.
    tone = 0.5 * torch.sin(0.3 * torch.arange(1_999))
    audiofile.write(tmp_path / "tone.wav", tone, RATE)
    ended = play(
        exported / "envelope.onnx",
        tmp_path / "tone.wav",
        "--attack",
        0.25,
        "--release",
        0.25,
        "--out",
        tmp_path / "out",
    )
    assert ended.stderr == ""
    made = samples_of(tmp_path / "out" / "tone.wav")
    assert made.shape == (1_999,)
    loudness = [float(np.abs(part).max()) for part in np.array_split(made, 16)]
    assert loudness[0] < 0.3 * loudness[8]
    assert loudness[-1] < 0.3 * loudness[8]
    assert loudness[4] < loudness[5] * 1.5


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["wavegan.onnx", "--set", "family=harp"], "no family 'harp'; takes brass, string"),
        (["wavegan.onnx", "--set", "reverb=1"], "no attribute 'reverb'; takes pitch, family"),
        (["wavegan.onnx", "--count", "0"], "--count 1 or more"),
        (["envelope.onnx"], "an envelope is put on a sound"),
    ],
)
def test_the_player_refuses_what_it_cannot_do_in_one_line(
    words: list[str], reason: str, exported: Path, tmp_path: Path
) -> None:
    ended = play(exported / words[0], *words[1:], "--out", tmp_path / "out")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert reason in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
