import hashlib
import math
import os
import subprocess
import sys

import pytest
import torch

from retimbre.core.errors import AudioError, ConfigError
from retimbre.corpora.notes import exact
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.families import FAMILIES
from retimbre.corpora.notes.knobs import KNOBS
from retimbre.corpora.notes.plan import NotesSettings, shuffled
from retimbre.corpora.notes.source import ProceduralNotes
from retimbre.corpora.nsynth.entries import FAMILIES as NSYNTH_FAMILIES
from retimbre.dsp.pitch import note_pitch

RATE = 16_000
HARMONIC = [name for name, family in FAMILIES.items() if family.harmonic]

# Of the first 33 notes of half a second, three of each family. A change of it is a change of every corpus ever made:
# it belongs into the change log.
GOLDEN = "17ac88015c75145054d559ce07878cbfa93a2ab58d0806d1585e8baff04d5aad"

SCRIPT = """
import hashlib, torch
from retimbre.corpora.notes.corpus import NotesCorpus
from retimbre.corpora.notes.plan import NotesSettings
audio = NotesCorpus(NotesSettings(seconds=0.5)).audio(torch.arange(33))
print(hashlib.sha256(audio.numpy().tobytes()).hexdigest())
"""


def corpus(family, **settings):
    """A corpus of one family that always plays at full length and one velocity, unless told."""
    given = {"seconds": 1.0, "instruments": 6, "velocities": (100,), **settings}
    return NotesCorpus(NotesSettings(families=(family,), **given))


def everything(notes):
    """The notes of a corpus in the order of instrument, pitch and velocity."""
    labels = notes.labels(torch.arange(len(notes)))
    key = (labels.instrument * 128 + labels.pitch) * 128 + labels.velocity
    rows = key.argsort()
    return rows, notes.audio(rows)


def centroid_hz(audio):
    """The centre of the power spectrum."""
    spectrum = torch.fft.rfft(audio * torch.hann_window(audio.shape[-1])).abs().square()
    hertz = torch.fft.rfftfreq(audio.shape[-1], 1 / RATE)
    return (spectrum * hertz).sum(-1) / spectrum.sum(-1)


def level(audio):
    """RMS in decibels."""
    return 20 * audio.square().mean(-1).sqrt().log10()


def test_powers_of_two_are_right_to_a_few_units_of_the_last_place():
    exponent = torch.linspace(-90, 90, 20_001, dtype=torch.float64)
    expected = torch.tensor([2.0**value for value in exponent.tolist()], dtype=torch.float64)
    assert (exact.exp2(exponent) / expected - 1).abs().max() < 8 * 2**-53
    assert (
        exact.exp2(exponent.float()).double() / torch.exp2(exponent.float().double()) - 1
    ).abs().max() < 8 * 2**-24


def test_no_entry_of_a_table_is_near_the_middle_between_two_grid_points():
    # Libraries disagree by 1e-10 of a grid step of the sines, 4e-8 of the logarithms; the tables stay far from that.
    sines = [
        math.sin(2 * math.pi * step / exact.SINE_STEPS) * exact.SINE_SCALE for step in range(exact.SINE_STEPS)
    ]
    logarithms = [math.log2(number) * 2**24 for number in range(1, 4097)]
    for values in (sines, logarithms):
        assert min(abs(value % 1 - 0.5) for value in values) > 1e-6


@pytest.mark.parametrize("size", [1, 2, 5, 64, 1000, 4097])
def test_the_order_of_the_notes_is_a_permutation(size):
    order = shuffled(torch.arange(size), size, 3)
    assert torch.equal(order.sort().values, torch.arange(size))


def test_another_seed_gives_another_order():
    assert not torch.equal(shuffled(torch.arange(1000), 1000, 0), shuffled(torch.arange(1000), 1000, 1))


def test_families_have_nsynth_s_names_and_numbers():
    assert {family.number: name for name, family in FAMILIES.items()} == dict(enumerate(NSYNTH_FAMILIES))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_knob_of_a_family_has_a_range(family):
    ranges = FAMILIES[family].all_ranges
    assert set(ranges) == set(KNOBS)
    assert all(each.low <= each.high for each in ranges.values())


def test_the_default_corpus_has_eleven_hundred_instruments_61_pitches_and_5_velocities():
    settings = NotesSettings()
    assert (settings.num_instruments, settings.num_pitches, len(settings.velocities)) == (1100, 61, 5)
    assert settings.size == 1100 * 61 * 5


