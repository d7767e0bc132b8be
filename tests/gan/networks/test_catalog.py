"""Laws of every generator and critic in the catalog."""

import ast
import copy
import inspect
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from retimbre.core.config import apply_overrides, build, dump
from retimbre.core.errors import ConfigError
from retimbre.gan.base import Critic, Form, Generator, Labels, Stage
from retimbre.gan.config import GanConfig
from retimbre.gan.networks.catalog import CRITICS, GENERATORS

LATENT_DIM = 8
CLASSES = {"pitch": ("60", "61", "62"), "family": ("brass", "string")}

# What is built of each kind: features that it takes, and settings that make it small.
GENERATOR_CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "dense": ((2, 7), {"width": 16}),
    "wavegan": ((1, 1024), {"channels": 2}),
    "specgan": ((2, 32, 16), {"channels": 4}),
    "gan-tts": ((1, 480), {"channels": [8, 6, 4], "factors": [2, 3, 5]}),
    "progressive": ((2, 15, 8), {"depths": [6, 4], "factors": [[4, 2], [1, 1]]}),
    "style": ((2, 15, 8), {"depths": [6, 4], "factors": [[4, 2], [1, 1]], "style_dim": 8}),
    "residual": ((2, 15, 8), {"channels": [8, 4], "group": 4, "embedding": 4}),
    "frames": ((2, 9, 8), {"width": 8, "depth": 2, "kernel": 3}),
    "envelope": ((1, 128), {"channels": 4, "blocks": 1, "taps": 3}),
    "harmonic": (
        (1, 300),
        {"width": 8, "depth": 2, "hop_length": 32, "bands": 4, "partials": 8, "noise_bands": 3},
    ),
    "history-wave": ((1, 256), {"channels": 2}),
    "history-spec": ((2, 32, 16), {"channels": 2}),
    "midi-wave": ((1, 1024), {"channels": 2}),
    "midi-stft": ((2, 16, 8), {"channels": 1}),
    "midi-harmonic": (
        (1, 512),
        {"width": 8, "depth": 1, "hop_length": 32, "bands": 3, "partials": 2},
    ),
    "midi-spectra": ((1, 9, 8), {"width": 8, "depth": 1, "kernel": 3}),
    "told-frames": ((2, 9, 8), {"width": 8, "depth": 2, "kernel": 3}),
}
CRITIC_CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "dense": ((2, 7), {"width": 16}),
    "wavegan": ((1, 1024), {"channels": 2, "phase_shuffle": 2}),
    "specgan": ((2, 32, 16), {"channels": 4, "phase_shuffle": 1}),
    "gan-tts": ((1, 480), {"places": 60, "folds": [1, 4], "channels": [4, 8], "factors": [1, 5]}),
    "frames": ((2, 9, 8), {"width": 8, "depth": 2, "kernel": 3, "frames_at_once": 3}),
    "progressive": (
        (2, 15, 8),
        # Without the layer that compares the rows of a batch: it is tested by itself.
        {"depths": [6, 4], "factors": [[4, 2], [1, 1]], "projection": True, "minibatch_group": 0},
    ),
    "residual": ((2, 15, 8), {"channels": [4, 8], "group": 4}),
    "envelope": ((1, 128), {"channels": 4, "most_channels": 8}),
    "history-wave": ((1, 256), {"channels": 2}),
    "history-spec": ((2, 32, 16), {"channels": 2}),
    "midi-wave": ((1, 1024), {"channels": 2}),
    "midi-spec": ((2, 16, 8), {"channels": 2}),
    "midi-stft": ((2, 16, 8), {"channels": 2}),
    "told-frames": ((2, 9, 8), {"width": 8, "depth": 2, "kernel": 3, "frames_at_once": 3}),
}

# The conditions of those that have some, in the shape in which they get them.
STATES = {"midi": (1024, 89)}
SIGNALS: dict[str, dict[str, tuple[int, ...]]] = {
    "envelope": {"sound": (1, 128), "envelope": (128,)},
    "history-wave": {"history": (1, 128)},
    "history-spec": {"history": (2, 32, 8)},
    "midi-wave": STATES,
    "midi-spec": STATES,
    "midi-stft": STATES,
    "midi-harmonic": STATES,
    "midi-spectra": STATES,
    "told-frames": {"history": (2, 9, 4), **STATES},
}

