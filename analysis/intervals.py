"""The 95 % intervals of objectives, which the records keep with the metric that an objective is."""

import numpy as np

from analysis.records import Floats, Study
from analysis.schema import Objective


def objective_intervals(study: Study, objective: Objective) -> tuple[Floats, Floats]:
    """Return the lower and upper ends of the 95 % interval of an objective, (trials,) each; NaN where there is none.

    They are those of the voting member whose value the objective is.
    """
    values = study.objectives[objective.name]
    low, high = np.full(len(study), np.nan), np.full(len(study), np.nan)
    open_still = np.ones(len(study), dtype=bool)
    for column in study.members(objective.metric).values():
        own = open_still & column.votes & (column.value == values)
        low[own], high[own] = column.low[own], column.high[own]
        open_still &= ~own
    return low, high


def objective_interval(study: Study, objective: Objective, row: int) -> tuple[float, float]:
    """Return the 95 % interval of an objective in one trial, (NaN, NaN) if there is none."""
    low, high = objective_intervals(study, objective)
    return float(low[row]), float(high[row])
