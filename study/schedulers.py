"""Early stopping that knows constraints and the Pareto front: asynchronous successive halving on what a step reports.

Li et al. 2020, "A system for massively parallel hyperparameter tuning" (ASHA): a trial that reaches a rung goes on if
it is among the best ``1 / reduction`` of those that have reached it so far. Here "best" is by dominance in the
objectives' signals *and* the violation of the checks' signals, counted as in Fonseca and Fleming 1993 ("Genetic
algorithms for multiobjective optimization"): a trial ranks by how many others dominate it, then by its violation. Two
things hold whatever the numbers of trials:

- A trial that no other dominates goes on, so no part of a front is cut off.
- Dominating takes a better objective. Checks are measured badly early in a training, and a method that hides better
  later may fail them at first: being infeasible early stops nobody by itself, and being feasible early saves nobody.

Knows nothing of Ray; ``study.simulator`` replays recorded curves through it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Decision(StrEnum):
    """What becomes of a trial after a step."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True)
class Signal:
    """What a step tells about how a trial will end."""

    losses: tuple[float, ...]
    """A stand-in for each objective, to be minimised."""
    violation: float = 0.0
    """How far the checks' stand-ins are outside their bounds together, >= 0; 0 inside all of them."""

    @property
    def usable(self) -> bool:
        """Whether everything was measured."""
        return bool(self.losses) and all(map(math.isfinite, (*self.losses, self.violation)))


@dataclass(frozen=True)
class SignalSource:
    """Which named metrics of the step reports make the signal."""

    objectives: Mapping[str, float]
    """Metrics that stand for the objectives; 1 where smaller is better, -1 where larger is."""
    margins: tuple[str, ...] = ()
    """Metrics that stand for margins of checks; their positive parts add up to the violation."""

    def read(self, reported: Mapping[str, float]) -> Signal | None:
        """Return the signal of one step, None if one of its metrics was not reported or is not finite."""
        names = (*self.objectives, *self.margins)
        if not all(math.isfinite(reported.get(name, math.nan)) for name in names):
            return None
        losses = tuple(sign * reported[name] for name, sign in self.objectives.items())
        return Signal(losses, sum(max(reported[name], 0.0) for name in self.margins))


@dataclass
class _Rung:
    """The trials that have reached an epoch, and by how many others each is dominated."""

    places: dict[str, int] = field(default_factory=dict)
    values: list[tuple[float, ...]] = field(default_factory=list)
    """Losses and, last, violation of each trial."""
    dominators: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def enter(self, trial: str, signal: Signal) -> None:
        """Add a trial that is not there yet."""
        others, own = np.array(self.values), np.array((*signal.losses, signal.violation))
        self.places[trial] = len(self.values)
        self.values.append(tuple(own))
        if not len(others):
            self.dominators = np.zeros(1, dtype=np.int64)
            return
        above = (others <= own).all(axis=1) & (others[:, :-1] < own[:-1]).any(axis=1)
        below = (own <= others).all(axis=1) & (own[:-1] < others[:, :-1]).any(axis=1)
        self.dominators = np.append(self.dominators + below, above.sum())

    def keeps(self, trial: str, reduction: int) -> bool:
        """Return whether the trial is dominated by none, or among the best ``1 / reduction``."""
        place = self.places[trial]
        if self.dominators[place] == 0:
            return True
        violations = np.array([values[-1] for values in self.values])
        fewer = self.dominators < self.dominators[place]
        equal = (self.dominators == self.dominators[place]) & (violations < violations[place])
        return int(fewer.sum() + equal.sum()) < math.ceil(len(self.values) / reduction)


class SuccessiveHalving:
    """Decides after each step whether a trial goes on; see the module's docstring."""

    def __init__(self, first: int, reduction: int) -> None:
        """Set the rungs: epochs ``first``, ``first * reduction``, ``first * reduction**2`` and so on.

        Args:
            first: Epoch of the first rung, >= 1.
            reduction: One in so many goes on, >= 2; nobody is stopped before so many have reached a rung.

        Raises:
            ValueError: If a value is outside its range.
        """
        if first < 1 or reduction < 2:
            raise ValueError(f"first={first} must be >= 1 and reduction={reduction} >= 2")
        self._first, self._reduction = first, reduction
        self._rungs: dict[int, _Rung] = {}

    def decide(self, trial: str, epoch: int, signal: Signal | None) -> Decision:
        """Return what becomes of a trial that has finished an epoch.

        Args:
            trial: Identifies the trial.
            epoch: Number of the epoch, from 1.
            signal: What it reported; without a usable one nobody is stopped.

        Notes:
            A trial enters each rung once, with its first signal at or after it: one that reports an epoch again, after
            losing its worker, is not counted twice.
        """
        if signal is None or not signal.usable or epoch < self._first:
            return Decision.CONTINUE
        epoch_of_rung = self._first
        while epoch_of_rung * self._reduction <= epoch:
            epoch_of_rung *= self._reduction
        rung = self._rungs.setdefault(epoch_of_rung, _Rung())
        if trial in rung.places:
            return Decision.CONTINUE
        rung.enter(trial, signal)
        if len(rung.places) < self._reduction or rung.keeps(trial, self._reduction):
            return Decision.CONTINUE
        return Decision.STOP
