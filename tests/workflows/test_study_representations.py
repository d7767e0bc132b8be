"""The comparison of representations: fair by construction, judged by real notes, and resumable."""

import csv
import dataclasses
import html
import json
import re
import time
from pathlib import Path

import pytest
import torch

from retimbre.core.errors import ConfigError, ExistsError
from retimbre.gan.config import GanConfig
from retimbre.workflows.evaluation.sets.clips import HeldClips
from retimbre.workflows.study.representations.baselines import Ceiling
from retimbre.workflows.study.representations.budgets import BUDGETS, Budget
from retimbre.workflows.study.representations.contest import Contestant, contestants
from retimbre.workflows.study.representations.judge import COLUMNS, judge, yardstick
from retimbre.workflows.study.representations.marks import kept_marks
from retimbre.workflows.study.representations.models import MODELS, chosen_models
from retimbre.workflows.study.representations.pace import Pace, pace_of
from retimbre.workflows.study.representations.spent import CoreClock, add_session, core_seconds
from retimbre.workflows.study.representations.standing import joined, standings
from retimbre.workflows.study.representations.study import (
    RepresentationsOptions,
    conclude,
    partial_failure,
    plan_of,
    study_representations,
)
from retimbre.workflows.study.representations.table import FLOOR, TRAINED, UNTRAINED, flat, shown
from retimbre.workflows.study.representations.transforms import TRANSFORMS, chosen_transforms
from retimbre.workflows.study.representations.trials import best_setting, read_trials
from retimbre.workflows.training.gan_pool import clip_pool
from retimbre.workflows.training.gan_run import GanRun
from retimbre.workflows.training.run import read_run

RUNS = Path(__file__).parents[2] / "runs"

TINY = Budget(
    name="tiny",
    size="short",
    train_s=0.5,
    trial_s=0.2,
    num_trials=2,
    num_seeds=1,
    test_clips=24,
    validation_clips=12,
    notes=64,
    instruments=20,
    pitches=(60, 63),
    velocities=(100,),
)
MFCC = Contestant(MODELS["progressive"], TRANSFORMS["mfcc"], TINY)


# Fairness


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("budget", BUDGETS.values(), ids=[f"{name} budget" for name in BUDGETS])
def test_all_contestants_hear_the_same_notes_and_differ_in_model_and_representation_alone(model, budget):
    runs = [
        Contestant(MODELS[model], transform, budget).run((4,) * len(MODELS[model].weights), {}, seed=1)
        for transform in TRANSFORMS.values()
    ]
    first = runs[0]
    for run in runs:
        assert (run.data, run.train, run.seed) == (first.data, first.train, first.seed)
        task = run.task
        shared = ("sample_rate", "num_samples", "latent_dim", "attributes", "loss")
        assert [getattr(task, name) for name in shared] == [getattr(first.task, name) for name in shared]
        assert not task.clip
    assert [run.task.representation for run in runs] == list(TRANSFORMS)
    assert {run.task.standardize for run in runs if run.task.representation != "waveform"} == {"bin"}


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=[f"{name} budget" for name in BUDGETS])
def test_every_model_has_as_many_trials_and_each_is_a_run(budget):
    counts = set()
    for model in MODELS.values():
        contestant = Contestant(model, TRANSFORMS["mag-if"], budget)
        plain = contestant.run((8,) * len(model.weights), {}, seed=0)
        changed = [contestant.run((8,) * len(model.weights), each, seed=0) for each in contestant.trials]
        counts.add(len(changed))
        # The first trial is the model as it is; the others differ from it.
        assert changed[0] == plain
        assert all(run != plain for run in changed[1:])
    assert counts == {budget.num_trials}


