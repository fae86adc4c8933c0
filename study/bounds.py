"""Bounds on metrics, stated in the metric's own unit, and the margins and verdicts that follow from them.

The one sign rule of this project: a margin is ``(how far the estimate is outside its bound) / scale``, feasible when it
is at most 0. The one NaN rule: whatever was not measured is violated, at the clip. Margins are normalised and clipped
because Optuna ranks infeasible trials by the raw sum of their violations.

The margin is for the search and uses the estimate alone; the verdict is for people and uses the 95 % limits. Against a
baseline the limits are those of the comparison on the same test images (``models.checks.paired``). Where there is none,
they are those of a difference of two estimates by the method of variance estimates recovery (Zou and Donner 2008,
"Construction of confidence limits about effect measures"), which takes the two as independent: on shared test images
the interval comes out too wide rather than too narrow. Of several adversaries all must pass, and one is enough to
violate, at limits that allow for their number (``study.power.widening``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.measurement import Measurement
from study.power import Power, power_of, widening

CLIP = 3.0
"""Largest margin, and that of anything not measured."""

REFERENCES = ("baseline", "chance", "majority")

PASS, VIOLATION, TOO_LITTLE_DATA, MISSING = "pass", "violation", "too_little_data", "missing"
TOO_LITTLE_TRAINING = "too_little_training"
"""Instead of a pass, where an adversary had not learnt all that it could: more steps might have found more."""

_WORST_FIRST = (VIOLATION, TOO_LITTLE_DATA, TOO_LITTLE_TRAINING)

_GRAMMAR = re.compile(
    r"^\s*(?P<metric>[A-Za-z_][\w.]*)\s*(?P<sense><=|>=)\s*"
    r"(?:(?P<number>[-+]?[\d.]+(?:[eE][-+]?\d+)?)|(?P<reference>[A-Za-z_]+)\s*(?P<offset>[-+]\s*[\d.]+(?:[eE][-+]?\d+)?)?)\s*$"
)


@dataclass(frozen=True)
class Bound:
    """One check of a study: a metric and what it may reach."""

    check: str
    """Name of the check, unique in the study."""
    text: str
    """The bound as written, such as ``strong_identity_accuracy <= baseline + 0.05``."""
    metric: str
    sense: str
    """"<=" or ">="."""
    reference: str | None
    """What the bound is relative to: "baseline", "chance", "majority", or None for an absolute bound."""
    offset: float
    """Added to the reference; the bound itself when absolute. In the metric's unit."""
    scale: float
    """Violation, in the metric's unit, that counts as a margin of 1; > 0."""

    def limit(self, measurement: Measurement) -> float:
        """Return the largest (or smallest) permitted value for ``measurement``; NaN without its reference."""
        if self.reference is None:
            return self.offset
        reference = getattr(measurement, self.reference)
        return math.nan if reference is None else float(reference) + self.offset


@dataclass(frozen=True)
class CheckResult:
    """What one bound says about one trial."""

    margin: float
    """In [-CLIP, CLIP]; <= 0 is feasible."""
    verdict: str
    """"pass", "violation", "too_little_data", "too_little_training" or "missing"."""
    power: Power | None = None
    """What the least of the voting adversaries would have found, so that any of them would have; None if not known."""


def parse_bound(check: str, text: str, scale: float) -> Bound:
    """Parse ``<metric> (<=|>=) <number>`` or ``<metric> (<=|>=) (baseline|chance|majority) [(+|-) <number>]``.

    Raises:
        ValueError: If the text is not of this form, the reference is unknown or ``scale`` is not positive.
    """
    where = f"checks.bounds.{check}.bound={text!r}"
    match = _GRAMMAR.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"{where} is not a bound; write '<metric> <= <number>' or "
            f"'<metric> >= <{'|'.join(REFERENCES)}> - <number>', as in 'expression_accuracy >= baseline - 0.05'"
        )
    if match["reference"] and match["reference"] not in REFERENCES:
        raise ValueError(f"{where} refers to {match['reference']!r}; permitted: {', '.join(REFERENCES)} or a number")
    if not (isinstance(scale, int | float) and math.isfinite(scale) and scale > 0):
        raise ValueError(
            f"checks.bounds.{check}.scale={scale!r} must be a number > 0, in the unit of {match['metric']}"
        )
    try:
        offset = float((match["number"] or match["offset"] or "0").replace(" ", ""))
    except ValueError:
        raise ValueError(f"{where} holds a malformed number") from None
    return Bound(check, text.strip(), match["metric"], match["sense"], match["reference"], offset, float(scale))


