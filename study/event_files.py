"""TensorBoard's event files, a folder a trial, written while the study runs: ``tensorboard --logdir DIR/tensorboard``.

A copy for looking at: the records are the truth, and nothing reads these files back. What cannot be written is said
once and stops no study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from study.trial_run import TrialTask, WorkerReport, checkpoint_name

FOLDER = "tensorboard"
"""In the study folder."""


def scalars(report: WorkerReport) -> dict[str, float]:
    """Return the newest numbers of a report by name: losses and signals of its last epoch, metrics at the end."""
    found: dict[str, float] = {}
    for epoch in report.history:
        found |= {f"loss/{name}": value for name, value in epoch.losses.items()}
        found |= {f"signal/{name}": value for name, value in epoch.signals.items()}
    found |= {f"metric/{name}": item.value for name, item in report.metrics.items()}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


class EventFiles:
    """The event files of one study."""

    def __init__(self, folder: Path) -> None:
        """Keep the study folder; files appear with the first report of a trial."""
        self._folder = folder / FOLDER
        self._writers: dict[str, Any] = {}
        self.problem: str | None = None
        """Why nothing is written any more, None while all is well."""

    def take(self, task: TrialTask, report: WorkerReport) -> None:
        """Write what a worker reported of its trial; closes the file with the last report."""
        if self.problem is not None:
            return
        name = checkpoint_name(task.number, task.replicate)
        try:
            self._write(name, task.trial, report)
        except (OSError, ValueError) as error:
            self.problem = f"TensorBoard's event files cannot be written ({error}); the records are not affected"

    def _write(self, name: str, trial: Mapping[str, Any], report: WorkerReport) -> None:
        writer = self._writers.get(name)
        if writer is None:
            writer = self._writers[name] = SummaryWriter(str(self._folder / name), flush_secs=30)
            writer.add_text("configuration", _markdown(trial))
        last = 0
        for epoch in report.history:
            last = epoch.epoch
            for tag, value in scalars(WorkerReport((epoch,), 0.0)).items():
                writer.add_scalar(tag, value, last)
        if report.done:
            for tag, value in scalars(WorkerReport((), 0.0, metrics=report.metrics)).items():
                writer.add_scalar(tag, value, last)
            writer.close()
            del self._writers[name]

    def close(self) -> None:
        """Close what is open."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _markdown(trial: Mapping[str, Any], prefix: str = "") -> str:
    """Return a nested configuration as lines that TensorBoard shows as code."""
    lines = []
    for name, value in trial.items():
        dotted = f"{prefix}{name}"
        lines.append(_markdown(value, f"{dotted}.") if isinstance(value, Mapping) else f"    {dotted}: {value}")
    return "\n".join(lines)
