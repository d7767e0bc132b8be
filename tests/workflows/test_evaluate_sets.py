"""Sets of clips: files that become rows, what is told of them, and the key that names their content."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from retimbre.core.errors import AudioError, ConfigError, DatasetError
from retimbre.data.folder import Cutting
from retimbre.dsp import audiofile
from retimbre.workflows.dataset.recordings import import_folder
from retimbre.workflows.evaluation.sets.clips import (
    About,
    ChosenClips,
    ClipLabels,
    ClipOptions,
    HeldClips,
    TransformedClips,
    open_clips,
)
from retimbre.workflows.evaluation.sets.pairing import pair_remarks
from retimbre.workflows.evaluation.sets.spool import spooled

RATE = 8_000
QUARTER = ClipOptions(sample_rate=RATE, seconds=0.25)
SAMPLES = 2_000


def tone(pitch_hz: float, seconds: float = 0.25, rate: int = RATE) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * pitch_hz * torch.arange(round(seconds * rate)) / rate)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five tones of a quarter of a second."""
    for number in range(5):
        audiofile.write(tmp_path / f"set/tone_{60 + number:03d}.wav", tone(220.0 + 40 * number), RATE)
    return tmp_path / "set"


def test_a_clip_is_its_file_cut_or_followed_by_zeros(folder: Path) -> None:
    whole = open_clips(folder, QUARTER).audio([1])[0]
    assert torch.equal(whole, tone(260.0))
    cut = open_clips(folder, ClipOptions(RATE, seconds=0.125))
    padded = open_clips(folder, ClipOptions(RATE, seconds=0.5))
    assert torch.equal(cut.audio([1])[0], whole[:1_000])
    assert torch.equal(padded.audio([1])[0], torch.cat([whole, torch.zeros(SAMPLES)]))
    assert cut.remarks == ("5 of 5 clips are longer, and cut (0.125 s)",)
    assert padded.remarks == ("5 of 5 clips are shorter, and followed by zeros (0.5 s)",)


def test_no_length_means_that_of_the_longest_file(folder: Path) -> None:
    audiofile.write(folder / "long.wav", tone(100.0, 0.75), RATE)
    clips = open_clips(folder, ClipOptions(RATE, seconds=0))
    assert clips.num_samples == 6_000
    assert clips.remarks[0].startswith("5 of 6 clips are shorter, and followed by zeros (0.75 s)")


def test_a_clip_is_the_same_with_whichever_others_it_is_read(folder: Path) -> None:
    clips = open_clips(folder, QUARTER)
    together = clips.audio(range(5))
    for row in range(5):
        assert torch.equal(clips.audio([row])[0], together[row])
    assert torch.equal(clips.audio([4, 0]), together[[4, 0]])


def test_the_key_names_the_sounds_and_not_the_folder(folder: Path, tmp_path: Path) -> None:
    key = open_clips(folder, QUARTER).key
    shutil.copytree(folder, tmp_path / "copy")
    assert open_clips(tmp_path / "copy", QUARTER).key == key
    assert HeldClips("held", open_clips(folder, QUARTER).audio(range(5)), RATE).key == key
    other = tone(220.0)
    other[1_000] += 2.0**-20
    audiofile.write(tmp_path / "copy/tone_060.wav", other, RATE)
    keys = {
        key,
        open_clips(tmp_path / "copy", QUARTER).key,
        open_clips(folder, ClipOptions(RATE, seconds=0.2)).key,
        open_clips(folder, ClipOptions(16_000, seconds=0.25)).key,
        open_clips(folder, ClipOptions(RATE, seconds=0.25, most=4)).key,
    }
    assert len(keys) == 5


def test_files_that_cannot_be_used_are_named_and_the_rest_is_taken(folder: Path) -> None:
    (folder / "text.wav").write_text("not a sound")
    (folder / "empty.flac").touch()
    soundfile.write(folder / "nan.wav", np.full(SAMPLES, np.nan, np.float32), RATE, subtype="FLOAT")
    soundfile.write(folder / "inf.wav", np.full(SAMPLES, np.inf, np.float32), RATE, subtype="FLOAT")
    clips = open_clips(folder, QUARTER)
    assert len(clips) == 5
    assert [Path(line.partition(":")[0]).name for line in clips.passed_over] == [
        "empty.flac", "inf.wav", "nan.wav", "text.wav",
    ]  # fmt: skip
    assert clips.remarks[0].startswith("4 of 9 files cannot be used and were passed over")


def test_silent_clips_stay_and_are_told(folder: Path) -> None:
    audiofile.write(folder / "tone_070.wav", torch.zeros(SAMPLES), RATE)
    clips = open_clips(folder, QUARTER)
    assert len(clips) == 6
    assert clips.remarks == (
        "1 of 6 clips is silent: nothing in it rises above -80 dB of full scale: tone_070.wav",
    )


