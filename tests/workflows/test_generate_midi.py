"""MIDI files played by generators: when, which key, how loud, and how long."""

import itertools
import json
import math

import mido
import pytest
import torch
from performances import control, off, on, tempo, write_midi
from small_generators import DIGITS, KEYS, NOTES, RATE, SAMPLES, generator_file, tone_player

from retimbre.core import random
from retimbre.core.errors import AudioError, CheckpointError, ConfigError, ExistsError, MidiError
from retimbre.data.midi import read_midi
from retimbre.dsp import audiofile
from retimbre.dsp.onsets import find_onsets
from retimbre.synth.melody import MELODY_PEAK
from retimbre.workflows.generate import midi as workflow
from retimbre.workflows.generate.ensemble import Ensemble, stations_of
from retimbre.workflows.generate.folder import GenerateOptions
from retimbre.workflows.generate.latent_file import LatentChoice, read_latents
from retimbre.workflows.generate.midi import generate_midi
from retimbre.workflows.generate.mixdown import PIECE_SAMPLES, added_up
from retimbre.workflows.generate.score import PlayOptions, nearest_octave, plan_score, velocity_gain


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Plays tracks with tones whose attack is one sample; returns the sound and the manifest."""
    numbers = itertools.count()

    def play(*tracks, options=None, player=None, **how):
        out = tmp_path / f"out{next(numbers)}"
        chosen = player or tone_player()
        monkeypatch.setattr(workflow, "open_player", lambda *_: chosen)
        path = write_midi(tmp_path / "piece.mid", *tracks)
        manifest = generate_midi("tones", path, out, options, PlayOptions(**how))
        return audiofile.read(out / "piece.wav").samples, manifest

    return play


def starts(sound, threshold=0.15):
    """Samples at which notes begin: their first sample is their largest, and before it lies little."""
    loud = torch.nonzero(sound.abs() > threshold * sound.abs().max()).flatten()
    apart = torch.cat([torch.tensor([True]), loud.diff() > 400])
    return loud[apart].tolist()


def test_notes_begin_at_their_samples_and_within_a_hop_of_what_an_onset_detector_hears(play):
    ticks = [0, 333, 700, 1_200, 1_777]
    notes = [event for tick in ticks for event in (on(tick, 60), off(tick + 100, 60))]
    sound, _ = play(notes)
    expected = [round(tick / 960 * RATE) for tick in ticks]
    assert starts(sound) == expected
    heard = find_onsets(sound, RATE)
    assert len(heard) == len(expected)
    assert (heard - torch.tensor(expected)).abs().max() <= 256


def test_every_tempo_change_and_every_track_counts(play):
    changes = [tempo(0, 500_000), tempo(480, 1_000_000), tempo(960, 250_000)]
    tracks = [[on(0, 60), off(60, 60), on(1_440, 60), off(1_500, 60)], [on(480, 60), off(540, 60)]]
    sound, manifest = play(changes, *tracks, [on(960, 62), off(1_000, 62)])
    # A quarter of half a second, one of a second, one of a quarter of a second.
    assert starts(sound) == [0, 4_000, 12_000, 14_000]
    assert manifest["notes"] == 4


def test_a_note_fades_when_its_key_comes_up_by_either_way_of_saying_it(play):
    sounds = {}
    for name, release in {"off": off(480, 60, 64), "on with velocity 0": on(480, 60, 0)}.items():
        sounds[name], _ = play([on(0, 60), release], player=tone_player(decay_s=100.0))
    assert torch.equal(*sounds.values())
    sound = sounds["off"]
    assert len(sound) == round(0.6 * RATE)  # half a second, and a tenth for the release
    assert sound[: RATE // 2].unfold(0, 400, 400).abs().amax(1).min() > 0.9 * MELODY_PEAK
    assert sound[-40:].abs().max() < 0.01


def test_notes_ring_until_the_pedal_comes_up(play):
    pressed = [control(0, 64, 127), on(0, 60), off(96, 60), control(1_440, 64, 0)]
    sound, _ = play(pressed, player=tone_player(decay_s=100.0))
    assert len(sound) == round(1.6 * RATE)
    other = [control(0, 1, 127), on(0, 60), off(96, 60), control(1_440, 1, 0)]
    short, _ = play(other, player=tone_player(decay_s=100.0))
    assert len(short) == round(0.2 * RATE)


def test_a_note_that_is_held_longer_than_the_clip_sounds_to_its_end(play):
    sound, _ = play([on(0, 60), off(4_800, 60)], player=tone_player(decay_s=100.0))
    assert len(sound) == round(5.1 * RATE)
    assert sound[: 5 * RATE].unfold(0, 400, 400).abs().amax(1).min() > 0.9 * MELODY_PEAK


def test_a_piece_is_the_sum_of_its_notes(play):
    player = tone_player()
    keys = [(0, 60, 127), (48, 64, 90), (48, 67, 64)]
    events = [
        event for tick, key, velocity in keys for event in (on(tick, key, velocity), off(tick + 96, key))
    ]
    sound, manifest = play(events, player=player, release_s=0.0)
    expected = torch.zeros_like(sound)
    for (tick, key, velocity), nearest in zip(keys, ("127", "75", "75"), strict=True):
        asked = {"pitch": [str(key)], "velocity": [nearest], "family": ["keyboard"]}
        onset, gate = round(tick / 960 * RATE), RATE // 10
        clip = player.play(torch.zeros(1, 6), asked)[0]
        expected[onset : onset + gate] += velocity_gain(velocity) * clip[:gate]
    expected *= MELODY_PEAK / expected.abs().max()
    assert (sound - expected).abs().max() < 1e-5  # notes made together round otherwise than alone
    assert manifest["sounds"][0]["peak"] == MELODY_PEAK


def test_velocity_decides_the_class_and_the_level(tmp_path):
    path = write_midi(tmp_path / "a.mid", [e for i, v in enumerate((1, 40, 64, 110, 127)) for e in
                      (on(480 * i, 60, v), off(480 * i + 100, 60))])  # fmt: skip
    notes = plan_score(read_midi(path), NOTES, RATE, PlayOptions()).notes
    assert [dict(note.classes)["velocity"] for note in notes] == ["25", "25", "75", "127", "127"]
    assert [note.gain for note in notes] == pytest.approx([(v / 127) ** 2 for v in (1, 40, 64, 110, 127)])
    without = plan_score(read_midi(path), {"pitch": NOTES["pitch"]}, RATE, PlayOptions()).notes
    assert [note.classes for note in without] == [(("pitch", "60"),)] * 5
    assert [note.gain for note in without] == [note.gain for note in notes]


def test_keys_that_the_generator_lacks_are_moved_by_octaves_or_refused(tmp_path):
    path = write_midi(
        tmp_path / "a.mid", [on(0, 20), off(9, 20), on(10, 60), off(99, 60), on(480, 127), off(490, 127)]
    )
    score = plan_score(read_midi(path), NOTES, RATE, PlayOptions())
    assert [int(dict(note.classes)["pitch"]) for note in score.notes] == [56, 60, 67]
    assert score.remarks == ("2 notes moved by octaves to keys that the model knows (it takes 55 to 67)",)
    with pytest.raises(
        MidiError, match=r"the note 20 at 0\.00 s is none that the model plays: it takes 55 to 67"
    ):
        plan_score(read_midi(path), NOTES, RATE, PlayOptions(strict=True))
    few = plan_score(read_midi(path), {"pitch": ("60", "72")}, RATE, PlayOptions())
    assert few.remarks == ("left out: 2 notes of keys that the model knows in no octave (it takes 60, 72)",)
    with pytest.raises(MidiError, match="nothing to play: 3 notes of keys"):
        plan_score(read_midi(path), {"pitch": ("61",)}, RATE, PlayOptions())


def test_keys_with_gaps_between_them_are_told_one_by_one(tmp_path):
    path = write_midi(tmp_path / "a.mid", [on(0, 61), off(9, 61), on(10, 72), off(99, 72)])
    gaps = {"pitch": ("60", "62", "64", "65")}
    with pytest.raises(MidiError, match=r"the note 61 .* it takes 60, 62, 64, 65$"):
        plan_score(read_midi(path), gaps, RATE, PlayOptions(strict=True))
    assert plan_score(read_midi(path), gaps, RATE, PlayOptions()).remarks == (
        "left out: 1 note of keys that the model knows in no octave (it takes 60, 62, 64, 65)",
        "1 note moved by octaves to keys that the model knows (it takes 60, 62, 64, 65)",
    )


@pytest.mark.parametrize(
    ("number", "found"), [(60, 60), (72, 60), (54, 66), (67, 67), (43, 55), (55, 55), (79, 67), (127, 67)]
)
def test_the_nearest_octave_is_the_nearest(number, found):
    assert nearest_octave(number, [int(key) for key in NOTES["pitch"]]) == found


def test_drums_are_left_out_and_told(play, tmp_path):
    _, manifest = play([on(0, 60), off(99, 60), on(0, 40, channel=9), off(99, 40, channel=9)])
    assert manifest["remarks"] == ["left out: 1 note on channel 10, which is for drums"]
    with pytest.raises(MidiError, match="nothing to play: 1 note on channel 10"):
        play([on(0, 40, channel=9), off(99, 40, channel=9)])


def repeated(count):
    return [event for i in range(count) for event in (on(60 * i, 60 + i % 3), off(60 * i + 50, 60 + i % 3))]


def test_equal_notes_are_made_once_and_a_walking_timbre_makes_each_anew(play):
    assert play(repeated(60))[1]["notes_made"] == 3
    assert play(repeated(60), timbre="walk", leg=20)[1]["notes_made"] == 60


def test_a_note_is_the_same_whether_it_was_kept_or_made_again(play, monkeypatch):
    kept, _ = play(repeated(100))
    monkeypatch.setattr("retimbre.workflows.generate.ensemble._MOST_KEPT_SAMPLES", SAMPLES)
    again, manifest = play(repeated(100))
    assert manifest["notes_made"] > 3
    assert (kept - again).abs().max() < 1e-6  # batches of another size round otherwise


def plan_of(count, tmp_path, **how):
    path = write_midi(tmp_path / "walk.mid", repeated(count))
    return plan_score(read_midi(path), NOTES, RATE, PlayOptions(**how)).notes


@pytest.mark.parametrize("way", ["linear", "spherical"])
def test_a_walk_is_at_its_stations_after_every_leg_and_between_them_in_between(tmp_path, way):
    play = PlayOptions(timbre="walk", path=way, leg=10)
    player = tone_player()
    stations = stations_of(player, play, LatentChoice(seed=3), 31)
    ensemble = Ensemble(player, play, {}, stations)
    latents = [ensemble.latent(note) for note in plan_of(31, tmp_path)]
    assert len(stations) == 4
    for place, station in zip((0, 10, 20, 30), stations, strict=True):
        assert torch.equal(latents[place], station)
    steps = torch.stack(latents).diff(dim=0).norm(dim=1)
    assert steps.min() > 0
    assert steps.max() < 0.5 * stations.diff(dim=0).norm(dim=1).max()  # ten steps a leg: no leaps


def test_a_fixed_timbre_and_the_stations_of_a_walk_come_from_a_file_where_one_is_given(play, tmp_path):
    play(repeated(30), timbre="walk", leg=10)
    saved = tmp_path / "out0/latents.safetensors"
    assert read_latents(saved).shape == (4, 6)
    again = GenerateOptions(latents=LatentChoice(str(saved), rows=(2, 1)))
    play(repeated(30), timbre="walk", leg=10, options=again)
    assert torch.equal(read_latents(tmp_path / "out1/latents.safetensors"), read_latents(saved)[[2, 1]])
    play(repeated(30), options=again)
    assert torch.equal(read_latents(tmp_path / "out2/latents.safetensors"), read_latents(saved)[[2]])
    with pytest.raises(ConfigError, match="one latent is chosen, but a walk takes 2"):
        play(repeated(3), timbre="walk", options=GenerateOptions(latents=LatentChoice(str(saved), rows=(2,))))


def test_the_same_file_and_seed_give_the_same_bytes(tmp_path):
    model = generator_file(tmp_path / "model.safetensors")
    midi = write_midi(tmp_path / "a.mid", repeated(20))
    walk = PlayOptions(timbre="walk", leg=4)
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        generate_midi(model, midi, tmp_path / name, GenerateOptions(latents=LatentChoice(seed=seed)), walk)
    a, b, c = ((tmp_path / name / "a.wav").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_notes_are_added_up_in_bounded_pieces_however_long_the_rests():
    source = random.generator(0, "mixdown")
    onsets = [0, 10, 10, 5_000, 70_000, 1_000_000, 1_000_001, 1_300_000]
    notes = [(onset, torch.rand(900 * (place + 1), generator=source)) for place, onset in enumerate(onsets)]
    pieces = list(added_up(iter(notes)))
    assert max(len(piece) for piece in pieces) <= PIECE_SAMPLES
    expected = torch.zeros(1_300_000 + 7_200)
    for onset, note in notes:
        expected[onset : onset + len(note)] += note
    assert torch.equal(torch.cat(pieces), expected)


def test_finished_pieces_are_handed_out_before_later_notes_are_asked_for():
    asked = []

    def notes():
        for number in range(100):
            asked.append(number)
            yield number * PIECE_SAMPLES, torch.ones(10)

    pieces = added_up(notes())
    for number in range(5):
        next(pieces)
        assert len(asked) <= number + 2
    with pytest.raises(ValueError, match="comes after one at"):
        list(added_up([(5, torch.ones(1)), (4, torch.ones(1))]))


def test_a_generator_that_knows_no_pitch_and_options_that_the_file_decides_are_refused(tmp_path):
    digits = generator_file(tmp_path / "digits.safetensors", DIGITS)
    midi = write_midi(tmp_path / "a.mid", repeated(2))
    with pytest.raises(
        ConfigError, match="told nothing of the pitch of a sound, only of word; playing a MIDI"
    ):
        generate_midi(digits, midi, tmp_path / "out")
    for labels in ({"pitch": 60}, {"velocity": 75}):
        with pytest.raises(ConfigError, match="of every note is the MIDI file's"):
            generate_midi(digits, midi, tmp_path / "out", GenerateOptions(labels=labels))
    assert not (tmp_path / "out").exists()


def test_files_without_notes_and_broken_ones_are_one_line_and_leave_nothing(tmp_path):
    model = generator_file(tmp_path / "model.safetensors")
    mido.MidiFile(type=1, tracks=[mido.MidiTrack()]).save(tmp_path / "empty.mid")
    (tmp_path / "text.mid").write_text("no MIDI")
    whole = write_midi(tmp_path / "whole.mid", repeated(2)).read_bytes()
    (tmp_path / "cut.mid").write_bytes(whole[:-20])
    for name, reason in {
        "empty": "without notes",
        "text": "not a MIDI file",
        "cut": "cut short",
        "no": "cannot",
    }.items():
        with pytest.raises(MidiError, match=reason) as caught:
            generate_midi(model, tmp_path / f"{name}.mid", tmp_path / "out")
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="no model 'nobody'"):
        generate_midi("nobody", tmp_path / "whole.mid", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("classes", "asked", "told"),
    [
        (NOTES, {}, {"family": "keyboard"}),
        (NOTES, {"family": "reed"}, {"family": "reed"}),
        ({"pitch": KEYS, "velocity": ("75",)}, {}, {}),
        ({"pitch": KEYS, "word": ("a", "b", "c")}, {}, {"word": "b"}),
    ],
    ids=["middle", "asked", "none", "another"],
)
def test_the_manifest_tells_every_label_that_the_file_does_not_decide(play, classes, asked, told):
    _, manifest = play(repeated(2), player=tone_player(classes), options=GenerateOptions(labels=asked))
    assert manifest["sounds"][0]["labels"] == told


def test_notes_that_no_file_could_hold_are_one_line_that_names_model_and_note(play, tmp_path):
    player = tone_player(decay_s=math.nan)
    with pytest.raises(
        AudioError, match=r"^tones: sound 0 \(.*pitch 60.*\) comes out with a peak of nan"
    ) as caught:
        play(repeated(3), player=player)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out0").exists()


def test_a_file_that_lasts_for_days_is_refused_before_it_is_played(tmp_path):
    path = write_midi(
        tmp_path / "long.mid", [on(0, 60), off(9, 60)], [on(960 * 400_000, 60), off(960 * 400_001, 60)]
    )
    with pytest.raises(MidiError, match=r"lasts 111\.1 hours, but at 8000 Hz takes at most 18\.6"):
        plan_score(read_midi(path), NOTES, RATE, PlayOptions())


def test_nothing_is_replaced_unasked(tmp_path):
    model = generator_file(tmp_path / "model.safetensors")
    midi = write_midi(tmp_path / "a.mid", repeated(3))
    generate_midi(model, midi, tmp_path / "out")
    before = (tmp_path / "out/a.wav").read_bytes()
    with pytest.raises(ExistsError, match=r"holds generate\.json, a\.wav"):
        generate_midi(model, midi, tmp_path / "out")
    other = GenerateOptions(latents=LatentChoice(seed=9), force=True, integers=True)
    manifest = generate_midi(model, midi, tmp_path / "out", other)
    assert json.loads((tmp_path / "out/generate.json").read_text()) == manifest
    assert (tmp_path / "out/a.wav").read_bytes() != before
    assert audiofile.probe(tmp_path / "out/a.wav").subtype == "PCM_16"


@pytest.mark.gpu
def test_a_gpu_plays_what_a_cpu_does(tmp_path):
    model = generator_file(tmp_path / "model.safetensors")
    midi = write_midi(tmp_path / "a.mid", repeated(20))
    for device in ("cpu", "cuda"):
        generate_midi(
            model, midi, tmp_path / device, GenerateOptions(device=device), PlayOptions(timbre="walk")
        )
    on_cpu, on_gpu = (audiofile.read(tmp_path / device / "a.wav").samples for device in ("cpu", "cuda"))
    assert (on_cpu - on_gpu).abs().max() < 1e-2  # TF32 keeps ten bits of a factor
