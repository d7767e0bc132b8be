"""Evaluating inverters: figures that can be worked out by hand, clips that no training saw, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from retimbre.core.errors import CheckpointError, ConfigError, DatasetError, ExistsError
from retimbre.data.manifest import Fractions
from retimbre.matching import inverter as inverters
from retimbre.matching.inverter import Inverter, InverterConfig, save_inverter
from retimbre.synth.base import Note
from retimbre.synth.levels import ParameterFile
from retimbre.training import checkpoint
from retimbre.workflows.dataset.plan import SetOptions
from retimbre.workflows.dataset.prepare import make_dataset
from retimbre.workflows.evaluation.inversion import knobs as evaluating
from retimbre.workflows.evaluation.inversion import paper
from retimbre.workflows.evaluation.inversion.held_out import (
    EndlessClips,
    endless_clips,
    stored_clips,
    trained_on,
)
from retimbre.workflows.evaluation.inversion.judge import ANCHORS, SOUND_MEASURES, judge
from retimbre.workflows.evaluation.inversion.knobs import EvaluateOptions, evaluate
from retimbre.workflows.evaluation.inversion.tables import model_scores
from retimbre.workflows.training.fit import train
from retimbre.workflows.training.matching_run import DataConfig

CPU = torch.device("cpu")
SHORT_S = 0.125
CONFIG = InverterConfig("fm", "C1", seconds=SHORT_S)
# A choice, so that figures that need an order have a gap.
MUSICAL = InverterConfig("subtractive", "C1", seconds=SHORT_S, sample_rate=8_000)
SETTINGS = {"bootstrap": {"seed": 0}}


class Oracle(Inverter):
    """Knows the truth of the clip whose number is the note's noise seed, and says a class `off` above it."""

    def __init__(self, config: InverterConfig, off: int = 0) -> None:
        super().__init__(config)
        self.off = off

    def log_probabilities(self, audio: torch.Tensor, note: Note) -> torch.Tensor:
        truth, _ = clips_of(self, 2).source.patches(note.noise_seed, "test")
        counts = torch.tensor(self.space.class_counts)
        answer = torch.where(truth + self.off < counts, truth + self.off, truth - self.off)
        likely = torch.nn.functional.one_hot(answer, int(counts.max())).float()
        return likely.log().masked_fill(~self.head.layout.valid, -torch.inf)


class Constant(Inverter):
    """Says the same of every class."""

    def log_probabilities(self, audio: torch.Tensor, note: Note) -> torch.Tensor:
        scores = torch.zeros(len(audio), *self.head.layout.valid.shape)
        return scores.masked_fill(~self.head.layout.valid, -torch.inf)


def clips_of(inverter: Inverter, size: int, draw: Any = "classes") -> EndlessClips:
    return endless_clips(inverter, DataConfig(draw=draw), size=size, split="test", seed=0, origin="a test")


def scores_of(
    inverter: Inverter, size: int = 12, audio_clips: int = 0, draw: Any = "classes"
) -> dict[str, Any]:
    judgement = judge(inverter, clips_of(inverter, size, draw), audio_clips=audio_clips, device=CPU)
    return model_scores("a stub", inverter, judgement, SETTINGS)


@pytest.mark.parametrize("config", [CONFIG, MUSICAL], ids=lambda config: config.synth)
def test_who_knows_everything_scores_full_marks_everywhere(config: InverterConfig) -> None:
    scores = scores_of(Oracle(config))
    assert (scores["value"], scores["low"], scores["high"], scores["n"]) == (100.0, 100.0, 100.0, 12)
    assert scores["parameters"]["perfect"] == 1.0
    for clips in ("all_clips", "audible_clips"):
        mean = scores["parameters"][clips]["mean"]
        assert [mean[name] for name in ("exact", "within_one", "top_1", "top_5")] == [1.0] * 4
        assert (mean["percentile_rank"], mean["class_error"]) == (100.0, 0.0)


