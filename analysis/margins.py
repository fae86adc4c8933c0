"""How far a trial lies from a bound, with the 95 % limits of that distance.

The margins that trials were searched with come from the records; what is computed here are their limits. Against a
baseline these are those of a difference of two independent estimates (Zou and Donner 2008), as the study's verdicts.
"""

import math

from analysis.bounds import Bound
from analysis.records import Metric, Study
from analysis.schema import Constraint

NAN = float("nan")
CLIP = 3.0
"""Largest margin that records hold."""


def outside(study: Study, bound: Bound, row: int) -> tuple[float, float, float]:
    """Return how far the worst voting member of a metric lies beyond a bound, and the 95 % limits of that.

    Returns:
        Distance, lower and upper limit, in the unit of the metric; at most 0 is within the bound. NaN where a member
        that may vote was not measured, or none may vote.
    """
    columns = [column for column in study.members(bound.metric).values() if column.votes[row]]
    found = [_outside(column, bound, row) for column in columns]
    if not found or any(math.isnan(item[0]) for item in found):
        return NAN, NAN, NAN
    return max(found)


def margin_limits(study: Study, constraint: Constraint, row: int) -> tuple[float, float]:
    """Return the 95 % limits of a trial's margin, clipped as margins are; NaN where they are not known."""
    if constraint.bound is None:
        return NAN, NAN
    _, low, high = outside(study, constraint.bound, row)
    return _clipped(low / constraint.scale), _clipped(high / constraint.scale)


def _clipped(margin: float) -> float:
    return margin if math.isnan(margin) else min(max(margin, -CLIP), CLIP)


def _outside(column: Metric, bound: Bound, row: int) -> tuple[float, float, float]:
    value, baseline = float(column.value[row]), float(column.baseline[row])
    at = bound.at(baseline=baseline, chance=float(column.chance[row]), majority=float(column.majority[row]))
    below, above = value - float(column.low[row]), float(column.high[row]) - value
    if bound.reference == "baseline":
        below = math.hypot(below, float(column.baseline_high[row]) - baseline)
        above = math.hypot(above, baseline - float(column.baseline_low[row]))
    distance = value - at
    if bound.sense == ">=":
        return -distance, -distance - above, -distance + below
    return distance, distance - below, distance + above