# Without a pitch there is nothing that these could play.
ALWAYS_TOLD = {"harmonic"}

# Networks that grow are between two scales, where all their weights are in use.
IN_BETWEEN = Stage(1, 0.5)


def form(kind: str, shape: tuple[int, ...], *, told: bool) -> Form:
    return Form(shape, CLASSES if told else {}, LATENT_DIM, SIGNALS.get(kind, {}))


def generator(kind: str, *, told: bool = True) -> Generator:
    torch.manual_seed(0)
    shape, settings = GENERATOR_CASES[kind]
    built = build(GENERATORS[kind], {"kind": kind, **settings}, kind).build(form(kind, shape, told=told))
    built.grow(IN_BETWEEN)
    return built


def critic(kind: str, *, told: bool = True, **more: Any) -> Critic:
    torch.manual_seed(0)
    shape, settings = CRITIC_CASES[kind]
    built = build(CRITICS[kind], {"kind": kind, **settings, **more}, kind).build(form(kind, shape, told=told))
    built.grow(IN_BETWEEN)
    return built


def labels(kind: str, count: int, seed: int = 0) -> Labels:
    source = torch.Generator().manual_seed(seed)
    classes = {name: torch.randint(len(names), (count,), generator=source) for name, names in CLASSES.items()}
    return classes | signals(kind, count)


def signals(kind: str, count: int) -> Labels:
    source = torch.Generator().manual_seed(4)
    shapes = SIGNALS.get(kind, {})
    return {name: torch.rand(count, *shape, generator=source) for name, shape in shapes.items()}


def latents(count: int) -> Tensor:
    return torch.randn(count, LATENT_DIM, generator=torch.Generator().manual_seed(1))


def features(kind: str, count: int) -> Tensor:
    shape = CRITIC_CASES[kind][0]
    return 0.3 * torch.randn(count, *shape, generator=torch.Generator().manual_seed(2))


def rows(told: Labels, chosen: slice) -> Labels:
    return {name: column[chosen] for name, column in told.items()}


def test_every_entry_of_the_catalog_is_put_to_the_tests() -> None:
    assert set(GENERATOR_CASES) == set(GENERATORS)
    assert set(CRITIC_CASES) == set(CRITICS)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (kind, told)
        for kind in sorted(GENERATOR_CASES)
        for told in (False, True)
        if told or kind not in ALWAYS_TOLD
    ],
)
def test_a_generator_makes_what_it_was_built_for_of_any_number_of_rows(kind: str, told: bool) -> None:
    built = generator(kind, told=told).eval()
    for count in (1, 3):
        made = built.enlarge(built(latents(count), labels(kind, count) if told else signals(kind, count)))
        assert made.shape == (count, *GENERATOR_CASES[kind][0])
        assert made.isfinite().all()


@pytest.mark.parametrize("kind", sorted(GENERATOR_CASES))
def test_what_a_generator_makes_of_a_row_depends_on_that_row_alone(kind: str) -> None:
    built, told = generator(kind).eval(), labels(kind, 4)
    with torch.no_grad():
        together = built(latents(4), told)
        alone = built(latents(4)[2:3], rows(told, slice(2, 3)))
    # Float32 sums in another order for another number of rows.
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", sorted(GENERATOR_CASES))
def test_a_generator_hears_its_latent_and_each_of_its_labels(kind: str) -> None:
    built = stirred(generator(kind)).eval()
    told = {"pitch": torch.tensor([0, 0, 2, 0]), "family": torch.tensor([0, 0, 0, 1])}
    told |= {name: signal.expand(4, *signal.shape[1:]) for name, signal in signals(kind, 1).items()}
    latent = latents(2)[[0, 1, 0, 0]]
    with torch.no_grad():
        made = built(latent, told).flatten(1)
    for other in (1, 2, 3):
        assert float((made[other] - made[0]).abs().max()) > 1e-4