@pytest.mark.parametrize("config", [CONFIG, MUSICAL], ids=lambda config: config.synth)
def test_who_says_nothing_scores_fifty_and_the_shares_of_chance(config: InverterConfig) -> None:
    inverter = Constant(config)
    scores = scores_of(inverter)
    assert (scores["value"], scores["low"], scores["high"]) == (50.0, 50.0, 50.0)
    knobs = scores["parameters"]["all_clips"]["knobs"]
    for knob, count in zip(inverter.space.searched, inverter.space.class_counts, strict=True):
        assert knobs[knob.name]["exact"] == pytest.approx(1 / count)
        assert knobs[knob.name]["top_5"] == pytest.approx(min(5 / count, 1.0))


def test_who_is_one_class_off_is_never_exact_always_within_one_and_off_by_one_class() -> None:
    inverter = Oracle(CONFIG, off=1)
    tables = scores_of(inverter)["parameters"]
    assert tables["perfect"] == 0.0
    for knob in inverter.space.searched:
        figures = tables["all_clips"]["knobs"][knob.name]
        assert (figures["exact"], figures["within_one"], figures["class_error"]) == (0.0, 1.0, 1.0)
    # The modulation rate stands at 16 even levels from 1 to 30 Hz.
    assert tables["all_clips"]["knobs"]["M"]["value_error"] == pytest.approx(29 / 15, rel=1e-5)


def test_figures_that_need_an_order_have_a_gap_for_choices_and_for_mixed_units() -> None:
    inverter = Oracle(MUSICAL)
    tables = scores_of(inverter)["parameters"]
    choices = [name for name, knob in tables["knobs"].items() if not knob["ordered"]]
    assert choices
    for name in choices:
        figures = tables["all_clips"]["knobs"][name]
        assert [figures[each] for each in ("within_one", "class_error", "value_error")] == [None] * 3
        assert figures["exact"] == 1.0
    for group, figures in tables["all_clips"]["groups"].items():
        units = {knob["unit"] for knob in tables["knobs"].values() if knob["group"] == group}
        assert len(units) == 1 or figures["value_error"] is None
    assert tables["all_clips"]["mean"]["value_error"] is None


def test_the_ceiling_is_half_way_from_chance_for_a_knob_that_is_heard_in_half_of_the_clips() -> None:
    for name, knob in scores_of(Constant(CONFIG))["parameters"]["knobs"].items():
        assert knob["ceiling"] == pytest.approx(50.0 + 50.0 * knob["audible"]), name


def test_true_classes_sound_like_the_clip_and_another_clip_s_answer_does_not() -> None:
    sounds = scores_of(Oracle(CONFIG), size=9, audio_clips=8)["sounds"]
    assert sounds["n"] == 8
    for anchor in ("prediction", "truth"):
        for measure in ("stft_correlation", "ft_correlation", "rms"):
            assert sounds[anchor][measure]["mean"]["value"] == pytest.approx(1.0, abs=1e-5)
        for measure in ("log_spectral_frobenius", "mfcc_distance", "mss", "wmfcc"):
            # Sums of decibels over thousands of cells of two equal renderings.
            assert sounds[anchor][measure]["mean"]["value"] == pytest.approx(0.0, abs=1e-2)
    assert sounds["chance"]["stft_correlation"]["mean"]["value"] < 0.9
    assert sounds["chance"]["mss"]["mean"]["low"] > 3.0


def test_between_levels_even_true_classes_do_not_sound_the_same() -> None:
    sounds = scores_of(Constant(CONFIG), size=4, audio_clips=4, draw="continuous")["sounds"]
    assert sounds["truth"]["mss"]["mean"]["value"] > 0.1


def test_a_batch_of_clips_does_not_change_what_is_said_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    inverter = Inverter(CONFIG)
    together = scores_of(inverter, size=7, audio_clips=5)
    monkeypatch.setattr("retimbre.workflows.evaluation.inversion.judge.CLIPS_AT_ONCE", 3)
    apart = scores_of(inverter, size=7, audio_clips=5)
    assert apart["value"] == pytest.approx(together["value"], abs=1e-3)
    for measure in SOUND_MEASURES:
        values = [each["sounds"]["prediction"][measure]["mean"]["value"] for each in (apart, together)]
        # Rounding differs with the alignment of a batch.
        assert values[0] == pytest.approx(values[1], rel=1e-3, abs=1e-3), measure


