"""The optimism of a search: what its short list loses when other seeds, checks and images judge it.

A search compares many trials by estimates and keeps the best, so the estimates of those it keeps are too good on
average (the winner's curse). An audit estimates them again; the difference, signed so that positive means lost, is the
optimism. Margins are in units of their check's scale, objectives in their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from scipy.special import stdtrit

from models.measurement import Measurement
from study.bounds import margin_limits
from study.evaluation import MetricInfo
from study.objective import MAXIMISE, Objective, ObjectiveConfig, measured_under
from study.records import FinishedTrial
from study.replicates import UPPER, standard_error

OBJECTIVE, MARGIN = "objective", "margin"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN where not measured."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One objective or margin of one configuration, as searched and as audited."""

    trial: int
    kind: str
    """"objective" or "margin"."""
    name: str
    """Of the objective, or of the check."""
    search: Estimate
    audit: Estimate
    loss: Estimate
    """What the audit took away; positive where the search was too optimistic."""

    def row(self) -> dict[str, Any]:
        """Return the fields as columns of one row."""
        flat: dict[str, Any] = {"trial": self.trial, "kind": self.kind, "name": self.name}
        for part in ("search", "audit", "loss"):
            for end, value in asdict(getattr(self, part)).items():
                flat[part if end == "value" else f"{part}_{end}"] = value
        return flat


@dataclass(frozen=True)
class MeanLoss:
    """The mean loss of one objective or margin over the short list."""

    kind: str
    name: str
    loss: Estimate
    configurations: int
    """How many it is a mean of: those that were measured in both."""


def compare(
    objective: ObjectiveConfig,
    infos: Mapping[str, MetricInfo],
    number: int,
    searched: Mapping[str, Measurement],
    margins: Mapping[str, float],
    audited: FinishedTrial,
) -> list[Comparison]:
    """Compare what a search and an audit found of one configuration.

    Args:
        objective: Objectives and bounds of the study.
        infos: Metrics of the experiment.
        number: The trial.
        searched: Its measurements in the search.
        margins: Its recorded margins in the search, by check.
        audited: The audit's record of it, means over its seeds.
    """
    found = []
    for item in objective.objectives:
        search = _objective(item, infos, searched)
        audit = _objective(item, infos, audited.metrics)
        loss = difference(search, audit) if item.direction == MAXIMISE else difference(audit, search)
        found.append(Comparison(number, OBJECTIVE, item.name, search, audit, loss))
    for bound in objective.bounds:
        search = Estimate(margins[bound.check], *margin_limits(bound, measured_under(bound.metric, infos, searched)))
        limits = margin_limits(bound, measured_under(bound.metric, infos, audited.metrics))
        audit = Estimate(audited.score.margins[bound.check], *limits)
        found.append(Comparison(number, MARGIN, bound.check, search, audit, difference(audit, search)))
    return found


def mean_losses(comparisons: Sequence[Comparison]) -> list[MeanLoss]:
    """Return the mean loss of every objective and margin over the short list, in the order of first mention.

    The interval is Student's t over configurations, which takes them as a sample of what such a search selects. Of a
    single configuration it is that of its own difference.
    """
    found = []
    for kind, name in dict.fromkeys((item.kind, item.name) for item in comparisons):
        own = [item.loss for item in comparisons if (item.kind, item.name) == (kind, name)]
        measured = [loss for loss in own if math.isfinite(loss.value)]
        found.append(MeanLoss(kind, name, _mean(measured), len(measured)))
    return found


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return ``first - second``, with limits of a difference of two independent estimates (Zou and Donner 2008)."""
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    return Estimate(value, low, value + math.hypot(first.high - first.value, second.value - second.low))


def _mean(losses: Sequence[Estimate]) -> Estimate:
    if not losses:
        return Estimate(math.nan, math.nan, math.nan)
    if len(losses) == 1:
        return losses[0]
    values = [loss.value for loss in losses]
    half = float(stdtrit(len(values) - 1, UPPER)) * standard_error(values)
    return Estimate(fmean(values), fmean(values) - half, fmean(values) + half)


def _objective(objective: Objective, infos: Mapping[str, MetricInfo], metrics: Mapping[str, Measurement]) -> Estimate:
    """Return an objective with the interval of the member whose value it is."""
    measured = measured_under(objective.metric, infos, metrics)
    value = objective.value(measured)
    for item in measured.values():
        if item is not None and item.votes and item.value == value:
            return Estimate(value, item.low, item.high)
    return Estimate(value, math.nan, math.nan)
