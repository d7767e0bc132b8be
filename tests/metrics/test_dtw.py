import pytest
import torch

from retimbre.core.random import generator
from retimbre.metrics import dtw
from retimbre.metrics.dtw import path_distance, warped_distance


def sequences(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, "test sequences", *shape), dtype=torch.float64)


def plain_distance(costs: list[list[float]]) -> float:
    """Symmetric2 as in the textbook: one cell after the other."""
    total: dict[tuple[int, int], float] = {}
    for i, row in enumerate(costs):
        for j, cost in enumerate(row):
            steps = ((i - 1, j, 1), (i, j - 1, 1), (i - 1, j - 1, 2))
            ways = [total[a, b] + weight * cost for a, b, weight in steps if (a, b) in total]
            total[i, j] = min(ways, default=cost)
    return total[len(costs) - 1, len(costs[0]) - 1] / (len(costs) + len(costs[0]))


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 7), (7, 1), (2, 2), (13, 9), (9, 13), (30, 30)])
def test_the_anti_diagonals_give_what_the_double_loop_gives(first: int, second: int) -> None:
    costs = sequences(3, first, second).abs()
    expected = torch.tensor([plain_distance(matrix) for matrix in costs.tolist()], dtype=torch.float64)
    # The same float64 sums along the same path.
    torch.testing.assert_close(path_distance(costs), expected, rtol=1e-12, atol=0)


def test_a_hand_made_matrix_costs_what_the_hand_finds() -> None:
    # The diagonal: 1 + 2 * 0 + 2 * 1 = 3 over 3 + 3.
    costs = torch.tensor([[[1.0, 9.0, 9.0], [9.0, 0.0, 9.0], [9.0, 9.0, 1.0]]])
    assert path_distance(costs).item() == pytest.approx(0.5)


def test_a_sequence_is_at_no_distance_from_itself_played_at_half_speed() -> None:
    sequence = sequences(2, 12, 4)
    assert warped_distance(sequence, sequence.repeat_interleave(2, dim=1)).tolist() == [0.0, 0.0]


def test_warping_is_symmetric() -> None:
    first, second = sequences(2, 12, 5), sequences(2, 17, 5)
    torch.testing.assert_close(
        warped_distance(first, second), warped_distance(second, first), rtol=1e-12, atol=0
    )


def test_a_constant_offset_costs_its_share_of_the_path() -> None:
    # Every path of N by N frames pays for 2N - 1 of 2N.
    frames = torch.zeros(1, 10, 4)
    assert warped_distance(frames, frames + 3.0).item() == pytest.approx(3.0 * 19 / 20, rel=1e-6)


def test_memory_is_bounded_by_chunks_that_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = sequences(7, 12, 3), sequences(7, 15, 3)
    whole = warped_distance(first, second)
    monkeypatch.setattr(dtw, "_MAX_CELLS", 2 * 12 * 15)
    torch.testing.assert_close(warped_distance(first, second), whole, rtol=1e-12, atol=0)


def test_the_result_has_the_dtype_of_the_input() -> None:
    assert warped_distance(torch.zeros(1, 3, 2), torch.ones(1, 4, 2)).dtype == torch.float32
