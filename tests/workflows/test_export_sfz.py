"""Laws of instruments: a sampler that follows the format plays them in tune, equally loud and without clicks."""

import dataclasses
import json
import math
import struct
from pathlib import Path

import pytest
import torch
from small_generators import generator_file
from small_sampler import played, region_of
from tiny_soundfont import LoopedWave, write_tiny_soundfont
from torch import Tensor

from retimbre.core.errors import (
    AudioError,
    CheckpointError,
    ConfigError,
    ExistsError,
    PatchError,
    RetimbreError,
)
from retimbre.corpora.soundfont.player import FluidSynthPlayer
from retimbre.dsp import audiofile
from retimbre.dsp.loudness import loudness_lufs
from retimbre.dsp.pitch import note_pitch
from retimbre.synth.patches import save_patch
from retimbre.workflows.export.sfz.export import SfzOptions, export_sfz
from retimbre.workflows.export.sfz.keyboard import layers, switches, zones
from retimbre.workflows.export.sfz.looped import sample_of, seam
from retimbre.workflows.export.sfz.opcodes import OPCODES, problems
from retimbre.workflows.render import default_patch

RATE = 16_000
PAGE = Path(__file__).resolve().parents[2] / "docs" / "instruments.md"


def tone(pitch_hz: float, seconds: float = 1.0, falls_db_per_s: float = 0.0, rate: int = RATE) -> Tensor:
    """Four harmonics with a short attack."""
    time_s = torch.arange(round(seconds * rate)) / rate
    wave = torch.stack([torch.sin(2 * math.pi * k * pitch_hz * time_s + k) / k for k in range(1, 5)]).sum(0)
    attack = (time_s / 0.02).clamp(0.0, 1.0)
    return 0.2 * attack * wave * 10.0 ** (-falls_db_per_s * time_s / 20.0)


def cents_off(samples: Tensor, rate: int, key: float) -> float:
    return 1200 * math.log2(note_pitch(samples, rate).pitch_hz / 440.0) - 100.0 * (key - 69)


def saved_patch(folder: Path, synth: str = "subtractive") -> Path:
    # It neither decays nor beats, so that there is one level and one pitch to speak of.
    steady = {"detune": 0.0, "sustain": 1.0, "filter_env": 0.0}
    default = default_patch(synth)
    plain = dataclasses.replace(default, sample_rate=RATE, knobs={**default.knobs, **steady})
    save_patch(folder / "plain.json", plain)
    return folder / "plain.json"


# The keyboard


