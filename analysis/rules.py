"""Rules by which configurations are chosen from a study: best, knee, within a budget, or by number.

Every rule looks at feasible trials only unless told otherwise, and says why it chose what it chose. What was not
measured satisfies nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.bounds import Bound, parse_bound
from analysis.checks import failed_checks
from analysis.errors import AnalysisError
from analysis.margins import outside
from analysis.pareto import nondominated
from analysis.ranking import ranked, worst_margin
from analysis.records import Floats, Study
from analysis.words import count, number, plain

RULES = ("best", "knee", "budget:<expression>", "ids:<trial>,<trial>")
NEAREST_SHOWN = 3


@dataclass(frozen=True)
class Choice:
    """One chosen trial."""

    row: int
    why: str
    """The reason, for people."""


def choose(study: Study, rule: str, top: int, *, allow_infeasible: bool = False) -> list[Choice]:
    """Choose trials of a study.

    Args:
        study: The study.
        rule: ``best`` (first searched objective), ``knee`` (of the feasible front over all objectives), ``budget:`` and
            a bound such as ``steganalysis_auc <= 0.55`` (best of those that keep it), or ``ids:`` and trial numbers.
        top: How many at most, >= 1; ``ids`` takes all that it names.
        allow_infeasible: Whether trials beyond a bound may be chosen.

    Returns:
        The choices, best first.

    Raises:
        AnalysisError: If the rule is unknown or malformed, it names trials that do not exist or may not be chosen, or
            no trial is eligible; the message then shows the nearest.
    """
    if top < 1:
        raise AnalysisError(f"--top must be at least 1, got {top}")
    kind, _, rest = rule.partition(":")
    if kind == "ids" and rest:
        return _by_number(study, rest, allow_infeasible=allow_infeasible)
    rules: dict[str, Callable[[NDArray[np.int64]], list[Choice]]] = {
        "best": lambda rows: _best(study, rows),
        "knee": lambda rows: _knee(study, rows),
        "budget": lambda rows: _within(study, rows, rest),
    }
    if kind not in rules or (kind == "budget") != bool(rest):
        raise AnalysisError(f"--rule {rule!r} is unknown; permitted: {', '.join(RULES)}")
    return rules[kind](_eligible(study, allow_infeasible=allow_infeasible))[:top]


def _eligible(study: Study, *, allow_infeasible: bool) -> NDArray[np.int64]:
    """Return rows that may be chosen, best first: feasible unless told otherwise, with a measured first objective."""
    primary = study.schema.primary
    values = study.objectives[primary.name]
    order = ranked(study)
    if allow_infeasible:
        order = np.lexsort((study.trial, -values if primary.maximise else values)).astype(np.int64)
    rows = order[~np.isnan(values[order]) & (allow_infeasible | study.feasible[order])]
    if not rows.size:
        raise AnalysisError(nothing_feasible(study))
    return rows


def _best(study: Study, rows: NDArray[np.int64]) -> list[Choice]:
    primary = study.schema.primary
    direction = "largest" if primary.maximise else "smallest"
    among = f"the {len(rows)} trials that may be chosen" if len(rows) > 1 else "the only trial that may be chosen"
    return [
        Choice(int(row), f"number {place} by {direction} {primary.name} among {among}")
        for place, row in enumerate(rows, 1)
    ]


def _knee(study: Study, rows: NDArray[np.int64]) -> list[Choice]:
    """Order the front by the sum of normalised costs.

    Of two objectives, the least sum is the point farthest from the chord between the ends of the front (Das, "On
    characterizing the knee of the Pareto curve", Structural Optimization 18, 1999).
    """
    objectives = study.schema.objectives
    values = np.stack([study.objectives[item.name][rows] for item in objectives], axis=1)
    front = nondominated(values, [item.maximise for item in objectives])
    if not front.any():
        names = ", ".join(item.name for item in objectives)
        raise AnalysisError(f"no trial that may be chosen has all objectives measured ({names}); use --rule best")
    costs = np.where([item.maximise for item in objectives], -values[front], values[front])
    span = np.ptp(costs, axis=0)
    shares = (costs - costs.min(axis=0)) / np.where(span > 0, span, 1.0)
    total = shares.sum(axis=1)
    order = np.lexsort((study.trial[rows[front]], total))
    names = ", ".join(item.name for item in objectives)
    return [
        Choice(
            int(rows[front][index]),
            f"number {place} by the sum of normalised costs ({number(float(total[index]))}) over {names} on the front "
            f"of {count(int(front.sum()), 'trial')}",
        )
        for place, index in enumerate(order, 1)
    ]


def _within(study: Study, rows: NDArray[np.int64], text: str) -> list[Choice]:
    """Return the best of those that keep a bound."""
    bound = parse_bound(text)
    if bound is None:
        raise AnalysisError(
            f"--rule budget:{text} holds no bound; write <metric> (<=|>=) <number>, or "
            "<metric> (<=|>=) (baseline|chance|majority) [(+|-) <number>], as in budget:steganalysis_auc <= 0.55"
        )
    excess = _excess(study, bound)
    kept = [int(row) for row in rows if excess[row] <= 0]
    if not kept:
        raise AnalysisError(_none_within(study, rows, text, excess))
    primary = study.schema.primary
    direction = "largest" if primary.maximise else "smallest"
    return [
        Choice(row, f"number {place} by {direction} {primary.name} among {count(len(kept), 'trial')} with {text}")
        for place, row in enumerate(kept, 1)
    ]


def _excess(study: Study, bound: Bound) -> Floats:
    """Return how far each trial lies beyond a bound, (trials,), in the unit of its metric; +inf where not measured."""
    if study.members(bound.metric):
        found = [outside(study, bound, row)[0] for row in range(len(study))]
        return np.nan_to_num(np.array(found, np.float64), nan=np.inf)
    plain_columns = {**study.objectives, "seconds": study.seconds}
    if bound.metric not in plain_columns or bound.reference is not None:
        metrics = sorted({*study.metrics, *(name.partition(".")[0] for name in study.metrics), *plain_columns})
        raise AnalysisError(
            f"--rule budget: {bound.metric!r} is no metric of this study; permitted: {', '.join(metrics)}"
        )
    beyond = plain_columns[bound.metric] - bound.offset
    return np.nan_to_num(beyond if bound.sense == "<=" else -beyond, nan=np.inf)


def _none_within(study: Study, rows: NDArray[np.int64], text: str, excess: Floats) -> str:
    primary = study.schema.primary
    nearest = sorted(rows.tolist(), key=lambda row: (excess[row], study.trial[row]))[:NEAREST_SHOWN]
    lines = [
        f"  trial {study.trial[row]}: "
        + ("not measured" if np.isinf(excess[row]) else f"{number(float(excess[row]))} beyond it")
        + f"; {primary.name} {number(float(study.objectives[primary.name][row]))}"
        for row in nearest
    ]
    return (
        f"none of the {count(len(rows), 'trial')} that may be chosen has {text}. The nearest:\n"
        + "\n".join(lines)
        + "\nGive a wider budget, or run more trials"
    )


def _by_number(study: Study, text: str, *, allow_infeasible: bool) -> list[Choice]:
    words = [word.strip() for word in text.split(",")]
    problems = [f"{word!r} is no trial number" for word in words if not word.isdigit()]
    known = {int(trial): row for row, trial in enumerate(study.trial)}
    asked = list(dict.fromkeys(int(word) for word in words if word.isdigit()))
    problems += [f"there is no trial {trial} among those recorded" for trial in asked if trial not in known]
    for trial in asked:
        if trial in known and not study.feasible[known[trial]] and not allow_infeasible:
            problems.append(_refusal(study, known[trial]))
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise AnalysisError(f"--rule ids:{text} cannot be followed:{lines}")
    return [Choice(known[trial], "named by its number") for trial in asked]


def _refusal(study: Study, row: int) -> str:
    failed = ", ".join(plain(name) for name in failed_checks(study, row)) or plain(study.outcome[row])
    return (
        f"trial {study.trial[row]} is not within every bound ({failed}; worst margin "
        f"{number(float(worst_margin(study)[row]))}); choose it all the same with --allow-infeasible"
    )


def nothing_feasible(study: Study) -> str:
    """Say that no trial may be chosen, and show the nearest ones."""
    primary = study.schema.primary
    if study.feasible.any():
        return (
            f"none of the {count(int(study.feasible.sum()), 'feasible trial')} has a measured {primary.name}, so none "
            "can be ranked; look at their errors with `python -m analysis report`"
        )
    margins = worst_margin(study)
    nearest = np.lexsort((study.trial, margins))[:NEAREST_SHOWN]
    lines = [
        f"  trial {study.trial[row]}: worst margin {number(float(margins[row]))}, beyond the bound of "
        f"{', '.join(plain(name) for name in failed_checks(study, int(row)))}; "
        f"{primary.name} {number(float(study.objectives[primary.name][row]))}"
        for row in nearest
    ]
    return (
        f"no trial of the {len(study)} is within every bound, so there is nothing to select. The nearest (smallest "
        "worst margin, in units of the checks' scales):\n"
        + "\n".join(lines)
        + "\nRun more trials, widen the search space, or "
        "state other bounds; `python -m analysis report` shows which checks stopped what. --allow-infeasible selects "
        "among all trials"
    )
