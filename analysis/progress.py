"""Best feasible value over the course of a study."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.records import Floats, Study
from analysis.strata import split


@dataclass(frozen=True, eq=False)
class Progress:
    """Trials in the order in which they finished, and the best feasible value after each."""

    objective: str
    """Name of the objective."""
    rows: NDArray[np.int64]
    """Row numbers in order of completion."""
    trials: NDArray[np.int64]
    """Trial numbers in order of completion."""
    values: Floats
    """Objective of each, NaN where not measured."""
    feasible: NDArray[np.bool_]
    best: Floats
    """Best feasible value so far; NaN before the first."""
    by_family: tuple[tuple[str, Floats], ...]
    """The same for each family alone, where there is more than one."""


def completion_order(study: Study) -> NDArray[np.int64]:
    """Return row numbers in order of completion; by trial number where that was not recorded."""
    finished = np.where(np.isnan(study.finished), np.inf, study.finished)
    return np.lexsort((study.trial, finished)).astype(np.int64)


def running_best(values: Floats, eligible: NDArray[np.bool_], maximise: bool) -> Floats:
    """Return the best eligible value up to each position, (n,); NaN before the first one."""
    signed = values if maximise else -values
    best = np.maximum.accumulate(np.where(eligible & ~np.isnan(values), signed, -np.inf))
    best = np.where(np.isneginf(best), np.nan, best)
    return best if maximise else -best


def search_progress(study: Study) -> Progress:
    """Follow the first searched objective over the study."""
    primary = study.schema.primary
    rows = completion_order(study)
    values, feasible = study.objectives[primary.name][rows], study.feasible[rows]
    families = split(study, study.strata[:1]) if study.strata else ()
    by_family = [
        (family.value, running_best(values, feasible & family.rows[rows], primary.maximise)) for family in families
    ]
    return Progress(
        objective=primary.name,
        rows=rows,
        trials=study.trial[rows],
        values=values,
        feasible=feasible,
        best=running_best(values, feasible, primary.maximise),
        by_family=tuple(by_family) if len(by_family) > 1 else (),
    )
