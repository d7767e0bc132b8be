import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from retimbre.core.errors import AudioError, ConfigError
from retimbre.core.random import generator
from retimbre.metrics import suite
from retimbre.metrics.features import Features
from retimbre.metrics.suite import FAST_SUITE, SUITE, SuiteReference, measure

GOLDEN_FOLDER = Path(__file__).parents[1] / "golden"
GOLDENS = json.loads((GOLDEN_FOLDER / "suite.json").read_text(encoding="utf-8"))
RATE = 16000


def golden_script() -> ModuleType:
    path = GOLDEN_FOLDER / "make_suite_goldens.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SIGNALS = {
    rate: {
        name: [torch.from_numpy(audio)[None] for audio in pair]
        for name, pair in golden_script().signals(rate).items()
    }
    for rate in (16000, 44100)
}


def noise(batch: int, num_samples: int = 8000) -> torch.Tensor:
    return 0.1 * torch.randn(batch, num_samples, generator=generator(0, "suite noise", batch, num_samples))


def tone(frequency_hz: float, num_samples: int = 8000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * frequency_hz / RATE * torch.arange(num_samples))[None]


def edge_cases() -> torch.Tensor:
    """Silence, one sample, the faintest, faint noise, full scale, clipped, sounding then silent."""
    clips = torch.zeros(7, 8000)
    clips[1, 4000] = 1.0
    clips[2] = 1e-30
    clips[3] = 1e-7 * noise(1)[0]
    clips[4] = tone(440.0)[0] * 2
    clips[5] = 1.0
    clips[6, :2000] = tone(200.0)[0, :2000]
    return clips


@pytest.mark.parametrize("name", ["mss", "wmfcc", "sot", "rms"])
@pytest.mark.parametrize("rate", SIGNALS)
@pytest.mark.parametrize("pair", SIGNALS[16000])
def test_measures_equal_the_independent_implementation(pair: str, rate: int, name: str) -> None:
    expected = GOLDENS["values"][str(rate)][pair][name]
    # librosa and torch differ by float32 rounding of spectra: 1e-4 of the value, or 2e-6 dB where the value is zero.
    assert measure(name, *SIGNALS[rate][pair], rate).item() == pytest.approx(expected, rel=1e-4, abs=2e-6)


@pytest.mark.parametrize("name", SUITE)
@pytest.mark.parametrize("rate", [8000, 11025, 16384, 44100, 48000])
def test_a_sound_is_at_the_ideal_value_from_itself_at_any_rate(name: str, rate: int) -> None:
    clip = noise(1)
    assert measure(name, clip, clip, rate).item() == pytest.approx(1.0 if name == "rms" else 0.0, abs=1e-6)


@pytest.mark.parametrize("name", SUITE)
def test_every_pair_of_edge_cases_has_a_finite_value(name: str) -> None:
    clips = edge_cases()
    for reference in clips:
        assert bool(measure(name, reference[None], clips, RATE).isfinite().all())


@pytest.mark.parametrize("name", SUITE)
@pytest.mark.parametrize("num_samples", [1, 2, 50, 799])
def test_clips_shorter_than_a_window_have_a_finite_value(name: str, num_samples: int) -> None:
    assert bool(measure(name, noise(2, num_samples), noise(2, num_samples).flip(0), RATE).isfinite().all())


@pytest.mark.parametrize("name", FAST_SUITE)
def test_gradients_are_finite_for_silent_and_extreme_estimates(name: str) -> None:
    estimates = edge_cases().requires_grad_()
    measure(name, noise(1), estimates, RATE).sum().backward()
    assert bool(estimates.grad.isfinite().all())
    assert estimates.grad[6].abs().max() > 0


