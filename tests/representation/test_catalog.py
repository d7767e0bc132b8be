"""Laws that every representation of the catalog keeps."""

import math
import warnings

import pytest
import torch
from torch.autograd import gradcheck

from retimbre.core.config import dump
from retimbre.core.errors import AudioError, ConfigError, UserError
from retimbre.core.random import generator
from retimbre.representation.aliases import ALIASES, AliasWarning
from retimbre.representation.catalog import COORDINATES, REPRESENTATIONS, representation, settings_of
from retimbre.representation.constantq import Nsgt
from retimbre.representation.coordinates import Polar

NAMES = sorted(REPRESENTATIONS)
EXACT = [name for name in NAMES if REPRESENTATIONS[name].exact]
INVERTIBLE = [name for name in NAMES if REPRESENTATIONS[name].invertible]
BELOW_MAXIMUM = ["db-spectrogram", "db-spectrogram-trainable", "log-mel"]
SAMPLE_RATE = 16_000
DTYPES = [torch.float32, torch.float64]
# What the project promises of an exact representation, by the precision of its input.
LEAST_SNR_DB = {torch.float32: 110.0, torch.float64: 280.0}


def noise(count: int, num_samples: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, num_samples, generator=generator(seed, "clips", count), dtype=dtype)


def note(num_samples: int, dtype: torch.dtype) -> torch.Tensor:
    """A decaying harmonic tone that begins after some silence."""
    second = torch.arange(num_samples, dtype=torch.float64) / SAMPLE_RATE - 0.01
    tone = sum(torch.sin(2 * math.pi * 196.0 * k * second) / k for k in range(1, 9))
    return (0.2 * tone * torch.exp(-6.0 * second) * (second > 0.0)).to(dtype)[None]


def impulse(num_samples: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([num_samples // 3]), num_samples).to(dtype)


def snr_db(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    error = (reference.double() - estimate.double()).square().sum()
    return float(10.0 * torch.log10(reference.double().square().sum() / error.clamp_min(1e-300)))


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_does_not_depend_on_its_batch(name: str) -> None:
    chosen, clip, others = representation(name, SAMPLE_RATE), noise(1, 3000), noise(4, 3000, seed=1)
    features = [chosen.encode(torch.cat([others[:1], clip, others[1:2]]))[1] for others in others.split(2)]
    assert torch.equal(features[0], features[1])
    if chosen.invertible:
        batches = [torch.stack([other, features[0]]) for other in (features[0] * 0.5, features[0] * 0.25)]
        first, second = (chosen.decode(batch, num_samples=3000)[1] for batch in batches)
        assert torch.equal(first, second)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_samples", [1, 777])
def test_features_have_a_shape_that_networks_take_and_audio_its_length(name: str, num_samples: int) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), noise(2, num_samples)
    features = chosen.encode(audio)
    assert features.ndim in {3, 4}
    assert len(features) == 2
    assert features.isfinite().all()
    if chosen.invertible:
        back = chosen.decode(features, num_samples=num_samples)
        assert back.shape == audio.shape
        assert back.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_are_kept(name: str, dtype: torch.dtype) -> None:
    chosen = representation(name, SAMPLE_RATE)
    features = chosen.encode(noise(1, 3000, dtype))
    assert features.dtype == dtype
    if chosen.invertible:
        assert chosen.decode(features, num_samples=3000).dtype == dtype


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_samples", [1, 255, 4097, SAMPLE_RATE])
def test_an_exact_one_gives_back_noise_notes_and_impulses(
    name: str, dtype: torch.dtype, num_samples: int
) -> None:
    chosen = representation(name, SAMPLE_RATE)
    sounds = [noise(3, num_samples, dtype), impulse(num_samples, dtype)]
    if num_samples > 0.01 * SAMPLE_RATE:  # the note has begun
        sounds.append(note(num_samples, dtype))
    for audio in sounds:
        back = chosen.decode(chosen.encode(audio), num_samples=num_samples)
        assert snr_db(audio, back) >= LEAST_SNR_DB[dtype]


@pytest.mark.parametrize("name", EXACT)
def test_an_exact_one_gives_back_every_clip_of_a_large_batch(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), noise(64, 2048)
    back = chosen.decode(chosen.encode(audio), num_samples=2048)
    worst = min(snr_db(*clips) for clips in zip(audio, back, strict=True))
    assert worst >= LEAST_SNR_DB[torch.float32]


@pytest.mark.parametrize("name", INVERTIBLE)
def test_silence_comes_back_as_silence(name: str) -> None:
    chosen = representation(name, SAMPLE_RATE)
    back = chosen.decode(chosen.encode(torch.zeros(2, 5000)), num_samples=5000)
    # -120 dB of full scale: below the last bit of 16.
    assert float(back.abs().max()) <= 1e-6


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(INVERTIBLE)))
def test_one_that_cannot_be_decoded_says_so_and_claims_no_more(name: str) -> None:
    chosen = representation(name, SAMPLE_RATE)
    assert not chosen.exact
    with pytest.raises(UserError, match=r"keeps no \w+, so it cannot be decoded"):
        chosen.decode(chosen.encode(noise(2, 3000)), num_samples=3000)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0.0, 1e-25, 1.0])
