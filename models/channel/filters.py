"""Blur and resizing as matrices along rows and columns: the same numbers for the real operation and in training."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.channel.levels import separable


def blur(levels: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian, sampled at the pixels, cut off at 4 sigma, over borders continued by their last pixel.

    Args:
        levels: Grey levels, (..., height, width), float32.
        sigma: Standard deviation in pixels, > 0.

    Returns:
        Shape and dtype of ``levels``, not rounded.
    """
    return _filtered(levels, lambda size: _blur_matrix(size, sigma))


def resize(levels: Tensor, per_cent: float) -> Tensor:
    """Shrink with an antialiasing triangle filter and bring back to the first size, bilinearly both times.

    Args:
        levels: Grey levels, (..., height, width), float32.
        per_cent: Height and width of the small image in per cent of the first, in (0, 100); at least a pixel stays.

    Returns:
        Shape and dtype of ``levels``, not rounded; neither is the small image in between.
    """
    return _filtered(levels, lambda size: _resize_matrix(size, per_cent))


def _filtered(levels: Tensor, matrix: Callable[[int], np.ndarray]) -> Tensor:
    # The weights are often simple fractions and their sums halves, which the rounding that follows must not find a hair
    # above or below by the order of summation: float64 is precise enough for float32 to be the half itself.
    height, width = levels.shape[-2:]
    return separable(levels.double(), matrix(height), matrix(width)).to(levels.dtype)


@cache
def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Return the blur of one axis, (size, size) float64."""
    radius = math.ceil(4 * sigma)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((size, size))
    for row in range(size):
        np.add.at(matrix[row], np.clip(row + offsets, 0, size - 1), weights / weights.sum())
    return matrix


@cache
def _resize_matrix(size: int, per_cent: float) -> np.ndarray:
    """Return the shrinking and enlarging of one axis, (size, size) float64: what becomes of each unit vector."""
    small = max(1, round(size * per_cent / 100))
    units = torch.eye(size, dtype=torch.float64)[None, None]
    shrunk = F.interpolate(units, size=(small, size), mode="bilinear", antialias=True, align_corners=False)
    enlarged = F.interpolate(shrunk, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return enlarged[0, 0].numpy()
