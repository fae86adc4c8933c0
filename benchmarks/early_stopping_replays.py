"""Replays of recorded curves with and without early stopping: compute spent and hypervolume reached, over orders."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.early_stopping_curves import Recorded, Target, curve
from study.schedulers import Limit, SignalSource, SuccessiveHalving
from study.simulator import Curve, Replay, replay

WORKERS = 2


@dataclass(frozen=True)
class Settings:
    """One scheduler."""

    first: int
    """Epoch of the first rung; a number beyond all epochs leaves only the rung before the checks."""
    reduction: int
    before_checks: bool
    checks: tuple[tuple[str, Limit], ...] = ()
    """What stands for which check."""

    def source(self, target: Target) -> SignalSource:
        """Return what signals stand for when ``target`` is searched for; no limits on what is an objective."""
        return SignalSource(target.objectives, tuple(limit for check, limit in self.checks if check in target.bounding))

    def scheduler(self) -> SuccessiveHalving:
        """Return the scheduler, knowing no trial."""
        return SuccessiveHalving(self.first, self.reduction, before_checks=self.before_checks)


@dataclass(frozen=True)
class Saving:
    """Means over orders of arrival."""

    compute: float
    """Worker time with early stopping over that without, all trials taken."""
    kept: float
    """Hypervolume reached in the end over that without."""
    same: float
    """Worker time until the hypervolume reached in the end over that which it takes without to reach as much."""
    stopped: float
    """Share of the trials that were stopped."""


def measure(
    trials: Sequence[Recorded], target: Target, settings: Settings, *, orders: int, seed: int = 0
) -> tuple[Saving, np.ndarray]:
    """Return the means and, (orders, 4), the values of each order of arrival."""
    source, rng = settings.source(target), np.random.default_rng(seed)
    curves = [curve(trial, target, source) for trial in trials]
    volume = Volume(curves)
    rows = []
    for _ in range(orders):
        shuffled = [curves[index] for index in rng.permutation(len(curves))]
        whole, early = replay(shuffled, WORKERS), replay(shuffled, WORKERS, settings.scheduler())
        rows.append(_compare(volume, shuffled, whole, early))
    values = np.array(rows)
    return Saving(*(float(value) for value in values.mean(axis=0))), values


def _compare(volume: Volume, curves: Sequence[Curve], whole: Replay, early: Replay) -> tuple[float, ...]:
    with_all, with_some = volume.growth(curves, whole), volume.growth(curves, early)
    compute, stopped = early.worker_seconds / whole.worker_seconds, 1 - len(early.finished) / len(curves)
    if not with_some:
        return compute, 0.0, 1.0, stopped
    spent, reached = with_some[-1]
    needed = next(other for other, value in with_all if value >= reached - 1e-12)
    return compute, reached, spent / needed, stopped


class Volume:
    """Feasible hypervolume: of each stratum over that of all its trials, averaged over strata with anything feasible.

    The reference point of a stratum is the worst that any of its trials, feasible or not, ended with, and a tenth of
    their range beyond.
    """

    def __init__(self, curves: Sequence[Curve]) -> None:
        """Take all trials there are."""
        self._scaled: dict[Hashable, Callable[[Sequence[Curve]], float]] = {}
        for stratum in {one.stratum for one in curves}:
            own = [one for one in curves if one.stratum == stratum]
            losses = np.array([one.losses for one in own])
            span = np.ptp(losses, axis=0)
            scale = np.where(span > 0, span, 1.0)
            worst = losses.max(axis=0) + 0.1 * scale
            whole = _volume(own, worst, scale)
            if whole > 0:
                self._scaled[stratum] = lambda some, w=worst, s=scale, all_=whole: _volume(some, w, s) / all_

    def growth(self, curves: Sequence[Curve], result: Replay) -> list[tuple[float, float]]:
        """Return worker time spent and hypervolume, in [0, 1], after each trial that adds to it."""
        found: dict[Hashable, list[Curve]] = {stratum: [] for stratum in self._scaled}
        values, steps = dict.fromkeys(self._scaled, 0.0), []
        for index, spent in zip(result.finished, result.spent, strict=True):
            one = curves[index]
            if not one.feasible or one.stratum not in found:
                continue
            found[one.stratum].append(one)
            value = self._scaled[one.stratum](found[one.stratum])
            if value > values[one.stratum] + 1e-12:
                values[one.stratum] = value
                steps.append((spent, float(np.mean(list(values.values())))))
        return steps


def _volume(curves: Sequence[Curve], worst: np.ndarray, scale: np.ndarray) -> float:
    points = np.array([one.losses for one in curves if one.feasible])
    return hypervolume((worst - points) / scale) if len(points) else 0.0


def hypervolume(points: np.ndarray) -> float:
    """Return the volume of the union of boxes from the origin to each of ``points``, (n, d); more is better.

    By slicing along the last axis (While et al. 2006, "A faster algorithm for calculating hypervolume"), which is fast
    enough for fronts of tens of points.
    """
    points = points[(points > 0).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    total, heights = 0.0, np.unique(points[:, -1])
    for low, high in zip([0.0, *heights[:-1]], heights, strict=True):
        total += (high - low) * hypervolume(points[points[:, -1] >= high][:, :-1])
    return float(total)


def choose(
    trials: Sequence[Recorded], target: Target, grid: Sequence[Settings], *, orders: int, keep: float, seed: int = 0
) -> Settings:
    """Return the settings that save most compute among those that keep ``keep`` of the hypervolume on average.

    Where none does, those that keep most.
    """
    found = [(measure(trials, target, settings, orders=orders, seed=seed)[0], settings) for settings in grid]
    enough = [item for item in found if item[0].kept >= keep]
    if enough:
        return min(enough, key=lambda item: item[0].compute)[1]
    return max(found, key=lambda item: item[0].kept)[1]


def halves(trials: Sequence[Recorded], seed: int) -> tuple[list[Recorded], list[Recorded]]:
    """Divide the trials of every stratum in two at random."""
    rng, first, second = np.random.default_rng(seed), [], []
    strata: Mapping[Hashable, list[Recorded]] = {trial.stratum: [] for trial in trials}
    for trial in trials:
        strata[trial.stratum].append(trial)
    for own in strata.values():
        order = [own[index] for index in rng.permutation(len(own))]
        middle = (len(order) + int(rng.integers(2))) // 2
        first += order[:middle]
        second += order[middle:]
    return first, second
