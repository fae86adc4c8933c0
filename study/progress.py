"""Progress in plain lines that a person can read: budget, feasible share, best so far, time left."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from study.bounds import MISSING
from study.objective import MAXIMISE, ObjectiveConfig, Score

QUIET_SECONDS = 30.0
"""After so long without a line, say what is running."""


def duration(seconds: float) -> str:
    """Return a duration for people: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Counts finished trials and prints one line for each."""

    def __init__(
        self,
        objective: ObjectiveConfig,
        budget: int,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to count; the clock starts now."""
        self._objective, self._budget = objective, budget
        self._stream, self._clock = stream or sys.stdout, clock
        self._start = self._last_line = clock()
        self._done = self._feasible = self._done_before = 0
        self._best: tuple[float, int] | None = None
        self._epochs: dict[tuple[int, int], int] = {}

    def resumed(self, scores: Mapping[int, Score], done: int) -> None:
        """Take up the count of a study that goes on.

        Args:
            scores: Scores of its records, by trial number.
            done: Trials that count for the budget.
        """
        self._done = self._done_before = done
        self._feasible = sum(score.feasible for score in scores.values())
        for number, score in sorted(scores.items()):
            self._note_best(number, score)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)
        self._last_line = self._clock()

    def started(self, number: int, replicate: int = 0) -> None:
        """Note that a trial was handed to a worker."""
        self._epochs[number, replicate] = 0

    def epoch(self, number: int, epoch: int, replicate: int = 0) -> None:
        """Note that a trial reported an epoch."""
        self._epochs[number, replicate] = epoch

    def interrupted(self, number: int, replicate: int = 0) -> None:
        """Note that a trial waits for the study to be resumed."""
        self._epochs.pop((number, replicate), None)

    def replicate(self, number: int, replicate: int, score: Score, seconds: float, error: str | None = None) -> None:
        """Print the line of one seed of a configuration that may get several."""
        self._epochs.pop((number, replicate), None)
        what = f"{_name(number, replicate)}: {self._describe(score)} after {duration(seconds)}"
        self.say(f"[{self._done}/{self._budget}]   {what}" + (f" ({error})" if error else ""))

    def finished(
        self,
        number: int,
        score: Score,
        seconds: float,
        *,
        run_again: bool,
        error: str | None = None,
        hours: str = "",
        replicates: int = 1,
    ) -> None:
        """Count a trial and print its line; ``hours`` says what is used of a budget in hours."""
        self._epochs.pop((number, 0), None)
        self._done += not run_again
        self._feasible += score.feasible
        self._note_best(number, score)
        what = f"trial {number}: {self._describe(score)} after {duration(seconds)}"
        if replicates > 1:
            what += f", mean of {replicates} seeds"
        if run_again:
            what += ", will be run again"
        if error:
            what += f" ({error})"
        self.say(f"[{self._done}/{self._budget}] {what} | {self._summary()}" + (f" | {hours}" if hours else ""))

    def heartbeat(self) -> None:
        """After a while without a line, say what is running, so that a long first trial does not look like a stop."""
        if self._epochs and self._clock() - self._last_line >= QUIET_SECONDS:
            running = ", ".join(f"{_name(*key)} (epoch {epoch})" for key, epoch in sorted(self._epochs.items()))
            self.say(f"[{self._done}/{self._budget}] running for {duration(self._clock() - self._start)}: {running}")

    def _describe(self, score: Score) -> str:
        values = ", ".join(
            f"{objective.name} {score.objectives[objective.name]:.3f}"
            for objective in self._objective.searched
            if math.isfinite(score.objectives[objective.name])
        )
        parts = [str(score.outcome).replace("_", " ")]
        if values:  # without any, nothing was measured and the outcome says it all
            missing = [check for check in score.margins if score.verdicts.get(check) == MISSING]
            broken = [check for check, margin in score.margins.items() if margin > 0 and check not in missing]
            parts.append(values)
            parts += [f"violates {', '.join(broken)}"] if broken else []
            parts += [f"not judged: {', '.join(missing)}"] if missing else []
        return ", ".join(parts)

    def _note_best(self, number: int, score: Score) -> None:
        objective = self._objective.searched[0]
        value = score.objectives[objective.name]
        if not score.feasible:
            return
        better = self._best is None or (
            value > self._best[0] if objective.direction == MAXIMISE else value < self._best[0]
        )
        if better:
            self._best = (value, number)

    def _summary(self) -> str:
        share = f"feasible {self._feasible}/{self._done}" if self._done else "feasible 0"
        name = self._objective.searched[0].name
        best = (
            f"best feasible {name} {self._best[0]:.3f} (trial {self._best[1]})" if self._best else "none feasible yet"
        )
        return f"{share} | {best} | {self._left()}"

    def _left(self) -> str:
        done = self._done - self._done_before
        if done == 0:
            return "time left unknown"
        left = (self._budget - self._done) * (self._clock() - self._start) / done
        return f"about {duration(left)} left" if self._done < self._budget else "budget used"


def _name(number: int, replicate: int) -> str:
    """Return what a trial is called: "trial 12", of a further seed "trial 12, replicate 1"."""
    return f"trial {number}, replicate {replicate}" if replicate else f"trial {number}"
