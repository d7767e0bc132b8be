"""An exported model says in onnxruntime what it says in torch, and explains itself to who has neither."""

import dataclasses
import functools
import importlib.util
import json
import logging
import math
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from retimbre.core.errors import CheckpointError, ConfigError, ExistsError, MissingExtra, RetimbreError
from retimbre.dsp import audiofile
from retimbre.dsp.level import fit_length
from retimbre.dsp.resample import resample
from retimbre.dsp.stft import StftSettings, stft
from retimbre.listening.base import ExternalEmbedder, FittedEmbedder
from retimbre.matching.autoencoder import LabelAutoencoder, LabelAutoencoderConfig, save_autoencoder
from retimbre.matching.heads import HEADS, Head, HeadName, make_head
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.matching.networks.catalog import MODELS
from retimbre.synth.base import Note
from retimbre.synth.catalog import find_synth
from retimbre.training import checkpoint
from retimbre.workflows.export import graph, parity
from retimbre.workflows.export import onnx as export
from retimbre.workflows.export.fourier import stft_by_convolution
from retimbre.workflows.export.onnx import OnnxOptions, export_onnx
from retimbre.workflows.export.part import Part
from retimbre.workflows.export.parts import inverter_part, trial_clips

ROOT = Path(__file__).resolve().parents[2]
PLAYER = ROOT / "examples" / "onnx_player.py"

# One of each form of network is quick to try; the others differ from it in their sizes.
QUICK = {"E2E", "ResMel", "FC1"}
BY_NAME = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow], id=name) for name in sorted(MODELS)
]


def seasoned(config: InverterConfig) -> Inverter:
    """An inverter with outputs as decided as a trained one's: odds of e to the third, not the near 1:1 of a start."""
    torch.manual_seed(0)
    model = Inverter(config).eval()
    source = torch.Generator().manual_seed(1)
    if isinstance(model.front_end, FittedEmbedder):
        clips = 0.1 * torch.randn(64, model.num_samples, generator=source)
        model.front_end.fit(clips, seed=0)
    with torch.no_grad():
        for weights in model.network.parameters():
            if not weights.any():
                weights.normal_(0.0, 0.05, generator=source)
        last = [layer for layer in model.network.modules() if isinstance(layer, nn.Linear)][-1]
        outputs = model.outputs(trial_clips(model)["batch"], Note.of(3))
        last.weight *= 3.0 / outputs.std()
    return model


def saved(folder: Path, config: InverterConfig) -> Path:
    model = seasoned(config)
    save_inverter(folder / "model.safetensors", model, facts={}, half=False)
    return folder


SMALL = InverterConfig("two-sine", "Conv1", seconds=0.25)
TOLD = InverterConfig("subtractive", "ResMel", sample_rate=16_000, seconds=0.25, fixed={"noise": 0.0})


@functools.cache
def converted(name: str) -> tuple[Part, onnx.ModelProto]:
    """A small inverter of that network as a part and as a graph; converting takes seconds."""
    model = seasoned(InverterConfig("two-sine", name, seconds=0.25))
    # Features that count the nearest word jump with the last bit of a sum, so there the network alone is compared,
    # given the same features.
    part = inverter_part(model, name, network_only=isinstance(model.front_end, FittedEmbedder))
    return part, graph.to_onnx(part, 18)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_network_says_the_same_in_onnxruntime_from_audio_or_from_features_that_jump(name: str) -> None:
    part, model = converted(name)
    assert max(parity.largest_differences(part, model.SerializeToString()).values()) < parity.TOLERANCE


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(InverterConfig("fm", "C1", head="sigmoid", representation="db-spectrogram-trainable")),
        pytest.param(InverterConfig("subtractive", "C1", head="regression", seconds=0.5, sample_rate=22_050)),
        pytest.param(dataclasses.replace(TOLD, head="regression"), marks=pytest.mark.slow),
        pytest.param(dataclasses.replace(TOLD, sample_rate=48_000), marks=pytest.mark.slow),
    ],
    ids=["trained kernels", "regression", "note and regression", "48 kHz"],
)
def test_heads_rates_and_trained_kernels_are_in_the_graph(config: InverterConfig) -> None:
    part = inverter_part(seasoned(config), "model")
    differences = parity.largest_differences(part, graph.to_onnx(part, 18).SerializeToString())
    assert max(differences.values()) < parity.TOLERANCE


