"""Pixels as float grey levels, 0 to 255: rounding that passes gradients on, and products along rows and columns."""

import numpy as np
import torch
from torch import Tensor


def straight_through(values: Tensor, target: Tensor) -> Tensor:
    """Return ``target``, exactly, with the gradient of ``values``; shapes and dtypes as each other."""
    return target.detach() + (values - values.detach())


def round_through(values: Tensor) -> Tensor:
    """Round to whole numbers, passing gradients on; any shape."""
    return straight_through(values, values.round())


def round_levels(levels: Tensor) -> Tensor:
    """Round grey levels to 8 bits; the gradient passes the rounding but not the clipping to 0..255; any shape."""
    return round_through(levels.clamp(0, 255))


def separable(planes: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """Return ``rows @ plane @ columns.T`` of every plane.

    Args:
        planes: (..., height, width), floating point.
        rows: (new height, height), dtype of ``planes``.
        columns: (new width, width), likewise.

    Returns:
        (..., new height, new width), dtype of ``planes``.
    """
    left, right = (torch.tensor(matrix, device=planes.device) for matrix in (rows, columns))
    return left @ (planes @ right.T)