def test_gradients_are_finite_from_silence_to_full_scale(name: str, level: float) -> None:
    chosen = representation(name, SAMPLE_RATE)
    audio = (level * noise(2, 2000)).requires_grad_()
    features = chosen.encode(audio)
    features.square().sum().backward()
    assert audio.grad.isfinite().all()
    if chosen.invertible:
        leaf = features.detach().requires_grad_()
        chosen.decode(leaf, num_samples=2000).square().sum().backward()
        assert leaf.grad.isfinite().all()


def unlikely_features(like: torch.Tensor) -> dict[str, torch.Tensor]:
    """What an untrained network may say: in scale a thousand times too large, or of any size in the range of floats."""
    random = torch.randn(like.shape, generator=generator(0, "unlikely features"))
    return {
        "scaled": 1e3 * like,
        "negative": torch.full_like(like, -1e3),
        "positive": torch.full_like(like, 1e3),
        "random": 100.0 * random,
        "alternating": 1e30 * random.sign(),
    }


@pytest.mark.parametrize("name", INVERTIBLE)
def test_features_of_any_size_decode_to_finite_sound_and_those_of_100_have_finite_gradients(
    name: str,
) -> None:
    chosen = representation(name, SAMPLE_RATE)
    for kind, features in unlikely_features(chosen.encode(noise(2, 1500))).items():
        leaf = features.requires_grad_()
        audio = chosen.decode(leaf, num_samples=1500)
        assert audio.isfinite().all(), kind
        if kind == "random":
            audio.sum().backward()
            assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_the_slopes(name: str) -> None:
    chosen = representation(name, SAMPLE_RATE)
    audio = noise(2, 60, torch.float64).requires_grad_()
    # A phase turns by 1/|z| per unit of its coefficient z, and some z are small: hence steps of 1e-7, and 1e-3.
    tolerance = {"eps": 1e-7, "atol": 1e-3, "rtol": 1e-3, "fast_mode": True}
    # Angles at the ends of their range are the same angle, so features are compared as points on a circle.
    radians = getattr(getattr(chosen, "coordinates", None), "radians", False)

    def on_circles(leaf: torch.Tensor) -> torch.Tensor:
        angle = chosen.encode(leaf) * (1.0 if radians else math.pi)
        return torch.cat([angle.cos(), angle.sin()])

    assert gradcheck(on_circles, audio, **tolerance)
    if chosen.invertible:
        features = chosen.encode(audio.detach()).requires_grad_()
        assert gradcheck(lambda leaf: chosen.decode(leaf, num_samples=60), features, **tolerance)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_sample_that_is_no_number_is_refused_with_the_clip_that_holds_it(name: str, value: float) -> None:
    audio = noise(4, 500)
    audio[2, 17] = value
    with pytest.raises(AudioError, match="clip 2: 1 of 500 samples"):
        representation(name, SAMPLE_RATE).encode(audio)


