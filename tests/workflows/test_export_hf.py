"""Laws of published data sets: what the library `datasets` expects of an audiofolder, and that nothing is lost."""

import fnmatch
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_generators import NOTES, generator_file

from retimbre.core.errors import AudioError, CheckpointError, ConfigError, DatasetError, ExistsError
from retimbre.data.dataset import RenderedSet
from retimbre.data.folder import Cutting
from retimbre.data.splits import SPLITS
from retimbre.dsp import audiofile
from retimbre.training.shipped import shipped_checkpoints
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.dataset.recordings import import_folder
from retimbre.workflows.export.audiofolder.card import column_types, licence_id
from retimbre.workflows.export.audiofolder.export import HfOptions, export_hf
from retimbre.workflows.export.audiofolder.licences import HUB_LICENCES, hub_licence

RATE = 8_000


def rows_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The labels of each part."""
    return {
        part.name: [json.loads(line) for line in (part / "metadata.jsonl").read_text().splitlines()]
        for part in sorted(folder.iterdir())
        if part.is_dir()
    }


def card_header(folder: Path) -> list[str]:
    _, header, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", maxsplit=2)
    return header.splitlines()


def recordings(place: Path) -> Path:
    """Twelve short noises in two folders, named as notes are."""
    for number in range(12):
        name = f"{'brass' if number % 2 else 'reed'}/brass_acoustic_{number:03d}-{60 + number:03d}-100.wav"
        noise = 0.3 * torch.randn(800, generator=torch.Generator().manual_seed(number))
        audiofile.write(place / name, noise.clamp(-1, 1), RATE, integers=True)
    return place


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Its sounds are far beyond full scale.
    return generator_file(tmp_path_factory.mktemp("model") / "tiny.safetensors", gain=50.0)


def sources(place: Path, model: Path) -> dict[str, Path]:
    """One of each kind."""
    make_dataset(place / "rendered", SetOptions("two-sine", size=24, seconds=0.02))
    import_folder([recordings(place / "sounds")], place / "recorded", Cutting(RATE, 0.05))
    return {
        "rendered": place / "rendered",
        "recorded": place / "recorded",
        "sounds": place / "sounds",
        "model": model,
    }


@pytest.mark.parametrize("kind", ["rendered", "recorded", "sounds", "model"])
def test_each_part_is_sound_files_and_a_line_of_labels_for_each_of_them(
    kind: str, model: Path, tmp_path: Path
) -> None:
    source, out = sources(tmp_path, model)[kind], tmp_path / "out"
    facts = export_hf([source], out, HfOptions(count=20))
    parts = rows_of(out)
    assert set(parts) <= set(SPLITS)
    assert {name: len(rows) for name, rows in parts.items()} == {
        name: count for name, count in facts["splits"].items() if count
    }
    for name, rows in parts.items():
        # The library passes over sounds without a line, and fails on lines without a sound.
        assert {row["file_name"] for row in rows} | {"metadata.jsonl"} == {
            path.name for path in (out / name).iterdir()
        }
        assert all(list(row) == ["file_name", *facts["columns"]] for row in rows)
    assert {path.name for path in out.iterdir() if path.is_file()} == {"README.md", "retimbre.json"}
    assert json.loads((out / "retimbre.json").read_text()) == facts


def test_the_card_s_header_tells_the_licence_the_files_and_the_type_of_every_column(
    model: Path, tmp_path: Path
) -> None:
    facts = export_hf([model], tmp_path / "out", HfOptions(count=20, licence="CC BY 4.0"))
    lines = card_header(tmp_path / "out")
    assert lines[0] == "license: cc-by-4.0"
    assert [line.split('"')[1] for line in lines if line.startswith("    path:")] == [
        "train/**",
        "validation/**",
        "test/**",
    ]
    features = lines[lines.index("  features:") + 1 :]
    names = [line.split("name: ")[1].strip('"') for line in features if "name: " in line]
    assert names == ["audio", *facts["columns"]]
    assert facts["columns"] == {"pitch": "int64", "velocity": "int64", "family": "string"}
    assert "        sampling_rate: 8000" in features


def test_a_prepared_set_keeps_its_parts_its_sounds_and_the_values_of_its_knobs(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", SetOptions("two-sine", size=24, seconds=0.02))
    export_hf([tmp_path / "set"], tmp_path / "out")
    stored = RenderedSet.open(tmp_path / "set")
    parts = rows_of(tmp_path / "out")
    assert sum(len(rows) for rows in parts.values()) == 24
    for name, rows in parts.items():
        assert [int(row["file_name"][:6]) for row in rows] == stored.split(name).tolist()
        for row in rows:
            there = stored.audio(torch.tensor([int(row["file_name"][:6])]))[0]
            sound = audiofile.read(tmp_path / "out" / name / row["file_name"])
            # 16 bits.
            assert float((sound.samples - there / max(1.0, float(there.abs().max()))).abs().max()) < 2**-15
            assert set(stored.columns.knobs) <= set(row)
            assert row["note_pitch_hz"] > 0


def test_a_folder_of_notes_has_the_labels_of_its_names_and_sub_folders(tmp_path: Path) -> None:
    export_hf([recordings(tmp_path / "sounds")], tmp_path / "out")
    rows = [row for part in rows_of(tmp_path / "out").values() for row in part]
    assert {row["pitch"] for row in rows} == set(range(60, 72))
    assert {row["label"] for row in rows} == {"brass", "reed"}
    assert {row["velocity"] for row in rows} == {100}


def test_a_generator_s_sound_depends_on_its_number_alone_and_has_the_labels_it_was_asked_for(
    model: Path, tmp_path: Path
) -> None:
    export_hf([model], tmp_path / "few", HfOptions(count=5, seed=1))
    export_hf([model], tmp_path / "many", HfOptions(count=30, seed=1))
    few, many = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.wav")}
        for name in ("few", "many")
    )
    assert few.items() <= many.items()
    for row in (row for part in rows_of(tmp_path / "many").values() for row in part):
        assert f"{row['pitch']:03d}-{row['velocity']:03d}" in row["file_name"]
        assert row["family"] in NOTES["family"]


def test_several_sources_are_one_set_whose_rows_tell_where_they_are_from(model: Path, tmp_path: Path) -> None:
    folder = recordings(tmp_path / "sounds")
    facts = export_hf([folder, model], tmp_path / "out", HfOptions(count=6))
    rows = [row for part in rows_of(tmp_path / "out").values() for row in part]
    assert sorted(row["origin"] for row in rows) == ["sounds"] * 6 + ["tiny.safetensors"] * 6
    assert {row["label"] for row in rows if row["origin"] == "tiny.safetensors"} == {None}
    assert facts["license"] == "other"


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_written(tmp_path: Path) -> None:
    folder = recordings(tmp_path / "sounds")
    (folder / "broken.wav").write_text("no sound")
    facts = export_hf([folder], tmp_path / "out")
    assert sum(facts["splits"].values()) == 12
    (line,) = facts["failed"]
    assert "broken.wav" in line


@pytest.mark.parametrize(
    ("texts", "identifier"),
    [
        (("CC BY 4.0 (another corpus in NSynth's layout: its own)",), "cc-by-4.0"),
        (("CC BY-NC-SA 4.0",), "cc-by-nc-sa-4.0"),
        (("MIT (Fluid R3 GM, Frank Wen)",), "mit"),
        (("cc0-1.0",), "cc0-1.0"),
        (("CC BY 2.5",), "cc-by-2.5"),
        (("CC0 1.0",), "cc0-1.0"),
        (("Apache License, Version 2.0",), "apache-2.0"),
        (("pddl",), "pddl"),
        (("PDDL-1.0",), "pddl"),
        (("ODC-By-1.0",), "odc-by"),
        (("ODbL-1.0, the Open Database License",), "odbl"),
        (("CDLA-Permissive-2.0",), "cdla-permissive-2.0"),
        (("GPL-3.0-or-later",), "gpl-3.0"),
        (("CC-BY-SA-4.0",), "cc-by-sa-4.0"),
        (("Apache-2.0; trained on notes that are CC0 or CC BY 4.0 (Frank Wen, MIT)",), "apache-2.0"),
        (("zlib",), "zlib"),
        (("the other one, of 2020-11.",), "other"),
        (("made-up-1.0",), "other"),
        (("MIT", "CC BY 4.0"), "other"),
        (("that of the recordings",), "other"),
        (("",), "other"),
    ],
)
def test_a_licence_has_the_hub_s_identifier_or_is_another(texts: tuple[str, ...], identifier: str) -> None:
    assert licence_id(texts) == identifier


@pytest.mark.parametrize("name", sorted(HUB_LICENCES))
def test_an_identifier_of_the_hub_is_itself_however_it_is_written(name: str) -> None:
    assert hub_licence(name) == hub_licence(name.upper()) == name


@pytest.mark.parametrize("path", shipped_checkpoints().values(), ids=lambda path: path.stem)
def test_every_shipped_model_s_sounds_have_the_licence_of_its_card(path: Path) -> None:
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert hub_licence(card["licence"]) == "apache-2.0"


@pytest.mark.parametrize("kind", ["rendered", "recorded", "sounds", "model"])
def test_what_the_documentation_of_audiofolders_asks_of_the_files_of_a_part_is_kept(
    kind: str, model: Path, tmp_path: Path
) -> None:
    # The library itself (with pandas, pyarrow and torchcodec) is too much for a test; these are its written rules.
    export_hf([sources(tmp_path, model)[kind]], tmp_path / "out", HfOptions(count=20))
    header = card_header(tmp_path / "out")
    patterns = dict(zip(values_of(header, "- split"), values_of(header, "path"), strict=True))
    dtypes = [dtype for dtype in values_of(header, "dtype") if dtype != "audio"]
    kinds = dict(zip(values_of(header, "- name")[1:], dtypes, strict=True))
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    for part, rows in rows_of(tmp_path / "out").items():
        # A part is a folder of its name, its pattern finds all of its files, and no other part's does.
        found = {name: set(fnmatch.filter(files, pattern)) for name, pattern in patterns.items()}
        inside = {name for name in files if name.startswith(f"{part}/")}
        assert inside <= found.pop(part)
        assert all(not inside & others for others in found.values())
        for row in rows:
            # Paths are relative to the file of labels, with forward slashes, and of a kind that is decoded.
            assert re.fullmatch(r"[^/\\]+\.wav", row["file_name"])
            # Every line has every column, each of one type.
            assert list(row) == list(rows[0])
            for name, value in row.items():
                if name != "file_name" and value is not None:
                    assert isinstance(value, {"int64": int, "float64": float, "string": str}[kinds[name]])


def values_of(header: list[str], key: str) -> list[str]:
    """The values of all lines of a card's header with that key, without quotes."""
    return [line.split(": ", 1)[1].strip('"') for line in header if line.strip().startswith(f"{key}: ")]


