"""Laws of the non-stationary Gabor transform: nothing is lost, energy is kept where promised, bands hear their own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from retimbre.core.errors import AudioError, ConfigError
from retimbre.core.random import generator
from retimbre.dsp.gabor import frame_bounds, gabor, group_shapes, groups_of_matrix, inverse_gabor, matrix_of
from retimbre.dsp.gabor_frame import GaborSettings
from retimbre.dsp.scales import SPACINGS, Scale

SAMPLE_RATE = 16_000
SETTINGS = {
    "log": GaborSettings(Scale(SAMPLE_RATE)),
    "log-ragged": GaborSettings(Scale(SAMPLE_RATE), ragged=True),
    "notes-ragged": GaborSettings(Scale(SAMPLE_RATE, "log", 84, 32.7, 3951.0), ragged=True),
    "octave": GaborSettings(Scale(SAMPLE_RATE, "octave", 12, 32.7)),
    "mel": GaborSettings(Scale(SAMPLE_RATE, "mel", 64, 40.0)),
    "linear": GaborSettings(Scale(SAMPLE_RATE, "linear", 40, 200.0)),
    "erb-tight": GaborSettings(Scale(SAMPLE_RATE, "erb", 64), convention="tight"),
    "erb-tight-ragged": GaborSettings(Scale(SAMPLE_RATE, "erb", 64), ragged=True, convention="tight"),
    "many-frames": GaborSettings(Scale(SAMPLE_RATE), frames=1024),
}
# What is left of a sound after there and back: some ten roundings, of 24 and 53 bits.
LEAST_SNR_DB = {torch.float32: 110.0, torch.float64: 280.0}
GOLDEN = Path(__file__).parents[1] / "golden" / "nsgt.npz"

every_setting = pytest.mark.parametrize("chosen", SETTINGS.values(), ids=SETTINGS.keys())


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=generator(0, "gabor", *shape), dtype=torch.float64).to(dtype)


def snr_db(sound: torch.Tensor, estimate: torch.Tensor) -> float:
    error = (sound - estimate).square().sum().clamp_min(1e-300)
    return 10.0 * torch.log10(sound.square().sum() / error).item()


def there_and_back(sound: torch.Tensor, chosen: GaborSettings) -> torch.Tensor:
    return inverse_gabor(gabor(sound, chosen), chosen, num_samples=sound.shape[-1])


def energy(groups: tuple[torch.Tensor, ...]) -> float:
    return sum(group.abs().square().sum().item() for group in groups)


@every_setting
@pytest.mark.parametrize("dtype", LEAST_SNR_DB, ids=str)
@pytest.mark.parametrize("num_samples", [1, 2, 63, 1000, 4001])
def test_a_sound_comes_back(chosen: GaborSettings, dtype: torch.dtype, num_samples: int) -> None:
    impulse = torch.zeros(num_samples, dtype=dtype)
    impulse[num_samples // 2] = 1.0
    tone = torch.sin(0.3 * torch.arange(num_samples, dtype=torch.float64) + 1.0).to(dtype)
    for sound in (noise(num_samples, dtype=dtype), impulse, tone):
        assert snr_db(sound, there_and_back(sound[None], chosen)[0]) >= LEAST_SNR_DB[dtype]


@st.composite
def drawn_settings(draw: st.DrawFn) -> dict:
    half_hz = draw(st.integers(1_000, 24_000))
    spacing = draw(st.sampled_from(sorted(SPACINGS)))
    return {
        "scale": {
            "sample_rate": 2 * half_hz,
            "spacing": spacing,
            "bins": draw(st.integers(2, 24 if spacing == "octave" else 120)),
            "f_min_hz": half_hz * draw(st.floats(0.001, 0.2)),
            "f_max_hz": half_hz * draw(st.floats(0.25, 1.0)),
        },
        "ragged": draw(st.booleans()),
        "convention": draw(st.sampled_from(["amplitude", "tight"])),
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(drawn=drawn_settings(), num_samples=st.integers(1, 3_000))
def test_a_sound_comes_back_whatever_the_settings(drawn: dict, num_samples: int) -> None:
    try:
        chosen = GaborSettings(**(drawn | {"scale": Scale(**drawn["scale"])}))
    except ConfigError:  # too few bands, which has a test of its own
        reject()
    for dtype, least_db in LEAST_SNR_DB.items():
        sound = noise(1, num_samples, dtype=dtype)
        assert snr_db(sound, there_and_back(sound, chosen)) >= least_db


@every_setting
def test_a_batch_of_64_comes_back_and_a_clip_does_not_depend_on_its_batch(chosen: GaborSettings) -> None:
    sounds = noise(64, 300)
    groups = gabor(sounds, chosen)
    assert snr_db(sounds, inverse_gabor(groups, chosen, num_samples=300)) >= LEAST_SNR_DB[torch.float64]
    for group, alone in zip(groups, gabor(sounds[5:6], chosen), strict=True):
        torch.testing.assert_close(
            group[5:6], alone, rtol=0, atol=1e-14
        )  # a few roundings of values up to 0.1


@every_setting
def test_silence_is_silent_there_and_back(chosen: GaborSettings) -> None:
    groups = gabor(torch.zeros(2, 500), chosen)
    assert energy(groups) == 0.0
    assert inverse_gabor(groups, chosen, num_samples=500).abs().max() == 0.0


@every_setting
def test_the_energy_of_coefficients_lies_within_the_frame_bounds(chosen: GaborSettings) -> None:
    lower, upper = frame_bounds(chosen, 2000)
    for seed in range(4):
        # Band-limited noise probes the bounds better than white noise does.
        sound = noise(seed + 1, 2000)[-1:]
        sound = torch.fft.irfft(torch.fft.rfft(sound) * (torch.arange(1001) % 4 == seed), n=2000)
        assert lower * (1 - 1e-9) <= energy(gabor(sound, chosen)) / sound.square().sum() <= upper * (1 + 1e-9)


@pytest.mark.parametrize("name", ["erb-tight", "erb-tight-ragged"])
@pytest.mark.parametrize("num_samples", [400, 4000, 16_000])
def test_the_erb_frame_is_tight(name: str, num_samples: int) -> None:
    lower, upper = frame_bounds(SETTINGS[name], num_samples)
    assert upper / lower - 1.0 < 1e-12  # the windows are normalized in float64
    sound = noise(1, num_samples)
    assert energy(gabor(sound, SETTINGS[name])) == pytest.approx(sound.square().sum().item(), rel=1e-12)


@pytest.mark.parametrize("name", ["log", "octave", "mel", "linear"])
def test_a_sine_at_the_centre_of_a_band_has_its_amplitude_there_and_peaks_there(name: str) -> None:
    chosen = SETTINGS[name]
    centres_hz = [band.centre_hz for band in chosen.bands]
    time_s = torch.arange(SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    for row in range(30, len(centres_hz) - 1, 13):
        frequency_hz = round(centres_hz[row])  # whole periods in a second, so that the ends meet
        sine = 0.25 * torch.sin(2 * torch.pi * frequency_hz * time_s + 0.5)
        envelope = matrix_of(gabor(sine[None], chosen))[0].abs().mean(dim=1)
        assert int(envelope.argmax()) == row
        # Bands are centred on whole lines of 1 Hz, and the lowest ones looked at are 10 Hz wide.
        assert envelope[row].item() == pytest.approx(0.25, rel=0.05)


def test_ragged_and_matrix_bands_are_one_signal_at_two_rates() -> None:
    sound = noise(1, 16_000)
    matrix = matrix_of(gabor(sound, SETTINGS["log"]))[0]
    rows = [row for group in gabor(sound, SETTINGS["log-ragged"]) for row in group[0]]
    assert len(rows) == len(matrix)
    for wide, narrow in zip(matrix, rows, strict=True):
        # Both are transforms of the same lines; they agree where their times do, at the start for one.
        torch.testing.assert_close(wide[0], narrow[0], rtol=0, atol=1e-14)
        torch.testing.assert_close(
            wide.abs().square().mean(), narrow.abs().square().mean(), rtol=1e-9, atol=0
        )


def test_coefficients_of_no_sound_give_the_sound_that_fits_best() -> None:
    chosen = SETTINGS["erb-tight"]
    shapes = group_shapes(chosen, 300)
    wanted = tuple(torch.complex(noise(1, *shape), noise(2, *shape)[1:]) for shape in shapes)
    fitted = inverse_gabor(wanted, chosen, num_samples=300)

    def misfit(sound: torch.Tensor) -> float:
        return energy(tuple(a - b for a, b in zip(gabor(sound, chosen), wanted, strict=True)))

    for step in (1e-3 * noise(1, 300), -1e-3 * noise(1, 300)):
        assert misfit(fitted + step) > misfit(fitted)


@pytest.mark.parametrize("name", ["log", "notes-ragged", "erb-tight"])
def test_gradients_are_the_slopes(name: str) -> None:
    chosen = SETTINGS[name]
    sound = noise(1, 24).requires_grad_()
    groups = tuple(group.detach().requires_grad_() for group in gabor(sound, chosen))

    def energies(audio: torch.Tensor) -> torch.Tensor:
        return torch.stack([group.abs().square().sum() for group in gabor(audio, chosen)])

    # The fast mode checks a random projection: these frames have hundreds of coefficients.
    assert torch.autograd.gradcheck(lambda audio: gabor(audio, chosen), (sound,), fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda *parts: inverse_gabor(parts, chosen, num_samples=24), groups, fast_mode=True
    )
    assert torch.autograd.gradgradcheck(energies, (sound,), fast_mode=True)


def test_the_nsgt_package_gives_the_same_coefficients() -> None:
    golden = np.load(GOLDEN, allow_pickle=False)
    sample = torch.arange(4096, dtype=torch.float64)
    sound = 0.3 * torch.sin(torch.pi * sample**2 / (2 * 4096)) + 0.2 * torch.sin(0.05 * sample)
    sound[1000] += 1.0
    matrix = matrix_of(gabor(sound[None], GaborSettings(Scale(SAMPLE_RATE), convention="nsgt")))[0]
    assert (2 * (len(matrix) - 1), matrix.shape[1]) == tuple(golden["shape"])
    expected = torch.from_numpy(golden["coefficients"])
    # Its window at the top laps over half the sample rate by one line, which is worth 1e-7; the rest is rounding.
    torch.testing.assert_close(
        matrix[golden["rows"]], expected, rtol=0, atol=1e-6 * expected.abs().max().item()
    )


def test_a_frame_for_inference_also_serves_training() -> None:
    chosen = GaborSettings(Scale(SAMPLE_RATE, "mel", 33, 40.0))
    with torch.inference_mode():
        gabor(noise(1, 333), chosen)
    sound = noise(1, 333).requires_grad_()
    energy_of = sum(group.abs().square().sum() for group in gabor(sound, chosen))
    (slope,) = torch.autograd.grad(energy_of, sound)
    assert slope.abs().max() > 0.0


def test_what_cannot_be_inverted_is_refused_with_the_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"64 frames cannot be inverted for sounds of 16000 samples: .* needs 978"
    ):
        gabor(noise(1, 16_000), GaborSettings(Scale(SAMPLE_RATE), frames=64))
    with pytest.raises(ConfigError, match=r"frames is 64: .* 0 for ragged bands"):
        GaborSettings(Scale(SAMPLE_RATE), ragged=True, frames=64)
    with pytest.raises(ConfigError, match="3 bands are too few to cover"):
        GaborSettings(Scale(SAMPLE_RATE, bins=2))
    with pytest.raises(ConfigError, match="did you mean 'tight'"):
        GaborSettings(Scale(SAMPLE_RATE), convention="tigth")
    with pytest.raises(AudioError, match="no samples"):
        gabor(noise(2, 0), SETTINGS["log"])
    with pytest.raises(ConfigError, match="are not those of 4000 samples"):
        inverse_gabor(gabor(noise(1, 3000), SETTINGS["log"]), SETTINGS["log"], num_samples=4000)


def test_a_matrix_and_its_groups_are_the_same_coefficients() -> None:
    groups = gabor(noise(2, 100), SETTINGS["mel"])
    for group, again in zip(groups, groups_of_matrix(matrix_of(groups)), strict=True):
        assert torch.equal(group, again)


@pytest.mark.gpu
@every_setting
def test_a_gpu_gives_the_coefficients_of_the_cpu_and_the_sound_back(chosen: GaborSettings) -> None:
    sound = noise(4, 4000)
    there = gabor(sound.cuda(), chosen)
    for group, expected in zip(there, gabor(sound, chosen), strict=True):
        torch.testing.assert_close(group.cpu(), expected, rtol=0, atol=1e-13)
    back = inverse_gabor(there, chosen, num_samples=4000).cpu()
    assert snr_db(sound, back) >= LEAST_SNR_DB[torch.float64]