@pytest.mark.parametrize("name", BELOW_MAXIMUM)
def test_decibels_lie_between_minus_80_and_0_and_do_not_depend_on_level(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), noise(2, SAMPLE_RATE)
    features = chosen.encode(audio)
    assert float(features.amax()) == 0.0
    assert float(features.amin()) >= -80.0
    # -40 dB: rounding of float32 shows as thousandths of a decibel in cells that almost cancel.
    torch.testing.assert_close(chosen.encode(0.01 * audio), features, atol=1e-2, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_front_end_computes_what_encode_does(name: str) -> None:
    chosen, audio = representation(name, SAMPLE_RATE), noise(2, 4000)
    with torch.no_grad():
        # A convolution sums 512 products in another order than a fast transform does: rounding, in decibels.
        torch.testing.assert_close(chosen.front_end()(audio), chosen.encode(audio), atol=0.05, rtol=0)


def test_identities_differ_between_all_representations_and_rates_that_matter() -> None:
    identities = [each.identity() for each in REPRESENTATIONS.values()]
    assert len(set(identities)) == len(identities)
    assert representation("log-mel", 44_100).identity() != representation("log-mel", SAMPLE_RATE).identity()
    assert (
        representation("log-mel", SAMPLE_RATE).identity() == representation("log-mel", SAMPLE_RATE).identity()
    )


def test_any_setting_makes_another_identity_also_one_of_the_coordinates() -> None:
    settings = [{}, {"hop_length": 128}, {"edges": "packed"}, {"coordinates": {"floor": 1e-5}}]
    assert len({representation("mag-if", SAMPLE_RATE, each).identity() for each in settings}) == 4


@pytest.mark.parametrize("kind", sorted(COORDINATES))
@pytest.mark.parametrize("name", ["stft", "mag-if", "erb", "nsgt-ragged", "mel-stft", "sony2020-cqt"])
def test_the_coordinates_of_every_complex_entry_are_chosen_by_name(name: str, kind: str) -> None:
    chosen = representation(name, SAMPLE_RATE, {"coordinates": {"kind": kind}})
    coordinates = getattr(chosen, "coordinates", None)
    assert type(coordinates) is COORDINATES[kind]
    assert settings_of(chosen)["coordinates.kind"] == kind
    assert chosen.exact == REPRESENTATIONS[name].exact
    assert chosen.encode(noise(2, 1000)).shape[:2] == (2, 2)


def test_a_kind_of_coordinates_takes_its_settings_and_leaves_the_entry_s_own_where_it_is_the_same() -> None:
    other = representation("erb", SAMPLE_RATE, {"coordinates": {"kind": "polar", "floor": 1e-4}})
    assert other == Nsgt(spacing="erb", bins=64, convention="tight", coordinates=Polar(floor=1e-4))
    own = representation("sony2020-mag-phase", SAMPLE_RATE, {"coordinates": {"kind": "polar"}})
    assert own == REPRESENTATIONS["sony2020-mag-phase"]
    named = representation("stft", SAMPLE_RATE, {"coordinates": {"kind": "polar"}})
    assert named.identity() == REPRESENTATIONS["mag-phase"].identity()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "erb",
            {"coordinates": {"kind": "poler"}},
            r"\[erb.coordinates\] has no kind 'poler'; did you mean 'polar'",
        ),
        ("erb", {"coordinates": {"knd": "polar"}}, r"has no option 'knd'; did you mean 'kind'"),
        ("erb", {"coordinates": {"floor": 1e-4}}, r"has no option 'floor'; known: kind"),
        ("erb", {"coordinates": {"kind": 3}}, r"\[erb.coordinates\] has no kind 3; known: cartesian"),
        ("erb", {"coordinates": {"kind": ["polar"]}}, r"\[erb.coordinates\] has no kind \['polar'\]"),
        ("mag-if", {"coordinates": {"kind": "polar", "gate_db": -3.0}}, "has no option 'gate_db'"),
        (
            "nsgt-ragged",
            {"coordinates": {"kind": "instantaneous-frequency", "gate_db": -9.0}},
            "have no gate",
        ),
        ("logmel", {}, "did you mean 'log-mel'"),
        ("stft", {"nfft": 512}, r"\[stft\] has no option 'nfft'; did you mean 'n_fft'"),
        ("stft", {"n_fft": "512"}, "'n_fft' should be a valid integer"),
        ("mag-if", {"coordinates": {"flor": 1e-5}}, r"\[mag-if.coordinates\] has no option 'flor'"),
        ("mag-if", {"coordinates": 3}, "should be a table of settings"),
        ("mag-phase", {"coordinates": {"floor": 0.0}}, "floor must be a positive magnitude"),
    ],
)
def test_unknown_names_and_settings_are_refused_with_the_nearest_ones(
    name: str, settings: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        representation(name, SAMPLE_RATE, settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sony2020-cqt", {"bins": 48}),
        ("cqt", {"bins": 48}),
        ("cqt", {"f_min_hz": 8.0}),
        ("nsgt", {"f_min_hz": 20.0}),
    ],
)
def test_settings_that_fit_a_rate_are_taken_where_the_entry_s_own_would_not(
    name: str, settings: dict[str, float]
) -> None:
    # 84 notes from C1 on end at 3,951 Hz, above half of this rate.
    chosen = representation(name, 4_000, settings)
    assert {field: getattr(chosen, field) for field in settings} == settings
    assert chosen.encode(noise(1, 4_000)).isfinite().all()


@pytest.mark.parametrize("name", ["sony2020-cqt", "cqt"])
@pytest.mark.parametrize("settings", [{}, {"bins": 83}])
def test_notes_above_half_the_rate_are_refused(name: str, settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"half the sample rate.* 2000 Hz"):
        representation(name, 4_000, settings)


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_an_entry_has_already_change_nothing_at_any_rate(name: str) -> None:
    entry = representation(name, 22_050)
    own = {
        field: value
        for field, value in dump(entry).items()
        if isinstance(value, int | float | str) and field != "kind"
    }
    assert representation(name, 22_050, own) == entry


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_earlier_spelling_is_understood_with_one_warning(alias: str) -> None:
    with pytest.warns(AliasWarning, match=ALIASES[alias]) as caught:
        assert representation(alias, SAMPLE_RATE) == REPRESENTATIONS[ALIASES[alias]]
    assert len(caught) == 1


def test_our_own_names_are_no_aliases() -> None:
    assert not ALIASES.keys() & REPRESENTATIONS.keys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        representation("mag-if", SAMPLE_RATE)