@pytest.mark.parametrize("step", [1, 2, 3, 5, 12])
@pytest.mark.parametrize(("lowest", "highest"), [(0, 127), (21, 108), (60, 60), (36, 47)])
def test_every_key_is_in_one_zone_and_its_sample_is_no_further_than_half_a_zone(
    step: int, lowest: int, highest: int
) -> None:
    found = zones(lowest, highest, step, range(128))
    assert [key for zone in found for key in range(zone.lowest, zone.highest + 1)] == list(
        range(lowest, highest + 1)
    )
    assert not any(zone.beyond(step // 2) for zone in found)


def test_zones_take_the_nearest_key_there_is_and_are_one_where_that_is_the_same() -> None:
    found = zones(21, 108, 3, range(24, 85))
    assert found[0].lowest == 21
    assert (found[-1].key, found[-1].highest) == (84, 108)
    assert len({zone.key for zone in found}) == len(found)


def test_keys_that_are_far_from_any_that_is_known_are_told_in_stretches(tmp_path: Path) -> None:
    model = generator_file(tmp_path / "model.safetensors")  # knows the keys 55 to 67
    run = export_sfz([model], tmp_path / "out", SfzOptions(lowest=46, highest=80, step=12, velocities=(127,)))
    (remark,) = [each for each in run.instruments[0]["remarks"] if "semitones" in each]
    assert "keys 46 to 48, 74 to 80 are more than 6 semitones from the nearest" in remark


@pytest.mark.parametrize("velocities", [(127,), (25, 50, 75, 100, 127), (64, 1), (90, 30)])
def test_every_velocity_is_in_one_layer(velocities: tuple[int, ...]) -> None:
    found = layers(velocities)
    assert [each for layer in found for each in range(layer.softest, layer.hardest + 1)] == list(
        range(1, 128)
    )
    assert [layer.velocity for layer in found] == sorted(velocities)


@pytest.mark.parametrize(
    ("count", "lowest", "highest"), [(2, 36, 96), (12, 12, 96), (5, 5, 100), (9, 4, 100)]
)
def test_key_switches_are_beside_the_keyboard_and_together(count: int, lowest: int, highest: int) -> None:
    keys = switches(count, lowest, highest)
    assert keys == tuple(range(keys[0], keys[0] + count))
    assert keys[-1] < lowest or keys[0] > highest
    assert 0 <= keys[0] <= keys[-1] <= 127


def test_one_timbre_needs_no_switch_and_too_many_are_refused() -> None:
    assert switches(1, 0, 127) == ()
    with pytest.raises(ConfigError, match="64 timbres need 64 keys"):
        switches(64, 36, 96)


# The loop


@pytest.mark.parametrize("pitch_hz", [41.2, 110.0, 440.0, 1046.5, 2093.0])
def test_a_held_tone_stays_in_tune_and_level_and_bends_no_sharper_where_it_turns(pitch_hz: float) -> None:
    sample = sample_of(tone(pitch_hz), RATE, seconds=2.0)
    assert sample.is_looped
    held = sample.held(3 * RATE)
    assert len(held) == 3 * RATE
    late = held[2 * RATE :]
    # A turn holds whole samples: half a sample of its tenth of a second and more is half a cent.
    assert abs(1200 * math.log2(note_pitch(late, RATE).pitch_hz / pitch_hz)) < 1.0
    early = tone(pitch_hz)[RATE // 4 : RATE // 2]
    assert 20 * math.log10(float(late.std() / early.std())) == pytest.approx(0.0, abs=0.2)
    assert seam(sample) < 1.1


def test_a_seam_that_clicks_is_told_from_one_that_does_not() -> None:
    sample = sample_of(tone(220.0), RATE, seconds=2.0)
    clicking = dataclasses.replace(sample, loop_start=sample.loop_start + 19)
    assert seam(clicking) > 3.0 * seam(sample)


def test_a_slow_fall_is_taken_out_of_the_loop_so_that_it_does_not_pulse() -> None:
    sample = sample_of(tone(220.0, falls_db_per_s=4.0), RATE, seconds=2.0)
    assert sample.is_looped
    assert sample.falls_db_per_s == pytest.approx(4.0, abs=0.3)
    turn = sample.samples[sample.loop_start : sample.loop_stop]
    edge = RATE // 20
    assert 20 * math.log10(float(turn[:edge].std() / turn[-edge:].std())) == pytest.approx(0.0, abs=0.3)


def test_a_note_that_dies_away_is_not_looped_but_dies_on() -> None:
    clip = tone(220.0, falls_db_per_s=30.0)
    sample = sample_of(clip, RATE, seconds=1.6)
    assert not sample.is_looped
    assert len(sample.samples) > len(clip)
    level = [float(sample.samples[at : at + 800].std()) for at in (RATE // 2, RATE + RATE // 4)]
    # 0.75 s of 30 dB/s.
    assert 20 * math.log10(level[1] / level[0]) == pytest.approx(-22.5, abs=2.0)


def test_silence_before_a_note_is_left_out() -> None:
    late = torch.cat([torch.zeros(RATE // 4), tone(220.0)])
    assert int(sample_of(late, RATE, seconds=1.0).samples.abs().gt(0.01).nonzero()[0]) < RATE // 50


# Whole instruments


@pytest.fixture(scope="module")
def instrument(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A patch at five keys and two velocities."""
    place = tmp_path_factory.mktemp("sfz")
    options = SfzOptions(lowest=45, highest=79, step=7, velocities=(60, 127), seconds=0.6)
    export_sfz([saved_patch(place)], place / "out", options)
    return place / "out"


def test_a_sampler_plays_every_key_in_tune_and_as_loud_as_the_others(instrument: Path) -> None:
    text = (instrument / "plain.sfz").read_text()
    table = json.loads((instrument / "plain.json").read_text())
    for key in range(45, 80, 4):
        heard = played(instrument, region_of(text, key, 127), key, 127, 1.0)
        # Half a cent is lost to whole cents, half to the length of the turn, and YIN errs by one.
        assert abs(cents_off(heard, RATE, key)) < 2.0
        # Moved by three semitones, a spectrum is weighted differently by some tenths.
        assert loudness_lufs(heard, RATE) == pytest.approx(table["loudness_lufs"], abs=0.7)


def test_a_softer_stroke_is_softer_by_the_square_law_within_a_layer_and_across(instrument: Path) -> None:
    text = (instrument / "plain.sfz").read_text()
    loud, soft = (
        loudness_lufs(played(instrument, region_of(text, 60, velocity), 60, velocity, 0.5), RATE)
        for velocity in (127, 40)
    )
    assert loud - soft == pytest.approx(40 * math.log10(127 / 40), abs=0.5)


def test_the_table_tells_every_sample_of_the_folder_and_the_text_has_no_fault(instrument: Path) -> None:
    table = json.loads((instrument / "plain.json").read_text())
    assert {each["file"] for each in table["samples"]} == {
        path.relative_to(instrument).as_posix() for path in instrument.rglob("*.wav")
    }
    assert len(table["samples"]) == 10
    assert problems((instrument / "plain.sfz").read_text(), instrument) == []
    for each in table["samples"]:
        assert each["loop"] is not None
        assert each["seam"] < 1.1
        assert abs(each["cents"] + each["tune"]) <= 0.5 + 0.01


def test_the_sound_files_say_root_key_and_loop_themselves(instrument: Path) -> None:
    for entry in json.loads((instrument / "plain.json").read_text())["samples"]:
        content = (instrument / entry["file"]).read_bytes()
        assert struct.unpack("<I", content[4:8])[0] == len(content) - 8
        body = content[content.index(b"smpl") + 8 :]
        numbers = struct.unpack("<15I", body)
        assert numbers[2] == round(1e9 / RATE)
        assert numbers[3] == entry["key"]
        assert (numbers[7], list(numbers[11:13])) == (1, entry["loop"])
        samples = audiofile.read(instrument / entry["file"]).samples
        assert entry["loop"][1] < len(samples)
        assert float(samples.abs().max()) <= 1.0


@pytest.mark.fluidsynth
def test_fluidsynth_holds_a_sample_in_tune_and_without_a_click(instrument: Path, tmp_path: Path) -> None:
    entry = json.loads((instrument / "plain.json").read_text())["samples"][2]
    samples = audiofile.read(instrument / entry["file"]).samples
    wave = LoopedWave(
        [round(32_767 * float(each)) for each in samples],
        (entry["loop"][0], entry["loop"][1] + 1),
        RATE,
        entry["key"],
        entry["tune"],
    )
    path = write_tiny_soundfont(tmp_path / "one.sf2", wave=wave)
    with FluidSynthPlayer(path, 48_000) as player:
        for key in (entry["key"] - 3, entry["key"], entry["key"] + 3):
            heard = player.play(0, key, 127, held_samples=96_000, num_samples=96_000)
            assert abs(cents_off(heard, 48_000, key)) < 2.0
            late = heard[24_000:].double()
            bends = late.diff(n=2).abs()
            # Every turn is in it many times; a click would stand out of the sound's own sharpest bends.
            assert float(bends.max()) < 1.5 * float(bends.quantile(0.999))


def test_a_switch_chooses_the_timbre_and_the_first_one_is_there_without(tmp_path: Path) -> None:
    model = generator_file(tmp_path / "tiny.safetensors")
    run = export_sfz([model], tmp_path / "out", SfzOptions(timbres=3, step=6, velocities=(127,)))
    text = (tmp_path / "out" / "tiny.sfz").read_text()
    keys = run.instruments[0]["settings"]["switches"]
    chosen = [region_of(text, 60, 90, switch)["sample"] for switch in keys]
    assert len(set(chosen)) == 3
    assert region_of(text, 60, 90)["sample"] == chosen[0]
    sounds = [audiofile.read(tmp_path / "out" / file).samples for file in chosen]
    assert not torch.equal(sounds[0][:500], sounds[1][:500])


def test_a_sound_without_pitch_is_left_as_it_is_with_a_remark(tmp_path: Path) -> None:
    model = generator_file(tmp_path / "noise.safetensors")  # weights drawn by chance
    run = export_sfz([model], tmp_path / "out", SfzOptions(step=12, velocities=(127,)))
    table = run.instruments[0]
    assert any("not tuned" in remark for remark in table["remarks"])
    assert all(each["tune"] == 0 for each in table["samples"] if each["cents"] is None)


def test_the_folder_of_a_match_is_its_nearest_candidate(tmp_path: Path) -> None:
    folder = tmp_path / "flute"
    folder.mkdir()
    saved_patch(folder).rename(folder / "01.json")
    (folder / "match.json").write_text('{"format": "retimbre match"}')
    run = export_sfz([folder], tmp_path / "out", SfzOptions(lowest=60, highest=60, seconds=0.3))
    assert (run.instruments[0]["name"], run.instruments[0]["source"]["patch"]) == ("flute-01", "01.json")
    with pytest.raises(PatchError, match="is the table of a match; takes its folder"):
        export_sfz([folder / "match.json"], tmp_path / "other")


def test_a_patch_off_its_key_is_tuned_before_it_is_sampled(tmp_path: Path) -> None:
    patch = dataclasses.replace(
        default_patch("fm"), sample_rate=RATE, knobs={"C": 783.991, "M": 12.6, "D": 0.0}
    )
    save_patch(tmp_path / "high.json", patch)  # a sine of 784 Hz at the key of 440 Hz
    options = SfzOptions(lowest=57, highest=69, step=12, seconds=0.5)
    run = export_sfz([tmp_path / "high.json"], tmp_path / "out", options)
    assert run.instruments[0]["source"]["tuning_cents"] == pytest.approx(1000, abs=1)
    text = (tmp_path / "out" / "high.sfz").read_text()
    heard = played(tmp_path / "out", region_of(text, 60, 127), 60, 127, 1.0)
    assert abs(cents_off(heard, RATE, 60)) < 2.0


def test_two_instruments_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    options = SfzOptions(lowest=60, highest=60, seconds=0.3)
    run = export_sfz([saved_patch(first), saved_patch(second)], tmp_path / "out", options)
    assert len(run.instruments) == 1
    assert "would be called 'plain' as" in run.failures[str(second / "plain.json")]


def test_several_sources_are_several_instruments_and_one_that_fails_leaves_the_others(tmp_path: Path) -> None:
    patch, model = saved_patch(tmp_path), generator_file(tmp_path / "tiny.safetensors")
    options = SfzOptions(lowest=60, highest=62, velocities=(127,), seconds=0.5)
    run = export_sfz([patch, tmp_path / "none.json", model], tmp_path / "out", options)
    assert [each["name"] for each in run.instruments] == ["plain", "tiny"]
    assert list(run.failures) == [str(tmp_path / "none.json")]


def test_an_instrument_is_replaced_by_force_alone_and_leaves_no_sample_behind(tmp_path: Path) -> None:
    patch = saved_patch(tmp_path)
    wide = SfzOptions(lowest=60, highest=65, seconds=0.3)
    narrow = dataclasses.replace(wide, highest=62)
    export_sfz([patch], tmp_path / "out", wide)
    (tmp_path / "out" / "samples" / "mine.wav").write_bytes(b"x")
    with pytest.raises(ExistsError, match=r"plain\.sfz, plain\.json already; --force"):
        export_sfz([patch], tmp_path / "out", narrow)
    export_sfz([patch], tmp_path / "out", dataclasses.replace(narrow, force=True))
    names = {path.name for path in (tmp_path / "out" / "samples").iterdir()}
    assert names == {"plain_v127_061.wav", "mine.wav"}


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RetimbreError("the disk is full")

    patch = saved_patch(tmp_path)
    monkeypatch.setattr("retimbre.workflows.export.sfz.export.sfz_text", broken)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(RetimbreError, match="disk is full"):
        export_sfz([patch], tmp_path / "out", SfzOptions(lowest=60, highest=60, seconds=0.3))
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lowest": 128}, "lowest is 128, but takes 0 to 127"),
        ({"step": 0}, "step is 0, but takes 1 to 12"),
        ({"velocities": (0,)}, "a velocity is 0, but takes 1 to 127"),
        ({"seconds": math.nan}, "seconds is nan"),
        ({"timbres": 33}, "timbres is 33, but takes 1 to 32"),
        ({"release_s": -1.0}, "release is -1"),
        ({"veltrack": 101.0}, "veltrack is 101"),
    ],
)
def test_an_option_out_of_range_is_refused_by_its_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SfzOptions(**wrong)  # pyright: ignore[reportArgumentType]


def test_bad_input_is_one_error_that_names_it(tmp_path: Path) -> None:
    patch, out = saved_patch(tmp_path), tmp_path / "out"
    with pytest.raises(ConfigError, match="none is named"):
        export_sfz([], out)
    with pytest.raises(CheckpointError, match="there is no model 'nowhere'"):
        export_sfz(["nowhere"], out)
    with pytest.raises(CheckpointError, match="generator"):
        export_sfz(["inversynth-resmel"], out)
    with pytest.raises(PatchError, match="is a patch for 'subtractive', not 'fm'"):
        export_sfz([patch], out, SfzOptions(synth="fm"))
    with pytest.raises(ConfigError, match="is a patch, which is one timbre"):
        export_sfz([patch], out, SfzOptions(timbres=2))
    with pytest.raises(ConfigError, match="the lowest key is 70, above the highest, 60"):
        export_sfz([patch], out, SfzOptions(lowest=70, highest=60))
    digits = generator_file(tmp_path / "digits.safetensors", classes={"word": ("zero", "one")})
    with pytest.raises(ConfigError, match="told nothing of the pitch"):
        export_sfz([digits], out)
    notes = generator_file(tmp_path / "notes.safetensors")
    with pytest.raises(ConfigError, match="knows no velocity 3; takes 25, 75, 127"):
        export_sfz([notes], out, SfzOptions(velocities=(3,)))
    with pytest.raises(ConfigError, match="an instrument has every pitch"):
        export_sfz([notes], out, SfzOptions(labels={"pitch": 60}))
    silent = generator_file(tmp_path / "silent.safetensors", gain=0.0)
    with pytest.raises(AudioError, match=r"silent: key 5\d at velocity 127 is silent"):
        export_sfz([silent], out, SfzOptions(velocities=(127,)))
    assert not out.exists()


# The text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no <region>"),
        ("<regoin> sample=a.wav", "<regoin>: no such header; did you mean 'region'"),
        ("<region> smaple=a.wav", "smaple=a.wav: no such opcode; did you mean 'sample'"),
        ("<region> lokey=60", "region 1: has no sample"),
        ("<region> sample=a.wav tune=101", "tune=101: takes -100 to 100"),
        ("<region> sample=a.wav tune=0.5", "tune=0.5: takes a whole number"),
        ("<region> sample=a.wav lokey=c4", "lokey=c4: takes a whole number"),
        ("<region> sample=a.wav loop_mode=loop", "loop_mode=loop: takes no_loop, one_shot"),
        ("<region> sample=a.wav lokey=61 hikey=60", "region 1: lokey=61 is above hikey=60"),
        ("<group> loop_start=9 <region> sample=a.wav loop_end=8", "loop_start=9 is above loop_end=8"),
        ("<region> sample=gone.wav", "region 1: gone.wav is not there"),
        (
            "<global> sw_lokey=20 sw_hikey=21 <region> sample=a.wav lokey=60 sw_last=22",
            "sw_last=22 is not among",
        ),
        ("<global> sw_lokey=20 sw_hikey=21 <region> sample=a.wav sw_last=20", "are keys that it plays, too"),
    ],
)
def test_what_is_wrong_in_an_sfz_file_is_told_in_a_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    found = problems(text, tmp_path)
    assert any(message in line for line in found), found


def test_an_sfz_file_as_others_write_them_has_no_fault(tmp_path: Path) -> None:
    (tmp_path / "A sample #1.wav").write_bytes(b"")
    text = "// by hand\n<global>\nampeg_release=0.5\n<group> lovel=1 hivel=64\n"
    text += "<region>\nsample=A sample #1.wav\nlokey=59\nhikey=61 // three keys\n"
    assert problems(text, tmp_path) == []


def test_every_opcode_that_is_written_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in OPCODES if f"`{name}`" not in text] == []
