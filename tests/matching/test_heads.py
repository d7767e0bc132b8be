"""Laws of every head: probabilities, losses, and that each can learn what it is told."""

import pytest
import torch

from retimbre.core.errors import ConfigError
from retimbre.matching.heads import HEADS, Head, Targets, make_head
from retimbre.synth.knobs import Choice, Continuous, Stepped
from retimbre.synth.parameters import ParameterSpace

SPACE = ParameterSpace(
    (
        Continuous("cutoff", 100.0, 10_000.0, 1000.0, "Hz", "log", (200.0, 400.0, 1600.0, 6400.0)),
        Choice("wave", ("sine", "saw", "square"), "saw"),
        Stepped("octave", (-1.0, 0.0, 1.0, 2.0, 3.0), 0.0),
        Continuous("depth", 0.0, 1.0, 0.5),
        Continuous("held", 0.0, 1.0, 0.5),
    ),
    {"held": 0.25},
)
NAMES = list(HEADS)


def targets(count: int) -> Targets:
    uniform = torch.rand(count, len(SPACE.searched), generator=torch.Generator().manual_seed(1))
    classes = SPACE.draw_classes(uniform)
    return Targets(classes, SPACE.to_unit(SPACE.from_classes(classes)))


def outputs(head: Head, count: int) -> torch.Tensor:
    return torch.randn(count, head.num_outputs, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_sum_to_one_over_the_classes_a_knob_has_and_are_zero_elsewhere(name: str) -> None:
    head = make_head(name, SPACE)
    probabilities = head.probabilities(3.0 * outputs(head, 6))
    assert probabilities.shape == (6, 4, 16)
    torch.testing.assert_close(probabilities.sum(2), torch.ones(6, 4))
    for knob, count in enumerate(SPACE.class_counts):
        assert (probabilities[:, knob, count:] == 0).all()
        assert (probabilities[:, knob, :count] > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_descent_on_the_outputs_finds_the_true_classes(name: str) -> None:
    head, truth = make_head(name, SPACE), targets(8)
    learned = outputs(head, 8).requires_grad_()
    optimizer = torch.optim.Adam([learned, *head.parameters()], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        head.loss(learned, truth).backward()
        optimizer.step()
    assert (head.probabilities(learned).argmax(2) == truth.classes).all()


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_gradients_stay_finite_for_extreme_outputs(name: str) -> None:
    head, truth = make_head(name, SPACE), targets(4)
    for scale in (0.0, 1e4):
        extreme = (scale * outputs(head, 4)).requires_grad_()
        loss = head.loss(extreme, truth)
        loss.backward()
        assert loss.isfinite()
        assert extreme.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_a_mean_so_a_batch_twice_over_costs_the_same(name: str) -> None:
    head, truth = make_head(name, SPACE), targets(4)
    given = outputs(head, 4)
    twice = Targets(truth.classes.repeat(2, 1), truth.unit.repeat(2, 1))
    torch.testing.assert_close(head.loss(given.repeat(2, 1), twice), head.loss(given, truth))


def test_the_sigmoid_loss_is_the_cross_entropy_of_the_concatenated_one_hot_label() -> None:
    head, truth = make_head("sigmoid", SPACE), targets(5)
    given = outputs(head, 5)
    label = SPACE.to_one_hot(truth.classes)
    expected = torch.nn.functional.binary_cross_entropy(given.sigmoid(), label)
    torch.testing.assert_close(head.loss(given, truth), expected)


def test_the_softmax_loss_is_the_mean_of_the_cross_entropies_of_the_knobs() -> None:
    head, truth = make_head("softmax", SPACE), targets(5)
    given = outputs(head, 5)
    each = [
        torch.nn.functional.cross_entropy(block, truth.classes[:, knob])
        for knob, block in enumerate(SPACE.blocks(given))
    ]
    torch.testing.assert_close(head.loss(given, truth), torch.stack(each).mean())


def test_neighbouring_classes_cost_less_than_far_ones_with_soft_targets_and_choices_stay_hard() -> None:
    head = make_head("softmax", SPACE, neighbour_classes=0.7)
    truth = Targets(
        torch.tensor([[1, 2, 2, 8]]), SPACE.to_unit(SPACE.from_classes(torch.tensor([[1, 2, 2, 8]])))
    )

    def cost(*classes: int) -> float:
        return float(head.loss(5.0 * SPACE.to_one_hot(torch.tensor([classes])), truth))

    assert cost(1, 2, 2, 8) < cost(1, 2, 2, 9) < cost(1, 2, 2, 12)
    assert cost(1, 0, 2, 8) == pytest.approx(cost(1, 1, 2, 8), abs=1e-6)


def test_a_regressed_knob_grows_as_sure_as_its_errors_are_small() -> None:
    head = make_head("regression", SPACE)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    truth = targets(512)
    noise = torch.randn(512, generator=torch.Generator().manual_seed(3))
    given = torch.zeros(512, head.num_outputs)
    given[:, 0] = truth.unit[:, 0] - 0.5 + 0.05 * noise
    for _ in range(300):
        optimizer.zero_grad()
        head.loss(given, truth).backward()
        optimizer.step()
    # The deviation of 512 draws is within 10 % of the true one (three standard errors).
    assert float(head.log_sigma.detach()[0].exp()) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(
    ("name", "neighbour_classes", "message"),
    [
        ("sofmax", 0.0, "did you mean 'softmax'"),
        ("sigmoid", 1.0, "softmax alone"),
        ("softmax", -1.0, "0 or more"),
    ],
)
def test_a_head_that_cannot_be_is_refused(name: str, neighbour_classes: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_head(name, SPACE, neighbour_classes)


def test_a_space_with_nothing_to_search_is_refused() -> None:
    everything = {each.name: each.default for each in SPACE.parameters}
    with pytest.raises(ConfigError, match="nothing to search"):
        make_head("softmax", SPACE.with_fixed(everything))
