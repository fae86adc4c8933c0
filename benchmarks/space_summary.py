"""What the records of ``benchmarks.space`` say about each point of the design; printed and drawn elsewhere.

Every interval is that of the test images (95 %). What retraining adds shows in the spread between seeds, which stands
beside the intervals and not inside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.space_design import DISCRIMINATORS, Point
from benchmarks.space_records import Record
from models.measurement import Measurement


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval, and what the single seeds gave."""

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """One point of the design with its records, one a seed that was run or refused."""

    point: Point
    records: tuple[Record, ...]

    @property
    def measured(self) -> tuple[Record, ...]:
        """Records that hold measurements."""
        return tuple(record for record in self.records if record.metrics)

    @property
    def feasible(self) -> bool:
        """Whether every seed was measured and within every bound."""
        return bool(self.records) and all(record.feasible for record in self.records)

    def estimate(self, metric: str) -> Estimate | None:
        """Return a metric's mean over seeds, of several adversaries the worst; None where nothing was measured."""
        return mean([found for record in self.measured if (found := worst(record, metric)) is not None])

    def excess(self, metric: str) -> Estimate | None:
        """Return how far a metric is above the honest baseline, of several adversaries the worst."""
        found = [item for record in self.measured if (item := worst(record, metric)) is not None]
        return mean([above_baseline(item) for item in found if item.baseline is not None])

    def outcome(self) -> str:
        """Say what came of it, for people: within every bound, what stopped it, why it was refused, how it failed."""
        if not self.records:
            return "not run"
        if self.feasible:
            return "within every bound"
        unmeasured = [record for record in self.records if record.reason is not None]
        if unmeasured:
            return f"{unmeasured[0].outcome.replace('_', ' ')}: {unmeasured[0].reason}"
        stopped = {check: 0 for record in self.records for check in record.margins}
        for record in self.records:
            for check, margin in record.margins.items():
                stopped[check] += margin > 0
        total = len(self.records)
        share = {name: f" ({times} of {total} seeds)" if total > 1 else "" for name, times in stopped.items() if times}
        named = ", ".join(name.replace("_", " ") + text for name, text in share.items())
        return f"stopped by {named}" if named else "a check is missing"


def results(points: Sequence[Point], records: Mapping[tuple[str, str], Sequence[Record]]) -> tuple[Result, ...]:
    """Pair points with their records, which are given by group and name of the point."""
    return tuple(Result(point, tuple(records.get((point.group, point.name), ()))) for point in points)


def worst(record: Record, metric: str) -> Measurement | None:
    """Return what the worst voting adversary measured: the one furthest above its baseline, or highest without one.

    None where nobody with a vote measured it.
    """
    members = [item for name, item in record.metrics.items() if name == metric or name.startswith(f"{metric}.")]
    known = [item for item in members if item.votes and item.measured]
    return max(known, key=lambda item: item.value - (item.baseline or 0.0), default=None)


def mean(found: Sequence[Measurement]) -> Estimate | None:
    """Return the mean of independent measurements; half-widths add as standard errors do."""
    if not found:
        return None
    value = sum(item.value for item in found) / len(found)
    below = math.hypot(*(item.value - item.low for item in found)) / len(found)
    above = math.hypot(*(item.high - item.value for item in found)) / len(found)
    return Estimate(value, value - below, value + above, tuple(item.value for item in found))


def above_baseline(item: Measurement) -> Measurement:
    """Return a measurement as its difference to its baseline."""
    reference = Measurement(item.baseline or 0.0, _or_nan(item.baseline_low), _or_nan(item.baseline_high))
    return difference(item, reference)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def difference(one: Measurement, other: Measurement) -> Measurement:
    """Return ``one`` minus ``other`` with the limits of Zou and Donner (2008), which take the two as independent."""
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    return Measurement(value, low, value + math.hypot(one.high - one.value, other.value - other.low))


@dataclass(frozen=True)
class Effect:
    """What one change of a discriminator or a weight did, against the base of the same seed."""

    result: Result
    differences: Mapping[str, Estimate | None]
    """By metric; None where one of the two was not measured."""


EFFECTS = ("reconstruction_ssim", "secret_accuracy", "strong_identity_accuracy", "steganalysis_auc")
"""Metrics whose change is shown for discriminators and weights."""


def effects(found: Iterable[Result]) -> tuple[Effect, ...]:
    """Return the effect of every discriminator point that has a base."""
    group = [result for result in found if result.point.group == DISCRIMINATORS]
    bases = {result.point.name: result for result in group}
    return tuple(
        Effect(result, {metric: _effect(result, bases[result.point.base], metric) for metric in EFFECTS})
        for result in group
        if result.point.base in bases
    )


def _effect(result: Result, base: Result, metric: str) -> Estimate | None:
    """Return the mean over seeds of the difference to the base, of strong identity that of the excess over honest."""
    bases = {record.seed: worst(record, metric) for record in base.measured}
    pairs = [(worst(record, metric), bases.get(record.seed)) for record in result.measured]
    # Another critic makes another sanitiser with another honest baseline: what counts is the excess over it.
    return mean([difference(_own(one), _own(other)) for one, other in pairs if one is not None and other is not None])


def _own(item: Measurement) -> Measurement:
    return item if item.baseline is None else above_baseline(item)
