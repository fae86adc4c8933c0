"""Ray's side of a worker: one class trainable whose process is reused from trial to trial.

Reuse matters: a worker that imports torch anew takes longer to start than many trials take to run. All work is in
``study.trial_run``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import PlacementGroupFactory

from study.event_files import scalars
from study.trial_run import TrialRun, TrialTask

REPORT = "report"
"""Key of the ``WorkerReport`` in what Ray calls a result."""
TASK = "task"
"""Key of the ``TrialTask``, as a plain mapping, in what Ray calls a config."""


class StudyTrainable(tune.Trainable):
    """Runs the trials that it is given, one after another."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """Return what the trial asks for, decided when it was proposed."""
        return PlacementGroupFactory([config[TASK]["resources"]])

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial."""
        self._run = TrialRun(TrialTask(**config[TASK]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Work for one epoch; the last report carries ``done``."""
        report = self._run.step()
        return {REPORT: report, "done": report.done, **scalars(report)}  # the last for callbacks other than ours

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write all state of the trial; Ray asks for it when a scheduler pauses one."""
        self._run.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue a paused trial."""
        self._run.load(Path(checkpoint))
