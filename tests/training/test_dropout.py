"""Dropout: its mask belongs to the example, not to the process."""

import pytest
import torch
from torch import Tensor

from retimbre.core.errors import ConfigError
from retimbre.training.devices import restart_random
from retimbre.training.dropout import Dropout
from retimbre.training.share import share_of, share_of_batch

ONES = torch.ones(7, 50)


def dropped(rank: int, num_ranks: int, *, step: int = 1, layers: int = 1) -> Tensor:
    """What is left of a share of ones after some layers, each of which is given the same ones."""
    restart_random(3, "update", step)
    layer = Dropout(0.4)
    share = share_of(len(ONES), rank, num_ranks)
    with share_of_batch(share):
        return torch.cat([layer(ONES[share.rows]) for _ in range(layers)], dim=1)


@pytest.mark.parametrize("num_ranks", [2, 3, 7])
def test_the_masks_of_the_shares_are_the_mask_of_the_batch(num_ranks: int) -> None:
    parts = [dropped(rank, num_ranks, layers=2) for rank in range(num_ranks)]
    assert torch.equal(torch.cat(parts), dropped(0, 1, layers=2))


def test_every_step_and_every_layer_has_a_mask_of_its_own_which_can_be_had_again() -> None:
    first = dropped(0, 1, layers=2)
    assert torch.equal(first, dropped(0, 1, layers=2))
    assert not torch.equal(first, dropped(0, 1, step=2, layers=2))
    assert not torch.equal(first[:, :50], first[:, 50:])


def test_the_mean_stays_and_the_share_of_zeros_is_the_probability() -> None:
    torch.manual_seed(0)
    left = Dropout(0.3)(torch.ones(200, 500))
    # 100,000 draws: five standard errors of a share of 0.3 are 0.0072.
    assert float((left == 0).double().mean()) == pytest.approx(0.3, abs=0.0072)
    assert left.unique().tolist() == pytest.approx([0.0, 1 / 0.7])


def test_it_changes_nothing_when_the_network_is_used() -> None:
    assert torch.equal(Dropout(0.9).eval()(ONES), ONES)


@pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
def test_a_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ConfigError, match="from 0 to below 1"):
        Dropout(probability)
