"""Laws of the search, on voices that are quick to render, with budgets counted in evaluations."""

import itertools
import math

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.matching.audition import Audition, Budget, Meter, search_rate
from retimbre.matching.breeding import BreedingConfig, Herd, breed
from retimbre.matching.chart import Chart
from retimbre.matching.propose import NoteHint, Proposals, even_pool
from retimbre.matching.search import Found, Search, SearchConfig
from retimbre.synth.base import Note
from retimbre.synth.catalog import SYNTHS
from retimbre.synth.patches import synth_at_rate

HINT = NoteHint(pitch_hz=440.0, confidence=0.95, gate_s=0.1, seconds=0.15)


def counted(evaluations: float) -> Meter:
    return Meter(Budget(evaluations=evaluations), lambda: 0.0)


def audition(name: str, values: dict[str, float | str], *, threads: int = 1) -> Audition:
    """A target that the voice itself has made."""
    rate = SYNTHS[name].sample_rate if name in {"two-sine", "fm", "fm4", "inversynth"} else 16_000
    synth = synth_at_rate(name, rate)
    note = Note.of(1, pitch_hz=HINT.pitch_hz, gate_s=HINT.gate_s)
    sound = synth.render(synth.space.from_values(values), note, num_samples=round(HINT.seconds * rate))[0]
    return Audition.of(synth, sound, threads=threads)


def searched(
    place: Audition, evaluations: int, *, name: str, seed: int = 0, config: SearchConfig | None = None
) -> tuple[Found, torch.Tensor]:
    pool = even_pool(name, place.space, HINT, 32, torch.Generator().manual_seed(seed))
    losses = place.losses(pool)
    search = Search(place, HINT, config or SearchConfig(count=3), seed)
    return search.run(pool, losses, counted(evaluations), lambda share: None), losses


def test_a_patch_of_two_sines_is_recovered() -> None:
    truth = {"f1": 400.0, "a1": 1.0, "f2": 1200.0, "a2": 0.5}
    place = audition("two-sine", truth)
    hint = NoteHint(pitch_hz=400.0, confidence=0.95, gate_s=0.1, seconds=0.15)
    pool = even_pool("two-sine", place.space, hint, 64, torch.Generator().manual_seed(0))
    search = Search(place, hint, SearchConfig(count=3), 0)
    found = search.run(pool, place.losses(pool), counted(600), lambda share: None)
    values = place.space.to_values(place.space.from_unit(found.proposals.unit))
    assert (values["f1"], values["f2"]) == (400.0, 1200.0)
    assert float(found.losses[0]) < 1.0


def test_a_patch_of_the_fm_voice_is_found_far_nearer_than_any_proposal() -> None:
    place = audition("fm2op", {"ratio": 3.0, "index": 4.0, "decay": 0.1, "sustain": 0.2, "index_decay": 0.05})
    found, losses = searched(place, 600, name="fm2op")
    assert float(found.losses[0]) < 0.5 * float(losses.min())


@pytest.mark.parametrize("evaluations", [0, 1, 31, 90, 300])
def test_a_search_of_any_length_keeps_the_best_it_began_with_and_its_budget(evaluations: int) -> None:
    place = audition("two-sine", {"f1": 100.0, "f2": 1600.0})
    found, losses = searched(place, evaluations, name="two-sine")
    assert float(found.losses[0]) <= float(losses.min())
    assert found.evaluations <= evaluations
    assert found.losses.tolist() == sorted(found.losses.tolist())
    assert len(found.proposals) == 3


def test_more_of_a_budget_is_never_worse_by_more_than_chance_allows_at_the_start() -> None:
    # The first generations are the same, so a longer search contains the shorter one's breeding.
    place = audition("fm2op", {"ratio": 2.0, "index": 1.0})
    short, long = (float(searched(place, budget, name="fm2op")[0].losses[0]) for budget in (60, 300))
    assert long <= short


def test_the_losses_of_a_search_are_those_of_its_proposals() -> None:
    place = audition("fm", {"C": 659.255, "D": 0.2})
    found, _ = searched(place, 150, name="fm")
    assert torch.allclose(place.losses(found.proposals), found.losses, atol=1e-3)


def test_the_same_seed_finds_the_same_patches_whatever_the_global_generators_hold() -> None:
    place = audition("fm", {"C": 523.251, "D": 0.5})
    first, _ = searched(place, 200, name="fm")
    torch.manual_seed(99)
    again, _ = searched(place, 200, name="fm")
    other, _ = searched(place, 200, name="fm", seed=1)
    assert torch.equal(first.proposals.unit, again.proposals.unit)
    assert not torch.equal(first.proposals.unit, other.proposals.unit)


def test_an_interrupted_search_gives_the_best_until_then() -> None:
    place = audition("fm", {"C": 523.251, "D": 0.5})
    pool = even_pool("fm", place.space, HINT, 32, torch.Generator().manual_seed(0))
    losses = place.losses(pool)

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    found = Search(place, HINT, SearchConfig(count=3), 0).run(pool, losses, counted(10_000), interrupt)
    assert found.interrupted
    assert float(found.losses[0]) <= float(losses.min())


