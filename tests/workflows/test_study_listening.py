"""Laws of listening packs: nothing tells whose a sound is, all are equally loud, and the manifest tells all."""

import base64
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import AudioError, ConfigError, ExistsError
from retimbre.dsp.audiofile import read, write
from retimbre.dsp.level import peak
from retimbre.dsp.loudness import loudness_lufs
from retimbre.workflows.study.listening import page as rating_page
from retimbre.workflows.study.listening.manifest import read_pack
from retimbre.workflows.study.listening.options import PackOptions
from retimbre.workflows.study.listening.pack import make_pack, partial_failure

RATE = 16_000
SHORT = PackOptions(count=3, seconds=0.5)
SIDE_BY_SIDE = PackOptions(mode="mushra", count=3, seconds=0.5)


def note(pitch_hz: float, seconds: float = 0.6, sample_rate: int = RATE) -> Tensor:
    """A plucked string's first eight harmonics."""
    second = torch.arange(round(seconds * sample_rate)) / sample_rate
    harmonics = [torch.sin(2 * math.pi * k * pitch_hz * second) / k for k in range(1, 9)]
    return 0.2 * torch.stack(harmonics).sum(0) * torch.exp(-4.0 * second)


def folders_in(place: Path) -> dict[str, Path]:
    """Two systems and real sounds, four notes each under the same names, at three different levels."""
    made = {name: place / name for name in ("quixotic", "zephyrous", "genuine")}
    for index, pitch_hz in enumerate((220.0, 261.6, 330.0, 440.0)):
        for number, folder in enumerate(made.values()):
            write(folder / f"pluckings_{index:03d}.wav", 0.3**number * note(pitch_hz + number), RATE)
    return made


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return folders_in(tmp_path)


def made(folders: dict[str, Path], out: Path, options: PackOptions = SHORT, **more: Any) -> dict[str, Any]:
    systems = [str(folders["quixotic"]), f"other={folders['zephyrous']}"]
    return make_pack(systems, out, options, real=folders["genuine"], **more)


Packed = tuple[Path, dict[str, Any]]
"""A pack that tests only look at: its folder and its manifest."""