def test_several_channels_other_rates_and_repetitions_are_told(folder: Path) -> None:
    stereo = torch.stack([tone(300.0, rate=4_000), tone(330.0, rate=4_000)], dim=1)
    soundfile.write(folder / "tone_080.wav", stereo.numpy(), 4_000)
    shutil.copy(folder / "tone_060.wav", folder / "tone_090.wav")
    clips = open_clips(folder, QUARTER)
    assert clips.about.source_rates == (4_000, RATE)
    assert clips.remarks == (
        "1 of 7 clips is of several channels, mixed to one: tone_080.wav",
        "1 of 7 clips is of 4000 Hz, resampled to 8000 Hz: nothing in it lies above 2000 Hz",
        "1 of 7 clips repeat another one sample by sample",
    )


def test_fewer_clips_are_an_even_draw_that_the_seed_decides(folder: Path) -> None:
    def names(seed: int) -> tuple[str, ...]:
        return open_clips(folder, ClipOptions(RATE, 0.25, most=3, seed=seed)).names

    assert names(0) == names(0) == tuple(sorted(names(0)))
    # Of ten possible draws, twenty seeds find more than one but for a chance of 1e-19.
    assert len({names(seed) for seed in range(20)}) > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: None, "no such folder"),
        (lambda place: place.mkdir(), "no sound files in"),
        (lambda place: (place.mkdir(), (place / "notes.txt").write_text("text")), "no sound files in"),
        (
            lambda place: (place.mkdir(), (place / "a.wav").write_text("text")),
            "none of 1 sound files can be used",
        ),
    ],
)
def test_a_folder_without_sounds_is_named(make, message: str, tmp_path: Path) -> None:
    make(tmp_path / "place")
    with pytest.raises(AudioError, match=message) as raised:
        open_clips(tmp_path / "place", QUARTER)
    assert str(tmp_path / "place") in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [{"sample_rate": 10}, {"seconds": -1.0}, {"seconds": 3_600.0}, {"seconds": float("nan")}, {"most": -1}],
)
def test_options_that_no_set_has_are_refused(options) -> None:
    with pytest.raises(ConfigError):
        ClipOptions(**options)


def test_a_file_that_changes_after_the_set_was_opened_is_not_read(folder: Path) -> None:
    clips = open_clips(folder, QUARTER)
    audiofile.write(folder / "tone_062.wav", tone(111.0), RATE)
    with pytest.raises(AudioError, match=r"tone_062.wav: changed while it was being measured"):
        clips.audio([1, 2])


def test_labels_come_from_the_list_of_a_corpus(folder: Path) -> None:
    audio = folder.parent / "corpus/audio"
    shutil.copytree(folder, audio)
    entries = {
        f"tone_{60 + number:03d}": {
            "pitch": 60 + number, "velocity": 100, "instrument_str": f"reed_acoustic_{number // 2:03d}",
            "instrument_family_str": "reed", "instrument_source_str": "acoustic",
        }
        for number in range(5)
    }  # fmt: skip
    (audio.parent / "examples.json").write_text(json.dumps(entries))
    for place in (audio.parent, audio):
        labels = open_clips(place, QUARTER).labels
        assert labels.pitch == (60, 61, 62, 63, 64)
        assert labels.velocity == (100,) * 5
        assert labels.family == ("reed",) * 5
        assert len(set(labels.instrument)) == 3
    (audio.parent / "examples.json").write_text("[]")
    with pytest.raises(DatasetError, match="not NSynth's"):
        open_clips(audio, QUARTER)


def test_labels_come_from_names(folder: Path) -> None:
    labels = open_clips(folder, QUARTER).labels
    assert labels == ClipLabels(pitch=(60, 61, 62, 63, 64), instrument=("tone",) * 5)
    (folder / "tone_060.wav").rename(folder / "synth_lead_synthetic_012-035-127.wav")
    for number in range(61, 65):
        (folder / f"tone_{number:03d}.wav").unlink()
    labels = open_clips(folder, QUARTER).labels
    assert labels == ClipLabels((35,), (127,), ("synth_lead",), ("synth_lead_synthetic_012",))


def test_the_last_two_numbers_of_a_name_are_pitch_and_velocity(folder: Path) -> None:
    for number in range(60, 65):
        (folder / f"tone_{number:03d}.wav").rename(folder / f"take{number}_bass-{number:03d}-050.wav")
    labels = open_clips(folder, QUARTER).labels
    instruments = tuple(f"take{number}_bass" for number in range(60, 65))
    assert labels == ClipLabels(tuple(range(60, 65)), (50,) * 5, instrument=instruments)


def test_a_label_of_some_clips_only_is_left_out_and_told(folder: Path) -> None:
    (folder / "tone_060.wav").rename(folder / "tone.wav")
    (folder / "tone_061.wav").rename(folder / "tone_200.wav")  # no MIDI number
    clips = open_clips(folder, QUARTER)
    assert clips.labels == ClipLabels()
    assert "the pitch of 2 of 5 clips is not known, so none is used" in clips.remarks