def test_held_out_clips_have_no_class_vector_that_training_has() -> None:
    inverter = Inverter(InverterConfig("two-sine", "C1", seconds=SHORT_S))
    clips = clips_of(inverter, 200)
    tested = set(map(tuple, clips.pairs(range(200), CPU).classes.tolist()))
    for seed in (0, 1):
        source = endless_clips(inverter, DataConfig(), size=2, split="test", seed=seed, origin="").source
        seen = set(map(tuple, source.patches(torch.arange(4000), "train")[0].tolist()))
        assert seen
        assert not tested & seen


# Data sets on disk


def make_set(folder: Path, **changes: Any) -> Path:
    options = {"synth": "fm", "size": 120, "seconds": SHORT_S} | changes
    make_dataset(folder, SetOptions(**options))
    return folder


def test_the_whole_held_out_split_of_a_data_set_is_used(tmp_path: Path) -> None:
    clips = stored_clips(Inverter(CONFIG), make_set(tmp_path / "set"), "test")
    assert clips.count == len(clips.data.split("test"))
    assert clips.left_out == 0
    first = clips.pairs(range(2), CPU)
    assert torch.equal(first.note.noise_seed, clips.data.split("test")[:2])
    assert torch.equal(first.classes, clips.data.classes[first.note.noise_seed])


def test_clips_of_a_data_set_that_training_may_have_seen_are_left_out(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", split=Fractions(validation=0.0, test=1.0))
    inverter = Inverter(CONFIG)
    clips = stored_clips(inverter, folder, "test")
    assert clips.count + clips.left_out == 120
    # A tenth of 120 by their hashes, within four standard deviations.
    assert 1 <= clips.count <= 26
    tested = set(map(tuple, clips.pairs(range(clips.count), CPU).classes.tolist()))
    seen = clips_of(inverter, 2).source.patches(torch.arange(4000), "train")[0]
    assert not tested & set(map(tuple, seen.tolist()))


def test_true_classes_match_the_clips_of_a_normalised_set_in_level(tmp_path: Path) -> None:
    inverter = Constant(CONFIG)
    clips = stored_clips(inverter, make_set(tmp_path / "set", normalise=True), "test")
    scores = judge(inverter, clips, audio_clips=4, device=CPU).scores
    assert float(scores["truth"]["mfcc_distance"].max()) < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"synth": "fm4"}, "its synthesizer: fm4, but the model's: fm"),
        ({"seconds": 2 * SHORT_S}, "its samples: 4096, but the model's: 2048"),
        ({"sample_rate": 8000}, "its sample rate: 8000, but the model's: 16384"),
        ({"num_levels": 5}, "its levels of A: 5, but the model's: 16"),
        ({"parameters": ParameterFile(fixed={"D": 0.5})}, "its searched knobs"),
        ({"size": 1}, "its test split holds no clip"),
    ],
)
def test_a_data_set_that_is_not_the_models_is_refused_by_what_differs(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=message):
        stored_clips(Inverter(CONFIG), make_set(tmp_path / "set", **changes), "test")


