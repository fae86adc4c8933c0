"""SPAM features: how differences of neighbouring pixels follow one another, which a change of one level disturbs.

References:
    Pevny, Bas, Fridrich. "Steganalysis by Subtractive Pixel Adjacency Matrix". IEEE Transactions on Information
    Forensics and Security 5(2), 2010: second order, T = 3, 686 features of a grey image.
"""

from itertools import pairwise

import torch
from torch import Tensor

TRUNCATION = 3
"""T, in grey levels."""

_SIDE = 2 * TRUNCATION + 1
_CELLS = _SIDE**3
_STRAIGHT, _DIAGONAL = ((0, 1), (1, 0)), ((1, 1), (1, -1))  # the opposite directions follow by symmetry
_AT_ONCE = 500  # images of one pass: bounds memory


def spam_features(images: Tensor) -> Tensor:
    """Return the second-order SPAM features of each colour and of all colours merged.

    Args:
        images: (n, 3, height, width), uint8, height and width at least 4.

    Returns:
        (n, 2744) float32 in [0, 1]: red, green, blue, merged; of each the 343 transition probabilities averaged over
        the four straight directions, then those averaged over the four diagonal ones. Entry 49 w + 7 v + u (each
        counted from -3) is the share of u among the differences that follow w and v; 0 where these never occur.

    Notes:
        "Merged" adds the counts of the colours before they are normalised: at tens of pixels a side most transitions
        of a single colour are rare. Differences beyond T count as T, as in the authors' later code; the paper leaves
        them out, which leaves little of images as busy as faces of 32 pixels.
    """
    return torch.cat([_features(part) for part in images.cpu().split(_AT_ONCE)])


def _features(images: Tensor) -> Tensor:
    """Return :func:`spam_features` of few images."""
    levels = images.to(torch.int16)
    groups = []
    for directions in (_STRAIGHT, _DIAGONAL):
        tables = []
        for direction in directions:
            counts = _transitions(levels, *direction)  # (n, 3, 7, 7, 7), by w, v, u
            counts = torch.cat([counts, counts.sum(1, keepdim=True)], 1)
            # Read backwards, the differences change sign and order.
            tables += [counts, counts.flip(2, 3, 4).transpose(2, 4)]
        groups.append(torch.stack([_conditional(table) for table in tables]).mean(0))
    return torch.stack(groups, 2).flatten(1)  # (n, 4, 2, 343)


def _transitions(levels: Tensor, down: int, right: int) -> Tensor:
    """Count triples of successive differences along one direction.

    Args:
        levels: (n, 3, h, w), int16.
        down: Rows of a step, 0 or 1.
        right: Columns of a step, -1, 0 or 1.

    Returns:
        (n, 3, 7, 7, 7) float32; the first difference of a triple counts along axis 2, the last along axis 4.
    """
    height, width = levels.shape[2:]
    if right < 0:
        levels, right = levels.flip(3), -right

    def shifted(step: int, steps: int) -> Tensor:
        rows, columns = down * steps, right * steps
        top, left = down * step, right * step
        return levels[:, :, top : height - rows + top, left : width - columns + left]

    pixels = [shifted(step, 3) for step in range(4)]
    codes = torch.zeros_like(pixels[0])
    for near, far in pairwise(pixels):
        codes = codes * _SIDE + (near - far).clamp_(-TRUNCATION, TRUNCATION) + TRUNCATION
    planes = codes.flatten(0, 1).flatten(1).to(torch.int64)
    planes += torch.arange(len(planes))[:, None] * _CELLS
    counts = torch.bincount(planes.flatten(), minlength=len(planes) * _CELLS)
    return counts.view(*levels.shape[:2], _SIDE, _SIDE, _SIDE).float()


def _conditional(counts: Tensor) -> Tensor:
    """Turn counts (n, 4, w, v, u) into shares of u given w and v, (n, 4, 343)."""
    return (counts / counts.sum(4, keepdim=True).clamp(min=1)).flatten(2)
