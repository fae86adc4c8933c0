"""The order in which trials deserve a look: feasible ones first, best objective first; then the nearest misses."""

import numpy as np
from numpy.typing import NDArray

from analysis.records import Floats, Study

MISSING_MARGIN = 3.0
"""What a margin that is not there counts as: the largest violation there is."""


def worst_margin(study: Study) -> Floats:
    """Return the largest margin of each trial, (trials,), in units of the constraints' scales; <= 0 is feasible.

    A missing margin counts as the largest violation. -inf where the study has no constraint.
    """
    if not study.constraints:
        return np.full(len(study), -np.inf)
    margins = np.stack(list(study.constraints.values()))
    return np.where(np.isnan(margins), MISSING_MARGIN, margins).max(axis=0)


def total_violation(study: Study) -> Floats:
    """Return the sum of the positive margins of each trial, (trials,), in units of the constraints' scales.

    What searchers rank infeasible trials by. A missing margin counts as the largest violation; 0 is feasible.
    """
    if not study.constraints:
        return np.zeros(len(study))
    margins = np.stack(list(study.constraints.values()))
    total: Floats = np.clip(np.where(np.isnan(margins), MISSING_MARGIN, margins), 0.0, None).sum(axis=0)
    return total


def ranked(study: Study) -> NDArray[np.int64]:
    """Return row numbers of all trials, best first, (trials,), int64.

    Feasible trials by the first searched objective, then those that fail by their total violation and then by that
    objective, and of equals the earlier trial. A feasible trial whose objective is NaN stands after the other feasible
    ones.
    """
    primary = study.schema.primary
    values = study.objectives[primary.name]
    cost = np.where(np.isnan(values), np.inf, -values if primary.maximise else values)
    violation = np.where(study.feasible, 0.0, total_violation(study))
    return np.lexsort((study.trial, cost, violation, ~study.feasible)).astype(np.int64)


def best_feasible(study: Study) -> int | None:
    """Return the row of the best feasible trial with a measured objective, or None."""
    first = int(ranked(study)[0])
    known = not np.isnan(study.objectives[study.schema.primary.name][first])
    return first if study.feasible[first] and known else None
