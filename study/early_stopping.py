"""Ray's view of early stopping: a ``TrialScheduler`` that asks ``study.stopping`` after every report.

What a stopped trial means is ``study.searcher``'s business: Ray hands it the last report, which does not say ``done``.
"""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.schedulers import Decision
from study.stopping import EarlyStopping
from study.trainable import REPORT, TASK


class StoppingScheduler(FIFOScheduler):
    """Starts trials in their order and stops those that fall behind."""

    def __init__(self, stopping: EarlyStopping) -> None:
        """Keep what decides."""
        super().__init__()
        self._stopping = stopping

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return what Ray is to do with a trial that has reported; one that is done is none of its business."""
        report, task = result[REPORT], trial.config[TASK]
        if task["replicate"]:  # a configuration competes with its first seed; racing decides on the others
            return str(TrialScheduler.CONTINUE)
        decision = self._stopping.decide(task["number"], task["trial"], report.history)
        return str(TrialScheduler.STOP if decision is Decision.STOP else TrialScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Forget a trial whose worker reported a fault."""
        if REPORT in result and result[REPORT].fault is not None:
            self._forget(trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial whose worker was lost for good."""
        self._forget(trial)

    def _forget(self, trial: Any) -> None:
        task = trial.config[TASK]
        if not task["replicate"]:
            self._stopping.forget(task["number"])
