"""The blocks of InceptionV3: several convolutions side by side, whose results are stacked.

A convolution sees detail of one size. An Inception block looks through windows of several sizes at once and hands all
findings on, with a 1 by 1 convolution before each to keep their number small, and beside them a pooled copy of its
input. Large windows are made of small ones: 5 by 5 of two of 3 by 3, 7 by 7 of a row of seven and a column of seven,
which see as much with fewer weights. Blocks B and D also halve the picture. The parts bear torchvision's names, under
which trained weights are spread.

References:
    Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", figures 5 to 7 and 10,
    https://arxiv.org/abs/1512.00567
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Size = int | tuple[int, int]


@final
class NormalisedConv(nn.Module):
    """A convolution without bias, batch normalisation and rectification."""

    def __init__(self, channels: int, out: int, kernel: Size, *, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out new_height new_width"]:
        """What the kernels find, 0 where they find nothing."""
        return self.bn(self.conv(picture)).relu()


def row(channels: int, out: int, length: int) -> NormalisedConv:
    """A window one pixel high, padded so that the picture keeps its size."""
    return NormalisedConv(channels, out, (1, length), padding=(0, length // 2))


def column(channels: int, out: int, length: int) -> NormalisedConv:
    """A window one pixel wide, padded so that the picture keeps its size."""
    return NormalisedConv(channels, out, (length, 1), padding=(length // 2, 0))


def smoothed(
    picture: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Means over 3 by 3 pixels; beyond the edges are zeros, and they count."""
    return functional.avg_pool2d(picture, 3, stride=1, padding=1)


@final
class InceptionA(nn.Module):
    """Windows of 1, 5 and 3 + 3 pixels. Out come 224 channels and those of the pooled copy."""

    def __init__(self, channels: int, *, pool_features: int) -> None:
        super().__init__()
        self.branch1x1 = NormalisedConv(channels, 64, 1)
        self.branch5x5_1 = NormalisedConv(channels, 48, 1)
        self.branch5x5_2 = NormalisedConv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = NormalisedConv(channels, 64, 1)
        self.branch3x3dbl_2 = NormalisedConv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = NormalisedConv(96, 96, 3, padding=1)
        self.branch_pool = NormalisedConv(channels, pool_features, 1)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The branches, stacked."""
        five = self.branch5x5_2(self.branch5x5_1(picture))
        twice_three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(picture)))
        pooled = self.branch_pool(smoothed(picture))
        return torch.cat([self.branch1x1(picture), five, twice_three, pooled], dim=1)


@final
class InceptionB(nn.Module):
    """Halves the picture by windows of 3 and of 3 + 3 pixels, and by its maxima. Out come 480 channels more."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = NormalisedConv(channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = NormalisedConv(channels, 64, 1)
        self.branch3x3dbl_2 = NormalisedConv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = NormalisedConv(96, 96, 3, stride=2)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out half_height half_width"]:
        """The branches, stacked."""
        twice_three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(picture)))
        largest = functional.max_pool2d(picture, 3, stride=2)
        return torch.cat([self.branch3x3(picture), twice_three, largest], dim=1)


@final
class InceptionC(nn.Module):
    """Windows of 1, 7 and 7 + 7 pixels, made of rows and columns. Out come 768 channels."""

    def __init__(self, channels: int, *, width: int) -> None:
        super().__init__()
        self.branch1x1 = NormalisedConv(channels, 192, 1)
        self.branch7x7_1 = NormalisedConv(channels, width, 1)
        self.branch7x7_2 = row(width, width, 7)
        self.branch7x7_3 = column(width, 192, 7)
        self.branch7x7dbl_1 = NormalisedConv(channels, width, 1)
        self.branch7x7dbl_2 = column(width, width, 7)
        self.branch7x7dbl_3 = row(width, width, 7)
        self.branch7x7dbl_4 = column(width, width, 7)
        self.branch7x7dbl_5 = row(width, 192, 7)
        self.branch_pool = NormalisedConv(channels, 192, 1)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The branches, stacked."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(picture)))
        twice_seven = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(picture)))
        twice_seven = self.branch7x7dbl_5(self.branch7x7dbl_4(twice_seven))
        pooled = self.branch_pool(smoothed(picture))
        return torch.cat([self.branch1x1(picture), seven, twice_seven, pooled], dim=1)


@final
class InceptionD(nn.Module):
    """Halves the picture by windows of 3 and of 7 + 3 pixels, and by its maxima. Out come 512 channels more."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = NormalisedConv(channels, 192, 1)
        self.branch3x3_2 = NormalisedConv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = NormalisedConv(channels, 192, 1)
        self.branch7x7x3_2 = row(192, 192, 7)
        self.branch7x7x3_3 = column(192, 192, 7)
        self.branch7x7x3_4 = NormalisedConv(192, 192, 3, stride=2)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out half_height half_width"]:
        """The branches, stacked."""
        three = self.branch3x3_2(self.branch3x3_1(picture))
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(picture)))
        largest = functional.max_pool2d(picture, 3, stride=2)
        return torch.cat([three, self.branch7x7x3_4(seven), largest], dim=1)


@final
class InceptionE(nn.Module):
    """Windows of 1, 3 and 3 + 3 pixels, whose last rows and columns are stacked. Out come 2,048 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch1x1 = NormalisedConv(channels, 320, 1)
        self.branch3x3_1 = NormalisedConv(channels, 384, 1)
        self.branch3x3_2a = row(384, 384, 3)
        self.branch3x3_2b = column(384, 384, 3)
        self.branch3x3dbl_1 = NormalisedConv(channels, 448, 1)
        self.branch3x3dbl_2 = NormalisedConv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = row(384, 384, 3)
        self.branch3x3dbl_3b = column(384, 384, 3)
        self.branch_pool = NormalisedConv(channels, 192, 1)

    def forward(
        self, picture: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """The branches, stacked."""
        three = self.branch3x3_1(picture)
        twice_three = self.branch3x3dbl_2(self.branch3x3dbl_1(picture))
        return torch.cat(
            [
                self.branch1x1(picture),
                *(self.branch3x3_2a(three), self.branch3x3_2b(three)),
                *(self.branch3x3dbl_3a(twice_three), self.branch3x3dbl_3b(twice_three)),
                self.branch_pool(smoothed(picture)),
            ],
            dim=1,
        )