class Reading(nn.Module):
    """The head of an inverter by itself."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        """Logarithms of probabilities."""
        return self.head.log_probabilities(outputs)


@pytest.mark.parametrize("name", HEADS)
def test_the_surest_outputs_keep_their_logarithms(name: HeadName) -> None:
    head = make_head(name, find_synth("two-sine").space)
    outputs = torch.linspace(-200.0, 200.0, 3 * head.num_outputs).reshape(3, -1)
    outputs = outputs[:, torch.randperm(head.num_outputs, generator=torch.Generator().manual_seed(0))]
    part = Part(name, Reading(head), {"outputs": ""}, {"logarithms": ""}, {}, {"batch": (outputs,)})
    # A rounding of float32, relative.
    assert parity.largest_differences(part, graph.to_onnx(part, 18).SerializeToString())["logarithms"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FC1", "HC"])
def test_features_that_jump_are_the_same_but_for_the_jumps(name: str) -> None:
    model = seasoned(InverterConfig("two-sine", name, seconds=1.0))
    clip = trial_clips(model)["noise"].repeat(2, 1)
    part = Part(name, model.front_end, {"audio": ""}, {"features": ""}, {}, {"noise": (clip,)})
    runtime = parity.session(graph.to_onnx(part, 18).SerializeToString(), name)
    (found,) = runtime.run(None, {"audio": clip.numpy()})
    apart = np.abs(found - model.front_end(clip).numpy()) > 1e-2
    # 64 frames of noise stand on the border between two words once or twice, and two words each then differ.
    assert apart.mean() < 0.01


class Elsewhere(ExternalEmbedder):
    """An embedder whose weights are somebody else's."""

    dim = 512

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """The first samples."""
        return audio[:, : self.dim]

    def settings(self) -> dict[str, str]:
        """None."""
        return {}


def test_a_network_over_weights_that_are_not_its_own_is_exported_without_them_only() -> None:
    model = seasoned(InverterConfig("two-sine", "MLP", seconds=0.25))
    model.front_end = Elsewhere(model.config.sample_rate)
    with pytest.raises(ConfigError, match=r"tones: hears through 'statistics'.*--network-only exports"):
        inverter_part(model, "tones")
    part = inverter_part(model, "tones", network_only=True)
    assert next(iter(part.inputs)) == "features"
    assert part.trials["batch"][0].shape == (3, 512)


