"""Shares: every row of a batch is somebody's, and nobody's twice."""

import pytest

from retimbre.training.parallel import ALONE
from retimbre.training.share import current_processes, current_share, share_of, share_of_batch, whole


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [1, 2, 6, 7, 128])
def test_the_shares_are_the_batch_in_order_and_differ_by_a_row_at_most(total: int, num_ranks: int) -> None:
    rows = list(range(total))
    shares = [share_of(total, rank, num_ranks) for rank in range(num_ranks)]
    assert [row for share in shares for row in rows[share.rows]] == rows
    counts = [share.count for share in shares]
    assert max(counts) - min(counts) <= 1
    # The weights are rounded quotients; their sum is off by a rounding each.
    assert sum(share.weight for share in shares) == pytest.approx(1.0, abs=1e-15 * num_ranks)


def test_a_share_is_worked_on_within_its_block_only() -> None:
    assert current_share(5) == whole(5)
    with share_of_batch(share_of(5, 1, 2)):
        assert current_share(2) == share_of(5, 1, 2)
    assert current_share(5) == whole(5)


def test_a_layer_that_got_other_rows_than_the_share_is_told_so() -> None:
    with share_of_batch(share_of(5, 1, 2)), pytest.raises(ValueError, match="got 6 rows, but the share"):
        current_share(6)


def test_the_processes_that_have_the_other_rows_are_known_within_the_block_that_names_them() -> None:
    with share_of_batch(whole(5), ALONE):
        assert current_processes() is ALONE
        with share_of_batch(share_of(5, 0, 2)):
            assert current_processes() is None
    assert current_processes() is None