def test_the_first_notes_are_a_fair_sample_of_all():
    labels = NotesCorpus().labels(torch.arange(2200))
    assert labels.family.bincount().min() > 150  # 200 on average, deviation 14
    assert len(labels.pitch.unique()) == 61
    assert labels.velocity.unique().tolist() == [25, 50, 75, 100, 127]


def test_a_note_does_not_depend_on_its_batch():
    notes = NotesCorpus(NotesSettings(seconds=0.25))
    together = notes.audio(torch.arange(40))
    for rows in (torch.tensor([7]), torch.tensor([39, 2, 7, 2]), torch.arange(5, 30, 3)):
        assert torch.equal(notes.audio(rows), together[rows])


def test_a_note_is_the_same_on_every_machine():
    audio = NotesCorpus(NotesSettings(seconds=0.5)).audio(torch.arange(33))
    assert hashlib.sha256(audio.numpy().tobytes()).hexdigest() == GOLDEN


@pytest.mark.slow
def test_instruction_set_and_number_of_threads_do_not_change_a_bit():
    machines = [("default", "1"), ("avx2", "2"), ("avx512", "1")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": threads},
            stdout=subprocess.PIPE,
            text=True,
        )
        for capability, threads in machines
    ]
    assert [process.communicate()[0].strip() for process in running] == [GOLDEN] * len(machines)


def test_another_seed_gives_other_instruments():
    one, other = (corpus("guitar", seed=seed, seconds=0.1) for seed in (0, 1))
    assert not torch.equal(one.knobs(torch.arange(5)).tilt_db, other.knobs(torch.arange(5)).tilt_db)


def test_an_instrument_is_the_same_whichever_families_are_in_the_corpus():
    alone = corpus("reed", lowest_pitch=60, highest_pitch=60)
    among = NotesCorpus(
        NotesSettings(
            families=("bass", "reed"), instruments=6, lowest_pitch=60, highest_pitch=60, velocities=(100,)
        )
    )
    rows = torch.arange(len(among))
    of_reed = rows[among.labels(rows).family == 1]
    tilts = [
        notes.knobs(those).tilt_db.sort().values
        for notes, those in ((alone, torch.arange(6)), (among, of_reed))
    ]
    assert torch.equal(*tilts)


@pytest.mark.parametrize("family", FAMILIES)
def test_notes_are_finite_within_full_scale_and_start_and_end_in_silence(family):
    _, audio = everything(corpus(family, instruments=3, lowest_pitch=24, highest_pitch=84, seconds=0.1))
    assert audio.abs().max() <= 1  # false for NaN, too
    assert (audio.abs().amax(1) > 1e-3).all()
    assert audio[:, 0].abs().max() < 1e-3
    assert audio[:, -1].abs().max() < 2e-3  # within the last control stretch of a fade to nothing


@pytest.mark.parametrize("family", HARMONIC)
def test_the_pitch_that_is_heard_is_the_label_s_to_5_cents(family):
    rows, audio = everything(corpus(family, instruments=2, lowest_pitch=57, highest_pitch=60))
    labels = corpus(family, instruments=2, lowest_pitch=57, highest_pitch=60).labels(rows)
    for sound, pitch in zip(audio, labels.pitch.tolist(), strict=True):
        expected_hz = 440 * 2 ** ((pitch - 69) / 12)
        assert abs(1200 * math.log2(note_pitch(sound, RATE).pitch_hz / expected_hz)) < 5


