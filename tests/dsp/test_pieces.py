"""Work in pieces gives what work in one piece gives."""

import pytest
import torch

from retimbre.dsp.pieces import PIECE_VALUES, in_pieces


@pytest.mark.parametrize("items", [1, 2, 3, 7, 64])
def test_pieces_of_any_size_are_the_whole_in_the_same_memory_layout(items: int) -> None:
    batch = torch.randn(7, 3, 4, 5)
    sizes = []

    def transform(piece: torch.Tensor) -> torch.Tensor:
        sizes.append(len(piece))
        return 2.0 * piece.permute(0, 3, 1, 2)

    found = in_pieces(transform, batch, values_per_item=PIECE_VALUES // items)
    assert torch.equal(found, 2.0 * batch.permute(0, 3, 1, 2))
    assert found.stride() == batch.permute(0, 3, 1, 2).stride()
    assert max(sizes) == min(items, 7)
    assert sum(sizes) == 7


def test_a_batch_whose_gradient_is_wanted_stays_whole() -> None:
    batch = torch.randn(7, 3, requires_grad=True)
    in_pieces(lambda piece: piece.square(), batch, values_per_item=PIECE_VALUES).sum().backward()
    assert torch.equal(batch.grad, 2.0 * batch.detach())
