"""Which configurations are worth another seed: those that could still be feasible and on the front.

A configuration is looked at with optimism: each objective and margin may be better than its mean by ``OPTIMISM``
standard errors, those of its rival's mean included. If not even then all margins are at most 0, or if a feasible rival
is better in all objectives all the same, more seeds would only say so more precisely, and there are none.

The standard errors come from the spread between seeds, pooled over the configurations that were replicated: of one
configuration there are too few seeds to know it. As in F-Race (Birattari et al. 2002, "A racing algorithm for
configuring metaheuristics") seeds go to survivors; here of a constrained search with several objectives.

Pure functions on arrays; knows nothing of Ray and Optuna.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.bounds import CLIP

Floats = NDArray[np.float64]

OPTIMISM = 1.0
"""Standard errors by which a configuration may be better than it looks."""

ENOUGH = 3
"""Replicated configurations before the spread between their seeds is believed."""


@dataclass(frozen=True)
class Seeds:
    """What one configuration measured, a row a seed."""

    objectives: Floats
    """(seeds, objectives), each in any unit, to be minimised."""
    margins: Floats
    """(seeds, checks), feasible where <= 0, in [-CLIP, CLIP]."""

    @property
    def columns(self) -> Floats:
        """Objectives and margins side by side, (seeds, objectives + checks)."""
        return np.hstack([self.objectives, self.margins])

    @property
    def feasible(self) -> bool:
        """Whether the mean of every margin is at most 0; NaN is not."""
        return bool((self.margins.mean(axis=0) <= 0).all())


def deviations(configurations: Sequence[Seeds], stated: Floats) -> Floats:
    """Return the standard deviation between seeds of each objective and margin.

    Args:
        configurations: Those whose seeds are to tell, replicated or not.
        stated: What to take where fewer than ``ENOUGH`` replicated configurations tell: the standard error that the
            measurements state themselves, (objectives + checks,).

    Returns:
        (objectives + checks,). Seeds of which a margin is at the clip, where it no longer varies, do not tell of it.
    """
    squares, freedom, told = (np.zeros(len(stated)) for _ in range(3))
    for seeds in configurations:
        if len(seeds.objectives) < 2:
            continue
        columns = seeds.columns
        clipped = np.abs(seeds.margins).max(axis=0, initial=0.0) >= CLIP
        tells = np.isfinite(columns).all(axis=0) & ~np.append(np.zeros(seeds.objectives.shape[1], bool), clipped)
        squares[tells] += ((columns - columns.mean(axis=0)) ** 2).sum(axis=0)[tells]
        freedom[tells] += len(columns) - 1
        told += tells
    return np.where(told >= ENOUGH, np.sqrt(squares / np.maximum(freedom, 1)), stated)


def promising(own: Seeds, rivals: Sequence[Seeds], deviation: Floats) -> bool:
    """Return whether a configuration is worth another seed; see the module's docstring.

    Args:
        own: The configuration's seeds so far, at least one. One with NaN is not promising.
        rivals: Other configurations of the same stratum; those that are infeasible by their means are no rivals.
        deviation: Standard deviation between seeds, (objectives + checks,).
    """
    count, objectives = own.objectives.shape
    mean = own.columns.mean(axis=0)
    best = mean - OPTIMISM * deviation / np.sqrt(count)
    if np.isnan(mean).any() or (best[objectives:] > 0).any():
        return False
    for rival in rivals:
        both = np.sqrt(1 / count + 1 / len(rival.objectives))
        hoped, theirs = (mean - OPTIMISM * deviation * both)[:objectives], rival.objectives.mean(axis=0)
        if rival.feasible and (theirs <= hoped).all() and (theirs < hoped).any():
            return False
    return True
