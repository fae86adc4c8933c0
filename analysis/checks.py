"""What each check did over a study: its bound, whom it stopped, who voted in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.ranking import MISSING_MARGIN
from analysis.records import Floats, Metric, Study
from analysis.schema import Constraint

UNMEASURED = ("diverged", "out_of_memory", "preempted", "stopped_early", "crashed", "objective_missing")
"""Outcomes of trials whose margins are all set to the worst, whatever the checks may have found."""
VERDICTS = ("pass", "violation", "too_little_data", "too_little_training", "missing")


@dataclass(frozen=True)
class MemberSummary:
    """One adversary of a check over all trials; medians over trials."""

    name: str
    """Full name of the metric column."""
    value: float
    baseline: float
    chance: float
    majority: float
    bound: float
    trials: int
    """Trials in which it gave a number."""
    without_vote: int
    """Trials in which it had no vote, because a control failed."""


@dataclass(frozen=True, eq=False)
class CheckSummary:
    """One check over all trials."""

    constraint: Constraint
    margins: Floats
    """(trials,); a missing margin counts as the largest violation."""
    missing: NDArray[np.bool_]
    """(trials,): the check gave nothing, so its margin is a penalty and no estimate."""
    passed: int
    """Trials within the bound, by estimate."""
    stopped: int
    """Trials beyond it, by estimate; those without a result are not among them."""
    alone: int
    """Trials that this check stopped and that no other check counts as violated."""
    verdicts: tuple[tuple[str, int], ...]
    """Verdicts by interval, with their counts."""
    withheld: float
    """Smallest leak that it would not have passed with 95 % probability, median over trials; NaN where not recorded."""
    violation: float
    """Smallest leak that it would have called a violation with 95 % probability, likewise."""
    members: tuple[MemberSummary, ...]


@dataclass(frozen=True)
class Voteless:
    """An adversary that took part in no verdict, in some trials or in all."""

    name: str
    trials: int
    of: int
    bound: bool
    """Whether a bound rests on its metric; otherwise it would only have been reported."""
    check_silent: bool
    """Whether some trial had no voting adversary left for that metric."""


def without_result(study: Study, check: str) -> NDArray[np.bool_]:
    """Mark the trials in which a check gave nothing, (trials,), bool.

    Trials that were never measured as a whole carry the worst margin of every check; that is no finding of any check.
    """
    unmeasured = np.asarray([outcome in UNMEASURED for outcome in study.outcome], dtype=bool)
    silent = np.asarray([verdict == "missing" for verdict in study.verdicts[check]], dtype=bool)
    return np.isnan(study.constraints[check]) | unmeasured | silent


def failed_checks(study: Study, row: int) -> list[str]:
    """Return the checks that one trial fails by estimate, in the order of the schema; those without a result too."""
    return [name for name, margins in study.constraints.items() if not margins[row] <= 0.0]


def summarise_checks(study: Study) -> tuple[CheckSummary, ...]:
    """Summarise every check of the study, in the order of the schema."""
    violated = {name: ~(margins <= 0.0) for name, margins in study.constraints.items()}
    together = np.sum(list(violated.values()), axis=0) if violated else np.zeros(len(study), dtype=np.int64)
    return tuple(_summary(study, item, violated[item.check], together) for item in study.schema.constraints)


def _summary(
    study: Study, constraint: Constraint, violated: NDArray[np.bool_], together: NDArray[np.int64]
) -> CheckSummary:
    margins = study.constraints[constraint.check]
    verdicts = study.verdicts[constraint.check]
    missing = without_result(study, constraint.check)
    stopped = violated & ~missing
    return CheckSummary(
        constraint=constraint,
        margins=np.where(np.isnan(margins), MISSING_MARGIN, margins),
        missing=missing,
        passed=int((~violated & ~missing).sum()),
        stopped=int(stopped.sum()),
        alone=int((stopped & (together == 1)).sum()),
        verdicts=tuple((name, verdicts.count(name)) for name in VERDICTS if name in verdicts),
        withheld=_median(study.power[constraint.check]["withheld"]),
        violation=_median(study.power[constraint.check]["violation"]),
        members=tuple(_member(name, column, constraint) for name, column in study.members(constraint.metric).items()),
    )


def _member(name: str, column: Metric, constraint: Constraint) -> MemberSummary:
    baseline, chance, majority = _median(column.baseline), _median(column.chance), _median(column.majority)
    bound = constraint.bound
    return MemberSummary(
        name=name,
        value=_median(column.value),
        baseline=baseline,
        chance=chance,
        majority=majority,
        bound=float("nan") if bound is None else bound.at(baseline=baseline, chance=chance, majority=majority),
        trials=int(np.isfinite(column.value).sum()),
        without_vote=int((~column.votes).sum()),
    )


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def voteless(study: Study) -> tuple[Voteless, ...]:
    """Return the adversaries without a vote, those that a bound rests on first."""
    bound_metrics = {item.metric for item in study.schema.constraints}
    found = []
    for name, column in study.metrics.items():
        if column.votes.all():
            continue
        base = name.partition(".")[0]
        peers = np.stack([peer.votes for peer in study.members(base).values()])
        found.append(
            Voteless(
                name=name,
                trials=int((~column.votes).sum()),
                of=len(study),
                bound=bool({name, base} & bound_metrics),
                check_silent=bool((~peers.any(axis=0)).any()),
            )
        )
    return tuple(sorted(found, key=lambda item: (not item.bound, item.name)))
