"""What a study asks of the system it searches: evaluate one configuration, step by step, knowing nothing of Ray.

An :class:`Experiment` describes a system under study (its parameters, its metrics, what a trial costs) and starts an
:class:`Evaluation` of one configuration. ``study.trainable`` drives evaluations inside Ray workers; tests drive them
directly. Neither this module nor any experiment imports Ray, Optuna or Hydra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from models.measurement import Control, Measurement


@dataclass(frozen=True)
class MetricInfo:
    """What one metric of an experiment is; bounds and objectives may name it."""

    unit: str
    """Unit of the value, "1" for a ratio."""
    description: str
    """One line for people."""
    members: tuple[str, ...] = ()
    """Adversaries that measure it; when not empty, measurements are named ``metric.member``."""

    def measured_names(self, metric: str) -> tuple[str, ...]:
        """Return the names under which measurements of ``metric`` arrive."""
        return tuple(f"{metric}.{member}" for member in self.members) or (metric,)


class Stage(StrEnum):
    """What a step of an evaluation was."""

    SET_UP = "set_up"
    """Preparing; what trials share."""
    TRAINING = "training"
    """An epoch."""
    RELEASE = "release"
    """Making all that the checks will judge: the last step before them."""
    CHECKS = "checks"
    """Running the checks."""


@dataclass(frozen=True)
class StepReport:
    """What one step of an evaluation reports."""

    epoch: int
    """Number of the step, counted from 1 over the whole evaluation (restored ones continue the count)."""
    losses: Mapping[str, float]
    """Training losses of this step by name; may be empty."""
    done: bool
    """True on the last step, which carries the metrics."""
    signals: Mapping[str, float] = field(default_factory=dict)
    """Cheap stand-ins of how the trial will end, by name, NaN where one cannot be measured; may be empty."""
    stage: Stage = Stage.TRAINING
    """What the step was."""
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    """Measurements by ``metric`` or ``metric.member``; empty unless ``done``. A failed check is NaN, never absent."""
    controls: tuple[Control, ...] = ()
    """Calibration results of the checks; empty unless ``done``."""


class Evaluation(Protocol):
    """One configuration being trained and checked."""

    def step(self) -> StepReport:
        """Work for one epoch, or run the checks after the last one.

        Raises:
            FloatingPointError: If a loss is no longer finite: the trial diverged.
            MemoryError: If memory ran out (``torch.OutOfMemoryError`` counts as well).
        """

    def save(self, directory: Path) -> None:
        """Write all state, randomness included, into the existing empty ``directory``; no pickles."""

    def load(self, directory: Path) -> None:
        """Continue from what :meth:`save` wrote, bit for bit."""


@dataclass(frozen=True)
class Context:
    """Where and on what a trial runs; everything in it but ``artifacts`` is the same for all trials of a study."""

    data: Mapping[str, Any]
    """Resolved ``data`` group of the configuration."""
    checks: Mapping[str, Any]
    """Resolved ``checks.adversaries``: how the adversaries of the checks are trained."""
    cache: Path
    """Folder for what trials share (stage one, honest baselines), kept between studies; safe to share by processes."""
    artifacts: Path
    """This trial's own folder, which exists; gallery and weights go here (``config.yaml`` is there already)."""
    device: str
    """"cpu" or "cuda"."""
    shared_seed: int = 0
    """Seed of everything that trials share (splits, stage one, honest baselines). A trial's own seed differs."""


class Experiment(Protocol):
    """A system under study. Implementations are cheap to import and hold no state between trials except caches."""

    name: str
    metrics: Mapping[str, MetricInfo]
    signals: Mapping[str, str]
    """What each signal that steps report is, by name; empty where they report none."""

    def defaults(self) -> dict[str, Any]:
        """Return the nested trial configuration; its dotted leaves are the parameter names a space may use."""

    def problems(self, trial: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with one nested trial configuration, each naming field, value and what is permitted.

        Also asked about each single value of a search space, set into the defaults: so that an impossible range, or a
        setting that these data cannot hold, is reported before anything starts. Cheap.
        """

    def config_problems(self, data: Mapping[str, Any], checks: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the check settings, or with data and checks together, before anything starts."""

    def forecast_seconds(
        self, trials: Sequence[Mapping[str, Any]], data: Mapping[str, Any], checks: Mapping[str, Any], device: str
    ) -> float:
        """Return the expected seconds of evaluating ``trials`` one after another, what they share counted once.

        Args:
            trials: Nested configurations as they would be given to :meth:`start`.
            data: Resolved ``data`` group.
            checks: Resolved ``checks.adversaries``.
            device: "cpu" (one thread) or "cuda" (one whole GPU).
        """

    def start(self, trial: Mapping[str, Any], seed: int, context: Context) -> Evaluation:
        """Begin to evaluate the nested configuration ``trial`` (complete: defaults with the trial's values set)."""


def unmeasured(experiment: Experiment, checks: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the metrics that settings of the adversaries leave unmeasured, each with what would have it measured.

    An experiment that can leave some out says so in a method of this name; all others measure whatever they list.
    """
    by_checks = getattr(experiment, "unmeasured", None)
    found: Mapping[str, str] = {} if by_checks is None else by_checks(checks)
    return found


def metrics_of(
    experiment: Experiment, data: Mapping[str, Any], checks: Mapping[str, Any] | None = None
) -> Mapping[str, MetricInfo]:
    """Return what an experiment measures on these data with these adversaries.

    An experiment whose metrics depend on the data, such as one a label column, or on ``checks.adversaries``, says so in
    a method of this name; for all others they are its ``metrics``.
    """
    own = getattr(experiment, "metrics_of", None)
    found: Mapping[str, MetricInfo] = experiment.metrics if own is None else own(data, checks or {})
    return found
