"""Ray's view of the search: a ``Searcher`` that asks and tells ``study.search`` and keeps the records.

Ray's own ``OptunaSearch`` knows no constraints, leaves trials with a NaN objective running for ever and tells truncated
values as complete; each of these is a test of this one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from study.config import StudyConfig
from study.evaluation import Experiment, metrics_of
from study.memory import MemoryUse
from study.objective import Score, score, unmeasured
from study.outcomes import Outcome
from study.progress import Progress
from study.records import Epoch, FinishedTrial, Records
from study.replicate_records import ReplicateRecords
from study.replication import Replication
from study.search import Proposal, Search
from study.spending import Spending
from study.trainable import REPORT, TASK
from study.trial_run import TrialTask, WorkerReport, checkpoint_name

SAVE_SECONDS = 60.0
"""How often the hours used are put into the storage while no trial ends."""


@dataclass
class _Running:
    """What is known of a trial, one replicate of a configuration, before it ends."""

    proposal: Proposal
    started: float
    devices: float | None = None
    """GPUs or CPU cores that it holds once it has a worker; None: those of the study."""
    epochs: dict[int, Epoch] = field(default_factory=dict)
    last: WorkerReport | None = None

    def take(self, report: WorkerReport) -> None:
        self.last = report
        self.epochs.update((item.epoch, item) for item in report.history)

    @property
    def name(self) -> tuple[int, int]:
        """Number and replicate."""
        return self.proposal.number, self.proposal.replicate


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
        forget: Callable[[int, int | None], None] = lambda number, replicate: None,
        measured: Callable[[Proposal, MemoryUse], None] = lambda proposal, use: None,
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
            forget: Called with number and replicate of a trial that was recorded, None instead of the replicate once
                its configuration was told: nothing is needed any more to continue it.
            measured: Called with a trial that did not run out of memory and what it took of it.
        """
        super().__init__(metric=None, mode=None)
        self._config, self._search = config, search
        self._metrics = metrics_of(experiment, config.data, config.adversaries)
        self._records, self._spending = records, spending
        self._replication = Replication(config, self._metrics, ReplicateRecords(config.output, records))
        self.progress = progress
        self._make_task, self._forget, self._measured = make_task, forget, measured
        self._alone: str | None = None
        self._trials: dict[str, _Running] = {}
        self._saved = time.monotonic()
        self.failure: Exception | None = None
        """What kept a finished trial from being recorded or told. Ray would swallow it, so the driver raises it."""

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's config, None for "ask again later", or FINISHED when the budget is used."""
        if self._search.done or self.failure is not None or self._spending.used_up:
            return Searcher.FINISHED
        if self._alone is not None:
            return None  # others would take the place that becomes free before the whole device has
        proposal = self._next()
        if proposal is None:
            return Searcher.FINISHED if self._search.done or self.failure is not None else None
        self._trials[trial_id] = running = _Running(proposal, time.monotonic())
        self._alone = trial_id if proposal.alone else None
        self.progress.started(*running.name)
        task = self._make_task(proposal).to_dict()
        held = task.get("resources", {})
        running.devices = held.get("GPU") or held.get("CPU")
        return {TASK: task}

    def _next(self) -> Proposal | None:
        """Return the next seed of a configuration that is begun, or else the first of a new one."""
        while (waiting := self._replication.next()) is None:
            proposal = self._search.ask()
            if proposal is None:
                return None
            recorded = self._replication.begin(proposal)
            if recorded is not None:  # the driver was lost after the last seed's record, before the whole was told
                self._guarded(proposal.number, partial(self._tell, recorded))
                if self.failure is not None:
                    return None
        return waiting

    def _guarded(self, number: int, work: Callable[[], None]) -> None:
        """Do what records or tells a configuration; where that fails, put it back and let the study stop."""
        try:
            work()
        except Exception as failure:
            self.failure = failure
            self._replication.drop(number)
            with contextlib.suppress(Exception):  # where the storage fails too, resuming the study puts it back
                self._search.put_back(number)

    def on_trial_start(self, trial_id: str) -> None:
        """Note that a worker has a trial: it holds its devices from now on; a restarted one has held them already."""
        if trial_id == self._alone:
            self._alone = None
        if (running := self._trials.get(trial_id)) is not None:
            self._spending.started(running.name, running.devices)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the losses of an epoch."""
        self.on_trial_start(trial_id)
        running = self._trials.get(trial_id)
        if running is not None and REPORT in result:
            self._take(running, result[REPORT])
            number, replicate = running.name
            self.progress.epoch(number, max(running.epochs, default=0), replicate)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Judge, record and tell a trial that ended; ``error`` means that its worker was lost for good."""
        self.on_trial_start(trial_id)
        running = self._trials.pop(trial_id, None)
        if running is None:
            return
        if result is not None and REPORT in result:
            self._take(running, result[REPORT])
        lost = "the worker was lost too often" if error else None
        self._guarded(running.proposal.number, partial(self._finish, running, lost))

    def _take(self, running: _Running, report: WorkerReport) -> None:
        running.take(report)
        if report.note:
            self.progress.say(f"warning: trial {checkpoint_name(*running.name)}: {report.note}")

    def heartbeat(self) -> None:
        """Let progress speak while nothing finishes, and keep the hours used, which a killed driver could not."""
        self.progress.heartbeat()
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._saved = time.monotonic()
            with contextlib.suppress(Exception):  # a storage that is away for a moment costs a minute of it
                self._search.spent = self._spending.seconds

    def interrupt(self) -> None:
        """Let all configurations that are not told wait for the study to be resumed; none is left RUNNING."""
        error, ended = "the study was interrupted", dict[int, list[FinishedTrial]]()
        for trial_id in list(self._trials):
            running = self._trials.pop(trial_id)
            trial = self._finished(running, unmeasured(self._config.objective, Outcome.PREEMPTED), error)
            ended.setdefault(trial.number, []).append(trial)
            self._spending.ended(running.name)
            self.progress.interrupted(*running.name)
        for number in self._replication.begun:
            whole = self._replication.interrupted(number, ended.get(number, []), error)
            self._records.write(replace(whole, finished=time.time()))
            self._search.put_back(number)
        self._search.spent = self._spending.seconds

    def _finish(self, running: _Running, lost: str | None) -> None:
        """Record a trial, and its configuration if it was the last of it."""
        report = running.last
        trial = self._finished(running, self._score(running, lost), lost or (report.error if report else None))
        if trial.memory is not None and trial.score.outcome is not Outcome.OUT_OF_MEMORY:
            self._measured(running.proposal, trial.memory)
        number, replicate = running.name
        whole = self._replication.ended(replicate, trial)
        if self._config.replicates > 1:
            self._forget(number, replicate)
        if whole is None or whole.replicates > 1:  # otherwise its configuration's line says it all
            self.progress.replicate(number, replicate, trial.score, trial.seconds, trial.error)
        self._spending.ended(running.name)
        if whole is not None:
            self._tell(whole)
        self._search.spent = self._spending.seconds

    def _tell(self, trial: FinishedTrial) -> None:
        """Write a configuration's record, then tell Optuna: after a crash in between, the record knows what to tell."""
        self._records.write(replace(trial, finished=time.time()))
        run_again = self._search.tell(trial.number, trial.score)
        self._forget(trial.number, None)
        self.progress.finished(
            trial.number,
            trial.score,
            trial.seconds,
            run_again=run_again,
            error=trial.error,
            hours=self._spending.describe(),
            replicates=trial.replicates,
        )

    def _finished(self, running: _Running, result: Score, error: str | None) -> FinishedTrial:
        report, proposal = running.last, running.proposal
        return FinishedTrial(
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
            memory=report.memory if report else None,
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


class HeartbeatCallback(tune.Callback):
    """Lets the searcher work while nothing finishes, and tells it what Tune does not tell searchers."""

    def __init__(self, searcher: StudySearcher) -> None:
        """Keep the searcher."""
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on that a trial has a worker."""
        self._searcher.on_trial_start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Pass on that time goes by."""
        self._searcher.heartbeat()
