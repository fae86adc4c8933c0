"""Replay recorded learning curves through a scheduler on a virtual clock: what would it have saved, what lost?

As in Syne Tune's simulator back end (Salinas et al. 2022): hundreds of workers, no training, milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from study.schedulers import Decision, Signal, SuccessiveHalving


@dataclass(frozen=True)
class Curve:
    """One trial as it was recorded to its end."""

    signals: tuple[Signal | None, ...]
    """Of each epoch, from the first; the trial ends after the last."""
    epoch_seconds: float
    """Time of one epoch, > 0."""
    losses: tuple[float, ...]
    """Objectives at the end, to be minimised."""
    feasible: bool
    """Whether every check was passed at the end."""


@dataclass(frozen=True)
class Replay:
    """What happened to the curves."""

    epochs: tuple[int, ...]
    """Epochs that each curve was given, in the order of the curves."""
    finished: tuple[int, ...]
    """Curves that came to their end, in the order in which they did."""
    worker_seconds: float
    """Time that workers were busy, all together."""
    seconds: float
    """Virtual time at which the last curve ended."""


def replay(curves: Sequence[Curve], workers: int, scheduler: SuccessiveHalving | None = None) -> Replay:
    """Run curves in their order on ``workers`` workers; without a scheduler every one to its end.

    Raises:
        ValueError: If there is no worker, or a curve without epochs.
    """
    if workers < 1 or not all(curve.signals for curve in curves):
        raise ValueError(f"workers={workers} must be >= 1, and every curve needs an epoch")
    epochs, finished, seconds = [0] * len(curves), [], 0.0
    events = [(curve.epoch_seconds, index) for index, curve in enumerate(curves[:workers])]
    heapq.heapify(events)
    waiting = iter(range(len(events), len(curves)))
    while events:
        seconds, index = heapq.heappop(events)
        curve = curves[index]
        epochs[index] += 1
        at_end = epochs[index] == len(curve.signals)
        if at_end:
            finished.append(index)
        stopped = not at_end and scheduler is not None and _stops(scheduler, index, epochs[index], curve)
        following = next(waiting, None) if at_end or stopped else index
        if following is not None:
            heapq.heappush(events, (seconds + curves[following].epoch_seconds, following))
    busy = sum(count * curve.epoch_seconds for count, curve in zip(epochs, curves, strict=True))
    return Replay(tuple(epochs), tuple(finished), busy, seconds)


def _stops(scheduler: SuccessiveHalving, index: int, epoch: int, curve: Curve) -> bool:
    return scheduler.decide(str(index), epoch, curve.signals[epoch - 1]) is Decision.STOP
