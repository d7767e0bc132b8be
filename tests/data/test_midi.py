"""Laws of reading MIDI: when notes begin and end, whatever a file does to say so, and what is refused."""

import struct
from pathlib import Path

import mido
import pytest

from retimbre.core.errors import MidiError
from retimbre.data.midi import MidiNote, read_midi, read_movements

PPQ = 480  # ticks per quarter note: at the default tempo, half a second


def on(tick, note, velocity=64, channel=0):
    return tick, mido.Message("note_on", note=note, velocity=velocity, channel=channel)


def off(tick, note, channel=0, velocity=0):
    return tick, mido.Message("note_off", note=note, velocity=velocity, channel=channel)


def control(tick, number, value, channel=0):
    return tick, mido.Message("control_change", control=number, value=value, channel=channel)


def tempo(tick, microseconds):
    return tick, mido.MetaMessage("set_tempo", tempo=microseconds)


def write(path: Path, *tracks, kind: int = 1, division: int = PPQ) -> Path:
    """A file of tracks, each a list of events with their absolute ticks."""
    file = mido.MidiFile(type=kind, ticks_per_beat=division)
    for events in tracks:
        last, track = 0, mido.MidiTrack()
        for tick, message in events:
            track.append(message.copy(time=tick - last))
            last = tick
        file.tracks.append(track)
    file.save(path)
    return path


@pytest.fixture
def notes(tmp_path):
    """The notes of some tracks as (onset, length, number)."""

    def notes(*tracks, **options):
        score = read_midi(write(tmp_path / "a.mid", *tracks, **options))
        return [(note.onset_s, note.seconds, note.number) for note in score.notes]

    return notes


def test_a_note_has_its_time_key_velocity_and_channel(tmp_path):
    path = write(tmp_path / "a.mid", [on(480, 60, 100, channel=3), off(720, 60, channel=3)])
    score = read_midi(path)
    assert score.notes == (MidiNote(onset_s=0.5, number=60, seconds=0.25, velocity=100, channel=4),)
    assert score.seconds == 0.75


def test_key_69_is_a_at_440_hertz_and_twelve_keys_are_an_octave():
    keys = {number: MidiNote(0.0, number, 1.0, 64, 1).pitch_hz for number in (57, 60, 69, 81)}
    assert (keys[57], keys[69], keys[81]) == (220.0, 440.0, 880.0)
    assert keys[60] == pytest.approx(261.6256, abs=1e-4)  # the tables' middle C has four decimals


def test_a_tempo_counts_from_where_it_stands_in_whichever_track(notes):
    melody = [on(0, 60), off(480, 60), on(960, 62), off(1440, 62)]
    conductor = [tempo(480, 1_000_000), tempo(1200, 250_000)]
    # 0.5 s, then a second per quarter until tick 1200, then a quarter of a second.
    expected = [(0.0, 0.5, 60), (1.5, 0.5 + 0.125, 62)]
    assert notes(conductor, melody) == notes(melody, conductor) == expected


def test_times_do_not_drift_over_an_hour_of_odd_tempos(notes):
    changes = [tempo(tick, 333_333 if tick % 2 else 666_667) for tick in range(5_000)]
    onset = 7_200 * PPQ
    # Each tempo holds for every other tick, and the last one to the end.
    expected = (2_500 * 666_667 + 2_499 * 333_333 + (onset - 4_999) * 333_333) / (PPQ * 1_000_000)
    assert notes(changes, [on(onset, 60), off(onset + 1, 60)])[0][0] == expected


def test_a_key_down_of_velocity_0_is_a_key_up(notes):
    assert notes([on(0, 60), on(480, 60, velocity=0), on(960, 60), off(1440, 60)]) == [
        (0.0, 0.5, 60),
        (1.0, 0.5, 60),
    ]


def test_a_release_velocity_and_other_controllers_change_nothing(notes):
    plain = [on(0, 60), off(480, 60)]
    busy = [control(0, 1, 127), control(0, 66, 127), on(0, 60), control(240, 1, 0), off(480, 60, velocity=64)]
    assert notes(busy) == notes(plain)


def test_of_a_key_struck_twice_the_older_note_ends_first(notes):
    assert notes([on(0, 60), on(480, 60), off(720, 60), off(1440, 60)]) == [
        (0.0, 0.75, 60),
        (0.5, 1.0, 60),
    ]


def test_a_repeated_key_whose_events_share_a_tick_is_two_notes_in_either_order(notes):
    expected = [(0.0, 0.5, 60), (0.5, 0.5, 60)]
    assert notes([on(0, 60), off(480, 60), on(480, 60), off(960, 60)]) == expected
    assert notes([on(0, 60), on(480, 60), off(480, 60), off(960, 60)]) == expected


@pytest.mark.parametrize(("value", "end_s"), [(63, 0.5), (64, 1.0), (127, 1.0)])
def test_the_pedal_holds_notes_from_64_on(notes, value, end_s):
    played = notes([control(0, 64, value), on(0, 60), off(480, 60), control(960, 64, 0)])
    assert played == [(0.0, end_s, 60)]


