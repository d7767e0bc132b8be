import math
import sys

import pytest
import torch
from tiny_soundfont import write_tiny_soundfont

from retimbre.core.errors import ConfigError, DatasetError, MissingExtra
from retimbre.corpora.nsynth.entries import FAMILIES, SOURCES
from retimbre.corpora.soundfont import corpus, player
from retimbre.corpora.soundfont.corpus import SoundFontNotes, SoundFontSettings
from retimbre.corpora.soundfont.general_midi import PROGRAMS
from retimbre.dsp.level import is_silent
from retimbre.dsp.pitch import note_pitch

RATE = 16_000


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_soundfont(tmp_path / "tiny.sf2", programs=(0, 32, 73, 74, 75, 127))


def settings(path, **given):
    return SoundFontSettings(
        path=str(path), **{"seconds": 0.5, "lowest_pitch": 60, "highest_pitch": 72, **given}
    )


def test_general_midi_has_programs_of_every_family_and_each_once():
    numbers = [program.number for program in PROGRAMS]
    assert len(set(numbers)) == len(numbers)
    assert {program.family for program in PROGRAMS} == set(FAMILIES)
    assert {program.source for program in PROGRAMS} == set(SOURCES)


@pytest.mark.fluidsynth
def test_a_note_has_the_pitch_of_its_label_and_ends_after_the_key_comes_up(tiny):
    with SoundFontNotes(settings(tiny)) as source:
        entries, audio = source.entries(range(12)), source.audio(range(12))
    for entry, sound in zip(entries, audio, strict=True):
        expected_hz = 440 * 2 ** ((entry.pitch - 69) / 12)
        assert abs(1200 * math.log2(note_pitch(sound, RATE).pitch_hz / expected_hz)) < 3
        assert not is_silent(sound[: RATE // 4])
        assert is_silent(sound[-RATE // 50 :])


@pytest.mark.fluidsynth
def test_a_note_does_not_depend_on_those_played_before(tiny):
    with SoundFontNotes(settings(tiny)) as source:
        together = source.audio(range(20))
        assert torch.equal(source.audio([19, 3, 3]), together[[19, 3, 3]])
    with SoundFontNotes(settings(tiny)) as again:
        assert torch.equal(again.audio([7]), together[[7]])


@pytest.mark.fluidsynth
def test_a_harder_touch_is_louder(tiny):
    with SoundFontNotes(settings(tiny, velocities=(25, 127), families=("bass",))) as source:
        entries, audio = source.entries(range(len(source))), source.audio(range(len(source)))
    soft, loud = (
        max(
            float(sound.abs().max())
            for entry, sound in zip(entries, audio, strict=True)
            if entry.velocity == velocity
        )
        for velocity in (25, 127)
    )
    assert 20 * math.log10(loud / soft) > 15  # General MIDI's square law gives 28


@pytest.mark.fluidsynth
def test_only_programs_that_the_soundfont_has_and_nsynth_knows_are_played(tiny):
    with SoundFontNotes(settings(tiny)) as source:
        assert [program.number for program in source.programs] == [0, 32, 73, 74, 75]
        names = {entry.name for entry in source.entries(range(len(source)))}
        assert len(names) == len(source) == 5 * 13 * 5


@pytest.mark.fluidsynth
def test_a_family_s_last_program_tests_and_the_one_before_validates(tiny):
    with SoundFontNotes(settings(tiny)) as source:
        parts = {entry.instrument_name: entry.part for entry in source.entries(range(len(source)))}
    assert parts["flute_acoustic_073"] == "train"
    assert parts["flute_acoustic_074"] == "valid"
    assert parts["flute_acoustic_075"] == "test"
    assert parts["keyboard_acoustic_000"] == "train"  # the only one of its family


@pytest.mark.fluidsynth
def test_a_corpus_is_known_by_the_soundfont_s_content_and_not_by_its_place(tiny, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    moved = write_tiny_soundfont(tmp_path / "elsewhere" / "other.sf2", programs=(0, 32, 73, 74, 75, 127))
    changed = write_tiny_soundfont(tmp_path / "changed.sf2", programs=(0, 32))
    about = []
    for path in (tiny, moved, changed):
        with SoundFontNotes(settings(path)) as source:
            about.append(source.about)
    assert about[0] == about[1] != about[2]
    assert "nobody" in about[0]["licence"]


@pytest.mark.fluidsynth
def test_the_licence_of_fluid_r3_is_known(tmp_path):
    with SoundFontNotes(settings(write_tiny_soundfont(tmp_path / "f.sf2", name="Fluid R3 GM"))) as source:
        assert source.about["licence"].startswith("MIT")


@pytest.mark.fluidsynth
def test_a_soundfont_without_a_wanted_program_is_one_line(tiny):
    with pytest.raises(DatasetError, match="no General MIDI program of vocal"):
        SoundFontNotes(settings(tiny, families=("vocal",)))


@pytest.mark.fluidsynth
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[: len(content) // 2], "cut short"),
        (lambda content: b"RIFF\0\0\0\0WAVE" + content[12:], "not a SoundFont"),
        (lambda content: b"", "not a SoundFont"),
        (lambda content: content[:12] + b"\0" * (len(content) - 12), "but has nothing"),
    ],
)
def test_a_damaged_or_foreign_file_is_one_line_that_names_it(tiny, capfd, damage, said):
    tiny.write_bytes(damage(tiny.read_bytes()))
    with pytest.raises(DatasetError, match=said) as caught:
        SoundFontNotes(settings(tiny))
    assert str(tiny) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # FluidSynth itself would report to the terminal


@pytest.mark.fluidsynth
def test_a_missing_soundfont_says_what_to_give_or_install(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match="cannot be read"):
        SoundFontNotes(settings(tmp_path / "none.sf2"))
    monkeypatch.setattr(corpus, "_USUAL_PLACES", ())
    with pytest.raises(DatasetError, match=r"--soundfont FILE\.sf2 or install one"):
        SoundFontNotes(settings(""))


def test_without_the_library_the_extra_and_the_package_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(MissingExtra, match=r"libfluidsynth3.*retimbre\[soundfont\]"):
        player.load_library()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"families": ("basss",)}, "did you mean 'bass'"),
        ({"velocities": ()}, "velocities"),
        ({"seconds": 0}, "seconds"),
        ({"sample_rate": 4_000}, "FluidSynth takes 8,000"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(given, said):
    with pytest.raises(ConfigError, match=said):
        SoundFontSettings(**given)