def test_the_port_weighs_the_terms_of_its_game_as_the_run_file_of_system_c_does():
    published = read_run(RUNS / "sony2020" / "mag-if.toml", ())
    port = Contestant(MODELS["progressive"], TRANSFORMS["mag-if"], BUDGETS["cpu"]).run((8,) * 5, {}, seed=0)
    assert isinstance(published, GanRun)
    ours, theirs = port.task.loss, published.task.loss
    terms = ("gradient_penalty", "drift", "class_weight_critic", "class_weight_generator")
    # The run file writes 10/12 with three digits.
    assert [getattr(ours, name) for name in terms] == pytest.approx(
        [getattr(theirs, name) for name in terms], rel=1e-3
    )
    assert (ours.kind, ours.reduction, ours.critic_steps) == (
        theirs.kind,
        theirs.reduction,
        theirs.critic_steps,
    )
    # That program's class losses are means of weight 10 beside sums over a batch, so the batch is part of the ratio.
    assert port.train.batch_size * ours.class_weight_critic == pytest.approx(10.0)
    assert port.train.batch_size == published.train.batch_size
    assert port.train.learning_rate == published.train.learning_rate


@pytest.mark.parametrize("weights", [(1.0,), (2.0, 2.0, 2.0, 3.0, 3.0)])
def test_updates_fill_the_budget_in_the_shares_of_the_scales(weights):
    update_s = tuple(0.001 * 4.0**place for place in range(len(weights)))
    steps = Pace(update_s, weights, 1, 1, (1,)).steps(100.0)
    spent_s = sum(count * each for count, each in zip(steps, update_s, strict=True))
    # One update of each scale at most is lost by rounding down.
    assert 100.0 - sum(update_s) <= spent_s <= 100.0
    unit = 100.0 / sum(weight * each for weight, each in zip(weights, update_s, strict=True))
    for count, weight in zip(steps, weights, strict=True):
        assert unit * weight - 1.0 <= count <= unit * weight


def test_a_budget_too_small_for_an_update_still_makes_one_of_each_sort():
    assert Pace((5.0, 50.0), (1.0, 2.0), 1, 1, (1,)).steps(0.1) == (1, 1)


def test_models_that_grow_are_trained_for_the_steps_of_their_growth():
    run = MFCC.run((10, 20, 400, 800, 1600), {}, seed=0)
    assert run.growth is not None
    assert run.train.steps == run.growth.total_steps == 2830
    # Half of a scale's updates, a jump each.
    assert run.growth.fade_jumps == (5, 10, 200, 400, 800)
    assert run.growth.fade_jump_steps == (1,) * 5
    assert not run.growth.remarks()


def test_what_a_model_cannot_make_is_named_with_the_reason():
    chosen, refused = contestants(
        chosen_models([]), chosen_transforms(["waveform", "mfcc", "mag-if"]), BUDGETS["smoke"]
    )
    assert {each.name for each in chosen} | refused.keys() == {
        f"{model}/{name}" for model in MODELS for name in ("waveform", "mfcc", "mag-if")
    }
    assert "progressive/waveform" not in refused
    assert "[1, 4096]" in refused["residual/waveform"]
    assert isinstance(chosen[0].run((1,) * 5, {}, seed=0).task, GanConfig)


# The judgement


@pytest.fixture(scope="module")
def against(tmp_path_factory):
    budget = dataclasses.replace(TINY, test_clips=40)
    return yardstick(dataclasses.replace(MFCC, budget=budget), str(tmp_path_factory.mktemp("vectors")), "cpu")


@pytest.fixture(scope="module")
def real(against):
    return judge(against.other_half, against)


def test_real_notes_are_nearer_to_real_notes_than_noise_is_in_every_figure_that_compares(against, real):
    noise = torch.randn(40, 4096, generator=torch.Generator().manual_seed(0)).clamp(-3, 3) / 3
    spoiled = HeldClips("noise", noise, 16_000, against.other_half.labels)
    other = judge(spoiled, against)
    assert list(real) == list(other) == list(COLUMNS)
    for name in ("kad_listener", "kad_statistics", "pkid", "ikid"):
        assert real[name]["value"] < other[name]["value"], name
    assert real["in_tune"]["value"] > 0.9 > other["in_tune"]["value"]
    assert real["coverage"]["value"] > other["coverage"]["value"]
    for figure in real.values():
        assert figure["value"] is None or figure["low"] <= figure["value"] <= figure["high"]


