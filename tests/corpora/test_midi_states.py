"""Laws of the MIDI states: which key is down in which two milliseconds, worked out by hand."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from performances import control, make_maestro, off, on, tempo, write_midi

from retimbre.core.errors import MidiError
from retimbre.corpora.maestro.midi_states import PEDAL, Course, PianoStates, PieceReader, read_piano
from retimbre.data.dataset import RecordedSet
from retimbre.data.midi import Movement, read_movements
from retimbre.workflows.dataset.performances import import_performances

STATE_S = Fraction(1, 500)
MIDDLE_C = 60 - 21


@pytest.fixture
def states(tmp_path):
    """The first states of some tracks, 2 ms each; a tick is 1/960 s until a tempo says otherwise."""

    def states(*tracks, num_states=1000):
        movements = read_piano(write_midi(tmp_path / "a.mid", *tracks))
        return Course.of(movements, STATE_S).window(0, num_states)

    return states


def spans(column):
    """Where a column changes, and to what."""
    changes = np.flatnonzero(np.diff(column.astype(int), prepend=0))
    return [(int(state), int(column[state])) for state in changes]


def test_a_key_is_down_from_the_state_whose_end_lies_after_it_until_it_comes_up(states):
    # 96 ticks are 0.1 s, the end of state 49 and the beginning of state 50; 97 ticks lie inside state 50.
    found = states([on(96, 60, 100), off(480, 60), on(97, 61, 90), off(480, 61)])
    assert spans(found[:, MIDDLE_C]) == [(50, 100), (250, 0)]
    assert spans(found[:, MIDDLE_C + 1]) == [(50, 90), (250, 0)]
    assert found[:, :MIDDLE_C].max() == 0


def test_a_change_of_tempo_moves_what_follows_it(states):
    # Half a second at the default tempo, then a quarter note a second: the key-up comes a whole second later.
    found = states([tempo(480, 1_000_000)], [on(0, 60, 100), off(960, 60)])
    assert spans(found[:, MIDDLE_C]) == [(0, 100), (750, 0)]


def test_only_controller_64_is_the_pedal(states):
    found = states(
        [control(96, 64, 90), control(192, 1, 127), control(288, 67, 40), control(480, 64, 0), on(0, 60)]
    )
    assert spans(found[:, PEDAL]) == [(50, 90), (250, 0)]


def test_a_release_velocity_does_not_press_the_key(states):
    found = states([on(96, 60, 100), off(192, 60, velocity=64)])
    assert spans(found[:, MIDDLE_C]) == [(50, 100), (100, 0)]


def test_a_key_down_of_velocity_0_is_a_key_up(states):
    found = states([on(96, 60, 100), on(192, 60, 0)])
    assert spans(found[:, MIDDLE_C]) == [(50, 100), (100, 0)]


def test_notes_on_the_third_track_count(states):
    found = states([], [tempo(0, 500_000)], [on(96, 60, 100), off(192, 60)])
    assert spans(found[:, MIDDLE_C]) == [(50, 100), (100, 0)]


def test_a_key_that_is_lifted_and_struck_again_at_once_is_seen_to_come_up(states):
    # Within 2 ms: ticks 193 and 193.9 are both in state 100.
    found = states([on(96, 60, 100), off(193, 60), on(193, 60, 100), off(480, 60)])
    assert spans(found[:, MIDDLE_C]) == [(50, 100), (100, 0), (101, 100), (250, 0)]


def test_a_note_shorter_than_a_state_is_seen(states):
    found = states([on(96, 60, 100), off(96, 60), on(480, 61)])
    assert spans(found[:, MIDDLE_C]) == [(50, 100), (51, 0)]


def test_of_the_pedal_the_last_movement_within_a_state_counts(states):
    found = states([on(0, 60), control(96, 64, 90), control(96, 64, 70)])
    assert spans(found[:, 88]) == [(50, 70)]


def test_keys_beyond_the_piano_and_drums_have_no_place(states):
    found = states([on(0, 20, 100), on(0, 109, 100), on(0, 60, 90, channel=9), on(0, 21, 80), on(0, 108, 70)])
    assert found.max(axis=0).nonzero()[0].tolist() == [0, 87]


def test_a_file_is_refused_if_no_key_of_a_piano_goes_down(tmp_path):
    with pytest.raises(MidiError, match="without notes"):
        read_piano(write_midi(tmp_path / "a.mid", [control(0, 64, 90), on(0, 60, 0)]))
    with pytest.raises(MidiError, match="keys 21 to 108"):
        read_piano(write_midi(tmp_path / "b.mid", [on(0, 60, 90, channel=9), on(0, 110)]))


def test_movements_are_given_in_order_of_time_with_key_ups_at_value_0(tmp_path):
    path = write_midi(tmp_path / "a.mid", [off(480, 60, velocity=64)], [on(240, 60, 100, channel=2)])
    assert read_movements(path) == (
        Movement(Fraction(1, 4), 60, 100, 3),
        Movement(Fraction(1, 2), 60, 0, 1),
    )


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(21, 24), st.integers(0, 127)), max_size=30).filter(
        lambda moves: any(velocity for _, _, velocity in moves)
    )
)
def test_a_state_shows_the_movements_before_its_end_one_a_key_and_state(moves):
    """Told state by state: what has happened waits in a line for each key, which moves by one."""
    moves = sorted(moves, key=lambda move: move[0])
    movements = [Movement(Fraction(tick, 960), key, velocity, 1) for tick, key, velocity in moves]
    found = Course.of(movements, STATE_S).window(0, 150)
    lines: list[list[int]] = [[0] for _ in range(4)]
    for state in range(150):
        while moves and 500 * moves[0][0] < 960 * (state + 1):  # both sides in units of 1/480,000 s
            _, key, velocity = moves.pop(0)
            if velocity != lines[key - 21][-1]:  # else the key did not move
                lines[key - 21].append(velocity)
        lines = [line[1:] if len(line) > 1 else line for line in lines]
        expected = [line[0] for line in lines]
        assert found[state, :4].tolist() == expected
    assert found[:, 4:].max() == 0


def test_chunks_of_a_piece_laid_side_by_side_are_its_states(tmp_path):
    path = write_midi(
        tmp_path / "a.mid", [on(96, 60, 100), off(4800, 60), on(4000, 72, 30), control(2000, 64, 77)]
    )
    reader = PieceReader(num_samples=16_384, sample_rate=16_000)
    chunks = np.concatenate([reader.states(path, chunk) for chunk in range(6)])
    np.testing.assert_array_equal(chunks, Course.of(read_piano(path), STATE_S).window(0, 6 * 512))


def test_a_window_has_the_states_of_the_whole_piece_wherever_it_begins(tmp_path):
    path = write_midi(
        tmp_path / "a.mid", [on(96, 60, 100), off(500, 60), on(900, 60, 30), control(96, 64, 77)]
    )
    course = Course.of(read_piano(path), STATE_S)
    whole = course.window(0, 600)
    for first in range(0, 500, 7):
        np.testing.assert_array_equal(course.window(first, 100), whole[first : first + 100])


def test_a_reader_holds_no_more_states_than_a_chunk_however_late_that_is(tmp_path):
    path = write_midi(tmp_path / "a.mid", [on(0, 60, 100), off(480 * 12_000, 60)])
    reader = PieceReader(num_samples=16_384, sample_rate=16_000)
    tracemalloc.start()
    last = reader.states(path, 6000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert last.max() == 0
    # All states until there are 273 MB; a chunk is 46 kB, and the file and its movements little more.
    assert most < 2**20


def test_a_file_whose_end_is_days_away_is_refused(tmp_path):
    # The largest step that a MIDI file can write: 268,435,455 ticks of 1/960 s.
    path = write_midi(tmp_path / "a.mid", [on(0, 60, 100), off(0x0FFFFFFF, 60)])
    with pytest.raises(MidiError, match="lasts 279,620 s; takes at most 14,400"):
        read_piano(path)


def test_the_states_of_a_long_piece_do_not_drift(tmp_path):
    # A quarter note of 333,333 us has ticks of no even fraction; hour and minutes later the sum is still exact.
    events = [tempo(0, 333_333), on(480 * 12_000, 60, 100)]
    movements = read_piano(write_midi(tmp_path / "a.mid", events))
    seconds = Fraction(333_333 * 12_000, 1_000_000)
    assert movements[0].at_s == seconds
    state = int(seconds / STATE_S)
    found = Course.of(movements, STATE_S).window(0, state + 1)
    assert found[:, MIDDLE_C].nonzero()[0].tolist() == [state]


def test_history_is_the_chunk_before_and_zeros_at_the_beginning_of_each_piece(tmp_path):
    import_performances(make_maestro(tmp_path / "raw"), tmp_path / "set")
    data, states = RecordedSet.open(tmp_path / "set"), PianoStates.open(tmp_path / "set")
    rows = torch.arange(len(data))
    now, history = states.read(rows), states.with_history(rows)
    assert history.shape == (len(data), 1024, 89)
    torch.testing.assert_close(history[:, 512:], now, rtol=0, atol=0)
    first = torch.tensor([clip.start_s == 0 for clip in data.clips])
    assert history[first, :512].abs().max() == 0
    torch.testing.assert_close(history[~first, :512], now[rows[~first] - 1], rtol=0, atol=0)
    assert now.max() == pytest.approx(100 / 127)
