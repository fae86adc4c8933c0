"""Parameters of all trials on parallel axes: where each value lies, and where an inactive one does."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.records import Floats, Study
from analysis.schema import Parameter
from analysis.words import objective_unit, short_label, unit_text, value_text

INACTIVE = -0.14
"""Where an inactive conditional parameter lies; active ones lie in [0, 1]."""
MOST_LINES = 600
"""More lines than this can neither be drawn quickly nor be told apart."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis."""

    name: str
    unit: str
    log: bool
    positions: Floats
    """Where each line crosses, (lines,): in [0, 1], or :data:`INACTIVE`."""
    ticks: tuple[tuple[float, str], ...]
    """Position and text of each tick."""
    has_inactive: bool


@dataclass(frozen=True, eq=False)
class Parallel:
    """Everything the figure needs."""

    axes: tuple[Axis, ...]
    """Parameters that vary, then the objective."""
    rows: NDArray[np.int64]
    """Trials drawn, as row numbers, best last so that they are drawn on top."""
    values: Floats
    """Objective of each line."""
    feasible: NDArray[np.bool_]
    constant: tuple[tuple[str, str], ...]
    """Parameters that never changed, with their value."""
    without_value: int
    """Trials left out because the objective was not measured."""
    thinned: int
    """Trials left out to keep the figure readable."""


def parallel_axes(study: Study, order: NDArray[np.int64]) -> Parallel:
    """Lay the parameters of a study out on parallel axes.

    Args:
        study: The study.
        order: Row numbers of all trials, best first.

    Returns:
        Axes and lines: every trial whose objective was measured, the best :data:`MOST_LINES` of them.
    """
    primary = study.schema.primary
    objective = study.objectives[primary.name]
    measured = order[~np.isnan(objective[order])]
    rows = measured[:MOST_LINES][::-1]
    axes, constant = [], []
    for name, column in study.parameters.items():
        values = [column[row] for row in rows]
        if len({_key(value) for value in values}) > 1:
            axes.append(_axis(name, values, study.schema.parameters.get(name)))
        elif values:
            constant.append((name, "inactive" if values[0] is None else value_text(values[0])))
    if rows.size:
        axes.append(
            _numeric(
                short_label(primary), [float(value) for value in objective[rows]], objective_unit(primary), log=False
            )
        )
    return Parallel(
        axes=tuple(axes),
        rows=rows,
        values=objective[rows],
        feasible=study.feasible[rows],
        constant=tuple(constant),
        without_value=len(study) - len(measured),
        thinned=len(measured) - len(rows),
    )


def _key(value: Any) -> tuple[str, str]:
    return (type(value).__name__, str(value))


def _axis(name: str, values: list[Any], parameter: Parameter | None) -> Axis:
    active = [value for value in values if value is not None]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in active)
    categorical = parameter is not None and parameter.kind == "categorical"
    unit = parameter.unit if parameter is not None else ""
    if numeric and not categorical:
        log = parameter is not None and parameter.log and min(active) > 0
        return _numeric(name, values, unit, log=log)
    return _categorical(name, values, unit, parameter.values if parameter is not None else None)


def _numeric(name: str, values: list[Any], unit: str, *, log: bool) -> Axis:
    known = [value for value in values if value is not None]
    scale = math.log10 if log else float
    low, high = scale(min(known)), scale(max(known))
    width = high - low

    def place(value: float) -> float:
        return 0.5 if width == 0 else (scale(value) - low) / width

    ends = sorted({min(known), max(known)})
    if width > 0:
        middle = 10 ** ((low + high) / 2) if log else (low + high) / 2
        ends.insert(1, round(middle) if all(isinstance(value, int) for value in known) else middle)
    ticks = tuple((place(value), value_text(value)) for value in ends)
    positions = [INACTIVE if value is None else place(value) for value in values]
    return Axis(name, unit_text(unit), log, np.asarray(positions), ticks, None in values)


def _categorical(name: str, values: list[Any], unit: str, order: tuple[Any, ...] | None) -> Axis:
    seen = {_key(value): value for value in values if value is not None}
    first = [_key(value) for value in order or () if _key(value) in seen]
    keys = first + sorted(set(seen) - set(first))
    place = {key: 0.5 if len(keys) == 1 else index / (len(keys) - 1) for index, key in enumerate(keys)}
    positions = [INACTIVE if value is None else place[_key(value)] for value in values]
    ticks = tuple((place[key], value_text(seen[key])) for key in keys)
    return Axis(name, unit_text(unit), False, np.asarray(positions), ticks, None in values)
