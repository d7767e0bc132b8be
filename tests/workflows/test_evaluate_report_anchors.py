"""Laws of the anchors: what was done to a sound was done to it, by the amount stated, and nothing else was."""

import math

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.dsp.level import rms, to_db
from retimbre.dsp.phase import spectral_convergence_db
from retimbre.dsp.stft import magnitude
from retimbre.workflows.evaluation.report import anchors, damage
from retimbre.workflows.evaluation.sets.clips import ClipLabels, HeldClips

RATE = 16_000
MOMENTS_S = torch.arange(RATE, dtype=torch.float64) / RATE


def tone(hz, rate=RATE, samples=RATE):
    return (0.5 * torch.sin(2 * math.pi * hz * torch.arange(samples, dtype=torch.float64) / rate)).float()


def notes(count=6, samples=RATE):
    """Decaying harmonic notes of rising pitch, about as long and as rich as plucked strings."""
    moments_s = torch.arange(samples) / RATE
    return torch.stack(
        [
            0.3
            * torch.exp(-3.0 * moments_s)
            * sum(
                torch.sin(2 * math.pi * 110.0 * 1.1**row * partial * moments_s) / partial
                for partial in range(1, 9)
            )
            for row in range(count)
        ]
    )


def labelled(instruments, pitches=None):
    count = len(instruments)
    pitches = pitches or tuple(range(40, 40 + count))
    labels = ClipLabels(pitch=pitches, instrument=tuple(instruments))
    return HeldClips("real", notes(count, 2_000), RATE, labels)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_the_low_pass_keeps_what_is_below_and_drops_what_is_above(rate):
    inner = slice(rate // 4, rate // 2)
    gains_db = {
        hz: float(
            to_db(
                rms(damage.low_passed(tone(hz, rate, rate)[None], rate)[:, inner])
                / rms(tone(hz, rate, rate)[inner])
            )
        )
        for hz in (100.0, 3_450.0, 3_950.0)
    }
    # 80 dB of stop band is a ripple of 1e-4 in the pass band, 0.001 dB.
    assert gains_db[100.0] == pytest.approx(0.0, abs=0.01)
    assert gains_db[3_450.0] == pytest.approx(0.0, abs=0.01)
    assert gains_db[3_950.0] < -75.0


def test_the_low_pass_delays_nothing():
    audio = tone(1_000.0)[None]
    inner = slice(2_000, 14_000)
    assert (damage.low_passed(audio, RATE) - audio)[:, inner].abs().max() < 1e-4


@pytest.mark.parametrize("level", [1.0, 1e-3])
def test_noise_lies_twenty_decibels_under_each_clip(level):
    audio = level * notes() * torch.linspace(0.1, 1.0, 6)[:, None]
    added = damage.noisy(audio, range(6), seed=0) - audio
    snr_db = to_db(rms(audio)) - to_db(rms(added), floor_db=-200)
    # Adding and subtracting in float32 costs 1e-7 of the signal, 1e-6 of the noise.
    torch.testing.assert_close(snr_db, torch.full_like(snr_db, 20.0), atol=0.01, rtol=0)


@pytest.mark.parametrize("spoil", [damage.noisy, damage.phase_scrambled])
def test_a_clip_is_spoiled_alike_in_any_batch(spoil):
    audio = notes()
    whole = spoil(audio, range(6), 3)
    # Batches of another size sum in another order, which projections multiply.
    torch.testing.assert_close(whole[4:5], spoil(audio[4:5], [4], 3), atol=1e-3, rtol=0)
    assert not torch.equal(spoil(audio[4:5], [5], 3), whole[4:5])


def test_scrambling_keeps_magnitudes_and_loses_the_waveform():
    audio = notes()
    found = damage.phase_scrambled(audio, range(6), seed=0)
    distance_db = spectral_convergence_db(
        magnitude(audio, damage.SCRAMBLED_FRAMES), found, damage.SCRAMBLED_FRAMES
    )
    likeness = (audio * found).sum(dim=1) / (audio.norm(dim=1) * found.norm(dim=1))
    # A sound of magnitudes 10 % away is near what Griffin and Lim's method reaches from random phases.
    assert float(distance_db.max()) < -20.0
    assert float(likeness.abs().max()) < 0.8


@pytest.mark.parametrize("hz", [41.2, 110.0, 440.0, 2_000.0])
def test_a_semitone_is_a_hundred_cents_and_the_note_goes_on_to_its_end(hz):
    shifted = damage.semitone_up(tone(hz)[None], RATE)[0].double()
    turning = shifted * torch.exp(-2j * math.pi * hz * 2 ** (1 / 12) * MOMENTS_S)
    halves = [turning[part].mean() for part in (slice(2_000, 7_000), slice(7_000, 12_000))]
    drift_hz = float(torch.angle(halves[1] / halves[0])) / (2 * math.pi * 5_000 / RATE)
    # 0.05 Hz of 41.2 Hz are 2 cents; what is not turning along with the carrier does not average out.
    assert abs(drift_hz) < 0.05
    assert shifted.shape == (RATE,)
    level = rms(shifted[-1_600:]) / rms(shifted[:8_000])
    assert float(to_db(level)) == pytest.approx(0.0, abs=1.0)


def test_a_clip_too_short_to_be_continued_ends_in_silence():
    shifted = damage.semitone_up(tone(440.0, samples=300)[None], RATE)
    assert shifted.shape == (1, 300)
    assert shifted[0, 290:].abs().max() == 0


@pytest.mark.parametrize("name", anchors.ANCHORS)
def test_silence_and_short_clips_stay_finite_and_as_long_as_they_were(name):
    audio = torch.zeros(10, 7)
    audio[1:, 3] = 0.5
    real = HeldClips("real", audio, RATE, ClipLabels(pitch=(60,) * 10, instrument=("a", "b") * 5))
    found, left_out = anchors.make_anchors(anchors.split_halves(real, "clip", 0), None, 0)
    clips = next(anchor.clips for anchor in found if anchor.name == name)
    heard = clips.audio(range(len(clips)))
    assert heard.isfinite().all()
    # By lot, three of the five are of the commoner instrument.
    assert heard.shape == (3 if name == anchors.ONE_INSTRUMENT else 5, 7)
    assert left_out == {}


def test_halves_by_instrument_share_none_and_are_about_equal():
    real = labelled(["a"] * 9 + ["b"] * 8 + ["c"] * 4 + ["d"] * 3)
    halves = anchors.split_halves(real, "instrument", 0)
    first, second = set(halves.reference.labels.instrument), set(halves.other.labels.instrument)
    assert halves.by == "instrument"
    assert first & second == set()
    assert (len(halves.reference), len(halves.other)) == (12, 12)


def test_few_instruments_are_not_parted_unasked():
    few = labelled(["a"] * 6 + ["b"] * 6 + ["c"] * 6 + ["d"] * 6)
    many = labelled([f"instrument {number % 20}" for number in range(40)])
    assert anchors.split_halves(few, "auto", 0).by == "clip"
    assert anchors.split_halves(many, "auto", 0).by == "instrument"


def test_halves_by_clip_are_a_partition_that_the_seed_decides():
    real = HeldClips("real", notes(11, 500), RATE)
    one, same, another = (anchors.split_halves(real, "auto", seed) for seed in (0, 0, 1))
    assert one.by == "clip"
    assert sorted([*one.reference.names, *one.other.names]) == sorted(real.names)
    assert one.reference.names == same.reference.names != another.reference.names


def test_too_few_clips_for_halves_are_refused_by_name_and_number():
    with pytest.raises(ConfigError, match="real has 9 clips; a report takes 10"):
        anchors.split_halves(HeldClips("real", notes(9, 100), RATE), "auto", 0)


def test_halves_by_instrument_need_instruments():
    with pytest.raises(ConfigError, match="has 0 labelled instruments"):
        anchors.split_halves(HeldClips("real", notes(12, 100), RATE), "instrument", 0)


def test_without_labels_the_anchor_that_needs_them_is_left_out_with_a_reason():
    halves = anchors.split_halves(HeldClips("real", notes(12, 500), RATE), "auto", 0)
    found, left_out = anchors.make_anchors(halves, None, 0)
    assert {anchor.name for anchor in found} | set(left_out) == set(anchors.ANCHORS)
    assert list(left_out) == [anchors.ONE_INSTRUMENT]


def test_at_a_telephone_s_rate_there_is_no_treble_to_take_away():
    halves = anchors.split_halves(HeldClips("real", notes(12, 500), 7_000), "auto", 0)
    assert anchors.LOW_PASS in anchors.make_anchors(halves, None, 0)[1]


def test_one_instrument_is_the_commonest_each_clip_once_and_the_smaller_number_is_remarked():
    halves = anchors.split_halves(labelled(["a"] * 9 + ["b"] * 8 + ["c"] * 4 + ["d"] * 3), "instrument", 0)
    found, _ = anchors.make_anchors(halves, None, 0)
    anchor = next(anchor for anchor in found if anchor.name == anchors.ONE_INSTRUMENT)
    assert set(anchor.clips.labels.instrument) == {"b"}
    assert len(set(anchor.clips.names)) == len(anchor.clips) == 8
    assert anchor.remarks == (
        "it has 8 clips and real/real 12: figures that depend on the number do not compare",
    )


def test_the_training_copy_is_the_training_sounds_where_they_are_given():
    halves = anchors.split_halves(labelled(["a", "b"] * 6), "clip", 0)
    training = HeldClips("training", notes(20, 2_000), RATE)
    for source, given in ((halves.reference, None), (training, training)):
        found, _ = anchors.make_anchors(halves, given, 0)
        anchor = next(anchor for anchor in found if anchor.name == anchors.COPY)
        assert set(anchor.clips.names) <= set(source.names)
        assert len(anchor.clips) == len(halves.other)
        assert anchor.remarks == ()


@pytest.mark.parametrize(("count", "named"), [(1, "1 clip"), (5, "5 clips")])
def test_a_training_copy_of_fewer_clips_than_real_sounds_is_remarked(count, named):
    halves = anchors.split_halves(labelled(["a", "b"] * 6), "clip", 0)
    found, _ = anchors.make_anchors(halves, HeldClips("training", notes(count, 2_000), RATE), 0)
    anchor = next(anchor for anchor in found if anchor.name == anchors.COPY)
    assert anchor.says == f"{named} of the training sounds, unchanged."
    assert anchor.remarks == (
        f"it has {named} and real/real 6: figures that depend on the number do not compare",
    )
