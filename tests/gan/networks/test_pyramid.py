"""A critic that leaves cells out while it convolves says what one says that leaves them out afterwards."""

import pytest
import torch

from retimbre.gan.networks.equalized import LayerStyle
from retimbre.gan.networks.pyramid import Reduction, Size, left_out, reduced

REDUCED = {
    "halved": ((16, 12), (8, 6), "nearest", (2, 2)),
    "bins alone": ((16, 12), (4, 12), "nearest", (4, 1)),
    "a third": ((9, 12), (3, 4), "nearest", (3, 3)),
    "rounded up": ((17, 12), (9, 6), "nearest", (1, 1)),
    "means": ((16, 12), (8, 6), "area", (1, 1)),
    "unchanged": ((16, 12), (16, 12), "nearest", (1, 1)),
}


@pytest.mark.parametrize(("size", "smaller", "how", "stride"), REDUCED.values(), ids=REDUCED)
def test_cells_may_be_left_out_in_the_convolution(
    size: Size, smaller: Size, how: Reduction, stride: Size
) -> None:
    torch.manual_seed(0)
    conv = LayerStyle().conv(3, 5, (3, 3)).double()
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    assert left_out(size, smaller, how) == stride
    at_once = reduced(conv(maps, left_out(size, smaller, how)), smaller, how)
    torch.testing.assert_close(at_once, reduced(conv(maps), smaller, how))
