"""Architecture ``residual_unet``: a residual U-Net embeds at full resolution, a residual network extracts.

References:
    Ronneberger, Fischer, Brox. "U-Net: Convolutional Networks for Biomedical Image Segmentation". MICCAI 2015.
    He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". CVPR 2016.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.hiding.learned.high_pass import SecondDifferences
from models.hiding.learned.layout import cell_planes, from_cells, to_cells


def full_resolution_width(width: int) -> int:
    """Return the channels at full resolution: an eighth, since a convolution costs (size / 8)^2 times as much there."""
    return max(4, width // 8)


class UNetWriter(nn.Module):
    """Turns covers and planes into a change of pixels; the secret enters at full resolution and at the bottom.

    What the U-Net gives is added to a linear image of the secret: a start that the extractor can read. From the U-Net
    alone nothing was learnt in 200 steps.
    """

    def __init__(self, *, planes: int, size: int, width: int) -> None:
        super().__init__()
        self.size, narrow = size, full_resolution_width(width)
        self.to_pixels = nn.Conv2d(planes, cell_planes(size, 3 + narrow), 1)
        self.first = nn.Conv2d(3 + narrow, narrow, 3, 1, 1)
        self.at_top = Residual(narrow)
        self.down = nn.Conv2d(cell_planes(size, narrow), width, 3, 1, 1)
        self.to_bottom = nn.Conv2d(planes, width, 1)
        self.at_bottom = Residual(width)
        self.up = nn.Conv2d(width, cell_planes(size, narrow), 1)
        self.last = nn.Sequential(Residual(narrow), nn.Conv2d(narrow, 3, 3, 1, 1))

    def forward(self, covers: Tensor, planes: Tensor) -> Tensor:
        """Return (n, 3, size, size) from covers of that shape in [-1, 1] and planes (n, planes, 8, 8)."""
        direct, secret = from_cells(self.to_pixels(planes), self.size).tensor_split([3], dim=1)
        top = self.at_top(F.leaky_relu(self.first(torch.cat([covers, secret], dim=1)), 0.2))
        bottom = self.at_bottom(F.leaky_relu(self.down(to_cells(top)) + self.to_bottom(planes), 0.2))
        return direct + self.last(top + from_cells(self.up(bottom), self.size))


class ResidualReader(nn.Module):
    """Turns released images into planes: a residual block at full resolution, one at 8 x 8."""

    def __init__(self, *, planes: int, size: int, width: int, strength: int) -> None:
        super().__init__()
        channels, narrow = SecondDifferences.channels, full_resolution_width(width)
        self.register_buffer("unit", torch.tensor(float(max(strength, 1))), persistent=False)
        self.residuals = SecondDifferences()
        self.at_top = nn.Sequential(nn.Conv2d(channels, narrow, 3, 1, 1), Residual(narrow))
        self.down = nn.Conv2d(cell_planes(size, channels + narrow), width, 3, 1, 1)
        self.at_bottom = nn.Sequential(
            nn.BatchNorm2d(width), nn.LeakyReLU(0.2), Residual(width), nn.Conv2d(width, planes, 3, 1, 1)
        )

    def forward(self, released: Tensor) -> Tensor:
        """Return (n, planes, 8, 8) from images (n, 3, size, size), float32 in [-1, 1]."""
        residuals = self.residuals(released) / self.get_buffer("unit")
        return self.at_bottom(self.down(to_cells(torch.cat([residuals, self.at_top(residuals)], dim=1))))


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a short cut; the shape stays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, planes: Tensor) -> Tensor:
        """Return (n, width, height, width) planes."""
        return F.leaky_relu(planes + self.body(planes), 0.2)
