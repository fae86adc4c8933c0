"""What a study searches for: objectives and bounds, and how one trial's measurements become what Optuna is told.

Objectives keep their natural direction everywhere; nothing is negated. Everything fails closed: see ``study.bounds``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.measurement import Measurement
from study.bounds import CLIP, MISSING, Bound, check_bound, parse_bound
from study.evaluation import MetricInfo
from study.nested import near_misses
from study.outcomes import RULES, Outcome
from study.power import Power
from study.sections import Section

MAXIMISE, MINIMISE = "maximise", "minimise"


@dataclass(frozen=True)
class Objective:
    """One axis of the front."""

    name: str
    metric: str
    direction: str
    """"maximise" or "minimise"."""
    unit: str
    label: str
    """Axis title for people."""
    searched: bool
    """Whether the sampler sees it; objectives that are only recorded complete the front in the report."""
    worst: float
    """Worst value the metric can take; told to Optuna when a trial could not be measured."""

    def value(self, measured: Mapping[str, Measurement | None]) -> float:
        """Return the worst value among the measurements that may vote; NaN if there is none or one is not finite."""
        values = [math.nan if item is None else item.value for item in measured.values() if item is None or item.votes]
        if not values or not all(math.isfinite(value) for value in values):
            return math.nan
        return min(values) if self.direction == MAXIMISE else max(values)


@dataclass(frozen=True)
class ObjectiveConfig:
    """The ``objective`` group and the bounds of the ``checks`` group, resolved."""

    objectives: tuple[Objective, ...]
    bounds: tuple[Bound, ...]
    """Constraints of the search, sorted by the name of their check. A check whose metric is itself searched for is none
    of them: the front shows that trade-off, and a constraint would cut it off."""

    @property
    def searched(self) -> tuple[Objective, ...]:
        """The objectives that the sampler sees."""
        return tuple(objective for objective in self.objectives if objective.searched)


@dataclass(frozen=True)
class Score:
    """What one finished trial is worth."""

    objectives: dict[str, float]
    """Value of every objective, NaN where it was not measured."""
    margins: dict[str, float]
    """Margin of every check as the searcher is told; <= 0 is feasible, never NaN."""
    verdicts: dict[str, str]
    """Verdict of every check, for people."""
    outcome: Outcome
    power: dict[str, Power] = field(default_factory=dict)
    """What every check would have found, where that is known."""

    @property
    def feasible(self) -> bool:
        """Whether everything was measured and every margin is at most 0."""
        return self.outcome is Outcome.OK


def score(config: ObjectiveConfig, infos: Mapping[str, MetricInfo], metrics: Mapping[str, Measurement]) -> Score:
    """Turn the measurements of a finished trial into objectives, margins, verdicts and its outcome."""
    objectives = {o.name: o.value(measured_under(o.metric, infos, metrics)) for o in config.objectives}
    results = {b.check: check_bound(b, measured_under(b.metric, infos, metrics)) for b in config.bounds}
    if any(math.isnan(objectives[objective.name]) for objective in config.searched):
        outcome = Outcome.OBJECTIVE_MISSING
    elif any(result.verdict == MISSING for result in results.values()):
        outcome = Outcome.CHECK_MISSING
    elif any(result.margin > 0 for result in results.values()):
        outcome = Outcome.INFEASIBLE
    else:
        outcome = Outcome.OK
    return Score(
        objectives=objectives,
        margins={check: CLIP if RULES[outcome].at_clip else result.margin for check, result in results.items()},
        verdicts={check: result.verdict for check, result in results.items()},
        outcome=outcome,
        power={check: result.power for check, result in results.items() if result.power is not None},
    )


def unmeasured(config: ObjectiveConfig, outcome: Outcome) -> Score:
    """Return the score of a trial that ended without measurements; ``outcome`` says how."""
    return Score(
        objectives={objective.name: math.nan for objective in config.objectives},
        margins={bound.check: CLIP for bound in config.bounds},
        verdicts={bound.check: MISSING for bound in config.bounds},
        outcome=outcome,
    )


def measured_under(
    metric: str, infos: Mapping[str, MetricInfo], metrics: Mapping[str, Measurement]
) -> dict[str, Measurement | None]:
    """Return every measurement that ``metric`` should have, None where it is absent.

    Args:
        metric: A metric, or one member of it as ``metric.member``.
        infos: The metrics of the experiment.
        metrics: What arrived.
    """
    names = infos[metric].measured_names(metric) if metric in infos else (metric,)
    return {name: metrics.get(name) for name in names}


def read_objective(group: Any, bounds: Any, infos: Mapping[str, MetricInfo], problems: list[str]) -> ObjectiveConfig:
    """Read the ``objective`` group and ``checks.bounds``; what is wrong with them is added to ``problems``."""
    section = Section("objective", group, problems)
    section.text("description", optional=True)
    objectives = _read_objectives(section.raw("objectives"), infos, problems)
    section.close()
    searched = {objective.metric for objective in objectives if objective.searched}
    return ObjectiveConfig(
        objectives, tuple(bound for bound in _read_bounds(bounds, infos, problems) if bound.metric not in searched)
    )


def _read_objectives(group: Any, infos: Mapping[str, MetricInfo], problems: list[str]) -> tuple[Objective, ...]:
    objectives = []
    for name, fields in group.items() if isinstance(group, Mapping) else ():
        section = Section(f"objective.objectives.{name}", fields, problems)
        metric = section.text("metric")
        _known(f"objective.objectives.{name}.metric", metric, infos, problems)
        objective = Objective(
            name=str(name),
            metric=metric,
            direction=section.text("direction", (MAXIMISE, MINIMISE)),
            unit=infos[metric].unit if metric in infos else "1",
            label=section.text("label"),
            searched=section.boolean("searched"),
            worst=section.number("worst"),
        )
        section.close()
        objectives.append(objective)
    if not any(objective.searched for objective in objectives):
        problems.append("objective.objectives must hold at least one objective with searched: true")
    return tuple(objectives)


def _read_bounds(group: Any, infos: Mapping[str, MetricInfo], problems: list[str]) -> tuple[Bound, ...]:
    bounds = []
    for check, fields in group.items() if isinstance(group, Mapping) else ():
        section = Section(f"checks.bounds.{check}", fields, problems)
        text, scale = section.text("bound"), section.number("scale")
        section.close()
        if not text:
            continue
        try:
            bound = parse_bound(str(check), text, scale)
        except ValueError as error:
            problems.append(str(error))
            continue
        _known(f"checks.bounds.{check}.bound", bound.metric, infos, problems)
        bounds.append(bound)
    if group is not None and not isinstance(group, Mapping):
        problems.append(f"checks.bounds={group!r} must be a group of checks, each with bound and scale")
    # Optuna sees constraints in this order on every trial; sorted, so that it does not depend on the file.
    return tuple(sorted(bounds, key=lambda bound: bound.check))


def unmeasured_problems(config: ObjectiveConfig, off: Mapping[str, str]) -> list[str]:
    """Return which bounds and searched objectives ask for what is switched off: every trial would be infeasible.

    Args:
        config: The objectives and bounds.
        off: Metric that is not measured -> what would have it measured.
    """
    asked = {f"checks.bounds.{bound.check}.bound": bound.metric for bound in config.bounds}
    asked |= {f"objective.objectives.{item.name}.metric": item.metric for item in config.objectives if item.searched}
    return [
        f"{where} names {name}, which these settings switch off: {off[name]}; switch it on, or leave it out here"
        for where, name in asked.items()
        if name in off
    ]


def _known(where: str, metric: str, infos: Mapping[str, MetricInfo], problems: list[str]) -> None:
    names = known_metrics(infos)
    if metric and metric not in names:
        problems.append(
            f"{where} names the unknown metric {metric!r}{near_misses(metric, names)} (permitted: {', '.join(infos)})"
        )


def known_metrics(infos: Mapping[str, MetricInfo]) -> Sequence[str]:
    """Return every name that a bound or an objective may use: metrics, and single members of them."""
    return [*infos, *(name for metric, info in infos.items() for name in info.measured_names(metric) if name != metric)]