def test_the_pedal_is_of_a_channel_in_all_tracks(notes):
    pedal = [control(0, 64, 127), control(960, 64, 0)]
    same, other = [on(0, 60), off(480, 60)], [on(0, 62, channel=1), off(480, 62, channel=1)]
    assert notes(pedal, same, other) == [(0.0, 1.0, 60), (0.0, 0.5, 62)]


def test_a_sustained_key_that_is_struck_again_ends_where_it_is_struck(notes):
    events = [control(0, 64, 127), on(0, 60), off(240, 60), on(480, 60), off(720, 60), control(960, 64, 0)]
    assert notes(events) == [(0.0, 0.5, 60), (0.5, 0.5, 60)]


def test_a_key_that_is_still_down_when_the_pedal_comes_up_goes_on(notes):
    assert notes([control(0, 64, 127), on(0, 60), control(240, 64, 0), off(480, 60)]) == [(0.0, 0.5, 60)]


def test_what_is_not_ended_ends_with_the_file_and_a_stray_end_is_no_note(notes):
    unfinished = [off(0, 61), on(0, 60), control(480, 64, 127), on(480, 62), off(720, 62), off(1440, 70)]
    assert notes(unfinished) == [(0.0, 1.5, 60), (0.5, 1.0, 62)]


def test_a_key_up_in_one_track_ends_no_note_of_another(notes):
    assert notes([on(0, 60), off(960, 60)], [off(480, 60)]) == [(0.0, 1.0, 60)]


def test_film_frames_have_no_tempo(tmp_path):
    for code, per_second in ((24, 24.0), (25, 25.0), (29, 30_000 / 1_001), (30, 30.0)):
        division = struct.unpack(">h", bytes([256 - code, 40]))[0]
        events = [tempo(0, 1_000_000), on(1_000, 60), off(2_000, 60)]
        (note,) = read_midi(write(tmp_path / "a.mid", events, division=division)).notes
        assert note.onset_s == pytest.approx(1_000 / (40 * per_second), rel=1e-15)


@pytest.mark.parametrize("microseconds", [0, 1, 9_999])
def test_a_tempo_that_no_music_has_is_refused(tmp_path, microseconds):
    path = write(tmp_path / "a.mid", [tempo(0, microseconds), on(0, 60), off(480, 60)])
    for read in (read_midi, read_movements):
        with pytest.raises(
            MidiError, match=f"a tempo of {microseconds} microseconds a beat; takes 10,000 or more"
        ):
            read(path)
    write(path, [tempo(0, 10_000), on(0, 60), off(480, 60)])
    assert read_midi(path).seconds == pytest.approx(0.01)


def test_running_status_is_understood(tmp_path):
    events = bytes([0x00, 0x90, 60, 64, 0x60, 60, 0, 0x00, 62, 64, 0x60, 62, 0, 0x00, 0xFF, 0x2F, 0x00])
    header = b"MThd" + struct.pack(">Lhhh", 6, 0, 1, 0x60)
    path = tmp_path / "a.mid"
    path.write_bytes(header + b"MTrk" + struct.pack(">L", len(events)) + events)
    assert [(note.onset_s, note.seconds) for note in read_midi(path).notes] == [(0.0, 0.5), (0.5, 0.5)]


def test_drums_are_read_but_are_not_melodic(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 36, channel=9), off(10, 36, channel=9), on(10, 60), off(20, 60)])
    score = read_midi(path)
    assert [note.number for note in score.notes] == [36, 60]
    assert [note.number for note in score.melodic] == [60]


def ruined(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


HEADER = b"MThd" + struct.pack(">Lhhh", 6, 1, 1, PPQ)
BAD = {
    "an empty file": lambda path: ruined(path, b""),
    "not a MIDI file": lambda path: ruined(path, b"these are words"),
    "cut short": lambda path: ruined(path, write(path, [on(0, 60), off(480, 60)]).read_bytes()[:-9]),
    "no MTrk": lambda path: ruined(path, HEADER + b"XXXX" + struct.pack(">L", 0)),
    "ticks have no length": lambda path: write(path, [on(0, 60), off(480, 60)], division=0),
    "takes 0 or 1": lambda path: write(path, [on(0, 60), off(480, 60)], kind=2),
    "without notes": lambda path: write(path, [control(0, 64, 127)]),
    "cannot be read": lambda path: path.mkdir() or path,
    "No such file": lambda path: path,
}


@pytest.mark.parametrize("said", BAD)
def test_a_file_that_cannot_be_played_is_one_line_that_names_it(tmp_path, said):
    path = BAD[said](tmp_path / "bad.mid")
    with pytest.raises(MidiError, match=said) as caught:
        read_midi(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_damage_to_a_file_is_read_or_refused_in_one_line(tmp_path):
    whole = write(
        tmp_path / "a.mid", [tempo(0, 400_000), on(0, 60), off(480, 60), control(480, 64, 1)]
    ).read_bytes()
    messages = []
    for place in range(4, len(whole)):
        for value in (0x00, 0x7F, 0x80, 0xFF):
            path = ruined(tmp_path / "b.mid", whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_midi(path)
            except MidiError as error:
                messages.append(str(error))
    assert len(messages) > 20  # the damage does reach the reader
    assert not [message for message in messages if "\n" in message]
