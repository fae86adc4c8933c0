"""Architecture ``cells``: pixels are gathered into 8 x 8 cells, so that every convolution runs at 8 x 8."""

import torch
from torch import Tensor, nn

from models.hiding.learned.high_pass import SecondDifferences
from models.hiding.learned.layout import cell_planes, from_cells, to_cells


class CellsWriter(nn.Module):
    """Turns covers and planes into a change of pixels."""

    def __init__(self, *, planes: int, size: int, width: int) -> None:
        super().__init__()
        self.size, cell = size, cell_planes(size)
        self.from_secret = nn.Conv2d(planes, width, 3, 1, 1)
        self.from_cover = nn.Conv2d(cell, width, 3, 1, 1)
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2), nn.Conv2d(width, cell, 1),
        )  # fmt: skip

    def forward(self, covers: Tensor, planes: Tensor) -> Tensor:
        """Return (n, 3, size, size) from covers of that shape in [-1, 1] and planes (n, planes, 8, 8)."""
        features = self.from_secret(planes) + self.from_cover(to_cells(covers))
        return from_cells(self.body(features), self.size)


class CellsReader(nn.Module):
    """Turns released images into planes."""

    def __init__(self, *, planes: int, size: int, width: int, strength: int) -> None:
        super().__init__()
        self.register_buffer("unit", torch.tensor(float(max(strength, 1))), persistent=False)
        self.residuals = SecondDifferences()
        self.body = nn.Sequential(
            nn.Conv2d(cell_planes(size, SecondDifferences.channels), width, 3, 1, 1),
            nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, planes, 3, 1, 1),
        )  # fmt: skip

    def forward(self, released: Tensor) -> Tensor:
        """Return (n, planes, 8, 8) from images (n, 3, size, size), float32 in [-1, 1]."""
        # Without high-pass residuals in units of the strength, the cover drowns the secret and nothing is learnt.
        return self.body(to_cells(self.residuals(released) / self.get_buffer("unit")))