@pytest.mark.parametrize("name", FAST_SUITE)
def test_gradient_steps_improve_an_estimate(name: str) -> None:
    reference = tone(300.0) * torch.linspace(1.0, 0.0, 8000)
    estimate = (noise(1) + tone(500.0)).requires_grad_()
    before = measure(name, reference, estimate, RATE)
    (gradient,) = torch.autograd.grad(before.sum(), estimate)
    sign = 1.0 if name == "rms" else -1.0
    after = measure(name, reference, estimate.detach() + sign * 1e-2 * gradient / gradient.norm(), RATE)
    assert sign * (after - before).item() > 0


@pytest.mark.parametrize("name", SUITE)
def test_a_score_does_not_depend_on_its_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, estimates = noise(1), noise(7).cumsum(-1) * 0.1
    whole = measure(name, reference, estimates, RATE)
    monkeypatch.setattr(suite, "_CPU_SAMPLES_AT_ONCE", 3 * 8000)
    in_chunks = measure(name, reference, estimates, RATE)
    one_each = measure(name, reference.expand(7, -1), estimates, RATE)
    alone = torch.cat([measure(name, reference, estimate[None], RATE) for estimate in estimates])
    # Fourier transforms and products of other batch sizes round differently.
    for scores in (in_chunks, one_each, alone):
        torch.testing.assert_close(scores, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SUITE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_and_features_keep_the_dtype_of_the_audio(name: str, dtype: torch.dtype) -> None:
    # A NumPy scalar is a float64; it must not promote what it touches.
    clips = noise(2).to(dtype) * np.float64(0.5)
    assert measure(name, clips, clips.flip(0), RATE).dtype == dtype
    features = Features(clips, RATE)
    kinds = (*features.mel_decibels, features.cepstra, features.distributions, features.envelope)
    assert {kind.dtype for kind in kinds} == {dtype}


@pytest.mark.parametrize("gain", [0.01, 0.5, 30.0])
@pytest.mark.parametrize("name", ["mss", "mss_active", "sot", "sot_audible", "rms"])
def test_trap_level_is_not_heard(name: str, gain: float) -> None:
    reference, estimate = noise(1), tone(440.0) + noise(1).flip(-1)
    expected = measure(name, reference, estimate, RATE)
    torch.testing.assert_close(
        measure(name, reference, gain * estimate, RATE), expected, rtol=1e-4, atol=1e-5
    )


def test_trap_what_lies_80_db_under_the_peak_is_not_heard_by_mss() -> None:
    loud = torch.cat([tone(440.0, 4000), torch.zeros(1, 12000)], dim=-1)
    with_faint_tail = loud.clone()
    # 100 dB under the tone, and far from its windows.
    with_faint_tail[:, 8000:] = 1e-5 * tone(1000.0, 8000)
    assert measure("mss", loud, with_faint_tail, RATE).item() == 0.0


def test_trap_a_clip_quieter_than_librosas_smallest_power_loses_range() -> None:
    clip = noise(1)
    assert measure("mss", clip, 1e-3 * clip, RATE).item() == pytest.approx(0.0, abs=0.01)
    assert measure("mss", clip, 1e-6 * clip, RATE).item() > 5.0


def test_trap_noise_in_silence_moves_sot_but_not_where_only_heard_frames_count() -> None:
    note = torch.cat([tone(330.0, 4000), torch.zeros(1, 12000)], dim=-1)
    with_noise = note.clone()
    with_noise[:, 5000:] += 1e-7 * noise(1, 11000) / 0.1
    assert measure("sot", note, with_noise, RATE).item() > 0.2
    assert measure("sot_audible", note, with_noise, RATE).item() < 1e-6


def test_where_every_frame_is_heard_the_two_transports_agree() -> None:
    pair = noise(1), noise(2)[1:]
    torch.testing.assert_close(measure("sot_audible", *pair, RATE), measure("sot", *pair, RATE))


def test_a_note_that_stops_early_is_far_also_where_only_heard_frames_count() -> None:
    note = tone(330.0, 16000)
    stopped = note.clone()
    stopped[:, 8000:] = 0.0
    # Half of the frames compare a low tone with a flat spectrum, about half of the band away.
    assert measure("sot_audible", note, stopped, RATE).item() == pytest.approx(0.25, abs=0.05)


def test_trap_reshaping_cepstra_instead_of_transposing_is_another_measure() -> None:
    ours = measure("wmfcc", *SIGNALS[16000]["brightness"], 16000).item()
    assert abs(ours - GOLDENS["scrambled_wmfcc_brightness_16000"]) > 1.0


def test_trap_shared_silence_dilutes_mss_but_not_over_active_cells() -> None:
    pair = [tone(330.0, 4000), tone(660.0, 4000)]
    padded = [torch.cat([clip, torch.zeros(1, 28000)], dim=-1) for clip in pair]
    assert measure("mss", *padded, RATE) < 0.3 * measure("mss", *pair, RATE)
    assert measure("mss_active", *padded, RATE) > 0.6 * measure("mss_active", *pair, RATE)
    assert measure("mss_active", *padded, RATE) >= measure("mss", *padded, RATE)


@pytest.mark.parametrize(("first_hz", "second_hz"), [(1000.0, 3000.0), (500.0, 600.0), (6000.0, 2000.0)])
def test_transport_between_tones_is_their_distance_in_bands(first_hz: float, second_hz: float) -> None:
    # The ends of the clip are half frames with leakage, hence 2 % of tolerance.
    expected = abs(first_hz - second_hz) / (RATE / 2)
    assert measure("sot", tone(first_hz), tone(second_hz), RATE).item() == pytest.approx(expected, rel=0.02)


def test_warping_forgives_a_delay_that_mss_does_not() -> None:
    reference, delayed = SIGNALS[16000]["delayed"]
    other_reference, other = SIGNALS[16000]["brightness"]
    ratio = {
        name: (measure(name, reference, delayed, RATE) / measure(name, other_reference, other, RATE)).item()
        for name in ("mss", "wmfcc")
    }
    assert ratio["wmfcc"] < ratio["mss"]


def test_silence_is_like_silence_and_unlike_sound() -> None:
    silence, sound = torch.zeros(1, 8000), tone(440.0)
    assert measure("rms", silence, silence, RATE).item() == 1.0
    assert measure("rms", silence, sound, RATE).item() == 0.0
    assert measure("mss", silence, sound, RATE).item() > 20.0
    assert measure("sot", silence, silence, RATE).item() < 1e-6


def test_a_reference_is_analysed_once_for_many_estimates() -> None:
    target = SuiteReference.of(noise(1)[0], RATE)
    target.score(noise(3), SUITE)
    first = target.chunks[0].cepstra
    target.score(noise(4), SUITE)
    assert target.chunks[0].cepstra is first


@pytest.mark.parametrize(
    ("reference", "estimate", "name", "error", "message"),
    [
        ((1, 100), (1, 101), "mss", AudioError, "one length, got 100 and 101"),
        ((2, 100), (3, 100), "mss", AudioError, "2 references cannot be compared with 3 estimates"),
        ((1, 0), (1, 0), "rms", AudioError, "without samples"),
        ((1, 100), (1, 100), "mess", ConfigError, "did you mean 'mss'"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    reference: tuple[int, int], estimate: tuple[int, int], name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SuiteReference.of(torch.zeros(reference), RATE).score(torch.zeros(estimate), (name,))


def test_warping_compares_sounds_of_different_length() -> None:
    assert measure("wmfcc", tone(440.0, 8000), tone(440.0, 6000), RATE).item() < 3.0


@pytest.mark.gpu
@pytest.mark.parametrize("name", SUITE)
def test_a_gpu_gives_the_scores_of_the_cpu(name: str) -> None:
    reference, estimates = noise(1), torch.cat([noise(3), tone(440.0), torch.zeros(1, 8000)])
    expected = measure(name, reference, estimates, RATE)
    scores = measure(name, reference.cuda(), estimates.cuda(), RATE).cpu()
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-5)
