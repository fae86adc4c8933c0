"""Feasible hypervolume: how much of the range of the objectives the feasible trials found so far dominate.

Objectives are scaled so that 0 is the best and 1 the worst value measured (by any trial, feasible or not); the worst is
the reference point. The volume is then the share of that box which some feasible trial dominates, in [0, 1]. One
objective: the share of the range covered. Two: the area under a staircase. Three: a sweep along the third objective
over such a staircase, which is kept sorted (Fonseca, Paquete and López-Ibáñez, "An improved dimension-sweep algorithm
for the hypervolume indicator", CEC 2006), O(f log f) for a front of f points. Of more objectives the first three
count, searched ones before others.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.pareto import nondominated
from analysis.progress import completion_order
from analysis.records import Floats, Study
from analysis.schema import Objective

MOST_OBJECTIVES = 3
MOST_STEPS = 300
"""Steps of a curve: more cannot be told apart in a figure."""


@dataclass(frozen=True)
class Box:
    """The range that a hypervolume is a share of."""

    objectives: tuple[Objective, ...]
    best: tuple[float, ...]
    worst: tuple[float, ...]
    """The reference point."""


@dataclass(frozen=True, eq=False)
class VolumeCurve:
    """Feasible hypervolume after each trial, in order of completion."""

    trials: NDArray[np.int64]
    """Trials finished at each step, (steps,), from 1 to all of them; every trial is a step in studies up to
    :data:`MOST_STEPS`."""
    volume: Floats
    """(steps,), in [0, 1], never falling."""
    hours: Floats
    """Device hours spent until then, (steps,): seconds of trials times what each holds of a device."""
    device: str
    """What the hours are hours of: "GPU" or "CPU"."""


def volume_objectives(study: Study) -> tuple[Objective, ...]:
    """Return the objectives that count: searched ones first, three at most."""
    ordered = sorted(study.schema.objectives, key=lambda item: not item.searched)
    return tuple(ordered[:MOST_OBJECTIVES])


def box_of(studies: tuple[Study, ...], objectives: tuple[Objective, ...]) -> Box | None:
    """Return the range of ``objectives`` over all trials of ``studies``; None where one was never measured."""
    best, worst = [], []
    for item in objectives:
        values = np.concatenate([study.objectives[item.name] for study in studies])
        known = values[np.isfinite(values)]
        if not known.size:
            return None
        ends = (float(known.max()), float(known.min()))
        best.append(ends[0] if item.maximise else ends[1])
        worst.append(ends[1] if item.maximise else ends[0])
    return Box(objectives, tuple(best), tuple(worst))


def scaled(study: Study, box: Box) -> Floats:
    """Return costs in [0, 1], (trials, objectives), 0 the best; NaN where not measured, 0 where all are the same."""
    columns = []
    for item, best, worst in zip(box.objectives, box.best, box.worst, strict=True):
        width = worst - best
        values = study.objectives[item.name]
        columns.append((values - best) / width if width else np.where(np.isnan(values), np.nan, 0.0))
    return np.stack(columns, axis=1)


def volume_curve(study: Study, box: Box) -> VolumeCurve:
    """Follow the feasible hypervolume over the study."""
    order = completion_order(study)
    costs = np.where(study.feasible[:, None], scaled(study, box), np.nan)[order]
    share, device = device_share(study)
    hours = np.cumsum(np.nan_to_num(study.seconds[order], nan=0.0)) * share / 3600.0
    steps = np.unique(np.linspace(1, len(study), min(len(study), MOST_STEPS)).round().astype(np.int64))
    return VolumeCurve(steps, running_volume(costs, steps), hours[steps - 1], device)


def device_share(study: Study) -> tuple[float, str]:
    """Return how many devices a trial held and of what kind; one CPU where the study does not say."""
    trials = study.environment.get("trials")
    found = trials if isinstance(trials, dict) else {}
    for name, device in (("gpus", "GPU"), ("cpus", "CPU")):
        share = found.get(name)
        if isinstance(share, int | float) and share > 0:
            return float(share), device
    return 1.0, "CPU"


def running_volume(costs: Floats, steps: NDArray[np.int64]) -> Floats:
    """Return the volume of the unit box that the first so many points dominate.

    Args:
        costs: (points, 1 to 3), float64; 0 is best, and what is not below 1 adds nothing. Rows with NaN add nothing.
        steps: How many points to take, (steps,), rising.

    Returns:
        (steps,), float64, in [0, 1], never falling.

    Raises:
        ValueError: If there are no or more than three columns.

    Notes:
        O(s f log f) for s steps and fronts of f points, beside keeping the front.
    """
    if costs.ndim != 2 or not 1 <= costs.shape[1] <= MOST_OBJECTIVES:
        raise ValueError(f"costs must be (points, 1 to {MOST_OBJECTIVES}); got shape {costs.shape}")
    minimise = (False,) * costs.shape[1]
    front, taken, volume = np.empty((0, costs.shape[1])), 0, 0.0
    curve = np.empty(len(steps))
    for place, step in enumerate(steps):
        fresh = costs[taken:step]
        fresh = fresh[(fresh < 1.0).all(axis=1)]  # False for NaN.
        together = np.concatenate([front, fresh])
        kept = nondominated(together, minimise) if len(fresh) else np.ones(len(front), dtype=bool)
        if kept[len(front) :].any():
            volume = max(volume, dominated_volume(together[kept]))
        front, taken = together[kept], int(step)
        curve[place] = volume
    return curve


def dominated_volume(costs: Floats) -> float:
    """Return the volume of the unit box that points dominate; ``costs`` as in :func:`running_volume`, without NaN."""
    inside = costs[(costs < 1.0).all(axis=1)]
    if not len(inside):
        return 0.0
    if costs.shape[1] == 1:
        return float(1.0 - inside.min())
    if costs.shape[1] == 2:
        return _area(inside)
    volume, staircase = 0.0, _Staircase()
    order = np.argsort(inside[:, 2], kind="stable")
    heights = np.append(inside[order, 2], 1.0)
    for place, row in enumerate(order):
        staircase.add(float(inside[row, 0]), float(inside[row, 1]))
        volume += staircase.area * float(heights[place + 1] - heights[place])
    return volume


def _area(costs: NDArray[np.float64]) -> float:
    staircase = _Staircase()
    for x, y in costs:
        staircase.add(float(x), float(y))
    return staircase.area


class _Staircase:
    """Non-dominated points of the unit square in order of x, with the area that they dominate."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, float]] = []
        self.area = 0.0

    def add(self, x: float, y: float) -> None:
        """Add a point; O(log f) to find its place, and once for every point that it removes."""
        place = bisect_left(self._steps, (x, y))
        if place and self._steps[place - 1][1] <= y:
            return
        if place < len(self._steps) and self._steps[place] == (x, y):
            return
        ceiling = self._steps[place - 1][1] if place else 1.0
        left = x
        while place < len(self._steps) and self._steps[place][1] >= y:
            right, low = self._steps.pop(place)
            self.area += (right - left) * (ceiling - y)
            left, ceiling = right, low
        end = self._steps[place][0] if place < len(self._steps) else 1.0
        self.area += (end - left) * (ceiling - y)
        insort(self._steps, (x, y))
