"""What the networks after WaveGAN share: phase shuffle and the verdict at the end of a critic."""

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.gan.networks.layers import PhaseShuffle, Told, VerdictHead
from retimbre.training.devices import restart_random
from retimbre.training.share import share_of, share_of_batch

PLACES = 12
CLASSES = {"pitch": ("60", "61", "62"), "family": ("brass", "string")}


def ramps(count: int) -> Tensor:
    """Rows that count 0, 1, 2, ..., so that a value says which place it is from."""
    return torch.arange(PLACES).float().expand(count, 3, PLACES)


def shuffled(rank: int, num_ranks: int, *, total: int = 50, most: int = 2) -> Tensor:
    """The share of a process of ramps that went through phase shuffle."""
    restart_random(3, "update", 1)
    share = share_of(total, rank, num_ranks)
    with share_of_batch(share):
        return PhaseShuffle(most)(ramps(share.count))


def test_phase_shuffle_moves_every_row_by_up_to_that_many_places_and_mirrors_its_ends() -> None:
    moved = shuffled(0, 1)
    allowed = {
        -2: [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10, 9],
        -1: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10],
        0: list(range(PLACES)),
        1: [1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        2: [2, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    }
    seen = {tuple(row.tolist()) for row in moved[:, 0]}
    # 50 rows miss one of five shifts with a probability of 7e-5.
    assert seen == {tuple(map(float, row)) for row in allowed.values()}
    # The channels of a row move together.
    assert torch.equal(moved[:, 0], moved[:, 2])


def test_phase_shuffle_moves_the_rows_of_a_picture_along_its_frames() -> None:
    torch.manual_seed(0)
    picture = ramps(20)[:, :, None, :].expand(20, 3, 4, PLACES)
    moved = PhaseShuffle(1)(picture)
    assert moved.shape == picture.shape
    assert torch.equal(moved[:, :, 0], moved[:, :, 3])
    assert not torch.equal(moved, picture)


@pytest.mark.parametrize("num_ranks", [2, 3])
def test_the_shifts_of_the_shares_are_the_shifts_of_the_batch(num_ranks: int) -> None:
    parts = [shuffled(rank, num_ranks) for rank in range(num_ranks)]
    assert torch.equal(torch.cat(parts), shuffled(0, 1))


def test_phase_shuffle_changes_nothing_when_the_critic_is_used_or_it_is_none() -> None:
    assert torch.equal(PhaseShuffle(2).eval()(ramps(9)), ramps(9))
    assert torch.equal(PhaseShuffle(0)(ramps(9)), ramps(9))


def test_phase_shuffle_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="phase_shuffle is -1, but takes 0 or more"):
        PhaseShuffle(-1)
    with pytest.raises(ConfigError, match="phase_shuffle is 12, but a layer has 12 places"):
        PhaseShuffle(PLACES)(ramps(2))


def test_a_score_with_projection_is_linear_in_what_was_seen_with_slopes_of_its_classes() -> None:
    torch.manual_seed(0)
    head = VerdictHead(5, CLASSES, Told(projection=True, class_logits=False)).double()
    seen = torch.randn(4, 5, dtype=torch.float64)
    labels = {"pitch": torch.tensor([0, 2, 1, 2]), "family": torch.tensor([1, 0, 0, 1])}
    slopes = head.score.weight[0] + sum(
        layer.weight[labels[name]]  # pyright: ignore[reportIndexIssue]
        for name, layer in head.fits.items()
    )
    expected = (slopes * seen).sum(dim=1) + head.score.bias
    # Float64 sums in another order.
    torch.testing.assert_close(head(seen, labels).score, expected, atol=1e-12, rtol=0)


def test_a_critic_that_guesses_classes_gives_logits_of_each_attribute_and_minds_no_labels() -> None:
    torch.manual_seed(0)
    head = VerdictHead(5, CLASSES, Told(projection=False, class_logits=True))
    seen = torch.randn(4, 5)
    verdict = head(seen, {})
    assert {name: tuple(logits.shape) for name, logits in verdict.classes.items()} == {
        "pitch": (4, 3),
        "family": (4, 2),
    }
    claimed = {"pitch": torch.tensor([0, 2, 1, 2]), "family": torch.tensor([1, 0, 0, 1])}
    assert torch.equal(head(seen, claimed).score, verdict.score)
