"""Pareto fronts of arrays of objective values.

One rule of sign and one of NaN, for the whole package: a point dominates another if it is at least as good in every
objective and better in one, "good" as ``maximise`` says; a point with a NaN objective is never on a front and dominates
nothing. Equal points do not dominate each other, so all copies stay.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def nondominated(values: NDArray[np.float64], maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates.

    Args:
        values: Objective values, (points, objectives), float64; NaN where not measured.
        maximise: One flag an objective: True if larger is better.

    Returns:
        Mask, (points,), bool.

    Raises:
        ValueError: If ``values`` is not two-dimensional or has no objective, or ``maximise`` another length.

    Notes:
        O(n log n) for up to three objectives (sort, then one pass: Kung, Luccio and Preparata, 1975); O(n f) with f the
        size of the front for more.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0 or len(maximise) != values.shape[1]:
        raise ValueError(
            f"values must be (points, objectives) with one `maximise` flag an objective; got shape {values.shape} "
            f"and {len(maximise)} flags"
        )
    mask = np.zeros(len(values), dtype=bool)
    known = np.flatnonzero(~np.isnan(values).any(axis=1))
    if known.size == 0:
        return mask
    costs = np.where(np.asarray(maximise), -values[known], values[known]) + 0.0  # -0.0 and 0.0 are one value
    # Sorted lexicographically, with copies merged, a point can only be dominated by one before it.
    order = np.lexsort(costs.T[::-1])
    ordered = costs[order]
    fresh = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
    unique = ordered[fresh]
    keep = _sweep(unique) if unique.shape[1] <= 2 else _sweep_planes(unique) if unique.shape[1] == 3 else _cull(unique)
    mask[known[order]] = keep[np.cumsum(fresh) - 1]
    return mask


def _sweep(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark non-dominated rows of distinct, lexicographically sorted costs, (n, 1 or 2)."""
    last = costs[:, -1]
    best_before = np.concatenate(([np.inf], np.minimum.accumulate(last)[:-1]))
    keep = last < best_before
    keep[0] = True  # Nothing precedes the first row, even if its cost is +inf.
    return keep


def _sweep_planes(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark non-dominated rows of distinct, lexicographically sorted costs, (n, 3).

    All rows before one are at least as good in the first objective, so it stands unless one of them is at least as good
    in the other two. Of these only the non-dominated pairs matter: a staircase, sorted by the second objective.
    """
    keep = np.zeros(len(costs), dtype=bool)
    seconds: list[float] = []
    thirds: list[float] = []
    for row, (_, second, third) in enumerate(costs.tolist()):
        place = bisect_right(seconds, second)
        if place and thirds[place - 1] <= third:
            continue
        keep[row] = True
        start = bisect_left(seconds, second)
        stop = start
        while stop < len(thirds) and thirds[stop] >= third:
            stop += 1
        seconds[start:stop], thirds[start:stop] = [second], [third]
    return keep


def _cull(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark non-dominated rows of distinct, lexicographically sorted costs, (n, m)."""
    keep = np.zeros(len(costs), dtype=bool)
    remaining = np.arange(len(costs))
    while remaining.size:
        first, remaining = remaining[0], remaining[1:]
        keep[first] = True  # All that could dominate it has been taken and dropped what it dominates.
        remaining = remaining[(costs[remaining] < costs[first]).any(axis=1)]
    return keep
