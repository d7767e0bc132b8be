"""Curves say what a voice does at every moment of a recording, and what they say is what they sound like."""

import math
from collections.abc import Sequence

import pytest
import torch
from scipy.signal import chirp

from retimbre.core.errors import AudioError, ConfigError
from retimbre.dsp.level import peak
from retimbre.matching.contour import Contour, hear_contour, key_for
from retimbre.matching.curves import Curves, CurveSettings, find_curves, resynthesise, still
from retimbre.matching.held import held
from retimbre.matching.inverter import Inverter, InverterConfig, load_inverter
from retimbre.matching.scout import Scouting, between_classes
from retimbre.metrics.suite import measure
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS, find_synth
from retimbre.synth.clock import curve_at

RATE, WINDOW, HOP = 16_384, 16_384, 2_048
ACCEPTED_SHARE = 0.9  # of windows, within one class: a semitone


def gliding_fm(points_hz: Sequence[float], depth: float, rate_hz: float, seconds: float) -> torch.Tensor:
    """A tone of `fm` under a steady envelope whose carrier goes straight through some frequencies at A4."""
    voice = held(find_synth("fm"), seconds)
    knobs = voice.synth.space.from_values({"D": depth, "M": rate_hz})
    knobs |= {name: torch.tensor([value]) for name, value in voice.knobs.items()}
    knobs["C"] = torch.tensor([list(points_hz)])
    return 0.5 * voice.synth.render(knobs, Note.of(1), num_samples=round(seconds * RATE))[0]


def centres(num_windows: int) -> torch.Tensor:
    return torch.arange(num_windows) * HOP + WINDOW / 2


def heard(sound: torch.Tensor) -> Contour:
    return hear_contour(sound, RATE, window=WINDOW, hop=HOP)


def within_one_class(curves: Curves, true_hz: torch.Tensor) -> float:
    played_hz = curves.values("C") * curves.key_hz / 440.0
    return float(((12 * (played_hz / true_hz).log2()).abs() <= 1.0).double().mean())


GLIDES = {
    "plain": ((440.0, 1_046.0), 0.0, 6.0),
    "there and back": ((600.0, 900.0, 600.0), 0.0, 6.0),
    "with a vibrato": ((440.0, 1_046.0), 0.05, 6.0),
    "with a deep, fast modulation": ((600.0, 900.0, 600.0), 0.3, 10.0),
}


@pytest.mark.parametrize("kind", sorted(GLIDES))
def test_a_known_glide_is_recovered_within_one_class_over_nine_tenths_of_its_windows(kind: str) -> None:
    points_hz, depth, rate_hz = GLIDES[kind]
    sound = gliding_fm(points_hz, depth, rate_hz, 4.0)
    curves = find_curves(load_inverter("fm-resmel"), sound, 440.0, heard(sound), CurveSettings())
    true_hz = curve_at(torch.tensor([points_hz]), centres(len(curves.unit)) / len(sound))[0]
    assert within_one_class(curves, true_hz) >= ACCEPTED_SHARE


def test_the_network_alone_hears_a_known_glide_without_being_told_its_pitch() -> None:
    sound = gliding_fm((440.0, 1_046.0), 0.05, 6.0, 4.0)
    deaf = Contour(torch.zeros(25))
    curves = find_curves(load_inverter("fm-resmel"), sound, 440.0, deaf, CurveSettings())
    true_hz = curve_at(torch.tensor([[440.0, 1_046.0]]), centres(25) / len(sound))[0]
    assert within_one_class(curves, true_hz) >= ACCEPTED_SHARE


