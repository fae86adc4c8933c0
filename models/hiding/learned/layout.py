"""Secrets as planes of 8 x 8, the common form in which every architecture takes and returns them.

Bits: every 64 of them make a plane, a bit a cell; what is left over is in every cell, a plane a bit, and is read as the
mean over the cells. An image: its pixels gathered into cells.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.hiding.codec import GRID

CELLS = GRID**2


def planes_of_bits(bits: int) -> int:
    """Return the number of planes that ``bits`` bits make."""
    return bits // CELLS + bits % CELLS


def lay_out(values: Tensor) -> Tensor:
    """Return the planes (n, planes, 8, 8) of values (n, bits), a value a bit."""
    n, bits = values.shape
    in_cells = bits - bits % CELLS
    everywhere = values[:, in_cells:, None, None].expand(n, bits - in_cells, GRID, GRID)
    return torch.cat([values[:, :in_cells].reshape(n, -1, GRID, GRID), everywhere], dim=1)


def gather(planes: Tensor, bits: int) -> Tensor:
    """Return values (n, bits) from planes (n, planes, 8, 8); the inverse of :func:`lay_out`."""
    whole = bits // CELLS
    return torch.cat([planes[:, :whole].flatten(1), planes[:, whole:].mean((2, 3))], dim=1)


def to_cells(images: Tensor) -> Tensor:
    """Return the planes (n, channels (size / 8)^2, 8, 8) of images (n, channels, size, size)."""
    return F.pixel_unshuffle(images, images.shape[-1] // GRID)


def from_cells(planes: Tensor, size: int) -> Tensor:
    """Return images (n, channels, size, size); the inverse of :func:`to_cells`."""
    return F.pixel_shuffle(planes, size // GRID)


def cell_planes(size: int, channels: int = 3) -> int:
    """Return how many planes an image of ``size`` pixels a side makes."""
    return channels * (size // GRID) ** 2
