"""An experiment without models: closed-form answers in microseconds, and faults on request.

It measures what the study itself costs (``benchmarks/overhead.py``) and shows how every outcome is recorded. It has the
shape of a real experiment: epochs, losses, signals, a metric with members against a baseline, controls, checkpoints.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.measurement import Control, Measurement
from study.evaluation import Context, MetricInfo, StepReport

FAULTS = ("none", "diverge", "out_of_memory", "crash", "worker_killed", "nan_metric", "absent_metric", "nan_objective")
"""What may go wrong in the last epoch; ``worker_killed`` kills the process once and succeeds the second time."""


class EmptyEvaluation:
    """A quality that peaks at x = 0.7 and a leak that grows with x; feasible up to about x = 0.55.

    The seed adds Gaussian noise to both, of the standard deviation that the configuration states.
    """

    def __init__(self, trial: Mapping[str, Any], seed: int, context: Context) -> None:
        """Keep the configuration; nothing is computed before the first step."""
        self._trial, self._seed, self._context = trial, seed, context
        self._epoch = 0

    def step(self) -> StepReport:
        """Sleep as long as asked, then report a loss, or the metrics after the last epoch."""
        time.sleep(self._trial["seconds"])
        self._epoch += 1
        losses = {"loss": 1.0 / self._epoch}
        if self._epoch < self._trial["epochs"]:
            return StepReport(self._epoch, losses, done=False, signals=self._signals())
        self._fail_if_asked()
        return StepReport(self._epoch, losses, done=True, metrics=self._measure(), controls=(_CONTROL,))

    def _fail_if_asked(self) -> None:
        fault = self._trial["fault"]
        if fault == "diverge":
            raise FloatingPointError("loss is nan in epoch 1")
        if fault == "out_of_memory":
            raise MemoryError("asked to run out of memory")
        if fault == "crash":
            raise RuntimeError("asked to crash")
        marker = self._context.artifacts / "killed"
        if fault == "worker_killed" and not marker.exists():
            marker.touch()
            os._exit(1)

    def _ends(self) -> tuple[float, float]:
        """Return the quality and the leak."""
        x, y = self._trial["x"], self._trial["y"]
        luck, other_luck = self._trial["noise"] * np.random.default_rng(self._seed).standard_normal(2)
        return 1.0 - (x - 0.7) ** 2 - 0.1 * y**2 + float(luck), 0.2 + max(0.0, x - 0.5) + float(other_luck)

    def _signals(self) -> dict[str, float]:
        quality, leak = self._ends()
        return {"early_quality": quality - 0.1 / self._epoch, "early_leak": leak}

    def _measure(self) -> dict[str, Measurement]:
        x, (quality, leak) = self._trial["x"], self._ends()
        metrics = {
            "quality": Measurement(quality, quality - 0.02, quality + 0.02),
            "leak.plain": Measurement(0.2, 0.17, 0.23, 0.2, 0.18, 0.22, 1 / 6, 1 / 6),
            "leak.high_pass": Measurement(leak, leak - 0.03, leak + 0.03, 0.2, 0.18, 0.22, 1 / 6, 1 / 6),
            "detectability": Measurement(0.5 + 0.1 * x, 0.45 + 0.1 * x, 0.55 + 0.1 * x, chance=0.5),
        }
        if self._trial["fault"] == "nan_metric":
            metrics["leak.plain"] = Measurement(math.nan, math.nan, math.nan, 0.2, 0.18, 0.22)
        if self._trial["fault"] == "absent_metric":
            del metrics["leak.plain"]
        if self._trial["fault"] == "nan_objective":
            metrics["quality"] = Measurement(math.nan, math.nan, math.nan)
        return metrics

    def save(self, directory: Path) -> None:
        """Write the number of epochs done."""
        (directory / "state.json").write_text(json.dumps({"epoch": self._epoch}))

    def load(self, directory: Path) -> None:
        """Continue after the epochs that were done."""
        self._epoch = json.loads((directory / "state.json").read_text())["epoch"]


_CONTROL = Control("leak", "plain", "pass_through", 0.99, 0.97, 1.0, ">= 0.9", True)


class EmptyExperiment:
    """See the module's docstring."""

    name = "empty"
    metrics: Mapping[str, MetricInfo] = {
        "quality": MetricInfo("1", "what is searched for"),
        "leak": MetricInfo("1", "what must stay near its baseline", ("plain", "high_pass")),
        "detectability": MetricInfo("1", "AUC of a detector"),
    }
    signals: Mapping[str, str] = {
        "early_quality": "the quality less what is still to be gained",
        "early_leak": "the leak of the worst adversary",
    }

    def defaults(self) -> dict[str, Any]:
        """Return the trial configuration."""
        return {"x": 0.5, "y": 0.0, "shape": "round", "noise": 0.0, "seconds": 0.0, "epochs": 2, "fault": "none"}

    def problems(self, trial: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with a trial configuration."""
        problems = []
        if trial["fault"] not in FAULTS:
            problems.append(f"trial.fault={trial['fault']!r} is unknown; permitted: {', '.join(FAULTS)}")
        if not 0 <= trial["x"] <= 1:
            problems.append(f"trial.x={trial['x']!r} must be in [0, 1]")
        return problems

    def config_problems(self, data: Mapping[str, Any], checks: Mapping[str, Any]) -> list[str]:
        """Return no problems: neither data nor checks are used."""
        return []

    def forecast_seconds(
        self, trials: Sequence[Mapping[str, Any]], data: Mapping[str, Any], checks: Mapping[str, Any], device: str
    ) -> float:
        """Return the time the trials sleep."""
        return sum(trial["seconds"] * trial["epochs"] for trial in trials)

    def start(self, trial: Mapping[str, Any], seed: int, context: Context) -> EmptyEvaluation:
        """Begin one evaluation."""
        return EmptyEvaluation(trial, seed, context)


EXPERIMENT = EmptyExperiment()
