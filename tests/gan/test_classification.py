"""Class losses: cross-entropies of several attributes, softened as system C did, on whatever device the logits are."""

import pytest
import torch
from torch import Tensor

from retimbre.gan.classification import class_accuracy, class_loss, soft_targets
from retimbre.training.share import Share, share_of, whole

LABELS = {"pitch": torch.tensor([0, 2, 1]), "family": torch.tensor([1, 0, 1])}


def logits(count: int = 3) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(0)
    return {
        "pitch": torch.randn(count, 3, generator=source),
        "family": torch.randn(count, 2, generator=source),
    }


def by_hand(guessed: Tensor, labels: Tensor) -> Tensor:
    chances = guessed.double().exp() / guessed.double().exp().sum(dim=1, keepdim=True)
    return -chances[torch.arange(len(labels)), labels].log().float()


def test_the_loss_of_a_clip_is_the_sum_of_its_attributes_cross_entropies() -> None:
    given = logits()
    wanted = by_hand(given["pitch"], LABELS["pitch"]) + by_hand(given["family"], LABELS["family"])
    # Float32 logarithms of numbers near 1.
    torch.testing.assert_close(class_loss(given, LABELS, share=whole(3)), wanted, atol=1e-6, rtol=1e-6)


def test_attributes_that_are_skipped_or_have_no_labels_do_not_count() -> None:
    given = logits()
    wanted = by_hand(given["family"], LABELS["family"])
    skipped = class_loss(given, LABELS, share=whole(3), skip=("pitch",))
    absent = class_loss(given, {"family": LABELS["family"]}, share=whole(3))
    torch.testing.assert_close(skipped, wanted, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(absent, wanted, atol=1e-6, rtol=1e-6)
    assert torch.equal(class_loss(given, LABELS, share=whole(3), skip=("pitch", "family")), torch.zeros(3))


def test_soft_targets_are_around_one_for_the_right_class_and_near_zero_for_others() -> None:
    chance = torch.rand(2000, 3, generator=torch.Generator().manual_seed(1))
    targets = soft_targets(torch.full((2000,), 1), chance)
    right, wrong = targets[:, 1], targets[:, [0, 2]]
    assert float(right.min()) >= 0.7
    assert float(right.max()) <= 1.2
    assert float(wrong.min()) >= 0.0
    assert float(wrong.max()) <= 0.3
    # Means of uniform numbers: a deviation of 0.5 / sqrt(12 x 2000) = 0.003.
    assert float(right.mean()) == pytest.approx(0.95, abs=0.015)
    assert float(wrong.mean()) == pytest.approx(0.15, abs=0.01)


def test_soft_labels_do_not_depend_on_how_many_processes_share_the_batch() -> None:
    def loss(share: Share) -> Tensor:
        torch.manual_seed(2)
        rows = share.rows
        mine = {name: guessed[rows] for name, guessed in logits(6).items()}
        labels = {name: torch.cat([classes, classes])[rows] for name, classes in LABELS.items()}
        return class_loss(mine, labels, share=share, soft=True)

    together = loss(whole(6))
    assert not torch.equal(together[:3], together[3:])
    assert torch.equal(torch.cat([loss(share_of(6, rank, 4)) for rank in range(4)]), together)


def test_what_is_skipped_does_not_move_the_random_stream() -> None:
    ends = []
    for skip in ((), ("pitch",)):
        torch.manual_seed(3)
        class_loss(logits(), LABELS, share=whole(3), soft=True, skip=skip)
        ends.append(torch.rand(1))
    assert torch.equal(*ends)


def test_accuracy_is_the_share_of_right_guesses() -> None:
    given = {"pitch": torch.eye(3)[[0, 2, 2]], "family": torch.eye(2)[[1, 0, 0]]}
    found = {name: float(value) for name, value in class_accuracy(given, LABELS).items()}
    assert found == {"pitch": pytest.approx(2 / 3), "family": pytest.approx(2 / 3)}


@pytest.mark.parametrize("soft", [False, True])
def test_guesses_of_an_auxiliary_classifier_come_right_by_its_loss(soft: bool) -> None:
    # Three classes as clouds a deviation of 1 wide and 4 apart: chance is 1/3, the best possible above 0.95.
    source = torch.Generator().manual_seed(4)
    labels = torch.randint(3, (300,), generator=source)
    seen = 4.0 * torch.eye(3)[labels] + torch.randn(300, 3, generator=source)
    torch.manual_seed(5)
    layer = torch.nn.Linear(3, 3)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        class_loss({"pitch": layer(seen)}, {"pitch": labels}, share=whole(300), soft=soft).mean().backward()
        optimizer.step()
    assert float(class_accuracy({"pitch": layer(seen)}, {"pitch": labels})["pitch"]) > 0.9
