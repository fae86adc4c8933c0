"""Everything about one trial that the report shows on a click, as plain values that JSON can hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.checks import without_result
from analysis.fronts import front_mask
from analysis.ranking import ranked
from analysis.records import Metric, Study
from analysis.schema import Constraint
from analysis.seeds import seed_text
from analysis.strata import label
from analysis.summary import objective_interval
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


def panel_data(study: Study) -> dict[str, Any]:
    """Return the trials of a study for the panel.

    Returns:
        ``order``: trial numbers, best first; ``trials``: one entry a trial, by number as text. Numbers that were not
        measured are None.
    """
    order = ranked(study)
    on_front = front_mask(study)
    silent = {name: without_result(study, name) for name in study.constraints}
    return {
        "order": [int(study.trial[row]) for row in order],
        "trials": {
            str(study.trial[row]): {**_trial(study, int(row), silent), "rank": rank + 1, "front": bool(on_front[row])}
            for rank, row in enumerate(order)
        },
    }


def _trial(study: Study, row: int, silent: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    outcome = study.outcome[row]
    judged = {name for item in study.schema.constraints for name in study.members(item.metric)}
    return {
        "trial": int(study.trial[row]),
        "feasible": bool(study.feasible[row]),
        "outcome": plain(outcome),
        "meaning": OUTCOMES.get(outcome, ""),
        "strata": [label(study, name, row) for name in study.strata],
        "seed": seed_text(study, row),
        "seconds": finite(study.seconds[row]),
        "error": study.error[row],
        "objectives": [_objective(study, index, row) for index in range(len(study.schema.objectives))],
        "checks": [_check(study, item, row, bool(silent[item.check][row])) for item in study.schema.constraints],
        "metrics": [
            {**_member(name, column, None, row), "label": metric_label(name), "unit": metric_unit(name, study.schema)}
            for name, column in study.metrics.items()
            if name not in judged
        ],
        "parameters": [_parameter(study, name, row) for name in study.parameters],
    }


def _objective(study: Study, index: int, row: int) -> dict[str, Any]:
    objective = study.schema.objectives[index]
    low, high = objective_interval(study, objective, row)
    return {
        "label": short_label(objective),
        "unit": objective_unit(objective),
        "direction": direction_text(objective),
        "searched": objective.searched,
        "value": finite(study.objectives[objective.name][row]),
        "low": finite(low),
        "high": finite(high),
    }


def _check(study: Study, constraint: Constraint, row: int, missing: bool) -> dict[str, Any]:
    margin = float(study.constraints[constraint.check][row])
    members = study.members(constraint.metric)
    return {
        "label": metric_label(constraint.check),
        "bound": constraint_text(constraint),
        "sense": constraint.sense,
        "unit": metric_unit(constraint.metric, study.schema),
        "margin": finite(margin),
        "scale": constraint.scale,
        "within": margin <= 0.0,
        "missing": missing,
        "verdict": study.verdicts[constraint.check][row],
        "members": [_member(name, column, constraint, row) for name, column in members.items()],
    }


def _member(name: str, column: Metric, constraint: Constraint | None, row: int) -> dict[str, Any]:
    fields = ("value", "low", "high", "baseline", "baseline_low", "baseline_high", "chance", "majority")
    found: dict[str, Any] = {field: finite(getattr(column, field)[row]) for field in fields}
    found["name"] = plain(name.partition(".")[2]) or "estimate"
    found["votes"] = bool(column.votes[row])
    if constraint is not None and constraint.bound is not None:
        references = {field: float(getattr(column, field)[row]) for field in ("baseline", "chance", "majority")}
        found["at"] = finite(constraint.bound.at(**references))
    return found


def _parameter(study: Study, name: str, row: int) -> dict[str, Any]:
    value = study.parameters[name][row]
    known = study.schema.parameters.get(name)
    unit = "" if known is None or unit_text(known.unit) == "no unit" else known.unit
    return {
        "name": name,
        "value": None if value is None else value_text(value),
        "unit": unit,
        "role": known.role if known else "",
    }


def finite(value: float) -> float | None:
    """Return the value, or None where it is NaN or infinite, which JSON cannot hold."""
    return float(value) if math.isfinite(value) else None
