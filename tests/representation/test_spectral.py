"""Exactness over all settings, the shapes, what dropped bins cost, and the definitions of the earlier programs."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from retimbre.core.errors import ConfigError, UserError
from retimbre.core.random import generator
from retimbre.representation.catalog import REPRESENTATIONS, representation
from retimbre.representation.coordinates import Cartesian, Compressed, InstantaneousFrequency, Polar
from retimbre.representation.spectral import EDGES, Spectral

GOLDEN = Path(__file__).parents[1] / "golden"
SONY_AND_INTERNS = [
    name for name, each in REPRESENTATIONS.items() if "2020" in name and isinstance(each, Spectral)
]
# All that are accepted; sounds are 20 dB below full scale.
FLOORS = st.floats(-15.0, -3.0).map(lambda power: 10.0**power)
COORDINATES = st.one_of(
    st.just(Cartesian()),
    st.builds(Compressed, st.floats(0.2, 1.0)),
    st.builds(Polar, FLOORS, st.booleans()),
    st.builds(
        InstantaneousFrequency,
        FLOORS,
        st.booleans(),
        st.sampled_from([0.0, -43.4, -20.0]),
    ),
)


def noise(num_samples: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(2, num_samples, generator=generator(seed, "noise", num_samples), dtype=dtype)


def snr_db(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    error = (reference.double() - estimate.double()).square().sum()
    return float(10.0 * torch.log10(reference.double().square().sum() / error.clamp_min(1e-300)))


@st.composite
def spectral_settings(draw: st.DrawFn) -> dict:
    """Settings of all sizes, most of which can be undone."""
    n_fft = draw(st.integers(8, 300))
    win_length = max(1, round(draw(st.floats(0.3, 1.0)) * n_fft))
    return {
        "n_fft": n_fft,
        "win_length": win_length,
        "hop_length": max(1, round(win_length / draw(st.floats(1.0, 8.0)))),
        "window": draw(st.sampled_from(["hann", "hamming", "blackman", "rectangular"])),
        "center": draw(st.booleans()),
        "pad_mode": draw(st.sampled_from(["constant", "reflect"])),
        "edges": draw(st.sampled_from(["both", "packed"])),
        "coordinates": draw(COORDINATES),
    }


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    table=spectral_settings(),
    num_samples=st.integers(1, 900),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_whatever_settings_are_accepted_are_exact(table: dict, num_samples: int, dtype: torch.dtype) -> None:
    try:
        chosen = Spectral(**table)
    except ConfigError:
        reject()
    audio = noise(num_samples, dtype)
    features = chosen.encode(audio)
    assert features.shape == (2, 2, chosen.num_bins, chosen.num_frames(num_samples))
    assert chosen.exact
    back = chosen.decode(features, num_samples=num_samples)
    assert snr_db(audio, back) >= (110.0 if dtype == torch.float32 else 280.0)


@pytest.mark.parametrize("edges", [edges for edges in EDGES if edges != "both"])
@pytest.mark.parametrize("n_fft", [256, 1024])
def test_without_one_edge_bin_the_shape_is_a_power_of_two(edges: str, n_fft: int) -> None:
    chosen = Spectral(n_fft=n_fft, hop_length=n_fft // 4, edges=edges)
    num_samples = chosen.frame_exact_samples(64)
    assert chosen.encode(noise(num_samples)).shape[2:] == (n_fft // 2, 64)


@pytest.mark.parametrize("name", SONY_AND_INTERNS)
def test_the_earlier_programs_clips_give_the_shapes_of_their_networks(name: str) -> None:
    num_samples, shape = (16_383, (512, 64)) if name.startswith("sony") else (16_384, (256, 128))
    assert representation(name, 16_000).encode(noise(num_samples)).shape[2:] == shape


@pytest.mark.parametrize("num_frames", [3, 4, 17, 64])
@pytest.mark.parametrize(
    "settings", [{}, {"n_fft": 512}, {"n_fft": 441, "hop_length": 110}, {"pad_mode": "reflect"}]
)
def test_the_frame_exact_length_is_the_longest_with_so_many_frames(num_frames: int, settings: dict) -> None:
    chosen = Spectral(**settings)
    num_samples = chosen.frame_exact_samples(num_frames)
    if chosen.n_fft % 2 == 0 and chosen.hop_length <= chosen.n_fft // 4:
        assert num_samples == num_frames * chosen.hop_length - 1
    assert chosen.num_frames(num_samples) == num_frames
    assert chosen.num_frames(num_samples + 1) == num_frames + 1


def sine(cycles_per_sample: float, num_samples: int = 8192) -> torch.Tensor:
    return torch.cos(2 * math.pi * cycles_per_sample * torch.arange(num_samples, dtype=torch.float64))[None]


@pytest.mark.parametrize(("edges", "lost", "kept"), [("no-dc", 0.0, 0.5), ("no-nyquist", 0.5, 0.0)])
@pytest.mark.parametrize("coordinates", [Cartesian(), Polar(), InstantaneousFrequency()])
def test_a_dropped_bin_costs_its_own_energy_and_no_other(edges, lost, kept, coordinates) -> None:
    chosen = Spectral(edges=edges, coordinates=coordinates)
    assert not chosen.exact
    inside = slice(1024, -1024)  # the ends of a clip have energy in all bins

    def energy_back(cycles_per_sample: float) -> float:
        audio = sine(cycles_per_sample)
        back = chosen.decode(chosen.encode(audio), num_samples=audio.shape[-1])
        return float(back[:, inside].square().sum() / audio[:, inside].square().sum())

    # A Hann window spreads a constant over its own bin and the next one to either side, half as high: 2/3 of the
    # energy is in the bin itself. Dropping it leaves the two others, which beat: 1/3 of the amplitude in mean square.
    assert energy_back(lost) < 0.5
    # Elsewhere nothing is missing; 1e-6 is -60 dB of leakage under the window.
    assert energy_back(kept) == pytest.approx(1.0, abs=1e-6)
    assert energy_back(0.1234) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("radians", [False, True])
@pytest.mark.parametrize("frequency", [0.01, 0.0371, 0.2, 0.43])
def test_a_steady_tone_turns_at_one_rate_in_every_bin_that_hears_it(frequency: float, radians: bool) -> None:
    chosen = Spectral(coordinates=InstantaneousFrequency(radians=radians))
    log_magnitude, turns = chosen.encode(sine(frequency))[0, :, :, 4:-4]
    limit = math.pi if radians else 1.0
    assert float(turns.abs().max()) <= limit
    heard = log_magnitude.amin(1) > log_magnitude.max() - math.log(1e2)  # the main lobe
    expected = (2.0 * frequency * chosen.hop_length + 1.0) % 2.0 - 1.0
    assert int(heard.sum()) >= 2
    # Half turns are the same turn; the other half of the spectrum leaks in at 1e-4 or so.
    deviation = (turns[heard] / limit - expected + 1.0) % 2.0 - 1.0
    assert float(deviation.abs().max()) < 1e-3


@pytest.mark.parametrize("name", SONY_AND_INTERNS)
def test_the_definitions_of_the_earlier_programs_are_met(name: str) -> None:
    script = GOLDEN / "make_representation_goldens.py"
    sound = formula(script, 16_383 if name.startswith("sony") else 16_384)
    expected = torch.from_numpy(np.load(GOLDEN / "representations.npz", allow_pickle=False)[name])
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        features = representation(name, 16_000).encode(sound.to(dtype))[0].double()
        found = features[:, ::16, ::4] if name.startswith("sony") else features[:, ::12, ::8]
        if name.endswith("-stft"):
            assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())
            continue
        # Relative error of the complex number: a soft cell's logarithm and phase are as uncertain as it is soft.
        magnitude = expected[0].exp()
        loudest = float(magnitude.max())
        assert float(((found[0] - expected[0]).abs() * magnitude).max()) <= tolerance * loudest
        half_turn = 1.0 if name == "sony2020-mag-if" else math.pi
        difference = (found[1] - expected[1] + half_turn) % (2.0 * half_turn) - half_turn
        assert float((difference.abs() * magnitude).max()) <= 2.0 * tolerance * loudest


def formula(script: Path, num_samples: int) -> torch.Tensor:
    """The sound that the goldens were made of, computed from the same lines (its module needs librosa)."""
    source = script.read_text(encoding="utf-8")
    body = source[source.index("def sound(") : source.index("def channels(")]
    scope: dict = {"np": np}
    exec(body, scope)  # noqa: S102 - lines of our own repository
    return torch.from_numpy(scope["sound"](num_samples))[None]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop_length": 1024}, "leave samples all but uncovered"),
        ({"n_fft": 512, "hop_length": 700}, "leave samples all but uncovered"),
        ({"hop_length": 800}, "leave samples all but uncovered"),
        ({"win_length": 200}, "leave samples all but uncovered"),
        ({"center": False}, "lose the first samples"),
        ({"center": False, "window": "hamming", "win_length": 512}, "lose the first samples"),
        ({"edges": "paked"}, "did you mean 'packed'"),
        ({"n_fft": 441, "hop_length": 110, "edges": "packed"}, "needs an even n_fft"),
        ({"n_fft": 441, "hop_length": 110, "edges": "no-nyquist"}, "needs an even n_fft"),
    ],
)
def test_settings_that_cannot_be_undone_are_refused_with_the_reason(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Spectral(**settings)


def test_a_number_of_frames_that_no_clip_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 3 frames"):
        Spectral(pad_mode="reflect").frame_exact_samples(1)


def test_features_of_another_shape_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="2 channels and 513 bins are needed, got 2 and 512"):
        Spectral().decode(torch.zeros(1, 2, 512, 8), num_samples=1000)


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize(
    "coordinates", [Cartesian(), Compressed(), Polar(), InstantaneousFrequency(gate_db=-40.0)]
)
def test_a_batch_in_pieces_is_the_batch_in_one_piece(edges: str, coordinates) -> None:
    chosen = Spectral(edges=edges, coordinates=coordinates)
    audio = noise(9000).repeat(8, 1)  # 16 clips of 36 frames: several pieces
    whole = torch.cat([chosen.encode(clip[None]) for clip in audio])
    assert torch.equal(chosen.encode(audio), whole)
    assert torch.equal(chosen.encode(audio.requires_grad_()), whole)