def test_a_budget_of_seconds_is_kept_to_a_generation() -> None:
    place = audition("two-sine", {"f1": 100.0})
    pool = even_pool("two-sine", place.space, HINT, 16, torch.Generator().manual_seed(0))
    losses = place.losses(pool)
    ticks = itertools.count()
    meter = Meter(Budget(seconds=200.0), lambda: float(next(ticks)))  # each look at the clock takes a second
    found = Search(place, HINT, SearchConfig(count=3), 0).run(pool, losses, meter, lambda share: None)
    assert 150.0 < found.seconds < 210.0
    assert found.evaluations > 0


def test_progress_adds_up_to_the_share_of_the_budget_that_was_spent() -> None:
    place = audition("two-sine", {"f1": 100.0})
    pool = even_pool("two-sine", place.space, HINT, 16, torch.Generator().manual_seed(0))
    told: list[float] = []
    found = Search(place, HINT, SearchConfig(count=3), 0).run(
        pool, place.losses(pool), counted(200), told.append
    )
    assert sum(told) == pytest.approx(found.evaluations / 200)
    assert min(told) >= 0.0


def test_threads_do_not_change_what_is_heard() -> None:
    values: dict[str, float | str] = {"ratio": 2.0, "index": 1.0}
    one, two = audition("fm2op", values), audition("fm2op", values, threads=2)
    pool = even_pool("fm2op", one.space, HINT, 9, torch.Generator().manual_seed(0))
    assert torch.allclose(one.losses(pool), two.losses(pool), atol=1e-3)


@pytest.mark.parametrize("name", SYNTHS)
def test_a_point_of_the_map_and_its_proposal_are_the_same_place(name: str) -> None:
    space = SYNTHS[name].space
    chart = Chart.of(space, HINT)
    pool = even_pool(name, space, HINT, 10, torch.Generator().manual_seed(0))
    for index in range(10):
        one = pool[index : index + 1]
        back = chart.proposals(chart.points(one), one)
        assert torch.allclose(back.unit, one.unit, atol=1e-6)
        assert torch.allclose(back.pitch_hz, one.pitch_hz, rtol=1e-5)
        assert torch.allclose(back.gate_s, one.gate_s, rtol=1e-4)


@pytest.mark.parametrize("name", SYNTHS)
def test_children_are_patches_whose_choices_are_one_thing(name: str) -> None:
    space = SYNTHS[name].space
    pool = even_pool(name, space, HINT, 20, torch.Generator().manual_seed(0))
    herd = Herd.of(pool, torch.rand(20).double(), 8)
    wild = BreedingConfig(anew=0.5, turned=0.5, turn=(0.5, 1.0))
    children = breed(space, Chart.of(space, HINT), herd, 64, wild, torch.Generator())
    assert bool(((children.unit >= 0) & (children.unit <= 1)).all())
    knobs = space.from_unit(children.unit)
    for parameter in space.searched:
        if knobs[parameter.name].ndim == 2:
            assert torch.allclose(knobs[parameter.name].amax(dim=1), torch.ones(64), atol=1e-6)


def test_children_of_a_herd_that_is_not_turned_are_made_of_their_parents() -> None:
    space = SYNTHS["fm"].space
    pool = even_pool("fm", space, HINT, 6, torch.Generator().manual_seed(0))
    herd = Herd.of(pool, torch.rand(6).double(), 6)
    still = BreedingConfig(turned=0.0, anew=0.0, chosen_anew=0.0, renoted=0.0)
    children = breed(space, Chart.of(space, HINT), herd, 40, still, torch.Generator())
    for column in range(space.width):
        assert set(children.unit[:, column].tolist()) <= set(pool.unit[:, column].tolist())


def test_a_herd_keeps_the_best() -> None:
    pool = Proposals(torch.arange(6.0)[:, None] / 6, torch.full((6,), 440.0), torch.full((6,), 0.1))
    herd = Herd.of(pool, torch.tensor([3.0, 1.0, math.inf, 0.5, 2.0, 9.0]).double(), 4)
    assert herd.losses.tolist() == [0.5, 1.0, 2.0, 3.0]
    assert herd.proposals.unit[0].item() == pytest.approx(3 / 6)


@pytest.mark.parametrize(
    ("name", "own_rate", "seconds", "rate"),
    [
        ("subtractive", 16_000, 4.0, 16_000),
        ("subtractive", 44_100, 0.3, 44_100),
        ("subtractive", 96_000, 0.3, 44_100),
        ("subtractive", 44_100, 4.0, 16_000),
        ("subtractive", 44_100, 2.5, 22_050),
        ("subtractive", 8_000, 1.0, 16_000),
        ("inversynth", 44_100, 0.3, 16_384),
    ],
)
def test_the_search_rate_is_the_best_that_is_affordable(
    name: str, own_rate: int, seconds: float, rate: int
) -> None:
    assert search_rate(SYNTHS[name], own_rate, seconds) == rate


@pytest.mark.parametrize("limits", [{"seconds": -1.0}, {"evaluations": math.nan}, {}])
def test_a_budget_that_makes_no_sense_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Budget(**limits)


def test_nothing_is_affordable_without_a_budget() -> None:
    assert not Meter(Budget(seconds=0.0), lambda: 0.0).affords(1)
    assert not counted(0).affords(1)
