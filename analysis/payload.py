"""The trials of a study as the page keeps them: columns in order of rank, as plain values that JSON can hold.

A column of one value is that value alone. Numbers have five significant digits, which is more than any figure shows;
what was not measured is None.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from analysis.checks import without_result
from analysis.feasibility import Feasibility
from analysis.fronts import front_mask
from analysis.points import Points
from analysis.ranking import ranked, total_violation
from analysis.records import Floats, Metric, Study
from analysis.schema import Constraint
from analysis.seeds import seed_text
from analysis.summary import objective_intervals
from analysis.words import (
    OUTCOMES,
    constraint_text,
    direction_text,
    metric_label,
    metric_unit,
    objective_unit,
    plain,
    short_label,
    unit_text,
    value_text,
)

DIGITS = 5
FIELDS = ("value", "low", "high", "baseline", "baseline_low", "baseline_high", "chance", "majority")


def page_data(study: Study, chances: Feasibility, points: Points) -> dict[str, Any]:
    """Return the trials of ``study``, best first, with everything that the page shows of each.

    Args:
        study: The trials to show, in the order of ``chances`` and ``points``.
        chances: How likely each is to be feasible.
        points: Hover texts.
    """
    order = ranked(study)
    judged = [name for item in study.schema.constraints for name in study.members(item.metric)]
    names = list(study.metrics)
    return {
        "trials": study.trial[order].tolist(),
        "hover": [points.hover[row] for row in order],
        "feasible": column(study.feasible[order].tolist()),
        "front": column(front_mask(study)[order].tolist()),
        "outcome": column([plain(study.outcome[row]) for row in order]),
        "meanings": {plain(name): OUTCOMES[name] for name in sorted(set(study.outcome)) if name in OUTCOMES},
        "seed": column([seed_text(study, row) for row in order]),
        "seeds": column(study.replicates[order].tolist()),
        "seconds": numbers(study.seconds[order]),
        "finished": numbers(study.finished[order] - np.nanmin(study.finished), 8) if _some(study.finished) else None,
        "errors": {str(study.trial[row]): study.error[row] for row in order if study.error[row]},
        "probability": numbers(chances.probability[order]),
        "violation": numbers(total_violation(study)[order]),
        "strata": list(study.strata),
        "objectives": [_objective(study, index, order) for index in range(len(study.schema.objectives))],
        "checks": [_check(study, item, chances, order, names) for item in study.schema.constraints],
        "metrics": [
            {
                **_fields(study.metrics[name], order),
                "name": plain(name.partition(".")[2]) or "estimate",
                "label": metric_label(name),
                "unit": metric_unit(name, study.schema),
                "judged": name in judged,
            }
            for name in names
        ],
        "parameters": [_parameter(study, name, order) for name in study.parameters],
    }


def _objective(study: Study, index: int, order: np.ndarray) -> dict[str, Any]:
    objective = study.schema.objectives[index]
    low, high = objective_intervals(study, objective)
    return {
        "label": short_label(objective),
        "unit": objective_unit(objective),
        "direction": direction_text(objective),
        "maximise": objective.maximise,
        "searched": objective.searched,
        "value": numbers(study.objectives[objective.name][order]),
        "low": numbers(low[order]),
        "high": numbers(high[order]),
        "error": numbers(study.standard_errors[objective.name][order]),
    }


def _check(
    study: Study, constraint: Constraint, chances: Feasibility, order: np.ndarray, names: list[str]
) -> dict[str, Any]:
    check = constraint.check
    members = study.members(constraint.metric)
    return {
        "label": metric_label(check),
        "bound": constraint_text(constraint),
        "sense": constraint.sense,
        "unit": metric_unit(constraint.metric, study.schema),
        "scale": constraint.scale,
        "margin": numbers(study.constraints[check][order]),
        "low": numbers(chances.margin_low[check][order]),
        "high": numbers(chances.margin_high[check][order]),
        "missing": column(without_result(study, check)[order].tolist()),
        "verdict": column([study.verdicts[check][row] for row in order]),
        "probability": numbers(chances.by_check[check][order]),
        "members": [
            {"metric": names.index(name), "at": numbers(_bound_at(constraint, item)[order])}
            for name, item in members.items()
        ],
    }


def _bound_at(constraint: Constraint, metric: Metric) -> Floats:
    """Return where the bound lies for one member in each trial, (trials,); NaN where that is not known."""
    bound = constraint.bound
    if bound is None:
        return np.full(len(metric.value), np.nan)
    if bound.reference is None:
        return np.full(len(metric.value), bound.offset)
    found: Floats = getattr(metric, bound.reference) + bound.offset
    return found


def _fields(metric: Metric, order: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = {name: numbers(getattr(metric, name)[order]) for name in FIELDS}
    return found | {"votes": column(metric.votes[order].tolist())}


def _parameter(study: Study, name: str, order: np.ndarray) -> dict[str, Any]:
    known = study.schema.parameters.get(name)
    values = [study.parameters[name][row] for row in order]
    active = [value for value in values if value is not None]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in active)
    numeric = numeric and bool(active) and (known is None or known.kind != "categorical")
    return {
        "name": name,
        "unit": "" if known is None or unit_text(known.unit) == "no unit" else known.unit,
        "role": known.role if known else "",
        "numeric": numeric,
        "log": bool(numeric and known is not None and known.log and min(active) > 0),
        "categories": None if numeric else _categories(known.values if known else None, active),
        "value": numbers(np.asarray([math.nan if value is None else value for value in values]))
        if numeric
        else column([None if value is None else value_text(value) for value in values]),
        "text": column([None if value is None else value_text(value) for value in values]) if numeric else None,
    }


def _categories(listed: tuple[Any, ...] | None, active: list[Any]) -> list[str]:
    """Return the categories that occur, in the order of the space."""
    seen = {value_text(value) for value in active}
    first = [text for value in listed or () if (text := value_text(value)) in seen]
    return first + sorted(seen - set(first))


def column(values: Iterable[Any]) -> Any:
    """Return the values as a list, or the one value of them all."""
    found = list(values)
    return found[0] if found and all(value == found[0] for value in found[1:]) else found


def numbers(values: Floats, digits: int = DIGITS) -> Any:
    """Return a column of numbers with so many significant digits, None where JSON has no number."""
    found = np.asarray(values, dtype=np.float64)
    if found.size and (np.isnan(found).all() or (found == found[0]).all()):
        return _number(float(found[0]), digits)
    return [_number(value, digits) for value in found.tolist()]


def _number(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _some(values: Floats) -> bool:
    return bool(np.isfinite(values).any())
