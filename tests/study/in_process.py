"""Studies of empty trials without Ray: the real driver around a loop over two trials at a time."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from itertools import count
from unittest.mock import patch

from study import driver
from study.config import StudyConfig
from study.packing import Packing
from study.progress import Progress
from study.resources import Plan
from study.schedulers import Decision
from study.searcher import StudySearcher
from study.spending import Spending
from study.stopping import EarlyStopping
from study.trainable import REPORT, TASK
from study.trial_run import TrialRun, TrialTask, WorkerReport


@contextlib.contextmanager
def without_ray(_: StudyConfig) -> Iterator[Plan]:
    """Stand in for Ray: two trials at a time, a CPU core each."""
    yield Plan(1.0, 0.0, 2)


def tune(
    searcher: StudySearcher,
    stepped: Callable[[TrialTask, WorkerReport], object] = lambda task, report: None,
    stopping: EarlyStopping | None = None,
) -> None:
    """Do what Ray does; ``stepped`` sees each report before the searcher does."""
    running: dict[str, tuple[TrialTask, TrialRun]] = {}
    names = map(str, count())
    while True:
        while len(running) < 2:
            name = next(names)
            given = searcher.suggest(name)
            if not isinstance(given, dict):
                break
            task = TrialTask(**given[TASK])
            running[name] = task, TrialRun(task)
        if not running:
            return
        for name, (task, run) in list(running.items()):
            report = run.step()
            stepped(task, report)
            if report.fault is not None and stopping is not None and not task.replicate:
                stopping.forget(task.number)
            if report.done or _stopped(stopping, task, report):
                del running[name]
                searcher.on_trial_complete(name, {REPORT: report})
            else:
                searcher.on_trial_result(name, {REPORT: report})
            if searcher.failure:
                raise searcher.failure


def _stopped(stopping: EarlyStopping | None, task: TrialTask, report: WorkerReport) -> bool:
    if stopping is None or task.replicate:
        return False
    return stopping.decide(task.number, task.trial, report.history) is Decision.STOP


def evaluate_all(config: StudyConfig, progress: Progress | None = None, die_after: int | None = None) -> bool:
    """Run or resume a study to its end and return what the driver returns.

    With ``die_after``, KeyboardInterrupt comes after so many finished trials.
    """
    finished: list[int] = []

    def stepped(task: TrialTask, report: WorkerReport) -> None:
        if die_after is not None and len(finished) >= die_after:
            raise KeyboardInterrupt
        finished.extend([task.number] if report.done else [])

    def run(
        _: StudyConfig, packing: Packing, searcher: StudySearcher, spending: Spending, stopping: EarlyStopping | None
    ) -> None:
        tune(searcher, stepped, stopping)

    progress = progress or Progress(config.objective, config.budget.trials, stream=io.StringIO())
    with patch.object(driver, "_tune", run), patch.object(driver, "_ray", without_ray):
        return driver.run_study(config, progress=progress)
