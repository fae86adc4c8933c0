"""Ray's view of the search: a ``Searcher`` that asks and tells ``study.search`` and keeps the records.

Ray's own ``OptunaSearch`` knows no constraints, leaves trials with a NaN objective running for ever and tells truncated
values as complete; each of these is a test of this one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from study.config import StudyConfig
from study.evaluation import Experiment, metrics_of
from study.objective import Score, score, unmeasured
from study.outcomes import Outcome
from study.progress import Progress
from study.records import Epoch, FinishedTrial, Records
from study.search import Proposal, Search
from study.spending import Spending
from study.trainable import REPORT, TASK
from study.trial_run import TrialTask, WorkerReport


@dataclass
class _Running:
    """What is known of a trial before it ends."""

    proposal: Proposal
    started: float
    epochs: dict[int, Epoch] = field(default_factory=dict)
    last: WorkerReport | None = None

    def take(self, report: WorkerReport) -> None:
        self.last = report
        self.epochs.update((item.epoch, item) for item in report.history)


class StudySearcher(Searcher):
    """Hands proposals to Ray, and every ended trial to records, Optuna and progress, in this order."""

    def __init__(
        self,
        config: StudyConfig,
        experiment: Experiment,
        search: Search,
        records: Records,
        progress: Progress,
        spending: Spending,
        make_task: Callable[[Proposal], TrialTask],
        forget: Callable[[int], None] = lambda number: None,
    ) -> None:
        """Keep the parts.

        Args:
            config: The study.
            experiment: The system under study.
            search: Proposes configurations.
            records: Receives ended trials.
            progress: Receives what a person is to read.
            spending: Says when hours are used up.
            make_task: Adds to a proposal what its worker needs.
            forget: Called with the number of a trial that was told: nothing is needed any more to continue it.
        """
        super().__init__(metric=None, mode=None)
        self._config, self._metrics, self._search = config, metrics_of(experiment, config.data), search
        self._records, self._spending = records, spending
        self.progress = progress
        self._make_task, self._forget = make_task, forget
        self._trials: dict[str, _Running] = {}
        self.failure: Exception | None = None
        """What kept a finished trial from being recorded or told. Ray would swallow it, so the driver raises it."""

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's config, None for "ask again later", or FINISHED when the budget is used."""
        if self._search.done or self.failure is not None or self._spending.used_up:
            return Searcher.FINISHED
        proposal = self._search.ask()
        if proposal is None:
            return None
        self._trials[trial_id] = _Running(proposal, time.monotonic())
        self.progress.started(proposal.number)
        self._spending.started(proposal.number)
        return {TASK: self._make_task(proposal).to_dict()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the losses of an epoch."""
        running = self._trials.get(trial_id)
        if running is not None and REPORT in result:
            running.take(result[REPORT])
            self.progress.epoch(running.proposal.number, max(running.epochs, default=0))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Judge, record and tell a trial that ended; ``error`` means that its worker was lost for good."""
        running = self._trials.pop(trial_id, None)
        if running is None:
            return
        if result is not None and REPORT in result:
            running.take(result[REPORT])
        try:
            self._finish(running, "the worker was lost too often" if error else None)
        except Exception as failure:
            self.failure = failure
            with contextlib.suppress(Exception):  # where the storage fails too, resuming the study puts it back
                self._search.put_back(running.proposal.number)

    def interrupt(self) -> None:
        """Let all trials that Ray no longer runs wait for the study to be resumed; none is left RUNNING."""
        for trial_id in list(self._trials):
            running = self._trials.pop(trial_id)
            number, result = running.proposal.number, unmeasured(self._config.objective, Outcome.PREEMPTED)
            self._record(running, result, "the study was interrupted")
            self._search.put_back(number)
            self._spending.ended(number)
            self.progress.interrupted(number)
        self._search.spent = self._spending.seconds

    def _finish(self, running: _Running, lost: str | None) -> None:
        """Write the record, then tell Optuna: after a crash in between, the record still knows what to tell."""
        result = self._score(running, lost)
        number, report = running.proposal.number, running.last
        error = lost or (report.error if report else None)
        self._record(running, result, error)
        run_again = self._search.tell(number, result)
        self._forget(number)
        self._spending.ended(number)
        self._search.spent = self._spending.seconds
        seconds = report.seconds if report else 0.0
        self.progress.finished(
            number, result, seconds, run_again=run_again, error=error, hours=self._spending.describe()
        )

    def _record(self, running: _Running, result: Score, error: str | None) -> None:
        report, proposal = running.last, running.proposal
        self._records.write(
            FinishedTrial(
                number=proposal.number,
                parameters=proposal.parameters,
                seed=proposal.seed,
                score=result,
                metrics=report.metrics if report else {},
                controls=report.controls if report else (),
                history=[running.epochs[epoch] for epoch in sorted(running.epochs)],
                seconds=report.seconds if report else 0.0,
                finished=time.time(),
                error=error,
            )
        )

    def _score(self, running: _Running, lost: str | None) -> Score:
        report, objective = running.last, self._config.objective
        if lost:
            return unmeasured(objective, Outcome.PREEMPTED)
        if report is None or not report.done:
            return unmeasured(objective, Outcome.STOPPED_EARLY)
        if report.fault is not None:
            return unmeasured(objective, report.fault)
        return score(objective, self._metrics, report.metrics)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the storage and the records are the truth, Ray's own snapshot is not used."""

    def restore(self, checkpoint_path: str) -> None:
        """Refuse: studies are resumed from their storage and records.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a study is not restored through Ray; its storage and records are the truth")


class StudyStopper(tune.Stopper):
    """Ends the study when a finished trial could not be recorded or told, or when hours and grace are used up."""

    def __init__(self, searcher: StudySearcher, spending: Spending) -> None:
        """Keep what knows."""
        self._searcher, self._spending = searcher, spending

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: single trials end by themselves."""
        return False

    def stop_all(self) -> bool:
        """Return whether to stop everything."""
        return self._searcher.failure is not None or self._spending.overdue


class ProgressCallback(tune.Callback):
    """Lets progress speak while nothing finishes."""

    def __init__(self, progress: Progress) -> None:
        """Keep the progress."""
        self._progress = progress

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Say what is running, if nothing was said for a while."""
        self._progress.heartbeat()
