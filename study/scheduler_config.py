"""The ``scheduler`` group: whether trials are stopped early, at which rungs, and which signals they are judged by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from study.bounds import Bound
from study.evaluation import Experiment
from study.nested import near_misses
from study.objective import MAXIMISE, ObjectiveConfig, known_metrics
from study.schedulers import Limit, SignalSource, SuccessiveHalving
from study.sections import Section

NONE, SUCCESSIVE_HALVING = "none", "successive_halving"

DEAF = ("gp",)
"""Samplers that see finished trials only, and so propose what was stopped again and again: of 20 proposals 20 were of a
family whose every trial was stopped, where ``tpe`` made 4 and ``nsgaii`` 6."""


@dataclass(frozen=True)
class SchedulerConfig:
    """The ``scheduler`` group, resolved for a study's objectives and checks."""

    name: str = NONE
    """``none``: every trial runs to its end; or ``successive_halving``."""
    first: int = 1
    """Epoch of the first rung, >= 1."""
    reduction: int = 2
    """One in so many trials of a stratum goes on, >= 2."""
    before_checks: bool = False
    """Whether there is a rung before the checks."""
    source: SignalSource = field(default_factory=lambda: SignalSource({}))
    """What the reported signals stand for."""

    def build(self) -> SuccessiveHalving | None:
        """Return a scheduler that knows no trial yet; None where none is to be stopped."""
        if self.name == NONE:
            return None
        return SuccessiveHalving(self.first, self.reduction, before_checks=self.before_checks)


def read_scheduler(
    group: Any, experiment: Experiment, objective: ObjectiveConfig, checks: Collection[str], problems: list[str]
) -> SchedulerConfig:
    """Read the ``scheduler`` group; what is wrong with it is added to ``problems``.

    Args:
        group: The resolved group; None, as of a study from before there was one, stops nothing.
        experiment: Says which signals there are.
        objective: What the signals stand for.
        checks: Names of all checks, those that ``objective`` searches for instead of bounding included.
        problems: What is wrong is added here.
    """
    if group is None:
        return SchedulerConfig()
    section = Section("scheduler", group, problems)
    section.text("description", optional=True)
    name = section.text("name", (NONE, SUCCESSIVE_HALVING))
    config = SchedulerConfig(name)
    if name == SUCCESSIVE_HALVING:
        source = SignalSource(
            _read_objectives(section.raw("objectives"), experiment, objective, problems),
            _read_checks(section.raw("checks"), experiment, objective, checks, problems),
        )
        config = SchedulerConfig(
            name,
            section.integer("first", 1),
            section.integer("reduction", 2),
            section.boolean("before_checks"),
            source,
        )
    section.close()
    return config


def searcher_problems(scheduler: SchedulerConfig, searcher: str) -> list[str]:
    """Return why the sampler called ``searcher`` cannot be used with the scheduler."""
    if scheduler.name == NONE or searcher not in DEAF:
        return []
    return [
        f"searcher.name={searcher!r} learns nothing from trials that scheduler.name={scheduler.name!r} stops, and "
        "would propose them again; choose searcher=bayesian, tpe, nsgaii, qmc or random, or scheduler=none"
    ]


def _read_objectives(
    group: Any, experiment: Experiment, objective: ObjectiveConfig, problems: list[str]
) -> dict[str, float]:
    """Return signals and signs for the objectives that are searched for."""
    entries = _entries("objectives", group, problems)
    permitted = known_metrics(experiment.metrics)
    for metric, signal in entries.items():
        where = f"scheduler.objectives.{metric}"
        if metric not in permitted:
            problems.append(f"{where} names no metric{near_misses(metric, permitted)}")
        _known_signal(where, signal, experiment, problems)
    found = {}
    for searched in objective.searched:
        if searched.metric not in entries:
            problems.append(
                f"scheduler.objectives: no signal stands for {searched.metric}, which is searched for; add "
                f"{searched.metric}: SIGNAL (permitted: {_permitted(experiment)}), or choose scheduler=none"
            )
            continue
        found[str(entries[searched.metric])] = -1.0 if searched.direction == MAXIMISE else 1.0
    return found


def _read_checks(
    group: Any, experiment: Experiment, objective: ObjectiveConfig, checks: Collection[str], problems: list[str]
) -> tuple[Limit, ...]:
    """Return limits for the checks of the study that a signal stands for; the others are left to the end."""
    bounds = {bound.check: bound for bound in objective.bounds}
    found = []
    for check, fields in _entries("checks", group, problems).items():
        section = Section(f"scheduler.checks.{check}", fields, problems)
        signal, limit, certain = section.text("signal"), section.number("limit"), section.number("certain")
        section.close()
        _known_signal(f"scheduler.checks.{check}.signal", signal, experiment, problems)
        if check not in checks:
            permitted = ", ".join(checks) or "none: this study has no checks"
            problems.append(f"scheduler.checks.{check} is no check{near_misses(check, checks)}; permitted: {permitted}")
        if check in bounds:
            problems.extend(_order_problems(bounds[check], limit, certain))
            found.append(Limit(signal, limit, certain))
    return tuple(found)


def _order_problems(bound: Bound, limit: float, certain: float) -> list[str]:
    """Return whether what makes a failure certain is on the wrong side of what makes it expected."""
    above = bound.sense == "<="
    if certain > limit if above else certain < limit:
        return []
    return [
        f"scheduler.checks.{bound.check}.certain={certain} must be {'above' if above else 'below'} limit={limit}, "
        f"since {'large' if above else 'small'} values violate the bound {bound.text!r}"
    ]


def _entries(name: str, group: Any, problems: list[str]) -> Mapping[str, Any]:
    if group is None:
        return {}
    if not isinstance(group, Mapping):
        problems.append(f"scheduler.{name}={group!r} must be a group, as in search_spaces/scheduler/*.yaml")
        return {}
    return {str(key): value for key, value in group.items()}


def _known_signal(where: str, signal: Any, experiment: Experiment, problems: list[str]) -> None:
    if signal not in experiment.signals:
        near = near_misses(str(signal), experiment.signals)
        problems.append(
            f"{where}={signal!r} is no signal of {experiment.name}{near}; permitted: {_permitted(experiment)}"
        )


def _permitted(experiment: Experiment) -> str:
    return ", ".join(experiment.signals) or "none: this experiment reports no signals"
