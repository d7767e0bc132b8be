"""What an evaluation leaves to hear and to read: triples that are what they say, and one row per clip and model."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import ConfigError, DatasetError
from retimbre.data.splits import Folds
from retimbre.dsp import audiofile
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.synth.catalog import SYNTHS
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.evaluation.inversion.contenders import labels_of
from retimbre.workflows.evaluation.inversion.held_out import endless_clips, stored_clips
from retimbre.workflows.evaluation.inversion.knobs import EvaluateOptions, evaluate
from retimbre.workflows.evaluation.inversion.triples import TOLERANCE_DB, difference_db
from retimbre.workflows.training.matching_run import DataConfig

CPU = torch.device("cpu")
SHORT_S = 0.125
CONFIG = InverterConfig("fm", "C1", seconds=SHORT_S)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_inverter(tmp_path / "first.safetensors", Inverter(CONFIG), facts={})
    return tmp_path / "first.safetensors"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_inverter(tmp_path / "second.safetensors", Inverter(CONFIG), facts={})
    return tmp_path / "second.safetensors"


def few(**changes: Any) -> EvaluateOptions:
    return EvaluateOptions(**{"clips": 4, "audio_clips": 2, "save_audio": 3, "device": "cpu", **changes})


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "predictions.csv").open()))


# Re-rendering


@pytest.mark.parametrize("draw", ["classes", "continuous"])
@pytest.mark.parametrize("name", sorted(SYNTHS))
def test_the_label_of_an_endless_clip_renders_the_clip(name: str, draw: Any) -> None:
    inverter = Inverter(InverterConfig(name, "C1", seconds=SHORT_S))
    clips = endless_clips(inverter, DataConfig(draw=draw), size=6, split="test", seed=0, origin="")
    together = clips.pairs(range(6), CPU)
    for clip in range(6):
        alone = clips.pairs(range(clip, clip + 1), CPU)
        # What is taken for inaudible everywhere; sums in another order and 32-bit levels stay far below.
        assert difference_db(together.audio[clip], clips.rerender(alone)[0]) < TOLERANCE_DB


@pytest.mark.parametrize("draw", ["classes", "continuous"])
@pytest.mark.parametrize("normalise", [False, True], ids=["as rendered", "normalised"])
def test_the_label_of_a_stored_clip_renders_the_clip(draw: Any, normalise: bool, tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", SetOptions("fm", size=60, seconds=SHORT_S, draw=draw, normalise=normalise))
    clips = stored_clips(Inverter(CONFIG), tmp_path / "set", "test")
    for clip in range(clips.count):
        batch = clips.pairs(range(clip, clip + 1), CPU)
        assert difference_db(batch.audio[0], clips.rerender(batch)[0]) < TOLERANCE_DB


def test_the_label_of_another_clip_is_beyond_the_tolerance() -> None:
    clips = endless_clips(Inverter(CONFIG), DataConfig(), size=2, split="test", seed=0, origin="")
    batch = clips.pairs(range(2), CPU)
    assert difference_db(batch.audio[0], clips.rerender(batch)[1]) > TOLERANCE_DB


def test_the_difference_of_sounds_is_their_energy_in_decibels_and_finite_for_silence() -> None:
    tone = torch.sin(torch.arange(1000) * 0.1)
    assert difference_db(tone, 1.1 * tone) == pytest.approx(-20.0, abs=0.01)
    assert difference_db(tone, tone) == -200.0
    silence = torch.zeros(1000)
    assert difference_db(silence, silence) == -200.0
    assert difference_db(silence, silence + 1e-4) == pytest.approx(0.0, abs=0.01)


# What is left


def test_every_kept_clip_has_its_original_its_rerendering_and_an_answer_of_every_model(
    model: Path, other: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = evaluate([model, other], out, few())
    names = [
        f"{clip:05d}_{kind}.wav" for clip in range(3) for kind in ("original", "rerender", "first", "second")
    ]
    assert sorted(path.name for path in (out / "audio").iterdir()) == sorted(names)
    inverter = Inverter(CONFIG)
    clips = endless_clips(inverter, DataConfig(), size=4, split="test", seed=0, origin="")
    for clip in range(3):
        sound = audiofile.read(out / f"audio/{clip:05d}_original.wav")
        assert sound.sample_rate == inverter.config.sample_rate
        assert torch.equal(sound.samples, clips.pairs(range(clip, clip + 1), CPU).audio[0])
    kept = result["triples"]
    assert kept["count"] == 3
    assert kept["rerender_error_db"] < kept["tolerance_db"] == TOLERANCE_DB
    assert kept["beyond_tolerance"] == 0
    assert json.loads((out / "scores.json").read_text())["triples"] == kept


def test_a_reconstruction_is_the_predicted_patch_of_its_row(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(model, out, few())
    inverter = Inverter(CONFIG)
    row = rows_of(out)[0]
    classes = torch.tensor([[int(row[f"{knob.name} predicted class"]) for knob in inverter.space.searched]])
    note = (
        endless_clips(inverter, DataConfig(), size=2, split="test", seed=0, origin="")
        .pairs(range(1), CPU)
        .note
    )
    patch = inverter.synth.render(
        inverter.space.from_classes(classes), note, num_samples=inverter.num_samples
    )
    kept = audiofile.read(out / row["prediction file"]).samples
    assert difference_db(patch[0], kept) < TOLERANCE_DB


def test_the_predictions_have_one_row_for_each_model_and_clip_with_classes_values_ratios_and_files(
    model: Path, other: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate([model, other], out, few())
    rows = rows_of(out)
    assert [(row["model"], row["clip"]) for row in rows] == [
        (str(path), str(clip)) for path in (model, other) for clip in range(4)
    ]
    knobs = Inverter(CONFIG).space.searched
    for row in rows:
        off = []
        for knob in knobs:
            for which in ("true", "predicted"):
                value = knob.class_values()[int(row[f"{knob.name} {which} class"])]
                assert row[f"{knob.name} {which}"] == f"{value:.7g}"
            off.append(abs(int(row[f"{knob.name} true class"]) - int(row[f"{knob.name} predicted class"])))
        assert float(row["exact"]) == pytest.approx(sum(each == 0 for each in off) / len(knobs), rel=1e-5)
        assert float(row["within_one"]) == pytest.approx(
            sum(each <= 1 for each in off) / len(knobs), rel=1e-5
        )
        # Three of four clips were kept.
        files = [row[f"{kind} file"] for kind in ("original", "rerender", "prediction")]
        assert [bool(file) for file in files] == [row["clip"] != "3"] * 3
        assert all((out / file).is_file() for file in files if file)


def test_every_clip_has_a_table_in_the_summary_that_says_what_its_row_says(
    model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate(model, out, few(save_audio=0))
    blocks = (out / "summary.txt").read_text().split("\n\n")[2:]
    rows = rows_of(out)
    assert len(blocks) == len(rows) == 4
    for block, row in zip(blocks, rows, strict=True):
        lines = block.splitlines()
        assert lines[0].startswith(f"clip {int(row['clip']):05d} ")
        assert len({line.index("(") for line in lines[2:] if "(" in line}) == 1  # aligned
        cells = {line.split()[0]: line.split() for line in lines[2:]}
        for knob in Inverter(CONFIG).space.searched:
            true, predicted = (int(row[f"{knob.name} {which} class"]) for which in ("true", "predicted"))
            sign = ["="] if true == predicted else ["~"] if abs(true - predicted) == 1 else []
            written = cells[knob.name]
            assert written[1] == str(true)
            assert written[3:-1] == [*sign, str(predicted)]
        assert float(cells["exact"][1]) == pytest.approx(float(row["exact"]), abs=5e-4)


def test_the_whole_held_out_split_of_a_data_set_has_rows_and_never_one_batch(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retimbre.workflows.evaluation.inversion.judge.CLIPS_AT_ONCE", 4)
    make_dataset(tmp_path / "set", SetOptions("fm", size=100, seconds=SHORT_S))
    evaluate(model, tmp_path / "out", few(real=str(tmp_path / "set"), audio_clips=0, save_audio=0))
    split = stored_clips(Inverter(CONFIG), tmp_path / "set", "test").members
    assert len(split) > 4
    assert [int(row["row"]) for row in rows_of(tmp_path / "out")] == split.tolist()


def test_the_page_holds_a_player_for_every_sound_and_fetches_nothing(model: Path, tmp_path: Path) -> None:
    evaluate(model, tmp_path / "out", few())
    page = (tmp_path / "out/listen.html").read_text()
    assert page.count("<audio") == page.count('src="data:audio/flac;base64,') == 9
    assert "default-src &#39;none&#39;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_sounds_of_an_earlier_evaluation_do_not_outlive_it(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluate(model, out, few(save_audio=2))
    (out / "audio/mine.wav").touch()
    evaluate(model, out, few(save_audio=0), force=True)
    assert [path.name for path in (out / "audio").iterdir()] == ["mine.wav"]
    assert not (out / "listen.html").exists()


def test_names_of_files_are_plain_short_and_differ() -> None:
    names = ["out/resmel", "out/resmel/model.safetensors", "runs/a b/x.safetensors", "ORIGINAL", "../é"]
    labels = labels_of(names, taken=("original", "rerender"))
    assert labels == ["resmel", "resmel-2", "x", "ORIGINAL-2", "model"]


# What is refused


def test_models_that_hear_other_clips_are_not_put_side_by_side(model: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer.safetensors"
    save_inverter(longer, Inverter(InverterConfig("fm", "C1", seconds=2 * SHORT_S)), facts={})
    with pytest.raises(ConfigError, match=r"longer.*hears other clips .*\(seconds differ\)"):
        evaluate([model, longer], tmp_path / "out", few())
    evaluate([model, longer], tmp_path / "out", few(save_audio=0))
    assert (tmp_path / "out/summary.txt").read_text().count("models: ") == 2


def test_sounds_without_a_folder_to_keep_them_in_are_refused(model: Path) -> None:
    with pytest.raises(ConfigError, match="--out"):
        evaluate(model, "", few())


def test_recordings_without_labels_are_sent_to_the_command_that_takes_them(
    model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sounds/inner"
    folder.mkdir(parents=True)
    audiofile.write(folder / "a.wav", torch.zeros(100), 16_000)
    for place in (tmp_path / "sounds", folder / "a.wav"):
        with pytest.raises(DatasetError, match=r"no labels.*evaluate recordings"):
            evaluate(model, "", few(real=str(place), save_audio=0))


# Folds


def test_a_model_of_a_fold_is_judged_by_its_folds_own_part_of_a_stored_set(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", SetOptions("fm", size=120, seconds=SHORT_S))
    inverter, seen = Inverter(CONFIG), []
    for fold in range(3):
        clips = stored_clips(inverter, tmp_path / "set", "test", Folds(3, fold))
        assert clips.left_out == 0
        assert clips.settings["fold"] == f"{fold} of 3"
        seen += clips.members.tolist()
    assert sorted(seen) == list(range(120))


@pytest.mark.parametrize("draw", ["classes", "continuous"])
def test_a_model_of_a_fold_is_judged_by_endless_clips_that_its_training_cannot_draw(draw: Any) -> None:
    inverter = Inverter(CONFIG)
    for fold in range(3):
        data = DataConfig(draw=draw, folds=3, fold=fold)
        clips = endless_clips(inverter, data, size=40, split="test", seed=0, origin="")
        tested = clips.pairs(range(40), CPU).classes
        assert (Folds(3, fold).part(tested) == 2).all()
        trained = clips.source.patches(torch.arange(500), "train")[0]
        assert not set(map(tuple, tested.tolist())) & set(map(tuple, trained.tolist()))


def test_a_run_that_balanced_a_data_set_is_judged_on_endless_clips_too() -> None:
    data = DataConfig(folder="a set", balance="M", folds=4, fold=2)
    clips = endless_clips(Inverter(CONFIG), data, size=8, split="test", seed=0, origin="")
    assert (Folds(4, 2).part(clips.pairs(range(8), CPU).classes) == 2).all()
