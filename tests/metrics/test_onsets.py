"""How well onsets agree."""

import pytest

from retimbre.metrics.onsets import agreements, apart, note_f1, onset_f1


def test_each_onset_counts_once_and_only_within_the_tolerance() -> None:
    assert agreements([1.0, 2.0], [1.05, 1.06, 2.2]) == 1
    assert agreements([1.0, 1.04], [1.02, 1.05]) == 2
    assert agreements([1.0, 1.08], [1.04]) == 1
    assert agreements([], [1.0]) == 0


def test_the_pairing_is_the_largest_there_is() -> None:
    # Nearest first would pair 1.0 with 1.03 and leave one alone on either side.
    assert agreements([1.0, 1.07], [0.96, 1.03]) == 2


def test_f1_counts_what_is_missing_and_what_is_too_much() -> None:
    assert onset_f1([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 1.0
    assert onset_f1([1.0, 2.0, 3.0], [1.0]) == pytest.approx(0.5)
    assert onset_f1([1.0], [1.0, 2.0, 3.0]) == pytest.approx(0.5)
    assert onset_f1([], []) == 1.0
    assert onset_f1([1.0], []) == 0.0


def test_a_chord_is_one_onset_of_several_notes() -> None:
    chord = [(1.0, 60), (1.01, 64), (1.02, 67)]
    assert apart(at_s for at_s, _ in chord) == [1.0]
    assert onset_f1((at_s for at_s, _ in chord), [1.01]) == 1.0
    assert note_f1(chord, chord) == 1.0
    assert note_f1(chord, [(1.0, 60)]) == pytest.approx(0.5)


def test_a_note_is_right_at_its_time_and_its_key() -> None:
    assert note_f1([(1.0, 60)], [(1.04, 60)]) == 1.0
    assert note_f1([(1.0, 60)], [(1.0, 61)]) == 0.0
    assert note_f1([(1.0, 60)], [(1.1, 60)]) == 0.0