@pytest.mark.parametrize("harmonics", [1, 8])
def test_a_glide_that_no_synthesizer_made_keeps_its_pitch_at_a_key_that_is_chosen_for_it(
    harmonics: int,
) -> None:
    seconds, low_hz, high_hz = 3.0, 150.0, 300.0
    time_s = (torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE).numpy()
    partials = [
        chirp(time_s, number * low_hz, seconds, number * high_hz, method="logarithmic", phi=-90) / number**1.5
        for number in range(1, harmonics + 1)
    ]
    sound = torch.from_numpy(0.2 * sum(partials)).float()
    contour = heard(sound)
    inverter = load_inverter("fm-resmel")
    curves = find_curves(inverter, sound, key_for("fm", inverter.space, contour), contour, CurveSettings())
    true_hz = low_hz * (high_hz / low_hz) ** (centres(len(curves.unit)) / RATE / seconds)
    assert within_one_class(curves, true_hz) >= ACCEPTED_SHARE


def test_moving_curves_sound_nearer_to_a_glide_than_the_same_knobs_standing_still() -> None:
    sound = gliding_fm((440.0, 1_046.0), 0.0, 6.0, 4.0)
    inverter = load_inverter("fm-resmel")
    curves = find_curves(inverter, sound, 440.0, heard(sound), CurveSettings())
    moved, stood = (resynthesise(one, inverter.synth, sound) for one in (curves, still(curves)))
    mss = [float(measure("mss", sound[None], played[None], RATE)) for played in (moved, stood)]
    assert mss[0] < 0.5 * mss[1]


# What holds whatever a network says: an untrained one that hears a quarter of a second.

UNTRAINED = {
    "fm": InverterConfig("fm", "C1", seconds=0.25),
    "fm4": InverterConfig("fm4", "C1", seconds=0.25),
    "inversynth": InverterConfig("inversynth", "C1", seconds=0.25, fixed={"f_sin": 440.0}),
}


def untrained(name: str) -> Inverter:
    torch.manual_seed(0)
    return Inverter(UNTRAINED[name]).eval()


def untrained_curves(name: str, sound: torch.Tensor, overlap: int = 4) -> Curves:
    model = untrained(name)
    windows = 1 + (len(sound) - 4_096) // (4_096 // overlap)
    settings = CurveSettings(overlap=overlap, scouting=Scouting(draws=2))
    return find_curves(model, sound, 440.0, Contour(torch.full((windows,), 500.0)), settings)


def tone(num_samples: int) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * 500.0 * torch.arange(num_samples) / RATE)


@pytest.mark.parametrize("name", sorted(UNTRAINED))
def test_curves_of_any_voice_stay_within_their_knobs_and_sound_as_long_as_the_recording(name: str) -> None:
    sound = tone(9_001)
    curves = untrained_curves(name, sound)
    assert curves.moving
    assert set(curves.moving) <= SYNTHS[name].curves
    assert not set(curves.moving) & set(curves.constants)
    assert bool(((curves.unit >= 0.0) & (curves.unit <= 1.0)).all())
    played = resynthesise(curves, untrained(name).synth, sound)
    assert played.shape == sound.shape
    assert bool(played.isfinite().all())
    assert 0.0 < float(peak(played)) <= 0.99


def test_a_knob_that_an_inverter_holds_has_no_curve() -> None:
    curves = untrained_curves("inversynth", tone(9_001))
    assert "f_sin" not in curves.moving
    assert curves.constants["f_sin"] == 440.0


def test_an_inverter_that_holds_every_moving_knob_is_refused() -> None:
    config = InverterConfig("fm", "C1", seconds=0.25, fixed={"C": 440.0, "D": 0.1, "M": 5.0})
    with pytest.raises(ConfigError, match="this model of 'fm' holds every knob that could have a curve"):
        find_curves(Inverter(config).eval(), tone(9_000), 440.0, Contour(torch.zeros(10)), CurveSettings())