@pytest.mark.parametrize("kind", sorted(CRITIC_CASES))
def test_the_verdict_of_a_critic_in_use_depends_on_that_row_alone(kind: str) -> None:
    built, told = critic(kind).eval(), labels(kind, 4)
    with torch.no_grad():
        together = built(features(kind, 4), told)
        alone = built(features(kind, 4)[1:2], rows(told, slice(1, 2)))
        again = built(features(kind, 4), told)
    assert together.score.shape == (4,)
    torch.testing.assert_close(together.score[1:2], alone.score, atol=1e-5, rtol=1e-4)
    assert torch.equal(together.score, again.score)


@pytest.mark.parametrize("kind", sorted(CRITIC_CASES))
def test_a_critic_that_is_told_labels_minds_them(kind: str) -> None:
    built = stirred(critic(kind)).eval()
    claims = {"pitch": torch.tensor([0, 2, 0]), "family": torch.tensor([0, 0, 1])}
    claims |= {name: signal.expand(3, *signal.shape[1:]) for name, signal in signals(kind, 1).items()}
    with torch.no_grad():
        score = built(features(kind, 1).expand(3, *CRITIC_CASES[kind][0]), claims).score
    assert float((score[1:] - score[0]).abs().min()) > 1e-6


@pytest.mark.parametrize("kind", sorted(CRITIC_CASES))
def test_a_critic_without_labels_gives_a_score_and_no_classes(kind: str) -> None:
    verdict = critic(kind, told=False)(features(kind, 3), signals(kind, 3))
    assert verdict.score.shape == (3,)
    assert verdict.classes == {}


@pytest.mark.parametrize("kind", sorted(CRITIC_CASES))
def test_every_weight_of_the_game_gets_a_finite_gradient(kind: str) -> None:
    # A penalty on the gradient is differentiated a second time.
    built, told = stirred(critic(kind)), labels(kind, 3)
    given = features(kind, 3).requires_grad_()
    score = built(given, told).score
    (slope,) = torch.autograd.grad(score.sum(), given, create_graph=True)
    (score.square().mean() + slope.square().sum()).backward()
    assert slope.isfinite().all()
    assert bool((slope != 0).any())
    for name, weights in built.named_parameters():
        assert weights.grad is not None, name
        assert weights.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", sorted(GENERATOR_CASES))
def test_every_weight_of_a_generator_gets_a_finite_gradient(kind: str) -> None:
    built = stirred(generator(kind))
    built(latents(3), labels(kind, 3)).square().mean().backward()
    for name, weights in built.named_parameters():
        assert weights.grad is not None, name
        assert weights.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", sorted(set(GENERATOR_CASES) & set(CRITIC_CASES)))
def test_the_game_can_be_played_in_bfloat16(kind: str) -> None:
    made, judge = generator(kind), critic(kind)
    with torch.autocast("cpu", torch.bfloat16):
        fake = made(latents(3), labels(kind, 3))
        score = judge(features(kind, 3), labels(kind, 3)).score
    (fake.float().square().mean() + score.float().mean()).backward()
    assert fake.isfinite().all()
    assert score.isfinite().all()
    assert all(
        weights.grad is None or weights.grad.isfinite().all()
        for network in (made, judge)
        for weights in network.parameters()
    )


@pytest.mark.parametrize("kind", sorted(GENERATOR_CASES))
def test_equal_seeds_draw_equal_weights_and_weights_are_all_there_is_to_it(kind: str) -> None:
    first, second = generator(kind).eval(), generator(kind).eval()
    state = first.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in second.state_dict().items())
    torch.manual_seed(7)
    settings = {"kind": kind, **GENERATOR_CASES[kind][1]}
    other = (
        build(GENERATORS[kind], settings, kind).build(form(kind, GENERATOR_CASES[kind][0], told=True)).eval()
    )
    other.grow(IN_BETWEEN)
    other.load_state_dict(copy.deepcopy(state))
    with torch.no_grad():
        assert torch.equal(other(latents(2), labels(kind, 2)), first(latents(2), labels(kind, 2)))


