"""Pieces that are drawn can be played on a piano, and differ."""

import itertools
from fractions import Fraction

import mido
import pytest
import torch
from tiny_soundfont import write_tiny_soundfont

from retimbre.core.errors import ConfigError
from retimbre.corpora.performances.performer import perform, write_performance
from retimbre.corpora.performances.score import HIGHEST, LOWEST, TICKS_PER_SECOND, draw_piece
from retimbre.corpora.soundfont.player import FluidSynthPlayer
from retimbre.data.midi import Movement, read_midi, read_movements
from retimbre.dsp.level import is_silent
from retimbre.dsp.onsets import find_onsets

SECONDS = 20.0


@pytest.mark.parametrize("number", range(6))
def test_a_piece_can_be_played(number):
    movements = draw_piece(0, number, SECONDS)
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(movements))
    assert movements[-1].at_s <= SECONDS
    down = set()
    for movement in movements:
        if movement.key is None:
            assert 0 <= movement.value <= 127
        elif movement.value:
            assert LOWEST <= movement.key <= HIGHEST
            assert movement.key not in down
            down.add(movement.key)
        else:
            down.remove(movement.key)
    assert not down
    pedal = [movement.value for movement in movements if movement.key is None]
    assert not pedal or pedal[-1] == 0


def test_pieces_have_chords_runs_and_dynamics():
    notes = [
        each for number in range(8) for each in draw_piece(0, number, SECONDS) if each.key and each.value
    ]
    assert 3 < len(notes) / (8 * SECONDS) < 25  # strokes a second
    assert max(each.value for each in notes) - min(each.value for each in notes) > 60
    assert len({each.key for each in notes}) > 40


def test_a_piece_follows_from_seed_and_number_alone():
    assert draw_piece(3, 7, SECONDS) == draw_piece(3, 7, SECONDS)
    assert draw_piece(3, 7, SECONDS) != draw_piece(3, 8, SECONDS)
    assert draw_piece(3, 7, SECONDS) != draw_piece(4, 7, SECONDS)
    with pytest.raises(ConfigError, match=r"lasts 0\.5 s, but takes 1 or more"):
        draw_piece(0, 0, 0.5)


def test_what_is_written_is_what_is_read(tmp_path):
    movements = draw_piece(0, 1, SECONDS)
    write_performance(tmp_path / "a.mid", movements)
    assert read_movements(tmp_path / "a.mid") == movements
    assert isinstance(mido.MidiFile(tmp_path / "a.mid").ticks_per_beat, int)


@pytest.mark.fluidsynth
def test_a_piece_sounds_where_its_keys_go_down(tmp_path):
    font = write_tiny_soundfont(tmp_path / "tiny.sf2", programs=(0,))
    moments = (0.5, 1.2)
    movements = [
        Movement(Fraction(round(at_s * TICKS_PER_SECOND), TICKS_PER_SECOND), 60, value, 1)
        for start_s in moments
        for at_s, value in ((start_s, 100), (start_s + 0.3, 0))
    ]
    with FluidSynthPlayer(font, 16_000) as player:
        sound = perform(player, movements, 32_000)
        assert torch.equal(sound, perform(player, movements, 32_000))
    assert len(sound) == 32_000
    assert is_silent(sound[: 16_000 // 2 - 64])
    found = find_onsets(sound, 16_000) / 16_000
    assert len(found) == 2
    assert (found - torch.tensor(moments)).abs().max() < 0.03


@pytest.mark.fluidsynth
def test_the_pedal_holds_what_the_keys_let_go(tmp_path):
    font = write_tiny_soundfont(tmp_path / "tiny.sf2", programs=(0,))
    note = [Movement(Fraction(0), 60, 100, 1), Movement(Fraction(1, 4), 60, 0, 1)]
    pedal = Movement(Fraction(0), None, 127, 1)
    with FluidSynthPlayer(font, 16_000) as player:
        held, free = (perform(player, each, 16_000)[-4_000:] for each in ([pedal, *note], note))
    assert held.abs().max() > 0.05
    assert free.abs().max() < 0.2 * held.abs().max()


def test_a_piece_of_a_file_has_notes_of_the_whole_piece(tmp_path):
    write_performance(tmp_path / "a.mid", draw_piece(0, 2, SECONDS))
    score = read_midi(tmp_path / "a.mid")
    assert score.notes[-1].onset_s > SECONDS - 3