def test_a_data_set_with_another_fixed_value_is_refused(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", parameters=ParameterFile(fixed={"A": 0.5}))
    with pytest.raises(DatasetError, match=r"its fixed A: 0\.5, but the model's: 1"):
        stored_clips(Inverter(InverterConfig("fm", "C1", seconds=SHORT_S, fixed={"A": 1.0})), folder, "test")


# The verb


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    facts = {"seed": 3, "clips_seen": 8, "pairs": {"draw": "continuous", "pitch_hz": [220.0, 880.0]}}
    save_inverter(tmp_path / "model.safetensors", Inverter(CONFIG), facts=facts)
    return tmp_path / "model.safetensors"


def few(**changes: Any) -> EvaluateOptions:
    return EvaluateOptions(**{"clips": 4, "audio_clips": 3, "device": "cpu", **changes})


def test_clips_are_drawn_in_the_manner_the_model_was_trained_in(model: Path) -> None:
    held_out = evaluate(model, "", few(audio_clips=0))["settings"]["held_out"]
    assert (held_out["draw"], held_out["pitch_hz"], held_out["as"]) == (
        "continuous",
        [220.0, 880.0],
        "the checkpoint",
    )
    assert held_out["gate_s"] == [inverters.find_synth("fm").default_gate_s] * 2
    at_levels = evaluate(model, "", few(audio_clips=0, draw="classes"))["settings"]["held_out"]
    assert at_levels["draw"] == "classes"


def test_a_run_folder_says_how_it_was_trained_and_a_bare_model_stands_for_the_defaults(
    tmp_path: Path,
) -> None:
    run_file = tmp_path / "config.toml"
    run_file.write_text(
        '[task]\nsynth = "fm"\nmodel = "C1"\n[train]\nsteps = 1\n[data]\npitch_hz = [100.0, 200.0]\n'
    )
    by_folder, origin = trained_on(tmp_path, {})
    assert (by_folder.pitch_hz, origin) == ((100.0, 200.0), "the run file")
    assert trained_on(tmp_path / "model.safetensors", {}) == (by_folder, origin)
    assert trained_on("shipped", {}) == (DataConfig(), "default")


def test_a_trained_model_alone_knows_how_its_pairs_were_drawn(tmp_path: Path) -> None:
    run_file = tmp_path / "tiny.toml"
    run_file.write_text(
        f'[task]\nsynth = "fm"\nmodel = "C1"\nseconds = {SHORT_S}\n[train]\nsteps = 1\nbatch_size = 2\n'
        '[data]\ndraw = "continuous"\npitch_hz = [110.0, 220.0]\ngate_s = [0.05, 0.1]\nvalidation_clips = 2\n'
    )
    train(run_file, tmp_path / "run")
    alone = tmp_path / "alone.safetensors"
    (tmp_path / "run/model.safetensors").rename(alone)
    drawn, origin = trained_on(alone, inverters.read_inverter(alone)[1])
    assert (drawn.draw, drawn.pitch_hz, drawn.gate_s) == ("continuous", (110.0, 220.0), (0.05, 0.1))
    assert origin == "the checkpoint"


def test_the_result_is_json_with_the_headline_the_settings_and_every_table(model: Path) -> None:
    result = json.loads(json.dumps(evaluate(model, "", few()), allow_nan=False))
    assert result["low"] <= result["value"] <= result["high"]
    assert result["n"] == result["settings"]["held_out"]["count"] == 4
    needed = {"model", "sha256", "synth", "network", "held_out", "audible_floor_db", "bootstrap", "versions"}
    assert needed <= set(result["settings"])
    only = result["models"][0]
    assert only["value"] == result["value"]
    assert only["parameters"]["all_clips"]["mean"]["percentile_rank"] == pytest.approx(result["value"])
    assert {
        "exact",
        "within_one",
        "top_1",
        "top_2",
        "top_3",
        "top_4",
        "top_5",
        "class_error",
        "value_error",
    } < set(only["parameters"]["audible_clips"]["knobs"]["M"])
    assert only["sounds"]["n"] == 3
    for anchor in ANCHORS:
        assert set(only["sounds"][anchor]) == set(SOUND_MEASURES)
    assert "paper" not in result


def test_the_same_seed_gives_the_same_figures_and_another_seed_other_clips(model: Path) -> None:
    first, again = (evaluate(model, "", few(audio_clips=0)) for _ in range(2))
    assert first == again
    assert evaluate(model, "", few(audio_clips=0, seed=1))["value"] != first["value"]


def test_the_files_say_what_the_result_says(model: Path, tmp_path: Path) -> None:
    result = evaluate(model, tmp_path / "out", few())
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "scores.json",
        "per_parameter.csv",
        "predictions.csv",
        "summary.txt",
        "report.md",
    }
    assert json.loads((out / "scores.json").read_text()) == json.loads(json.dumps(result))
    clips = list(csv.DictReader((out / "predictions.csv").open()))
    assert [row["clip"] for row in clips] == ["0", "1", "2", "3"]
    levels = [f"{value:.7g}" for value in Inverter(CONFIG).space["M"].class_values()]
    assert all(row["M true"] in levels and row["M predicted"] in levels for row in clips)
    assert sum(float(row["percentile_rank"]) for row in clips) / 4 == pytest.approx(result["value"], rel=1e-6)
    assert [bool(row["mss"]) for row in clips] == [True, True, True, False]
    rows = list(csv.DictReader((out / "per_parameter.csv").open()))
    mean = next(row for row in rows if (row["kind"], row["clips"]) == ("mean", "all_clips"))
    assert float(mean["percentile_rank"]) == pytest.approx(result["value"], rel=1e-6)
    assert f"{result['value']:.2f}" in (out / "report.md").read_text()


