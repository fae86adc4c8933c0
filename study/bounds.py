"""Bounds on metrics, stated in the metric's own unit, and the margins and verdicts that follow from them.

The one sign rule of this project: a margin is ``(how far the estimate is outside its bound) / scale``, feasible when it
is at most 0. The one NaN rule: whatever was not measured is violated, at the clip. Margins are normalised and clipped
because Optuna ranks infeasible trials by the raw sum of their violations.

The margin is for the search and uses the estimate alone; the verdict is for people and uses the 95 % limits. Against a
baseline the limits are those of a difference of two estimates by the method of variance estimates recovery (Zou and
Donner 2008, "Construction of confidence limits about effect measures"), which takes the two as independent: on shared
test images the interval comes out too wide rather than too narrow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from models.measurement import Measurement

CLIP = 3.0
"""Largest margin, and that of anything not measured."""

REFERENCES = ("baseline", "chance", "majority")

PASS, VIOLATION, TOO_LITTLE_DATA, MISSING = "pass", "violation", "too_little_data", "missing"

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
    """"pass", "violation", "too_little_data" or "missing"."""


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
    verdicts = [_verdict(bound, value) for value in voting if value is not None]
    for verdict in (VIOLATION, TOO_LITTLE_DATA):
        if verdict in verdicts:
            return CheckResult(max(margins), verdict)
    return CheckResult(max(margins), PASS)


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


def _verdict(bound: Bound, measurement: Measurement) -> str:
    """Return the verdict on one finite measurement from the limits of its distance to the bound."""
    low, high = _limits_outside(bound, measurement)
    if high <= 0:
        return PASS
    if low > 0:
        return VIOLATION
    return TOO_LITTLE_DATA  # NaN limits compare false and land here


def _limits_outside(bound: Bound, measurement: Measurement) -> tuple[float, float]:
    """Return the 95 % limits of how far the true value is outside the bound, in the metric's unit."""
    outside = measurement.value - bound.limit(measurement)
    below, above = measurement.value - measurement.low, measurement.high - measurement.value
    if bound.reference == "baseline":
        baseline = math.nan if measurement.baseline is None else measurement.baseline
        baseline_low = math.nan if measurement.baseline_low is None else measurement.baseline_low
        baseline_high = math.nan if measurement.baseline_high is None else measurement.baseline_high
        below, above = math.hypot(below, baseline_high - baseline), math.hypot(above, baseline - baseline_low)
    low, high = outside - below, outside + above
    return (low, high) if bound.sense == "<=" else (-high, -low)