def test_a_frechet_distance_of_fewer_than_two_clips_per_dimension_is_refused_with_the_reason(real):
    assert real["fad_statistics"]["value"] is None
    assert "40 clips of 512 dimensions; takes 1024 or more" in real["fad_statistics"]["why"]


def test_both_halves_are_of_notes_that_no_seed_trains_on_and_share_none(against):
    halves = [against.reference.audio(range(40)), against.other_half.audio(range(40))]
    assert float(torch.cdist(*halves).min()) > 0.1  # peaks are 1, so equal clips would have 0
    for seed in range(2):
        run = MFCC.run((1,) * 5, {}, seed=seed)
        for part in ("train", "valid", "test"):
            heard = clip_pool(run.data, run.task, part, most=64, seed=run.seed).audio(torch.arange(12))
            assert all(float(torch.cdist(heard, half).min()) > 0.1 for half in halves)
    assert set(against.keys) <= set(range(60, 64))


def test_what_goes_through_an_exact_representation_gets_what_it_got_before(tmp_path):
    contestant = dataclasses.replace(MFCC, transform=TRANSFORMS["stft"])
    ceiling = Ceiling(contestant, tmp_path, "cpu")
    ceiling.run()
    figures = json.loads(ceiling.path.read_text())["figures"]
    on = yardstick(contestant, str(tmp_path / "vectors"), "cpu")
    before = judge(on.other_half, on)
    # 137 dB below the sound, rounding moves an embedding by next to nothing.
    assert figures["kad_statistics"]["value"] == pytest.approx(before["kad_statistics"]["value"], abs=1e-3)
    assert figures["in_tune"]["value"] == before["in_tune"]["value"]


# The order


def _row(what, model, seed, kad):
    figures = {name: {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9} for name in COLUMNS}
    for name in ("kad_listener", "kad_statistics"):
        figures[name] = {"value": kad, "low": kad - 0.5, "high": kad + 0.5, "n": 9}
    return {"what": what, "model": model, "representation": "mel", "seed": seed, "figures": figures}


def test_contestants_whose_intervals_overlap_share_a_place():
    rows = [_row(FLOOR, "", None, 0.0), _row(UNTRAINED, "x", None, 90.0)]
    rows += [_row(TRAINED, name, 0, kad) for name, kad in (("a", 3.0), ("b", 3.8), ("c", 8.0))]
    found = standings(rows)
    assert found.ranking.places == {"a/mel": 1, "b/mel": 1, "c/mel": 3}
    assert "share the first place" in found.ranking.says[0]


def test_an_embedder_that_takes_an_untrained_network_for_real_notes_ranks_nobody():
    rows = [_row(FLOOR, "", None, 0.0), _row(UNTRAINED, "a", None, 0.2), _row(TRAINED, "a", 0, 3.0)]
    found = standings(rows)
    assert found.ranking.places == {}
    assert "untrained a/mel" in found.ranking.says[0]


def test_nobody_is_ranked_before_real_notes_are_judged():
    rows = [_row(UNTRAINED, "x", None, 90.0), _row(TRAINED, "x", 0, 3.0)]
    found = standings(rows)
    assert found.ranking.places == {}
    assert "judged yet" in found.ranking.says[0]


def test_the_interval_of_several_seeds_holds_the_intervals_of_all():
    some = [{"value": 1.0, "low": 0.5, "high": 1.5}, {"value": 3.0, "low": 2.0, "high": 3.5}]
    assert joined(some) == {"value": 2.0, "low": 0.5, "high": 3.5}
    assert joined([*some, {"value": None, "why": "too few"}])["value"] is None


