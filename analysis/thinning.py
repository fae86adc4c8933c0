"""Which trials of a large study are drawn one by one: all that lie on a front, the best, and a spread of the others.

Counts, curves and tables of checks are always of all trials. A page with tens of thousands of points answers no click.
"""

from dataclasses import fields, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.feasibility import Feasibility
from analysis.fronts import front_mask
from analysis.pareto import nondominated
from analysis.ranking import ranked
from analysis.records import Floats, Metric, Study
from analysis.strata import split

MOST_SHOWN = 2_000
"""Trials drawn one by one, unless more are on fronts."""
GOLDEN = 0.6180339887498949
"""Multiples of it, modulo one, spread evenly for any number of trials."""


def shown_rows(study: Study, chances: Feasibility) -> NDArray[np.int64]:
    """Return the rows to draw, rising; all of a study of up to :data:`MOST_SHOWN` trials.

    Never left out: a trial on the front of any two axes that a direction belongs to, of all trials, of the feasible
    ones or of the feasible ones of a value of the first stratifying parameter; or on the front of all objectives.
    """
    if len(study) <= MOST_SHOWN:
        return np.arange(len(study))
    kept = front_mask(study) | _pair_fronts(study, chances)
    order = ranked(study)
    kept[order[: MOST_SHOWN // 2]] = True
    rest = order[~kept[order]]
    room = max(0, MOST_SHOWN - int(kept.sum()))
    spread = np.argsort((np.arange(len(rest)) * GOLDEN) % 1.0, kind="stable")[:room]
    kept[rest[spread]] = True
    return np.flatnonzero(kept)


def _pair_fronts(study: Study, chances: Feasibility) -> NDArray[np.bool_]:
    groups = [np.ones(len(study), dtype=bool), study.feasible]
    groups += [study.feasible & stratum.rows for stratum in split(study, study.strata[:1]) if study.strata]
    kept = np.zeros(len(study), dtype=bool)
    for (one, one_up), (other, other_up) in combinations(directed_axes(study, chances), 2):
        pair = np.stack([one, other], axis=1)
        for group in groups:
            rows = np.flatnonzero(group)
            kept[rows[nondominated(pair[rows], (one_up, other_up))]] = True
    return kept


def directed_axes(study: Study, chances: Feasibility) -> list[tuple[Floats, bool]]:
    """Return what the page can put on an axis and knows a good end of: values, and whether larger is better."""
    found = [(study.objectives[item.name], item.maximise) for item in study.schema.objectives]
    for item in study.schema.constraints:
        found.append((study.constraints[item.check], False))
        found += [(column.value, item.sense == ">=") for column in study.members(item.metric).values()]
    found += [(study.seconds, False), (chances.probability, True)]
    return [axis for axis in found if not np.isnan(axis[0]).all()]


def take(study: Study, rows: NDArray[np.int64]) -> Study:
    """Return the study with some of its trials only, in the order of ``rows``."""
    trials = len(study)
    changed = {item.name: _taken(getattr(study, item.name), rows, trials) for item in fields(study)}
    changed |= {name: getattr(study, name) for name in ("controls", "warnings", "config", "schema", "environment")}
    return replace(study, **changed)


def _taken(value: Any, rows: NDArray[np.int64], trials: int) -> Any:
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, tuple) and len(value) == trials:
        return tuple(value[row] for row in rows.tolist())
    if isinstance(value, Metric):
        return replace(value, **{item.name: _taken(getattr(value, item.name), rows, trials) for item in fields(value)})
    if isinstance(value, dict):
        return {name: _taken(column, rows, trials) for name, column in value.items()}
    return value


def take_chances(chances: Feasibility, rows: NDArray[np.int64]) -> Feasibility:
    """Return the probabilities of some trials only, in the order of ``rows``."""
    columns = {
        item.name: _taken(getattr(chances, item.name), rows, len(chances.probability)) for item in fields(chances)
    }
    return replace(chances, **columns)