def test_a_column_is_as_wide_as_its_widest_value() -> None:
    rows: list[dict[str, object]] = [{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 0.5, "c": "x"}]
    assert column_types(rows) == {"a": "int64", "b": "float64", "c": "string"}


def test_an_export_is_replaced_by_force_alone_and_nothing_else_ever(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export_hf([model], out, HfOptions(count=4))
    with pytest.raises(ExistsError, match="--force replaces"):
        export_hf([model], out, HfOptions(count=2))
    export_hf([model], out, HfOptions(count=2, force=True))
    assert len(list(out.rglob("*.wav"))) == 2
    (out / ".git").mkdir()
    (out / ".git" / "config").write_text("mine")
    with pytest.raises(ExistsError, match=r"holds \.git/config, which --force would lose"):
        export_hf([model], out, HfOptions(count=4, force=True))
    assert len(list(out.rglob("*.wav"))) == 2
    assert (out / ".git" / "config").read_text() == "mine"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ConfigError, match="takes a folder that can be replaced"):
        export_hf([model], ".", HfOptions(count=4))
    folder = recordings(tmp_path / "sounds")
    with pytest.raises(ExistsError, match="no earlier export"):
        export_hf([model], folder, HfOptions(count=2, force=True))
    assert len(list(folder.rglob("*.wav"))) == 12


def test_bad_input_is_one_error_that_names_it_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="none is named"):
        export_hf([], out)
    with pytest.raises(ConfigError, match="count is -1"):
        HfOptions(count=-1)
    with pytest.raises(CheckpointError, match="there is no model 'nowhere'"):
        export_hf(["nowhere"], out)
    with pytest.raises(CheckpointError, match="generator"):
        export_hf(["listener"], out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no sound files in"):
        export_hf([tmp_path / "empty"], out)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.wav").write_text("no sound")
    with pytest.raises(AudioError, match="not one of 1 sounds can be used"):
        export_hf([tmp_path / "bad"], out)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="not a JSON file"):
        export_hf([tmp_path / "damaged"], out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "damaged", "empty"]