# What is kept


def test_marks_are_kept_as_long_as_what_they_depend_on_is_the_same(tmp_path):
    path, made = tmp_path / "marks.json", []

    def make():
        made.append(1)
        return {"figures": {"n": len(made)}, "about": {}}

    for facts, times in (({"a": 1}, 1), ({"a": 1}, 1), ({"a": 2}, 2)):
        kept_marks(path, facts, make)
        assert len(made) == times
    path.write_text("{")
    assert kept_marks(path, {"a": 2}, make)["figures"] == {"n": 3}


def test_a_pace_that_was_measured_is_not_measured_again(tmp_path):
    path = tmp_path / "pace.json"
    pace = Pace((1.0, 2.0, 3.0, 4.0, 5.0), MFCC.model.weights, 7, 8, (1, 20, 32))
    path.write_text(json.dumps(dataclasses.asdict(pace)))
    assert pace_of(MFCC, path, "cpu") == pace


@pytest.mark.parametrize("content", ["{", "[]", '{"update_s": [1.0]}', "null"])
def test_a_pace_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "pace.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"pace\.json: not the pace of a contestant"):
        pace_of(MFCC, path, "cpu")


def test_the_trial_that_came_nearest_is_gone_on_with_and_none_is_made_twice(tmp_path):
    trained = []

    def train(config, folder):
        trained.append(config.train.learning_rate)
        return {"validation": {"kad": 5.0 - len(trained)}, "seconds": 1.0}

    pace = Pace((0.01,) * 5, MFCC.model.weights, 1, 1, (1,))
    for _ in range(2):
        assert best_setting(MFCC, pace, tmp_path, train) == MFCC.trials[1]
    assert trained == [8e-4, 2e-3]
    assert [row["kad"] for row in read_trials(tmp_path / "trials.json")] == [4.0, 3.0]


def test_what_the_processor_spent_adds_up_over_sessions_and_is_not_told_where_one_was_killed(tmp_path):
    for count in (2, 3):
        clock = CoreClock()
        clock.begin(None)
        for _ in range(count):
            torch.linalg.svd(torch.randn(128, 128))
            clock.tick(None)
        add_session(tmp_path, clock)
        assert clock.updates == count
        assert clock.seconds > 0.0
    told = core_seconds(tmp_path, 5)
    assert told is not None
    # Rounded to a tenth of a second.
    assert told >= clock.seconds - 0.05
    # The run made six updates, so a session of one is missing.
    assert core_seconds(tmp_path, 6) is None
    assert core_seconds(tmp_path / "other", 5) is None


