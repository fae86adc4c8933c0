"""Pareto fronts of a study: all trials together and each family alone, in every pair that holds the first objective.

Two fronts are kept apart. The *feasible* front is what can be had while every check passes (by estimate);
the *unchecked* front is what it could have if nobody checked. The distance between them is what the checks are worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.pareto import nondominated
from analysis.records import Floats, Study
from analysis.schema import Objective
from analysis.strata import split


@dataclass(frozen=True)
class Reference:
    """The honest baseline, in the coordinates of one front."""

    x: float
    y: float
    x_is: str
    """What ``x`` is: the "baseline" of the metric, or "chance" where it has none."""


@dataclass(frozen=True)
class BoundLine:
    """Where the bound of a check on the x axis lies for one adversary."""

    adversary: str
    """Empty where the metric has one measurer only."""
    at: float
    """Median over the trials in which the adversary has a vote, in the unit of the metric."""


@dataclass(frozen=True, eq=False)
class Front:
    """One panel: the points of one group of trials in one pair of objectives."""

    title: str
    """"all families", or the family."""
    x: Objective
    y: Objective
    rows: NDArray[np.int64]
    """Trials with both values measured, as row numbers."""
    xs: Floats
    """``x`` of each of ``rows``."""
    ys: Floats
    feasible: NDArray[np.bool_]
    front: NDArray[np.int64]
    """Positions in ``rows`` of the feasible front, in order of ``x``."""
    unchecked: NDArray[np.int64]
    """Positions in ``rows`` of the front of all points, in order of ``x``."""
    reference: Reference | None
    bounds: tuple[BoundLine, ...]
    note: str
    """What to say about an unusual panel; empty otherwise."""


def front_mask(study: Study) -> NDArray[np.bool_]:
    """Mark the feasible trials that no feasible trial dominates in all objectives together, (trials,), bool."""
    values = np.stack([study.objectives[item.name] for item in study.schema.objectives], axis=1)
    values = np.where(study.feasible[:, None], values, np.nan)
    return nondominated(values, [item.maximise for item in study.schema.objectives])


def joint_fronts(study: Study) -> tuple[Front, ...]:
    """Return one front over all trials for each objective other than the first searched one."""
    everything = np.ones(len(study), dtype=bool)
    return tuple(_front(study, "all trials", everything, other) for other in _others(study))


def family_fronts(study: Study) -> tuple[Front, ...]:
    """Return the same for each value of the first stratifying parameter; nothing where there is none."""
    strata = split(study, study.strata[:1]) if study.strata else ()
    return tuple(_front(study, stratum.value, stratum.rows, other) for stratum in strata for other in _others(study))


@dataclass(frozen=True, eq=False)
class StrataGrid:
    """Small multiples: one front a combination of strata that occurs, all in one pair of objectives."""

    row_names: tuple[str, ...]
    """Combinations of all stratifying parameters but the last."""
    column_names: tuple[str, ...]
    """Values of the last."""
    panels: Mapping[tuple[int, int], Front]
    """By position in ``row_names`` and ``column_names``; combinations without trials are absent."""


def strata_grids(study: Study) -> tuple[StrataGrid, ...]:
    """Return a grid for each objective other than the first searched one; nothing with fewer than two strata."""
    if len(study.strata) < 2:
        return ()
    rows, columns = split(study, study.strata[:-1]), split(study, study.strata[-1:])
    found = [
        ((i, j), f"{row.value} · {column.value}", row.rows & column.rows)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if (row.rows & column.rows).any()
    ]
    return tuple(
        StrataGrid(
            tuple(row.value for row in rows),
            tuple(column.value for column in columns),
            {place: _front(study, title, group, other) for place, title, group in found},
        )
        for other in _others(study)
    )


def _others(study: Study) -> list[Objective]:
    return [item for item in study.schema.objectives if item.name != study.schema.primary.name]


def _front(study: Study, title: str, group: NDArray[np.bool_], x: Objective) -> Front:
    y = study.schema.primary
    xs, ys = study.objectives[x.name], study.objectives[y.name]
    rows = np.flatnonzero(group & ~np.isnan(xs) & ~np.isnan(ys))
    pairs = np.stack([xs[rows], ys[rows]], axis=1)
    feasible = study.feasible[rows]
    directions = (x.maximise, y.maximise)
    reference = honest_point(study, x, y)
    front = nondominated(np.where(feasible[:, None], pairs, np.nan), directions)
    return Front(
        title=title,
        x=x,
        y=y,
        rows=rows,
        xs=xs[rows],
        ys=ys[rows],
        feasible=feasible,
        front=_in_order(front, xs[rows]),
        unchecked=_in_order(nondominated(pairs, directions), xs[rows]),
        reference=reference,
        bounds=bound_lines(study, x),
        note=_note(rows, feasible, ys[rows], y, reference),
    )


def _in_order(mask: NDArray[np.bool_], xs: Floats) -> NDArray[np.int64]:
    positions = np.flatnonzero(mask)
    return positions[np.argsort(xs[positions], kind="stable")]


def honest_point(study: Study, x: Objective, y: Objective) -> Reference | None:
    """Return where an honest sanitiser stands: its leakage, and the reconstruction that anyone can guess.

    The median over trials, since each trial records the baseline it was compared with; of adversaries the worst.
    None where the records hold no baseline for ``y``, or neither baseline nor chance for ``x``.
    """
    y_value = _reference_value(study, y, "baseline")
    for kind in ("baseline", "chance"):
        x_value = _reference_value(study, x, kind)
        if not np.isnan(x_value) and not np.isnan(y_value):
            return Reference(x_value, y_value, kind)
    return None


def reference_value(study: Study, objective: Objective) -> float | None:
    """Return where the honest baseline stands in one objective, or chance; None where the records hold neither."""
    found = [_reference_value(study, objective, kind) for kind in ("baseline", "chance")]
    return next((value for value in found if not np.isnan(value)), None)


def _reference_value(study: Study, objective: Objective, kind: str) -> float:
    members = [np.where(item.votes, getattr(item, kind), np.nan) for item in study.members(objective.metric).values()]
    known = [column for column in members if not np.isnan(column).all()]
    if not known:
        return float("nan")
    # An objective is the worst adversary's reading, and the worst reading is the one that ``maximise`` calls bad.
    worst = np.fmin.reduce(known) if objective.maximise else np.fmax.reduce(known)
    return float(np.nanmedian(worst))


def bound_lines(study: Study, objective: Objective) -> tuple[BoundLine, ...]:
    """Return where the checks on an objective's metric have their bounds, adversary by adversary."""
    lines = []
    for constraint in study.schema.constraints:
        if constraint.metric.partition(".")[0] != objective.metric.partition(".")[0] or constraint.bound is None:
            continue
        members = study.members(constraint.metric)
        for name, column in members.items():
            references = {
                kind: _median(np.where(column.votes, getattr(column, kind), np.nan))
                for kind in ("baseline", "chance", "majority")
            }
            at = constraint.bound.at(**references)
            if np.isfinite(at):
                lines.append(BoundLine(name.partition(".")[2] if len(members) > 1 else "", at))
    return tuple(lines)


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def _note(
    rows: NDArray[np.int64], feasible: NDArray[np.bool_], ys: Floats, y: Objective, reference: Reference | None
) -> str:
    if rows.size == 0:
        return "no trial measured both values"
    if not feasible.any():
        return "no feasible trial: every point was stopped by a check"
    if reference is not None:
        beyond = ys[feasible] > reference.y if y.maximise else ys[feasible] < reference.y
        if not beyond.any():
            return "feasible trials reach no more than anyone can guess"
    return ""
