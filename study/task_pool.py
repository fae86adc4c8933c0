"""Trials that nobody searches with: a list of tasks, each run to its end in a Ray worker, reported as they end.

The workers run ``study.trial_run`` as those of a study do, so a task whose worker dies goes on from its last checkpoint
in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ray

from study.outcomes import WORKER_RESTARTS, Outcome
from study.records import Epoch
from study.resources import Plan
from study.trial_run import TrialRun, TrialTask, WorkerReport


def run_to_end(task: dict[str, Any]) -> WorkerReport:
    """Run one task, given as a plain mapping, and return its last report with the whole history."""
    run = TrialRun(TrialTask(**task))
    history: dict[int, Epoch] = {}
    while True:
        report = run.step()
        history.update((item.epoch, item) for item in report.history)
        if report.done:
            return replace(report, history=tuple(history[epoch] for epoch in sorted(history)))


def run_tasks(tasks: Sequence[TrialTask], share: Plan) -> Iterator[tuple[TrialTask, WorkerReport]]:
    """Run tasks side by side and yield each with its last report when it ends.

    Args:
        tasks: What to run.
        share: How they share what Ray has; Ray is initialised.

    Yields:
        Task and report; one whose worker was lost too often, or that failed outside of its evaluation, has a report
        with the fault PREEMPTED.
    """
    remote = ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_retries=WORKER_RESTARTS)(run_to_end)
    waiting, running = list(tasks), dict[Any, TrialTask]()
    try:
        while waiting or running:
            while waiting and len(running) < share.concurrent:
                task = waiting.pop(0)
                running[remote.remote(task.to_dict())] = task
            (ready,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(ready), _report(ready)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _report(reference: Any) -> WorkerReport:
    try:
        report: WorkerReport = ray.get(reference)
    except ray.exceptions.RayError as error:
        text = " ".join(str(error).split())
        return WorkerReport((), 0.0, done=True, fault=Outcome.PREEMPTED, error=text[:300])
    return report