def test_a_folder_of_another_budget_is_refused(tmp_path):
    (tmp_path / "budget.json").write_text(json.dumps({"name": "other"}))
    with pytest.raises(ExistsError, match=r"holds a study that differs in .*train_s"):
        study_representations(tmp_path, RepresentationsOptions(TINY, ("progressive",), ("mfcc",)))
    (tmp_path / "budget.json").write_text("[")
    with pytest.raises(ConfigError, match=r"budget\.json: not the budget of a study"):
        study_representations(tmp_path, RepresentationsOptions(TINY, ("progressive",), ("mfcc",)))
    (tmp_path / "file").write_text("")
    with pytest.raises(ExistsError, match="is a file"):
        study_representations(tmp_path / "file", RepresentationsOptions(TINY))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": "smok"}, "did you mean 'smoke'"),
        ({"models": ("residul",)}, "did you mean 'residual'"),
        ({"representations": ("mag-ifs",)}, "did you mean 'mag-if"),
        ({"models": ("residual",), "representations": ("waveform",)}, "nothing to compare"),
    ],
)
def test_names_that_are_in_no_list_are_refused(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        plan_of(tmp_path, RepresentationsOptions(**options))


@pytest.mark.parametrize("options", [{"workers": 0}, {"minutes": float("nan")}, {"seeds": -1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="but they take"):
        RepresentationsOptions(**options)


def test_the_smoke_budget_fits_half_an_hour_and_the_cpu_budget_four_hours_on_two_cores(tmp_path):
    smoke = plan_of(tmp_path, RepresentationsOptions("smoke"))
    assert 0.7 * 1800 < smoke.predicted_s(2) <= 1800
    cpu = plan_of(tmp_path, RepresentationsOptions("cpu"))
    assert 0.5 * 14_400 < cpu.predicted_s(2) <= 14_400


def test_no_part_is_begun_when_the_time_is_over(tmp_path):
    plan = plan_of(tmp_path, RepresentationsOptions(TINY, ("progressive",), ("mfcc", "mel"), minutes=1e-9))
    time.sleep(0.01)
    assert [job.run() for job in plan.jobs] == [
        f"{name}: stopped, to be continued"
        for name in ("real/real", "real/mfcc", "real/mel", "progressive/mfcc", "progressive/mel")
    ]
    assert plan.unfinished == [job.name for job in plan.jobs]
    assert not list(tmp_path.iterdir())


# The page


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _page(out, *, is_judged):
    """The text of the page of a study whose one contestant is judged, or in which nothing is done yet."""
    plan = plan_of(out, RepresentationsOptions(TINY, ("progressive",), ("mfcc",)))
    if is_judged:
        figures = {name: {"value": 0.5, "low": 0.4, "high": 0.6, "n": 24} for name in COLUMNS}
        sizes = dict.fromkeys(("images", "steps", "best_step", "parameters", "critic_parameters"), 9)
        times = {"seconds": 50.2, "core_seconds": 41.6, "generation_ms": 1.0, "inversion_ms": 2.0}
        about = {**sizes, **times, "features": [1, 20, 32], "setting": {}}
        for path in (plan.floor.path, plan.ceilings[0].path, plan.cells[0].untrained_file):
            _write(path, {"facts": {}, "figures": figures, "about": {}})
        _write(plan.cells[0].marks_file(0), {"facts": {}, "figures": figures, "about": about})
        trials = [({}, 2.0), ({"train.learning_rate": 1e-3}, 3.0)]
        rows = [{"changes": changes, "kad": kad, "steps": 9} for changes, kad in trials]
        _write(plan.cells[0].trials_folder / "trials.json", rows)
    conclude(out, plan, [])
    return html.unescape((out / "report.html").read_text())


def test_the_page_of_a_study_in_which_nothing_is_done_has_no_empty_sections(tmp_path):
    page = _page(tmp_path, is_judged=False)
    assert re.findall(r"<h2><bdi>(.*?)</bdi></h2>", page) == ["How it was done"]
    assert "Not finished: real/real, real/mfcc, progressive/mfcc." in page


def test_the_page_is_plain_text_names_a_single_seed_and_says_that_a_setting_is_as_it_was(tmp_path):
    page = _page(tmp_path, is_judged=True)
    assert "`" not in page[page.index("<body>") :]
    assert " Seed 0." in page
    assert "Seeds" not in page
    assert "Not finished" not in page
    rows = re.findall(r"<tr>(.*?)</tr>", page, flags=re.DOTALL)
    cells = [re.findall(r"<bdi>(.*?)</bdi>", row) for row in rows]
    assert ["progressive/mfcc", "as it is", "9", "2"] in cells
    assert ["progressive/mfcc", "learning_rate 0.001", "9", "3"] in cells
    costs = next(row for row in cells if "1 x 20 x 32" in row)
    assert costs[-1] == "as it is"
    assert "42" in costs  # seconds of a core
    assert not any(cell == "" for row in cells for cell in row)


def test_the_table_says_of_trainings_alone_what_their_setting_was():
    about = {"setting": None, "features": None}
    rows = [_row(FLOOR, "", None, 0.0) | about, _row(TRAINED, "a", 0, 1.0) | about | {"setting": {}}]
    rows.append(rows[1] | {"setting": {"task.loss.r1": 50.0, "task.loss.r2": 50.0}})
    assert [row["setting"] for row in flat(rows)] == ["", "as it is", "task.loss.r1=50 task.loss.r2=50"]


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ((0.0833, 6.9e-18, 0.262), "0.0833 (0 to 0.262)"),
        ((-1e-9, -2.0, 99.97), "0 (-2 to 100)"),
        ((13218.4, -100.4, 2.8e6), "13,218 (-100 to 2,800,000)"),
        ((None, None, None), "–"),
    ],
)
def test_figures_are_shown_with_three_digits_whole_thousands_and_no_dust_of_rounding(figure, text):
    assert shown(dict(zip(("value", "low", "high"), figure, strict=True))) == text


# All of it


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    options = RepresentationsOptions(TINY, ("progressive", "residual"), ("mfcc",), device="cpu")
    # Side by side, so that every part has to travel to another process.
    stopped = study_representations(out, dataclasses.replace(options, minutes=1e-6, workers=2))
    told = []
    return out, options, stopped, study_representations(out, options, tell=told.append), told


@pytest.mark.slow
def test_a_study_whose_time_is_over_says_what_is_left_and_goes_on(done):
    _, _, stopped, result, told = done
    assert stopped["unfinished"] == ["real/real", "real/mfcc", "progressive/mfcc", "residual/mfcc"]
    assert stopped["rows"] == []
    assert result["unfinished"] == result["failed"] == []
    assert partial_failure(result) is None
    assert sum("in tune" in line for line in told) == 2


@pytest.mark.slow
def test_floor_ceiling_untrained_and_trained_have_every_figure_in_table_and_page(done):
    out, _, _, result, _ = done
    assert [(row["what"], row["model"]) for row in result["rows"]] == [
        ("real/real", ""),
        ("real through it", ""),
        ("untrained", "progressive"),
        ("trained", "progressive"),
        ("untrained", "residual"),
        ("trained", "residual"),
    ]
    assert json.loads((out / "results.json").read_text()) == result
    with (out / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6
    for row in table:
        for name in COLUMNS:
            assert (row[name] == "") == (row[f"{name}_low"] == "")
        assert float(row["in_tune_low"]) <= float(row["in_tune"]) <= float(row["in_tune_high"])
    for row in (each for each in table if each["what"] == "trained"):
        batch = 12 if row["model"] == "progressive" else 32
        assert int(row["images"]) == batch * int(row["steps"])
        assert float(row["core_seconds"]) > 0.0
        assert min(float(row["generation_ms"]), float(row["inversion_ms"]), float(row["parameters"])) > 0
        assert row["features"] == "1 x 20 x 32"
    page = (out / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched
    assert page.count("<audio") == 4  # two models, and real notes beside each
    for name in ("progressive/mfcc", "residual/mfcc", "real through mfcc", "untrained"):
        assert name in page


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_what_was_lost_is_judged_anew_with_the_same_result(done):
    out, options, _, result, _ = done
    model = out / "contestants/residual/mfcc/seed-0/run/model.safetensors"
    marks = out / "contestants/residual/mfcc/seed-0/marks.json"
    stamp = model.stat().st_mtime_ns
    before = json.loads(marks.read_text())["figures"]
    marks.unlink()
    again = study_representations(out, options)
    assert json.loads(marks.read_text())["figures"] == before
    assert model.stat().st_mtime_ns == stamp
    assert again["places"] == result["places"]


@pytest.mark.slow
def test_another_representation_and_seed_join_the_table_that_is_there(done):
    out, options, _, _, _ = done
    more = dataclasses.replace(options, models=("progressive",), seeds=2)
    result = study_representations(out, more)
    assert [row["seed"] for row in result["rows"] if row["what"] == TRAINED] == [0, 1]
    assert len(result["standings"]["progressive/mfcc"]) == len(COLUMNS)