@pytest.mark.parametrize("overlap", [2, 4, 8])
@pytest.mark.parametrize("num_samples", [6_144, 8_192, 10_000])
def test_there_is_a_window_for_every_hop_that_leaves_room_for_one(overlap: int, num_samples: int) -> None:
    curves = untrained_curves("fm", tone(num_samples), overlap)
    assert len(curves.unit) == 1 + (num_samples - 4_096) // (4_096 // overlap)
    assert curves.first_centre == 2_048
    assert curves.hop == 4_096 // overlap


@pytest.mark.parametrize("overlap", [0, 1, 3, 6, 64])
def test_an_overlap_that_leaves_centres_off_the_grid_is_refused(overlap: int) -> None:
    with pytest.raises(ConfigError, match=f"curve overlap is {overlap}, but takes 2, 4, 8, 16 or 32"):
        CurveSettings(overlap=overlap)


@pytest.mark.parametrize("num_samples", [1, 4_096, 5_119])
def test_a_sound_of_one_window_is_refused_with_the_length_it_would_need(num_samples: int) -> None:
    with pytest.raises(AudioError, match=r"too short for curves: .* two windows take 0\.312 s or more"):
        find_curves(
            untrained("fm"), tone(num_samples), 440.0, Contour(torch.zeros(1)), CurveSettings(overlap=4)
        )


def test_silence_is_refused() -> None:
    with pytest.raises(AudioError, match="silent"):
        find_curves(untrained("fm"), torch.zeros(9_000), 440.0, Contour(torch.zeros(10)), CurveSettings())


def test_curves_go_straight_through_silence_and_are_silent_there() -> None:
    pause = torch.zeros(8_192)
    sound = torch.cat([tone(8_192), pause, tone(8_192)])
    curves = untrained_curves("fm", sound)
    silent = (~curves.sounding).nonzero()[:, 0]
    bend = curves.unit[silent[0] - 1 : silent[-1] + 2].diff(n=2, dim=0)
    assert len(silent) >= 6
    assert float(bend.abs().max()) < 1e-5
    played = resynthesise(curves, untrained("fm").synth, sound)
    assert float(peak(played[9_300:15_200])) == 0.0  # but for the stretches that the level is measured over


def test_the_pitch_that_a_curve_says_is_the_pitch_that_sounds_also_beyond_the_outer_centres() -> None:
    space = find_synth("fm").space
    knob = space["C"]
    num_samples, seconds = 3 * RATE, 3.0
    moment_s = centres(17) / RATE
    unit = torch.stack([0.1 + 0.8 * moment_s / seconds, torch.zeros(17), torch.zeros(17)], dim=1)
    curves = Curves(
        "fm", space, ("C", "D", "M"), unit, {}, torch.ones(17, dtype=torch.bool), 220.0, HOP, WINDOW // 2
    )
    sound = resynthesise(curves, find_synth("fm"), tone(num_samples))
    contour = hear_contour(sound, RATE, window=2_048, hop=2_048)
    middle_s = (torch.arange(len(contour.pitch_hz)) * 2_048 + 1_024) / RATE
    wanted_hz = 0.5 * 440.0 * (1_046.5022612023945 / 440.0) ** (0.1 + 0.8 * middle_s / seconds)
    assert knob.unit == "Hz"
    # An eighth of a second of a glide of four semitones a second, heard by one frame or two of YIN.
    assert float((12 * (contour.pitch_hz / wanted_hz).log2()).abs().max()) < 0.3


def test_the_same_seed_gives_the_same_curves() -> None:
    first, second = (untrained_curves("fm", tone(9_001)).unit for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("stands", [0.0, 0.3, 4.5, 7.2, 14.9, 15.0])
def test_a_network_that_answers_with_the_gaussians_it_was_trained_on_is_read_between_its_classes(
    stands: float,
) -> None:
    classes = torch.arange(16.0)
    answers = (-0.5 * ((classes - stands) / 0.7).square()).log_softmax(0)
    read = between_classes(answers, answers.argmax()[None], classes / 15.0)
    assert float(15.0 * read[0]) == pytest.approx(stands, abs=1e-3)
