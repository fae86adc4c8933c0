"""What a study has used up of its hours: of the wall clock, and of GPUs or CPU cores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping

from study.config import Budget

WALL, DEVICE = "wall_seconds", "device_seconds"
"""Names under which seconds are kept in the storage."""


class Spending:
    """Counts hours against the budget, on top of what earlier drivers of the study used."""

    def __init__(
        self,
        budget: Budget,
        devices: float,
        before: Mapping[str, float],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count; the clock starts now.

        Args:
            budget: The limits.
            devices: GPUs that a trial holds of which nothing else is said, or CPU cores where it holds no GPU.
            before: Seconds that earlier drivers of the study used, by kind.
            clock: Seconds from any moment on.
        """
        self._budget, self._devices, self._clock = budget, devices, clock
        self._before = {kind: before.get(kind, 0.0) for kind in (WALL, DEVICE)}
        self._start = clock()
        self._started: dict[Hashable, tuple[float, float]] = {}
        self._ended = 0.0
        self._used_up_since: float | None = None

    def started(self, trial: Hashable, devices: float | None = None) -> None:
        """Note that a worker has a trial; said again, of one that was restarted, it changes nothing.

        Args:
            trial: Any value that stands for it.
            devices: GPUs or CPU cores that it holds, which may be a share; by default those of the study.
        """
        self._started.setdefault(trial, (self._clock(), self._devices if devices is None else devices))

    def ended(self, trial: Hashable) -> None:
        """Note that a trial no longer holds its share."""
        now = self._clock()
        start, devices = self._started.pop(trial, (now, 0.0))
        self._ended += (now - start) * devices

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds used so far, by kind; of running trials up to now."""
        now = self._clock()
        held = self._ended + sum((now - start) * devices for start, devices in self._started.values())
        return {WALL: self._before[WALL] + now - self._start, DEVICE: self._before[DEVICE] + held}

    @property
    def wall_seconds_left(self) -> float:
        """Seconds of the wall clock until a limit is reached, at the present pace; infinite where there is none."""
        used, running = self.seconds, sum(devices for _, devices in self._started.values())
        wall, device = self._budget.hours, self._budget.device_hours
        left = math.inf if wall is None else 3600 * wall - used[WALL]
        if device is not None:
            device_left = 3600 * device - used[DEVICE]
            left = min(left, device_left / (running or self._devices))
        return max(0.0, left)

    @property
    def used_up(self) -> bool:
        """Whether nothing new is to be started."""
        if self._used_up_since is None and self.wall_seconds_left == 0:
            self._used_up_since = self._clock()
        return self._used_up_since is not None

    @property
    def overdue(self) -> bool:
        """Whether running trials have used up their grace as well."""
        if not self.used_up or self._used_up_since is None:
            return False
        return self._clock() - self._used_up_since >= 60 * self._budget.grace_minutes

    def describe(self) -> str:
        """Return hours used of hours given, for people; empty without limits."""
        used, budget = self.seconds, self._budget
        parts = []
        if budget.hours is not None:
            parts.append(f"{used[WALL] / 3600:.2f} of {budget.hours:g} h")
        if budget.device_hours is not None:
            parts.append(f"{used[DEVICE] / 3600:.2f} of {budget.device_hours:g} device-hours")
        return ", ".join(parts)
