"""What a training step is made of: operators, floating-point operations and the rest, a window of steps a part.

Every training ends a step with an optimiser's; torch tells of each of these. In each part the first steps warm up, the
next are timed as they are, then their operations are counted, then torch's profiler records them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from study.profile_parts import part_of

WINDOW = 12
"""Optimiser steps of each window: whole steps of trainings with one, two, three or four optimisers."""

_WARM_UP = 4
_PRODUCTS = ("conv", "mm", "linear", "attention")
"""In the names of operators that multiply matrices; all others are bound by memory."""


@dataclass
class Steps:
    """What was found in one part."""

    seconds: float = 0.0
    """Of the timed window."""
    processor: float = 0.0
    """Seconds of processor in it."""
    operations: float = 0.0
    """Floating-point operations of a window: convolutions and products, both ways."""
    operators: dict[str, float] = field(default_factory=dict)
    """Seconds of each operator in the recorded window, without what it calls; on a GPU the seconds there."""
    recorded: float = 0.0
    """Seconds of the recorded window, slowed by the recording."""
    trace: profile | None = None

    @property
    def whole(self) -> bool:
        """Whether the part was long enough for every window."""
        return self.recorded > 0

    @property
    def shares(self) -> dict[str, float]:
        """Return shares of the recorded window: ``products``, ``memory`` (other operators), ``python`` (the rest)."""
        total = max(self.recorded, sum(self.operators.values()))
        products = sum(value for name, value in self.operators.items() if any(mark in name for mark in _PRODUCTS))
        memory = sum(self.operators.values()) - products
        return {"products": products / total, "memory": memory / total, "python": 1 - (products + memory) / total}


class StepWatch:
    """Looks into the first steps of every part that trains."""

    def __init__(self) -> None:
        """Begin with nothing found."""
        self.found: dict[str, Steps] = {}
        self._part, self._count = "", 0
        self._began, self._busy = 0.0, 0.0
        self._open: Any = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at every optimiser step until the block ends."""
        handle = register_optimizer_step_post_hook(lambda *_: self._stepped())
        try:
            yield
        finally:
            handle.remove()
            self._leave()

    def _stepped(self) -> None:
        part = part_of(sys._getframe())
        if part != self._part:
            self._leave()
            self._part, self._count = part, 0
        self._count += 1
        if self.found.get(part, Steps()).whole:
            return
        steps = self.found.setdefault(part, Steps())
        if self._count == _WARM_UP:
            self._start_clock()
        elif self._count == _WARM_UP + WINDOW:
            steps.seconds, steps.processor = self._clock()
            self._open = FlopCounterMode(display=False).__enter__()
        elif self._count == _WARM_UP + 2 * WINDOW:
            steps.operations = float(self._open.get_total_flops())
            self._leave()
            cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
            self._open = profile(activities=[ProfilerActivity.CPU, *cuda]).__enter__()
            self._start_clock()
        elif self._count == _WARM_UP + 3 * WINDOW:
            steps.recorded, _ = self._clock()
            steps.trace = self._open
            self._leave()
            steps.operators = operators_of(steps.trace)

    def _start_clock(self) -> None:
        _wait()
        self._began, self._busy = time.perf_counter(), time.process_time()

    def _clock(self) -> tuple[float, float]:
        _wait()
        return time.perf_counter() - self._began, time.process_time() - self._busy

    def _leave(self) -> None:
        """Close a counter or a profiler that is open: the part ended before its window did, or the window is over."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None


def operators_of(trace: profile | None) -> dict[str, float]:
    """Return the seconds of each operator without those it calls, on a GPU where there is one."""
    assert trace is not None
    events = [event for event in trace.key_averages() if event.key.startswith("aten::")]
    if torch.cuda.is_available():
        return {event.key: event.self_device_time_total / 1e6 for event in events}
    return {event.key: event.self_cpu_time_total / 1e6 for event in events}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