@pytest.mark.parametrize("n_fft", [512, 1000, 1378, 30])
def test_the_fourier_transform_by_convolution_is_that_of_torch(n_fft: int) -> None:
    audio = torch.randn(2, 4 * n_fft, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    settings = StftSettings(n_fft=n_fft, hop_length=n_fft // 4, center=False)
    window = torch.hann_window(n_fft, dtype=torch.float64)
    found = stft_by_convolution(audio, n_fft, n_fft // 4, window)
    # float64 sums of n_fft products of about 1.
    torch.testing.assert_close(found, stft(audio, settings), atol=1e-10, rtol=0)


def test_a_network_that_is_told_the_note_asks_for_it_and_no_other_does() -> None:
    inputs = {name: [given.name for given in converted(name)[1].graph.input] for name in ("ResMel", "E2E")}
    assert inputs == {"ResMel": ["audio", "pitch_hz", "gate_s"], "E2E": ["audio"]}


def test_a_model_is_unharmed_by_being_exported_and_nothing_is_reported() -> None:
    model = seasoned(dataclasses.replace(SMALL, seconds=0.3))
    clips = trial_clips(model)["batch"]
    before = model.probabilities(clips, Note.of(3))
    loudness = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph.to_onnx(inverter_part(model, "m"), 18)
    # Stand-ins that had got into a kept table would make this fail or differ.
    assert torch.equal(model.probabilities(clips, Note.of(3)), before)
    assert logging.getLogger("torch.onnx").level == loudness


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run folder whose name has a dot, and what was exported from it."""
    folder = tmp_path_factory.mktemp("runs") / "tones.v2"
    out = folder.parent / "out"
    export_onnx([saved(folder, SMALL)], out)
    return folder, out


def test_the_files_are_named_after_the_run_and_say_what_is_in_them(exported: tuple[Path, Path]) -> None:
    folder, out = exported
    assert sorted(path.name for path in out.iterdir()) == ["tones.v2.json", "tones.v2.onnx"]
    about = json.loads((out / "tones.v2.json").read_text())
    model = onnx.load(out / "tones.v2.onnx")
    onnx.checker.check_model(model, full_check=True)
    within = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "retimbre"))
    assert {name: about[name] for name in within} == within
    assert about["checkpoint"]["sha256"] == export.sha256_of(folder / "model.safetensors")
    assert about["sha256"] == export.sha256_of(out / "tones.v2.onnx")
    assert about["inputs"][0]["shape"] == ["batch", about["num_samples"]] == ["batch", 4096]
    counts = [len(knob["values"]) for knob in about["knobs"]]
    assert about["outputs"][0]["shape"] == ["batch", len(counts), max(counts)]
    held = about["parity"]["held"]
    assert 0 < max(held["largest_differences"].values()) < held["tolerance"]
    assert about["parity"]["only_reported"] is None


def test_a_real_sound_gets_the_same_probabilities(exported: tuple[Path, Path]) -> None:
    model, out = seasoned(SMALL), exported[1]
    sound = audiofile.read(ROOT / "examples" / "rhodes_g3.flac")
    clip = fit_length(resample(sound.samples, sound.sample_rate, model.config.sample_rate), model.num_samples)
    clips = torch.stack([clip, clip.flip(0), clip])
    runtime = parity.session((out / "tones.v2.onnx").read_bytes(), "tones")
    for given in (clips, clips[:1]):
        (found,) = runtime.run(["probabilities"], {"audio": given.numpy()})
        assert np.abs(found - model.probabilities(given, Note.of(len(given))).detach().numpy()).max() < 1e-4


def test_the_player_needs_neither_torch_nor_retimbre(exported: tuple[Path, Path], tmp_path: Path) -> None:
    model = seasoned(SMALL)
    rate = model.config.sample_rate
    tone = 0.5 * torch.sin(2 * math.pi * 440.0 * torch.arange(model.num_samples) / rate)
    for subtype, name in (("PCM_16", "short.wav"), ("PCM_24", "long.wav"), ("FLOAT", "float.wav")):
        write_stereo(tmp_path / name, tone, rate, subtype)
        words = [str(exported[1] / "tones.v2.onnx"), str(tmp_path / name), "--json"]
        found = json.loads(play(words).stdout)
        classes = model.probabilities(tone[None], Note.of(1))[0].argmax(1).tolist()
        expected = [
            knob.class_values()[index] for knob, index in zip(model.space.searched, classes, strict=True)
        ]
        assert [knob["value"] for knob in found] == expected


def write_stereo(path: Path, samples: torch.Tensor, rate: int, subtype: str) -> None:
    import soundfile

    soundfile.write(path, np.stack([samples.numpy()] * 2, axis=1), rate, subtype=subtype)


def play(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the player in a process where torch and retimbre cannot be imported."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'retimbre', 'soundfile', 'scipy']))"
    program = (
        f"{blocked}; sys.argv = {['player', *words]!r}; "
        f"import runpy; runpy.run_path({str(PLAYER)!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [["missing.onnx", "x.wav"], [str(PLAYER), "x.wav"], ["MODEL", str(PLAYER)]])
def test_the_player_refuses_what_is_not_a_model_or_a_sound_in_one_line(
    words: list[str], exported: tuple[Path, Path]
) -> None:
    ended = play([str(exported[1] / "tones.v2.onnx") if word == "MODEL" else word for word in words])
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1


def wav(
    path: Path,
    samples: np.ndarray,
    *,
    code: int = 3,
    channels: int = 1,
    rate_hz: int = 16_000,
    bits: int = 32,
) -> Path:
    """A WAV file of 32-bit floats whose header says anything."""
    header = struct.pack("<HHIIHH", code, channels, rate_hz, 4 * rate_hz, 4, bits)
    data = samples.astype("<f4").tobytes()
    chunks = b"fmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


@functools.cache
def player() -> ModuleType:
    """The player, as a module."""
    found = importlib.util.spec_from_file_location("onnx_player", PLAYER)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_player_refuses_a_damaged_sound_in_one_line(exported: tuple[Path, Path], tmp_path: Path) -> None:
    sound = wav(tmp_path / "a.wav", np.full(4000, 0.5), channels=0)
    ended = play([str(exported[1] / "tones.v2.onnx"), str(sound)])
    assert ended.returncode == 1
    assert ended.stderr == f"error: {sound}: a damaged WAV file: 0 channels at 16000 Hz\n"


@pytest.mark.parametrize(
    ("sample", "header", "said"),
    [
        (0.5, {"rate_hz": 0}, "1 channels at 0 Hz"),
        (0.5, {"rate_hz": 1}, "1 channels at 1 Hz"),
        (0.5, {"rate_hz": 10**9}, "1 channels at 1000000000 Hz"),
        (0.5, {"channels": 5000}, "without samples"),
        (0.5, {"code": 0xFFFE}, "format 65534 with 32 bits"),
        (0.5, {"code": 6, "bits": 8}, "format 6 with 8 bits"),
        (0.5, {"code": 1, "bits": 0}, "format 1 with 0 bits"),
        (0.5, {"code": 1, "bits": 12}, "format 1 with 12 bits"),
        (np.nan, {}, "samples that are not numbers"),
        (1e30, {}, r"beyond 1e\+06 times full scale"),
    ],
)
def test_the_player_names_what_is_wrong_with_a_header(
    sample: float, header: dict[str, int], said: str, tmp_path: Path
) -> None:
    sound = wav(tmp_path / "a.wav", np.full(4000, sample), **header)
    with pytest.raises(ValueError, match=said):
        player().read_wav(sound)


def test_the_player_takes_a_sound_whole_or_not_at_all(tmp_path: Path) -> None:
    sound = wav(tmp_path / "a.wav", np.full(100, 0.5))
    whole = sound.read_bytes()
    assert len(player().read_wav(sound)[0]) == 100
    for kept in range(len(whole)):
        sound.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match=r"not a WAV file|without a header|without samples|cut short"):
            player().read_wav(sound)
    # A size that says that it is not known, as of a file that was written to a pipe.
    sound.write_bytes(whole[:40] + b"\xff\xff\xff\xff" + whole[44:])
    assert len(player().read_wav(sound)[0]) == 100


def test_an_autoencoder_becomes_three_files_of_which_two_make_the_third(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LabelAutoencoder(LabelAutoencoderConfig("two-sine", bottleneck=5)).eval()
    save_autoencoder(tmp_path / "labels.safetensors", model, facts={})
    run = export_onnx([tmp_path / "labels.safetensors"], tmp_path / "out", OnnxOptions(opset=21))
    assert [file.file.stem for file in run.files] == ["labels", "labels-encoder", "labels-decoder"]
    whole, encoder, decoder = (parity.session(file.file.read_bytes(), "labels") for file in run.files)
    classes = model.space.draw_classes(torch.rand(4, len(model.space.searched)))
    labels = model.space.to_one_hot(classes).numpy()
    (expected,) = whole.run(None, {"labels": labels})
    (codes,) = encoder.run(None, {"labels": labels})
    (found,) = decoder.run(None, {"codes": codes})
    assert codes.shape == (4, 5)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_nothing_is_overwritten_without_force(exported: tuple[Path, Path]) -> None:
    folder, out = exported
    before = (out / "tones.v2.onnx").read_bytes()
    with pytest.raises(ExistsError, match=r"tones\.v2\.onnx: exists already"):
        export_onnx([folder], out)
    assert (out / "tones.v2.onnx").read_bytes() == before


def test_one_bad_model_of_several_leaves_the_others_done(exported: tuple[Path, Path], tmp_path: Path) -> None:
    folder, _ = exported
    run = export_onnx([folder, "nothing", folder], tmp_path / "out", OnnxOptions(check=False))
    assert [file.file.name for file in run.files] == ["tones.v2.onnx"]
    assert run.files[0].held == run.files[0].reported == {}
    assert json.loads(run.files[0].sidecar.read_text())["parity"] is None
    assert "there is no model 'nothing'" in run.failures["nothing"]
    assert "would be written as" in run.failures[str(folder)]


def test_what_cannot_be_exported_is_refused_with_its_reason(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last.safetensors", {"a": torch.zeros(1)}, kind="training", metadata={})
    with pytest.raises(
        CheckpointError, match="kind 'training'; takes generator or inverter or label-autoencoder"
    ):
        export_onnx([tmp_path / "last.safetensors"], tmp_path)
    with pytest.raises(CheckpointError, match="there is no model 'nothing'"):
        export_onnx(["nothing"], tmp_path)
    with pytest.raises(ConfigError, match="no model to export"):
        export_onnx([], tmp_path)
    with pytest.raises(ExistsError, match="is a file, but models are written to a folder"):
        export_onnx(["nothing"], tmp_path / "last.safetensors")
    with pytest.raises(ConfigError, match="opset is 9, but takes 18 to 21"):
        OnnxOptions(opset=9)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        export.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else name
    )
    with pytest.raises(MissingExtra, match=r"needs onnxruntime: pip install 'retimbre\[onnx\]'"):
        export_onnx(["nothing"], tmp_path)
    with pytest.raises(CheckpointError):
        export_onnx(["nothing"], tmp_path, OnnxOptions(check=False))


class Stubborn(nn.Module):
    """Does what no graph can: it looks at a number and decides."""

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Twice the numbers, if they are many."""
        return numbers * 2 if float(numbers.sum()) > 0 else numbers


class Counting(nn.Module):
    """Depends on how many rows there are."""

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """The numbers with those of one row added to all."""
        return numbers + numbers.new_ones(3, 2)


@pytest.mark.parametrize("module", [Stubborn(), Counting()])
def test_a_module_that_is_no_graph_is_refused_in_one_line(module: nn.Module) -> None:
    part = Part("odd", module, {"numbers": ""}, {"more": ""}, {}, {"rows": (torch.ones(3, 2),)})
    with pytest.raises(RetimbreError, match="odd: cannot be written as ONNX: ") as refused:
        graph.to_onnx(part, 18)
    assert "\n" not in str(refused.value)


def test_a_file_that_differs_from_torch_is_refused() -> None:
    parity.refuse_others("model", {"probabilities": 9e-5})
    for difference in (2e-4, math.inf, math.nan):
        with pytest.raises(
            RetimbreError, match="model: the difference of probabilities between onnxruntime and torch is"
        ):
            parity.refuse_others("model", {"probabilities": difference})
    with pytest.raises(RetimbreError, match="onnxruntime cannot run it"):
        parity.session(b"not a graph", "model")


def test_a_model_that_says_nan_is_refused_though_its_file_says_the_same() -> None:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.bias, math.nan)
    part = Part("odd", layer, {"numbers": ""}, {"audio": ""}, {}, {"rows": (torch.ones(3, 2),)})
    with pytest.raises(CheckpointError, match="odd: its audio is NaN; the weights are damaged"):
        parity.largest_differences(part, graph.to_onnx(part, 18).SerializeToString())


def test_differences_are_relative_above_one_and_infinite_where_only_one_side_is_finite() -> None:
    whole = np.array([0.5, -40.0, -np.inf], np.float32)
    assert parity.difference(whole, whole) == 0.0
    assert parity.difference(whole, np.array([0.75, -40.0, -np.inf], np.float32)) == 0.25
    assert parity.difference(whole, np.array([0.5, -50.0, -np.inf], np.float32)) == 0.25
    assert parity.difference(whole, np.array([0.5, -40.0, -100.0], np.float32)) == math.inf
    assert parity.difference(whole, whole[:2]) == math.inf
