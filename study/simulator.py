"""Replay recorded learning curves through a scheduler on a virtual clock: what would it have saved, what lost?

As in Syne Tune's simulator back end (Salinas et al. 2022): hundreds of workers, no training, milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from study.evaluation import Stage
from study.schedulers import Decision, Signal, SuccessiveHalving


@dataclass(frozen=True)
class Curve:
    """One trial as it was recorded to its end."""

    signals: tuple[Signal | None, ...]
    """Of each step, from the first; the trial ends after the last."""
    seconds: tuple[float, ...]
    """Time of each step, > 0."""
    losses: tuple[float, ...]
    """Objectives at the end, to be minimised."""
    feasible: bool
    """Whether every check was passed at the end."""
    stages: tuple[str, ...] = ()
    """What each step was, of ``study.evaluation.Stage``; none if all were epochs."""
    stratum: Hashable = None
    """What the trial competes in."""

    def stage(self, step: int) -> str:
        """Return what a step was, counted from 1."""
        return self.stages[step - 1] if self.stages else Stage.TRAINING


@dataclass(frozen=True)
class Replay:
    """What happened to the curves."""

    epochs: tuple[int, ...]
    """Steps that each curve was given, in the order of the curves."""
    finished: tuple[int, ...]
    """Curves that came to their end, in the order in which they did."""
    spent: tuple[float, ...]
    """Time that workers had been busy, all together, when each of these did; steps under way are not counted."""
    worker_seconds: float
    """Time that workers were busy, all together."""
    seconds: float
    """Virtual time at which the last curve ended."""


def replay(curves: Sequence[Curve], workers: int, scheduler: SuccessiveHalving | None = None) -> Replay:
    """Run curves in their order on ``workers`` workers; without a scheduler every one to its end.

    Raises:
        ValueError: If there is no worker, or a curve without steps or without the time of one.
    """
    if workers < 1 or not all(curve.signals and len(curve.signals) == len(curve.seconds) for curve in curves):
        raise ValueError(f"workers={workers} must be >= 1, and every curve needs a step, each with its time")
    epochs, finished, spent, seconds, busy = [0] * len(curves), [], [], 0.0, 0.0
    events = [(curve.seconds[0], index) for index, curve in enumerate(curves[:workers])]
    heapq.heapify(events)
    waiting = iter(range(len(events), len(curves)))
    while events:
        seconds, index = heapq.heappop(events)
        curve = curves[index]
        busy += curve.seconds[epochs[index]]
        epochs[index] += 1
        at_end = epochs[index] == len(curve.signals)
        if at_end:
            finished.append(index)
            spent.append(busy)
        stopped = not at_end and scheduler is not None and _stops(scheduler, index, epochs[index], curve)
        following = next(waiting, None) if at_end or stopped else index
        if following is not None:
            heapq.heappush(events, (seconds + curves[following].seconds[epochs[following]], following))
    return Replay(tuple(epochs), tuple(finished), tuple(spent), busy, seconds)


def _stops(scheduler: SuccessiveHalving, index: int, epoch: int, curve: Curve) -> bool:
    signal, stage = curve.signals[epoch - 1], curve.stage(epoch)
    return scheduler.decide(str(index), epoch, signal, stage=stage, stratum=curve.stratum) is Decision.STOP