def test_a_choice_has_the_sounds_labels_and_names_of_its_rows(folder: Path) -> None:
    clips = open_clips(folder, QUARTER)
    chosen = ChosenClips(clips, "high", [4, 2, 2])
    assert torch.equal(chosen.audio([0, 1, 2]), clips.audio([4, 2, 2]))
    assert chosen.labels.pitch == (64, 62, 62)
    assert chosen.names == ("tone_064.wav", "tone_062.wav", "tone_062.wav")
    assert chosen.key == HeldClips("held", chosen.audio(range(3)), RATE).key
    assert ChosenClips(clips, "all", range(5)).key == clips.key
    with pytest.raises(ConfigError, match="takes at least one clip"):
        ChosenClips(clips, "none", [])


def test_an_effect_is_told_the_rows_and_has_a_key_of_its_own(folder: Path) -> None:
    clips = open_clips(folder, QUARTER)
    louder = TransformedClips(clips, "times row", lambda audio, rows: audio * torch.tensor(rows)[:, None])
    assert torch.equal(louder.audio([3])[0], 3 * clips.audio([3])[0])
    other = TransformedClips(clips, "other", lambda audio, rows: audio)
    again = TransformedClips(open_clips(folder, QUARTER), "times row", lambda audio, rows: audio)
    assert len({clips.key, louder.key, other.key}) == 3
    assert again.key == louder.key
    assert len({ChosenClips(louder, "a", [0]).key, ChosenClips(louder, "a", [1]).key, louder.key}) == 3


def test_held_clips_refuse_what_is_no_set() -> None:
    with pytest.raises(ConfigError, match="2 pitch for 3 clips"):
        HeldClips("held", torch.zeros(3, 8), RATE, ClipLabels(pitch=(60, 61)))
    with pytest.raises(ConfigError, match="at least one clip"):
        HeldClips("held", torch.zeros(0, 8), RATE)
    with pytest.raises(ConfigError, match="1 of 3 clips hold samples that are NaN or infinite"):
        HeldClips("held", torch.tensor([[0.0], [float("nan")], [1.0]]), RATE)


def test_sounds_on_disk_are_those_that_were_made() -> None:
    audio = torch.randn(5, 64, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    about = About("made", RATE, 64, tuple("abcde"))
    clips = spooled(about, audio.split(2), lambda: ("told at the end",))
    assert torch.equal(clips.audio([4, 0]), audio[[4, 0]])
    assert clips.key == HeldClips("held", audio, RATE).key
    assert clips.remarks == ("told at the end",)
    with pytest.raises(ConfigError, match="4 sounds for 5 names"):
        spooled(about, [audio[:4]])
    with pytest.raises(ConfigError, match="NaN or infinite"):
        spooled(about, [audio / 0.0])


def test_sets_of_two_rates_or_with_the_same_sounds_are_told(folder: Path, tmp_path: Path) -> None:
    clips = open_clips(folder, QUARTER)
    for number in range(5):
        audiofile.write(tmp_path / f"fine/{number}.wav", tone(200.0 + number, rate=16_000), 16_000)
    other = open_clips(tmp_path / "fine", QUARTER)
    assert any(
        "8000 Hz, those of the fake set at 16000 Hz" in remark for remark in pair_remarks(clips, other)
    )
    assert any("hold the same sounds" in remark for remark in pair_remarks(clips, clips))
    half = ChosenClips(clips, "half", [0, 1])
    assert "2 of 2 fake clips are also in the real set, sample by sample" in pair_remarks(clips, half)
    with pytest.raises(ConfigError, match="at one rate and length"):
        pair_remarks(clips, open_clips(folder, ClipOptions(RATE, seconds=0.5)))


def test_a_data_set_is_a_set_of_the_same_clips_as_the_files_it_was_made_of(folder: Path) -> None:
    place = folder.parent / "imported"
    import_folder([folder], place, Cutting(sample_rate=RATE, seconds=0.25))
    stored, files = open_clips(place, QUARTER), open_clips(folder, QUARTER)
    assert [name.removesuffix(".wav") for name in stored.names] == [
        name.removesuffix(".wav") for name in files.names
    ]
    # A set is stored in 16 bits or more: one part in 32,768.
    assert (stored.audio(range(5)) - files.audio(range(5))).abs().max() <= 1 / 32_767
    assert open_clips(place, dataclasses.replace(QUARTER, most=2)).names[0] in stored.names
    halved = open_clips(place, dataclasses.replace(QUARTER, seconds=0.125, sample_rate=2 * RATE))
    assert (halved.num_samples, len(halved)) == (RATE // 4, 5)
    assert any("longer, and cut" in remark for remark in halved.remarks)


def test_the_clips_of_a_data_set_are_half_a_minute_at_most_of_their_own_accord(tmp_path: Path) -> None:
    audiofile.write(tmp_path / "long/tone.wav", tone(220.0, 31.0), RATE)
    import_folder([tmp_path / "long"], tmp_path / "set", Cutting(sample_rate=RATE, seconds=31.0))
    clips = open_clips(tmp_path / "set", dataclasses.replace(QUARTER, seconds=0))
    assert clips.num_samples == 30 * RATE
    assert clips.num_samples == open_clips(tmp_path / "long", ClipOptions(RATE, seconds=0)).num_samples
