"""How trials ended over the course of a study, in equal steps of trials finished."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.progress import completion_order
from analysis.records import Study
from analysis.words import OUTCOMES

MOST_STEPS = 40


@dataclass(frozen=True, eq=False)
class OutcomesOverTime:
    """Counts of outcomes by step."""

    ends: NDArray[np.int64]
    """Trials finished at the end of each step, (steps,)."""
    counts: dict[str, NDArray[np.int64]]
    """By outcome, (steps,): trials that ended so within the step; outcomes in the order of the vocabulary."""


def outcomes_over_time(study: Study) -> OutcomesOverTime:
    """Count outcomes in order of completion, in at most :data:`MOST_STEPS` steps."""
    order = completion_order(study)
    steps = min(MOST_STEPS, len(study))
    edges = np.linspace(0, len(study), steps + 1).round().astype(np.int64)
    step = np.searchsorted(edges, np.arange(len(study)), side="right") - 1
    found = np.asarray(study.outcome, dtype=object)[order]
    names = [name for name in OUTCOMES if name in set(study.outcome)]
    names += sorted(set(study.outcome) - set(names))
    return OutcomesOverTime(edges[1:], {name: np.bincount(step[found == name], minlength=steps) for name in names})
