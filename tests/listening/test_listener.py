"""The listener: what its network sees, what it promises for any clip, and its file."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import CheckpointError, ConfigError
from retimbre.corpora.nsynth.entries import FAMILIES
from retimbre.dsp.stft import StftSettings
from retimbre.listening.harmonic import BANDS_PER_SEMITONE, HarmonicNetwork, log_spectrogram, stacked
from retimbre.listening.listener import (
    NSYNTH_FAMILIES,
    Listener,
    ListenerConfig,
    load_listener,
    save_listener,
)
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter

RATE = 16_000
LONG = StftSettings(n_fft=4096, hop_length=1024)


def hz_of(pitch: float) -> float:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def tone(pitch: float, *, harmonics: int = 1, seconds: float = 1.0) -> Tensor:
    """A row of equal harmonics, as many as fit below half the rate."""
    time_s = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    numbers = [number for number in range(1, harmonics + 1) if number * hz_of(pitch) < RATE / 2]
    waves = [torch.sin(2 * math.pi * number * hz_of(pitch) * time_s) for number in numbers]
    return (torch.stack(waves).sum(dim=0) / len(waves)).float()[None]


@pytest.fixture(scope="module")
def listener() -> Listener:
    torch.manual_seed(0)
    return Listener(ListenerConfig()).eval()


def test_the_families_are_those_of_nsynth() -> None:
    assert NSYNTH_FAMILIES == FAMILIES


@pytest.mark.parametrize("pitch", [33, 45, 57, 69, 81, 93, 105])
def test_a_sine_stands_in_the_band_of_its_pitch_at_full_level(pitch: int) -> None:
    spectrogram = log_spectrogram(tone(pitch), LONG, 21)[0, :, 8]
    assert int(spectrogram.argmax()) == 1 + BANDS_PER_SEMITONE * (pitch - 21)
    # 1 is a sine at full scale and 80 dB are 1: within 2 dB, by which neighbouring bins of a Hann window differ.
    assert float(spectrogram.max()) == pytest.approx(1.0, abs=2 / 80)


@pytest.mark.parametrize("pitch", [40, 52, 60])
def test_all_harmonics_of_a_note_stand_at_the_place_of_its_fundamental(pitch: int) -> None:
    seen = stacked(log_spectrogram(tone(pitch, harmonics=8), LONG, 21), (1, 2, 3, 4, 5, 6, 7, 8), 264)
    column = seen[0, :, 1 + BANDS_PER_SEMITONE * (pitch - 21), 8]
    # Each of eight equal harmonics is 18 dB below full scale; one that lies between two bands loses up to 6 dB more.
    assert float(column.min()) > 1 - 25 / 80
    # The copy for half the pitch sees nothing there, but for the skirts of the windows, 40 dB down.
    below = stacked(log_spectrogram(tone(pitch, harmonics=8), LONG, 21), (0.5,), 264)
    assert float(below[0, 0, 1 + BANDS_PER_SEMITONE * (pitch - 21), 8]) < 1 - 40 / 80


def test_an_octave_up_moves_the_stack_by_an_octave_and_changes_nothing_else() -> None:
    low, high = (
        stacked(log_spectrogram(tone(pitch, harmonics=4), LONG, 21), (1, 2, 3, 4), 264)[0, :, :, 8]
        for pitch in (57, 69)
    )
    octave = 12 * BANDS_PER_SEMITONE
    peaks = [int(1 + BANDS_PER_SEMITONE * (pitch - 21)) for pitch in (57, 69)]
    assert peaks[1] - peaks[0] == octave
    # The width of a partial in bands changes with its frequency, its level hardly: 3 dB.
    torch.testing.assert_close(low[:, peaks[0]], high[:, peaks[1]], atol=3 / 80, rtol=0)


@pytest.mark.parametrize("num_samples", [1, 2, 511, 1024, 16_000, 40_001])
def test_clips_of_any_length_and_silence_are_heard_without_a_nan(
    num_samples: int, listener: Listener
) -> None:
    noise = torch.randn(1, num_samples, generator=torch.Generator().manual_seed(0))
    heard = listener(torch.cat([noise, torch.zeros(1, num_samples)]))
    assert heard.embedding.shape == (2, listener.dim)
    assert {name: values.shape[1] for name, values in heard.logits.items()} == {
        name: len(names) for name, names in listener.classes.items()
    }
    for values in (heard.embedding, *heard.logits.values(), *heard.features.values()):
        assert bool(values.isfinite().all())


def test_what_is_heard_in_a_clip_does_not_depend_on_its_batch(listener: Listener) -> None:
    clips = torch.cat([tone(60, harmonics=5), tone(48), torch.randn(1, RATE)])
    together, alone = listener(clips).embedding[1], listener(clips[1:2]).embedding[0]
    # Sums of other lengths round otherwise: some units of the last place of float32.
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gain", [0.001, 0.1, 8.0])
def test_level_is_not_heard(gain: float, listener: Listener) -> None:
    clip = tone(60, harmonics=5)
    torch.testing.assert_close(
        listener(gain * clip).embedding, listener(clip).embedding, atol=1e-4, rtol=1e-4
    )


def test_the_answers_are_a_linear_function_of_the_features(listener: Listener) -> None:
    # The penultimate layer is what system C's kernel distances take.
    clips = torch.cat([tone(pitch, harmonics=6) for pitch in range(30, 100)])
    heard = listener(clips)
    for name in ("family", "velocity"):
        features = torch.cat([heard.features[name], torch.ones(len(clips), 1)], dim=1).double()
        solved = torch.linalg.lstsq(features, heard.logits[name].double(), driver="gelsd").solution
        torch.testing.assert_close(features @ solved, heard.logits[name].double(), atol=1e-4, rtol=1e-4)
    network = listener.network
    assert isinstance(network, HarmonicNetwork)
    salience = heard.features["pitch"].reshape(len(clips), -1, 88)
    torch.testing.assert_close(network.evidence(salience)[:, 0], heard.logits["pitch"])


def test_the_network_is_small() -> None:
    assert sum(weights.numel() for weights in Listener(ListenerConfig()).parameters()) < 4_000_000


def test_every_label_has_its_class_and_a_strange_one_has_none() -> None:
    config = ListenerConfig(lowest_pitch=40, highest_pitch=60)
    assert config.targets("pitch", [39, 40, 60, 61]).tolist() == [-1, 0, 20, -1]
    assert config.targets("register", [40, 43, 44, 61]).tolist() == [0, 0, 1, -1]
    assert config.targets("family", ["bass", "vocal", "gong"]).tolist() == [0, 10, -1]
    assert config.targets("velocity", [1, 37, 38, 127]).tolist() == [0, 0, 1, 4]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": "harmonics"}, "did you mean 'harmonic'"),
        ({"attributes": ()}, "attributes is empty"),
        ({"attributes": ("pitch", "pitch")}, "each once"),
        ({"lowest_pitch": 90, "highest_pitch": 80}, "90 to 80"),
        ({"velocities": (75, 25)}, "rising order"),
    ],
)
def test_a_listener_that_cannot_be_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ListenerConfig(**changed)  # type: ignore[arg-type]


def test_the_harmonic_network_takes_its_own_rate_only() -> None:
    with pytest.raises(ConfigError, match="sample_rate is 22050"):
        Listener(ListenerConfig(sample_rate=22_050))


def test_a_listener_comes_back_from_its_file_with_its_classes(tmp_path: Path, listener: Listener) -> None:
    save_listener(tmp_path / "ears.safetensors", listener, facts={"seed": 1})
    again = load_listener(tmp_path / "ears.safetensors")
    assert again.classes == listener.classes
    assert again.identity() == listener.identity()
    clip = tone(60)
    assert torch.equal(again(clip).embedding, listener(clip).embedding)


def test_the_identity_names_the_weights_and_the_classes(listener: Listener) -> None:
    torch.manual_seed(1)
    others = Listener(ListenerConfig()), Listener(ListenerConfig(attributes=("pitch", "family")))
    assert len({each.identity() for each in (listener, *others)}) == 3


def test_a_model_of_another_kind_and_a_damaged_file_are_refused_in_one_line(tmp_path: Path) -> None:
    save_inverter(
        tmp_path / "other.safetensors", Inverter(InverterConfig("fm", "C1", seconds=0.125)), facts={}
    )
    with pytest.raises(CheckpointError, match=r"other\.safetensors"):
        load_listener(tmp_path / "other.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
        load_listener(tmp_path / "cut.safetensors")
    with pytest.raises(CheckpointError, match="no model 'listner'"):
        load_listener("listner")