@pytest.mark.parametrize("kind", sorted(set(GENERATOR_CASES) & set(CRITIC_CASES)))
def test_a_table_of_a_run_file_becomes_the_configuration_and_goes_back(kind: str) -> None:
    table = {
        "generator": {"kind": kind, **GENERATOR_CASES[kind][1]},
        "critics": [{"network": {"kind": kind, **CRITIC_CASES[kind][1]}}],
    }
    config = build(GanConfig, table, "task")
    assert type(config.generator) is GENERATORS[kind]
    assert type(config.critics[0].network) is CRITICS[kind]
    assert build(GanConfig, dump(config), "task") == config


@pytest.mark.parametrize("kind", sorted(GENERATOR_CASES))
def test_an_option_that_a_network_has_not_is_refused_by_its_name(kind: str) -> None:
    table = {"generator": {"kind": kind}, "critics": [{"network": {"kind": "dense"}}]}
    with pytest.raises(ConfigError, match="breadth") as refused:
        build(GanConfig, apply_overrides(table, ["generator.breadth=3"]), "task")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", sorted(set(GENERATOR_CASES) - {"dense"}))
def test_features_that_a_generator_cannot_make_are_refused_in_one_line(kind: str) -> None:
    refused_in_one_line(lambda: GENERATORS[kind]().build(Form((1,), {}, LATENT_DIM)))


@pytest.mark.parametrize("kind", sorted(set(CRITIC_CASES) - {"dense"}))
def test_features_that_a_critic_cannot_take_are_refused_in_one_line(kind: str) -> None:
    refused_in_one_line(lambda: CRITICS[kind]().build(Form((1,), {})))


@pytest.mark.parametrize("kind", sorted({*GENERATORS, *CRITICS}))
def test_every_option_of_a_network_is_explained_under_its_name(kind: str) -> None:
    for config in (catalog[kind] for catalog in (GENERATORS, CRITICS) if kind in catalog):
        (body,) = (
            node.body for node in ast.parse(inspect.getsource(config)).body if isinstance(node, ast.ClassDef)
        )
        silent = [
            ast.unparse(field)
            for field, after in itertools.pairwise(body)
            if isinstance(field, ast.AnnAssign)
            and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
        ]
        assert [field for field in silent if not field.startswith(("kind", "hears"))] == []


def refused_in_one_line(make: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert "\n" not in str(refused.value)


def stirred(network: Any) -> Any:
    """The network with every weight moved a little, so that layers that begin at zero are there too."""
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weights in network.parameters():
            weights += 0.05 * torch.randn(weights.shape, generator=source)
    return network


def varied(told: Labels, name: str) -> Labels:
    """The same with other values of one condition."""
    return {**told, name: torch.rand(told[name].shape, generator=torch.Generator().manual_seed(9))}


@pytest.mark.parametrize("kind", SIGNALS)
def test_a_network_hears_the_conditions_that_it_says_and_no_others(kind: str) -> None:
    told = labels(kind, 2)
    for known in (GENERATORS, CRITICS):
        if kind in known:
            assert known[kind].hears == set(SIGNALS[kind])
    for name in SIGNALS[kind]:
        if kind in GENERATORS:
            made, latent = generator(kind).eval(), torch.randn(2, LATENT_DIM)
            for weights in made.parameters():  # some begin at zero
                torch.nn.init.normal_(weights, std=0.2)
            assert not torch.equal(made(latent, told), made(latent, varied(told, name))), name
        if kind in CRITICS:
            judge = critic(kind).eval()
            features = torch.randn(2, *CRITIC_CASES[kind][0])
            assert not torch.equal(judge(features, told).score, judge(features, varied(told, name)).score), (
                name
            )


def test_networks_without_conditions_say_so() -> None:
    silent = {*GENERATORS, *CRITICS} - set(SIGNALS) - {"dense"}
    assert not any(known[kind].hears for known in (GENERATORS, CRITICS) for kind in silent & set(known))