def test_nothing_is_overwritten_without_force_and_nothing_measured_before_that_is_known(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "scores.json").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr(evaluating, "judge", None)
        with pytest.raises(ExistsError, match=r"holds scores\.json already"):
            evaluate(model, out, few())
    evaluate(model, out, few(audio_clips=0), force=True)
    assert json.loads((out / "scores.json").read_text())["n"] == 4
    with pytest.raises(ExistsError, match="is a file"):
        evaluate(model, model, few())


def test_several_models_have_a_column_each(model: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_inverter(other, Inverter(InverterConfig("fm", "C1", seconds=SHORT_S, fixed={"A": 1.0})), facts={})
    result = evaluate([model, other], tmp_path / "out", few(audio_clips=0))
    assert [each["model"] for each in result["models"]] == [str(model), str(other)]
    assert result["value"] == result["models"][0]["value"]
    page = (tmp_path / "out/report.md").read_text()
    assert f"| knob | {model} | {other} | ceiling |" in page
    row = next(line for line in page.splitlines() if line.startswith("| A |"))
    # The second model holds A fixed.
    assert row.split("|")[3].strip() == "-"


def test_models_of_two_synthesizers_unknown_or_foreign_ones_are_refused(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_inverter(other, Inverter(InverterConfig("two-sine", "C1", seconds=SHORT_S)), facts={})
    with pytest.raises(ConfigError, match="take one synthesizer"):
        evaluate([model, other], "", few())
    with pytest.raises(ConfigError, match="named twice"):
        evaluate([model, model], "", few())
    with pytest.raises(ConfigError, match="no model"):
        evaluate([], "", few())
    with pytest.raises(CheckpointError, match="there is no model 'nothing'"):
        evaluate("nothing", "", few())
    checkpoint.save(tmp_path / "foreign.safetensors", {"a": torch.zeros(1)}, kind="training", metadata={})
    with pytest.raises(CheckpointError, match="training"):
        evaluate(tmp_path / "foreign.safetensors", "", few())
    with pytest.raises(ConfigError, match="clips is 1"):
        few(clips=1)


# The paper's figures


def test_the_papers_figures_cover_the_knobs_and_have_the_mean_that_it_prints() -> None:
    knobs = inverters.find_synth("inversynth").space.names
    assert tuple(paper.PERCENTILE_RANK) == knobs
    conv6xl = [figures[0] for figures in paper.PERCENTILE_RANK.values()]
    assert sum(conv6xl) / len(conv6xl) == pytest.approx(paper.MEAN_PERCENTILE_RANK[0], abs=0.01)
    assert len({paper.group_of(name) for name in knobs}) == 7


def test_the_papers_figures_stand_beside_its_synthesizer_and_are_labelled_as_the_papers(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    model = tmp_path / "model.safetensors"
    save_inverter(model, Inverter(InverterConfig("inversynth", "C1", seconds=SHORT_S)), facts={})
    result = evaluate(model, tmp_path / "out", few(clips=2, audio_clips=2))
    assert result["paper"]["networks"]["Conv6XL"]["percentile_rank"]["f_cut"] == 99.68
    page = (tmp_path / "out/report.md").read_text()
    assert "on the paper's own renderer" in page
    row = next(line for line in page.splitlines() if line.startswith("| f_cut |"))
    assert [cell.strip() for cell in row.split("|")[-3:-1]] == ["99.7", "98.5"]
