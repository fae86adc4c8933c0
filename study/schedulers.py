"""Early stopping that knows constraints and the Pareto front: asynchronous successive halving on what a step reports.

Li et al. 2020, "A system for massively parallel hyperparameter tuning" (ASHA): a trial that reaches a rung goes on if
it is among the best ``1 / reduction`` of those that have reached it so far. Here "best" is by dominance in the
objectives' signals *and* the violation of the checks' signals, counted as in Fonseca and Fleming 1993 ("Genetic
algorithms for multiobjective optimization"): a trial ranks by how many others dominate it, then by its violation. Two
things hold whatever the numbers of trials:

- A trial that no other dominates goes on, so no part of a front is cut off.
- Dominating takes a better objective. Checks are measured badly early in a training, and a method that hides better
  later may fail them at first: being infeasible early stops nobody by itself, and being feasible early saves nobody.

Before the checks nothing is early any more: there a trial is stopped whose signal says that a check is certain to fail.
It can be on no feasible front, and its margin would be told at the clip or near it.

Like is compared with like. Trials compete inside their own stratum only, so that each stratum keeps its front. Rungs
are epochs of the training, and one more before the checks: there trials meet that had no or other numbers of epochs.

Knows nothing of Ray; ``study.simulator`` replays recorded curves through it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from study.bounds import CLIP
from study.evaluation import Stage


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
    hopeless: bool = False
    """Whether one of these checks is certain to fail."""

    @property
    def usable(self) -> bool:
        """Whether everything was measured."""
        return bool(self.losses) and all(map(math.isfinite, (*self.losses, self.violation)))


@dataclass(frozen=True)
class Limit:
    """What a named signal says of a check."""

    signal: str
    limit: float
    """From where on the check is expected to fail, in the signal's unit."""
    certain: float
    """From where on it is certain to; above ``limit`` where larger values are worse, else below."""

    def violation(self, reported: Mapping[str, float]) -> float:
        """Return how far the signal is beyond the limit: 0 before it, ``CLIP`` where the check is certain to fail.

        Beyond that all are equally hopeless: what tells them apart there is noise.
        """
        share = (reported[self.signal] - self.limit) / (self.certain - self.limit)
        return CLIP * min(max(share, 0.0), 1.0)


@dataclass(frozen=True)
class SignalSource:
    """Which named signals of the step reports stand for what."""

    objectives: Mapping[str, float]
    """Signals that stand for the objectives; 1 where smaller is better, -1 where larger is."""
    checks: tuple[Limit, ...] = ()
    """Signals that stand for checks; how far they are beyond their limits adds up to the violation."""

    def read(self, reported: Mapping[str, float]) -> Signal | None:
        """Return the signal of one step, None if a part of it was not reported or is not finite."""
        names = (*self.objectives, *(check.signal for check in self.checks))
        if not all(math.isfinite(reported.get(name, math.nan)) for name in names):
            return None
        losses = tuple(sign * reported[name] for name, sign in self.objectives.items())
        violations = [check.violation(reported) for check in self.checks]
        return Signal(losses, sum(violations), CLIP in violations)


@dataclass
class _Rung:
    """The trials of a stratum that have come so far, and by how many others each is dominated."""

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

    def leave(self, trial: str) -> None:
        """Take a trial out, as if it had never been there."""
        place = self.places.pop(trial, None)
        if place is None:
            return
        own, others = np.array(self.values.pop(place)), np.array(self.values)
        self.dominators = np.delete(self.dominators, place)
        self.places = {name: other - (other > place) for name, other in self.places.items()}
        if len(others):
            below = (own <= others).all(axis=1) & (own[:-1] < others[:, :-1]).any(axis=1)
            self.dominators = self.dominators - below

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

    def __init__(self, first: int, reduction: int, *, before_checks: bool = True) -> None:
        """Set the rungs: epochs ``first``, ``first * reduction``, ``first * reduction**2`` and so on.

        Args:
            first: Epoch of the first rung, >= 1.
            reduction: One in so many goes on, >= 2; nobody is stopped before so many have reached a rung.
            before_checks: Whether there is a rung after the step that leaves nothing but the checks to do.

        Raises:
            ValueError: If a value is outside its range.
        """
        if first < 1 or reduction < 2:
            raise ValueError(f"first={first} must be >= 1 and reduction={reduction} >= 2")
        self._first, self._reduction, self._before_checks = first, reduction, before_checks
        self._rungs: dict[tuple[Hashable, int], _Rung] = {}

    def decide(
        self, trial: str, epoch: int, signal: Signal | None, *, stage: str = Stage.TRAINING, stratum: Hashable = None
    ) -> Decision:
        """Return what becomes of a trial that has finished a step.

        Args:
            trial: Identifies the trial.
            epoch: Number of the step, from 1.
            signal: What it reported; without a usable one nobody is stopped.
            stage: What the step was, one of ``study.evaluation.Stage``.
            stratum: What the trial competes in.

        Notes:
            A trial enters each rung once, with its first signal at or after it: one that reports an epoch again, after
            losing its worker, is not counted twice.
        """
        name = self._rung(epoch, stage)
        if signal is None or not signal.usable or name is None:
            return Decision.CONTINUE
        rung = self._rungs.setdefault((stratum, name), _Rung())
        if trial in rung.places:
            return Decision.CONTINUE
        rung.enter(trial, signal)
        if signal.hopeless and stage == Stage.RELEASE:
            return Decision.STOP
        if len(rung.places) < self._reduction or rung.keeps(trial, self._reduction):
            return Decision.CONTINUE
        return Decision.STOP

    def _rung(self, epoch: int, stage: str) -> int | None:
        """Return the epoch of the last rung that was reached, or 0 for the one before the checks; None for none."""
        if stage == Stage.RELEASE:
            return 0 if self._before_checks else None
        if stage != Stage.TRAINING or epoch < self._first:
            return None
        reached = self._first
        while reached * self._reduction <= epoch:
            reached *= self._reduction
        return reached

    def forget(self, trial: str) -> None:
        """Take a trial that ended without a result out of all rungs."""
        for rung in self._rungs.values():
            rung.leave(trial)