def test_bars_are_heard_at_their_lowest_mode():
    # Their modes are not multiples of one frequency, so that only the strongest peak is certain.
    _, audio = everything(corpus("mallet", lowest_pitch=69, highest_pitch=69))
    hertz = torch.fft.rfft(audio[:, RATE // 20 :]).abs().argmax(1) / (0.95)
    assert (hertz - 440).abs().max() < 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_harder_touch_is_louder_and_brighter(family):
    _, audio = everything(
        corpus(family, lowest_pitch=48, highest_pitch=48, velocities=(25, 50, 75, 100, 127), seconds=0.5)
    )
    by_velocity = audio.view(6, 5, -1)
    assert (level(by_velocity).diff() > 0).all()
    # Noise has its own colour, and softer strokes of it; so the tone is judged where the stroke is over.
    centroids = centroid_hz(by_velocity[..., RATE // 10 : RATE // 3])
    assert (centroids[:, -1] > centroids[:, 0]).all()


def test_blown_and_bowed_notes_begin_slower_than_plucked_and_struck_ones():
    def rise_s(family):
        _, audio = everything(corpus(family, lowest_pitch=60, highest_pitch=60))
        envelope = audio.abs().unfold(-1, 80, 80).amax(-1)
        return ((envelope > envelope.amax(-1, keepdim=True) / 2).float().argmax(-1) * 80 / RATE).median()

    slow = [float(rise_s(family)) for family in ("flute", "string", "vocal")]
    fast = [float(rise_s(family)) for family in ("bass", "guitar", "keyboard", "mallet")]
    assert max(fast) < 0.015 < min(slow)


@pytest.mark.parametrize("family", FAMILIES)
def test_held_notes_last_as_long_as_the_key_and_others_decay(family):
    _, audio = everything(corpus(family, lowest_pitch=60, highest_pitch=60, seconds=2.0))
    early, late = level(audio[:, RATE // 2 : RATE]), level(audio[:, RATE + 4000 : RATE + 8000])
    decays = family in {"bass", "guitar", "keyboard", "mallet"}
    # Of a held note, only the beating of two ranks takes something away: at most 10.5 dB, as their shares are 65 and
    # 35 %.
    assert (early - late > 1.5).all() if decays else (early - late < 10.5).all()
    assert (level(audio[:, -160:]) < level(audio[:, :RATE]) - 20).all()


def test_nothing_but_harmonics_sounds_on_an_organ():
    # Images of the table's interpolation and aliases would lie between the harmonics; the noise is 45 dB down.
    _, audio = everything(corpus("organ", lowest_pitch=81, highest_pitch=81, seconds=2.0))
    power = torch.fft.rfft(audio[:, 4000:20000] * torch.hann_window(16_000)).abs().square()
    from_harmonic_hz = (torch.arange(8001) + 440) % 880 - 440
    between = power[:, from_harmonic_hz.abs() > 30].sum(1) / power.sum(1)
    assert 10 * between.log10().max() < -38


def test_parts_by_instrument_share_no_instrument_and_mixed_parts_share_them():
    for split, shares in (("instruments", False), ("mixed", True)):
        notes = NotesCorpus(NotesSettings(split=split, instruments=10))
        labels = notes.labels(torch.arange(len(notes)))
        parts = [set(labels.instrument[labels.part == part].tolist()) for part in range(3)]
        assert bool(parts[0] & parts[1]) == bool(parts[1] & parts[2]) == shares
        counts = labels.part.bincount() / len(labels.part)
        assert counts.tolist() == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_what_is_said_to_be_percussive_has_a_stroke():
    notes = corpus("mallet", instruments=30, lowest_pitch=60, highest_pitch=60)
    entries = ProceduralNotes(notes).entries(range(30))
    strokes_db = notes.knobs(torch.arange(30)).strike_db.tolist()
    assert [("percussive" in entry.qualities) for entry in entries] == [stroke > -20 for stroke in strokes_db]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"families": ("flut",)}, "did you mean 'flute'"),
        ({"families": ()}, "empty"),
        ({"families": ("bass", "bass")}, "each once"),
        ({"instruments": 0}, "instruments is 0"),
        ({"lowest_pitch": 60, "highest_pitch": 59}, "60 to 59"),
        ({"highest_pitch": 128}, "24 to 128"),
        ({"highest_pitch": 108, "sample_rate": 8_000}, "4,186 Hz; at a sample rate of 8000 Hz"),
        ({"velocities": (0,)}, "1 to 127"),
        ({"velocities": (5, 5)}, "once"),
        ({"seconds": 0.0}, "seconds is 0"),
        ({"seconds": math.nan}, "seconds"),
        ({"held_share": 0.0}, "held_share"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings, said):
    with pytest.raises(ConfigError, match=said):
        NotesSettings(**settings)


def test_a_rate_that_cannot_be_is_refused():
    with pytest.raises(AudioError, match="sample_rate"):
        NotesSettings(sample_rate=0)


def test_a_note_beyond_the_grid_is_refused():
    notes = corpus("bass")
    with pytest.raises(ConfigError, match="the grid has 0 to 365"):
        notes.audio(torch.tensor([len(notes)]))


@pytest.mark.parametrize(("sample_rate", "seconds"), [(8_000, 1 / 8_000), (44_100, 0.1), (96_000, 0.0377)])
def test_any_rate_and_length_works(sample_rate, seconds):
    notes = NotesCorpus(NotesSettings(sample_rate=sample_rate, seconds=seconds))
    audio = notes.audio(torch.arange(11))
    assert audio.shape == (11, round(seconds * sample_rate))
    assert audio.abs().max() <= 1