def check_bound(bound: Bound, measured: Mapping[str, Measurement | None]) -> CheckResult:
    """Hold every measurement of a metric against a bound; the worst one that may vote counts.

    Args:
        bound: The bound.
        measured: By name (``metric`` or ``metric.member``), every measurement that is expected; None where it is
            absent. Measurements whose control failed (``votes`` false) take no part.

    Returns:
        The worst margin and the joint verdict. No measurement that may vote, or any that was not measured: the clip
        and "missing".
    """
    voting = [value for value in measured.values() if value is None or value.votes]
    margins = [math.nan if value is None else _margin(bound, value) for value in voting]
    if not margins or any(math.isnan(margin) for margin in margins):
        return CheckResult(CLIP, MISSING)
    members = [value for value in voting if value is not None]
    verdicts = [_verdict(bound, value, len(members)) for value in members]
    joint = next((verdict for verdict in _WORST_FIRST if verdict in verdicts), PASS)
    return CheckResult(max(margins), joint, _power(bound, members))


def _power(bound: Bound, members: Sequence[Measurement]) -> Power | None:
    """Return what each of the voting members would have found, whichever of them it is that can read the leak."""
    sign = 1 if bound.sense == "<=" else -1
    relative = bound.reference is not None
    found = [
        power_of(bound.offset, _half_width(bound, item), len(members), sign=sign, relative=relative) for item in members
    ]
    known = [power for power in found if power is not None]
    if len(known) < len(found):
        return None
    worst = max if sign > 0 or relative else min
    return Power(worst(power.withheld for power in known), worst(power.violation for power in known))


def _half_width(bound: Bound, item: Measurement) -> float | None:
    """Return half the width of the interval that the verdict on ``item`` would rest on near the bound."""
    if (bound.reference == "baseline") == (item.baseline is not None):
        return item.half_width
    return (item.high - item.low) / 2  # an accuracy held against something else than its baseline


def margin_limits(bound: Bound, measured: Mapping[str, Measurement | None]) -> tuple[float, float]:
    """Return the 95 % limits of the worst voting member's margin, clipped as margins are; NaN where not measured."""
    voting = [value for value in measured.values() if value is None or value.votes]
    found = [(math.nan if value is None else _margin(bound, value), value) for value in voting]
    if not found or any(math.isnan(margin) for margin, _ in found):
        return math.nan, math.nan
    worst = max(found, key=lambda item: item[0])[1]
    assert worst is not None
    low, high = (limit / bound.scale for limit in _limits_outside(bound, worst)[-2:])
    return max(low, -CLIP), min(high, CLIP)


def _margin(bound: Bound, measurement: Measurement) -> float:
    """Return the clipped margin of one measurement, NaN if it or its reference was not measured."""
    outside = measurement.value - bound.limit(measurement)
    if bound.sense == ">=":
        outside = -outside
    if math.isnan(outside):
        return math.nan
    return min(max(outside / bound.scale, -CLIP), CLIP)


def _verdict(bound: Bound, measurement: Measurement, members: int) -> str:
    """Return the verdict on one finite measurement, of so many, from the limits of its distance to the bound."""
    value, low, high = _limits_outside(bound, measurement)
    if high <= 0:
        return PASS if measurement.converged else TOO_LITTLE_TRAINING
    if value - (value - low) * widening(members) > 0:
        return VIOLATION
    return TOO_LITTLE_DATA  # NaN limits compare false and land here


def _limits_outside(bound: Bound, measurement: Measurement) -> tuple[float, float, float]:
    """Return how far the value is outside the bound, and the 95 % limits of it, in the metric's unit."""
    outside = measurement.value - bound.limit(measurement)
    below, above = measurement.value - measurement.low, measurement.high - measurement.value
    excess_low, excess_high = measurement.excess_low, measurement.excess_high
    if bound.reference == "baseline" and excess_low is not None and excess_high is not None:
        excess = outside + bound.offset
        below, above = excess - excess_low, excess_high - excess
    elif bound.reference == "baseline":
        baseline = math.nan if measurement.baseline is None else measurement.baseline
        baseline_low = math.nan if measurement.baseline_low is None else measurement.baseline_low
        baseline_high = math.nan if measurement.baseline_high is None else measurement.baseline_high
        below, above = math.hypot(below, baseline_high - baseline), math.hypot(above, baseline - baseline_low)
    low, high = outside - below, outside + above
    return (outside, low, high) if bound.sense == "<=" else (-outside, -high, -low)