@pytest.fixture(scope="module")
def mos(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    place = tmp_path_factory.mktemp("mos")
    return place / "pack", made(folders_in(place), place / "pack", SHORT)


@pytest.fixture(scope="module")
def mushra(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    place = tmp_path_factory.mktemp("mushra")
    return place / "pack", made(folders_in(place), place / "pack", SIDE_BY_SIDE)


@pytest.fixture(params=["mos", "mushra"])
def either(request: pytest.FixtureRequest) -> Packed:
    return request.getfixturevalue(request.param)


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_lists_every_file_of_the_pack_with_its_content(either: Packed) -> None:
    out, content = either
    assert content == json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert files_of(out) == set(content["files"]) | {"manifest.json"}
    for name, facts in content["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == facts["sha256"]
        assert (out / name).stat().st_size == facts["bytes"]
    assert {each["file"] for each in content["sounds"].values()} == {
        name for name in content["files"] if name.endswith(".flac")
    }
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_nothing_that_listeners_get_tells_whose_a_sound_is(either: Packed) -> None:
    out, _ = either
    telling = re.compile(
        rb"quixotic|zephyrous|genuine|pluckings|griffin|lowpass|manifest|other=", re.IGNORECASE
    )
    for path in (out / "listeners").rglob("*"):
        assert not telling.search(path.name.encode())
        if path.is_file():
            assert not telling.search(path.read_bytes()), path.name


def test_every_item_is_heard_in_every_system_and_anchor_and_its_names_are_in_no_telling_order(
    mos: Packed,
) -> None:
    _, content = mos
    names = ["quixotic", "other", "real", "real-griffin-lim"]
    assert list(content["systems"]) == names
    orders = set()
    for trial in content["trials"].values():
        sounds = [content["sounds"][name] for name in trial]
        assert sorted(sound["system"] for sound in sounds) == sorted(names)
        assert len({sound["item"] for sound in sounds}) == 1
        assert trial == sorted(trial)
        orders.add(tuple(sound["system"] for sound in sounds))
    assert len(orders) > 1
    assert len({sound["item"] for sound in content["sounds"].values()}) == 3


def test_a_mushra_trial_has_the_real_sound_open_and_hidden_and_a_low_anchor(
    mushra: Packed,
) -> None:
    out, content = mushra
    for trial in content["trials"]:
        inside = [each for each in content["sounds"].values() if each["trial"] == trial]
        hidden = [each for each in inside if each["system"] == "real" and each["role"] == "scored"]
        (opened,) = (each for each in inside if each["role"] == "reference")
        assert opened["sha256"] == hidden[0]["sha256"]
        assert {each["system"] for each in inside} == {*content["systems"]}
    assert "real-lowpass" in content["systems"]
    assert len(read_pack(out).sounds) == 3 * 5


def test_all_sounds_are_equally_loud_and_within_full_scale(mushra: Packed) -> None:
    out, content = mushra
    for sound in content["sounds"].values():
        samples = read(out / sound["file"]).samples
        # 16 bits at this level: noise 70 dB down.
        assert loudness_lufs(samples, RATE) == pytest.approx(content["settings"]["loudness_lufs"], abs=0.02)
        assert 20 * math.log10(float(peak(samples))) <= content["settings"]["peak_dbfs"] + 1e-3
        assert sound["shortfall_lu"] == 0.0


def test_a_click_lowers_the_pack_no_further_than_stated_and_is_said_to_be_softer(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    click = torch.zeros(8_000)
    click[100] = 0.5
    write(folders["zephyrous"] / "pluckings_000.wav", click, RATE)
    content = made(folders, tmp_path / "pack", PackOptions(count=4, seconds=0.5))
    assert content["settings"]["loudness_lufs"] == -33.0
    (softer,) = (each for each in content["sounds"].values() if each["shortfall_lu"] > 0)
    assert (softer["system"], softer["key"]) == ("other", "pluckings_000")
    (line,) = (each for each in content["remarks"] if "softer than the others" in each)
    assert "pluckings_000" in line


def test_a_playlist_is_its_sounds_in_order_with_silence_between(mos: Packed) -> None:
    out, content = mos
    gap = torch.zeros(round(content["settings"]["gap_s"] * RATE))
    for trial, names in content["trials"].items():
        pieces = []
        for name in names:
            pieces += [read(out / content["sounds"][name]["file"]).samples, gap]
        assert torch.equal(read(out / "playlists" / f"{trial}.wav").samples, torch.cat(pieces[:-1]))


def test_the_same_seed_makes_the_same_pack_and_another_seed_another(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    first, again = made(folders, tmp_path / "first"), made(folders, tmp_path / "again")
    assert first["files"] == again["files"]
    other = made(folders, tmp_path / "other", PackOptions(count=3, seconds=0.5, seed=1))
    assert set(other["sounds"]) != set(first["sounds"])
    assert other["id"] != first["id"]


def test_sounds_are_cut_to_their_seconds_with_a_fade(mos: Packed) -> None:
    out, content = mos
    for sound in content["sounds"].values():
        assert sound["seconds"] == 0.5
    own = next(each for each in content["sounds"].values() if each["system"] == "quixotic")
    assert float(read(out / own["file"]).samples[-1].abs()) < 1e-3


def test_the_page_holds_the_very_sounds_of_the_files_and_may_fetch_nothing(mos: Packed) -> None:
    out, content = mos
    html = (out / "listeners" / "rate.html").read_text(encoding="utf-8")
    test = json.loads(
        re.findall(r'<script type="application/json" id="test">(.*?)</script>', html, re.DOTALL)[0]
    )
    assert set(test["addresses"]) == set(content["sounds"])
    for name, address in test["addresses"].items():
        held = base64.b64decode(address.removeprefix("data:audio/flac;base64,"))
        assert hashlib.sha256(held).hexdigest() == content["sounds"][name]["sha256"]
    assert sorted(name for screen in test["screens"] for name in screen["sounds"]) == sorted(
        content["sounds"]
    )
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src &#39;none&#39;")
    assert f"sha256-{digest}" in policy.replace("&#43;", "+")
    assert "data:" in policy
    assert "file:" not in policy
    assert re.findall(r"(?:src|href)=\"(?!data:)", html) == []
    assert re.findall(r"innerHTML|eval\(|fetch\(|XMLHttpRequest|https?:", script) == []


def test_large_sounds_stay_beside_the_page(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rating_page, "MOST_EMBEDDED_BYTES", 1000)
    out = tmp_path / "pack"
    content = made(folders, out)
    html = (out / "listeners" / "rate.html").read_text(encoding="utf-8")
    addresses = re.findall(r'"(sounds/[^"]+)"', html)
    assert all((out / "listeners" / address).is_file() for address in addresses)
    assert len(addresses) == len(content["sounds"])
    assert "audio/flac" not in html
    assert content["settings"]["page_holds_sounds"] is False


def test_every_control_of_the_page_has_a_name(mos: Packed) -> None:
    out, _ = mos
    html = (out / "listeners" / "rate.html").read_text(encoding="utf-8")
    fields = re.findall(r'<(?:input|textarea)[^>]* id="(\w+)"', html)
    assert fields == ["listener", "answers"]
    assert all(f'<label for="{name}">' in html for name in fields)
    assert [text for text in re.findall(r"<button[^>]*>([^<]*)</button>", html) if not text.strip()] == []
    assert 'role="status"' in html
    assert '<html lang="en">' in html


def test_a_hostile_question_is_text(folders: dict[str, Path], tmp_path: Path) -> None:
    question = '</script><script>alert("1")</script>{{ 7 * 7 }}'
    made(folders, tmp_path / "pack", PackOptions(count=1, seconds=0.2, question=question))
    html = (tmp_path / "pack" / "listeners" / "rate.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "{{ 7 * 7 }}" in html


def test_systems_without_common_names_bring_items_of_their_own_in_a_test_of_opinions(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    for path in list(folders["zephyrous"].iterdir()):
        path.rename(path.with_name(f"apart_{path.name}"))
    content = made(folders, tmp_path / "pack")
    items = {name: set() for name in content["systems"]}
    for sound in content["sounds"].values():
        items[sound["system"]].add(sound["item"])
    assert items["quixotic"].isdisjoint(items["other"])
    assert items["real"] == items["real-griffin-lim"]
    assert all(len(each) == 3 for each in items.values())
    assert any("drawn apart" in line for line in content["remarks"])
    with pytest.raises(ConfigError, match=r"no name is in every system: .*'apart_pluckings_000'.*--mode mos"):
        made(folders, tmp_path / "side by side", SIDE_BY_SIDE)
    assert not (tmp_path / "side by side").exists()


def test_silent_and_unreadable_sounds_are_left_out_for_all_systems_and_named(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    write(folders["quixotic"] / "pluckings_000.wav", torch.zeros(8_000), RATE)
    (folders["zephyrous"] / "pluckings_001.wav").write_text("no sound")
    told: list[str] = []
    content = made(folders, tmp_path / "pack", PackOptions(count=4, seconds=0.5), tell=told.append)
    assert {each["key"] for each in content["sounds"].values()} == {"pluckings_002", "pluckings_003"}
    assert any("quixotic: pluckings_000 is silent" in line for line in told)
    assert any("which flatters it" in line for line in told)
    assert any("2 items instead of the 4" in line for line in told)
    error = partial_failure(content)
    assert error is not None
    assert "pluckings_001.wav" in str(error)


def test_mixed_rates_are_named_and_all_is_played_at_the_highest(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    for path in folders["zephyrous"].iterdir():
        write(path, note(300.0, sample_rate=44_100), 44_100)
    out = tmp_path / "pack"
    content = made(folders, out)
    assert any("16000, 44100 Hz are mixed" in line for line in content["remarks"])
    assert {read(out / each["file"]).sample_rate for each in content["sounds"].values()} == {44_100}


def test_at_8_khz_there_is_no_low_anchor(folders: dict[str, Path], tmp_path: Path) -> None:
    for folder in folders.values():
        for path in folder.iterdir():
            write(path, note(300.0, sample_rate=8_000), 8_000)
    content = made(folders, tmp_path / "pack", SIDE_BY_SIDE)
    assert "real-lowpass" not in content["systems"]
    assert any("no low anchor" in line for line in content["remarks"])


def test_one_sound_makes_a_pack(folders: dict[str, Path], tmp_path: Path) -> None:
    write(tmp_path / "single" / "lone.wav", note(300.0), RATE)
    content = make_pack([str(tmp_path / "single")], tmp_path / "pack", SHORT)
    assert list(content["systems"]) == ["single"]
    assert content["reference"] == ""
    assert any("1 items instead of the 3" in line for line in content["remarks"])


def test_a_pack_is_replaced_by_force_alone_and_nothing_else_ever(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    made(folders, out)
    with pytest.raises(ExistsError, match="--force replaces"):
        made(folders, out)
    made(folders, out, force=True)
    (out / "scores_alice.csv").write_text("x")
    with pytest.raises(ExistsError, match=r"holds scores_alice\.csv, which --force would lose"):
        made(folders, out, force=True)
    assert "scores_alice.csv" in files_of(out)
    with pytest.raises(ExistsError, match="no listening pack"):
        made(folders, folders["genuine"], force=True)
    assert len(files_of(folders["genuine"])) == 4


def test_a_pack_that_fails_half_way_leaves_nothing(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise AudioError("the disk is full")

    monkeypatch.setattr("retimbre.workflows.study.listening.writing.write_rating_page", broken)
    before = set(tmp_path.iterdir())
    with pytest.raises(AudioError, match="disk is full"):
        made(folders, tmp_path / "pack")
    assert set(tmp_path.iterdir()) == before


def test_bad_input_is_one_error_that_names_it(folders: dict[str, Path], tmp_path: Path) -> None:
    out, one = tmp_path / "pack", str(folders["quixotic"])
    with pytest.raises(ConfigError, match="needs systems"):
        make_pack([], out)
    with pytest.raises(ConfigError, match="two systems are called 'quixotic'"):
        make_pack([one, one], out)
    with pytest.raises(ConfigError, match="cannot be called 'real-x'"):
        make_pack([f"real-x={one}"], out)
    with pytest.raises(ConfigError, match="'nowhere' is neither a folder of sounds nor a model"):
        make_pack(["nowhere"], out)
    with pytest.raises(ConfigError, match="--real"):
        make_pack([one], out, SIDE_BY_SIDE)
    with pytest.raises(ConfigError, match="which answers real sounds"):
        make_pack(["subtractive-resmel"], out)
    with pytest.raises(ConfigError, match="MUSHRA takes 12"):
        make_pack([f"s{n}={one}" for n in range(10)], out, SIDE_BY_SIDE, real=folders["genuine"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no sound files in"):
        make_pack([str(tmp_path / "empty")], out)
    write(tmp_path / "silent" / "a.wav", torch.zeros(800), RATE)
    with pytest.raises(AudioError, match=r"no sound of silent can be used: silent: a is silent"):
        make_pack([str(tmp_path / "silent")], out)
    write(folders["quixotic"] / "pluckings_000.flac", note(220.0), RATE)
    with pytest.raises(ConfigError, match="two sounds of one name"):
        make_pack([one], out)
    for wrong in ({"count": 0}, {"seconds": 0.0}, {"seconds": math.nan}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            PackOptions(**wrong)
    assert not out.exists()


@pytest.mark.slow
def test_an_inverter_answers_the_real_sounds(folders: dict[str, Path], tmp_path: Path) -> None:
    content = make_pack(
        ["subtractive-resmel"], tmp_path / "pack", PackOptions("mushra", 1, 0.5), real=folders["genuine"]
    )
    sounds = {each["system"]: each for each in content["sounds"].values() if each["role"] == "scored"}
    assert sounds["subtractive-resmel"]["key"] == sounds["real"]["key"]
    assert sounds["subtractive-resmel"]["sha256"] != sounds["real"]["sha256"]
