"""How likely each trial is to be within the bounds, from the same 95 % intervals that people get to see.

A check is passed where every voting member is within its bound. Estimate and baseline count as normal, each with the
standard error that its interval stands for, and errors as independent; the probability of several members or checks is
then the product. Errors on one set of test images go together, so the product tends to understate. It fails closed:
what was not measured has probability zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from analysis.checks import without_result
from analysis.records import Floats, Metric, Study
from analysis.schema import Constraint

TWO_SIDED_95 = 1.959963984540054
"""Standard errors between a normal estimate and either end of its 95 % interval."""
CLIP = 3.0
"""Margins are clipped here, as in the records."""


@dataclass(frozen=True, eq=False)
class Feasibility:
    """Per trial, in the order of the study; every array is (trials,)."""

    probability: Floats
    """That all checks are passed, in [0, 1]; 1 where the study has no check and the trial a result."""
    by_check: Mapping[str, Floats]
    """The same for each check alone."""
    margin_low: Mapping[str, Floats]
    """By check: the margin at the better end of its members' intervals, clipped to [-3, 3]; NaN where unknown."""
    margin_high: Mapping[str, Floats]
    """By check: the same at the worse end."""


def feasibility(study: Study) -> Feasibility:
    """Return the probability of feasibility of every trial, with the interval of each margin."""
    by_check: dict[str, Floats] = {}
    low: dict[str, Floats] = {}
    high: dict[str, Floats] = {}
    for item in study.schema.constraints:
        judged = [_judge(item, column) for column in study.members(item.metric).values()]
        silent = without_result(study, item.check)
        stated = np.where(study.constraints[item.check] <= 0.0, 1.0, 0.0)
        product = np.prod([one[0] for one in judged], axis=0) if judged and item.bound is not None else stated
        by_check[item.check] = np.where(silent, 0.0, product)
        for ends, place in ((low, 1), (high, 2)):
            ends[item.check] = _worst([one[place] for one in judged], len(study))
    together = np.prod(list(by_check.values()), axis=0) if by_check else study.feasible.astype(np.float64)
    return Feasibility(np.asarray(together, dtype=np.float64), by_check, low, high)


def _judge(constraint: Constraint, column: Metric) -> tuple[Floats, Floats, Floats]:
    """Return of one member: the probability of being within, and its margin at the better and at the worse end.

    A member without a vote takes part in nothing: probability 1 and margins NaN.
    """
    sign = 1.0 if constraint.sense == "<=" else -1.0
    references = {name: getattr(column, name) for name in ("baseline", "chance", "majority")}
    bound = constraint.bound
    if bound is None:
        at = np.full(len(column.value), np.nan)
    elif bound.reference is None:
        at = np.full(len(column.value), bound.offset)
    else:
        at = references[bound.reference] + bound.offset
    error = _error(column.low, column.high)
    if bound is not None and bound.reference == "baseline":
        error = np.hypot(error, _error(column.baseline_low, column.baseline_high))
    distance = sign * (at - column.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        sure = np.where(distance >= 0.0, 1.0, 0.0)
        within = np.where(error > 0.0, ndtr(distance / error), sure)
    within = np.where(np.isnan(distance), 0.0, within)
    ends = np.sort(sign * (np.stack([column.low, column.high]) - at) / constraint.scale, axis=0)
    ends = np.where(column.votes, np.clip(ends, -CLIP, CLIP), np.nan)
    return np.where(column.votes, within, 1.0), ends[0], ends[1]


def _error(low: Floats, high: Floats) -> Floats:
    """Return the standard error behind a 95 % interval; 0 where there is no interval."""
    return np.nan_to_num((high - low) / (2.0 * TWO_SIDED_95), nan=0.0)


def _worst(columns: list[Floats], trials: int) -> Floats:
    return np.fmax.reduce(columns) if columns else np.full(trials, np.nan)
