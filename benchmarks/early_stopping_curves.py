"""Recorded learning curves: what every finished trial of a study reported step by step, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from study.evaluation import Stage
from study.outcomes import Outcome
from study.records import Epoch, read_parts, recorded_history
from study.schedulers import SignalSource
from study.simulator import Curve

MEASURED = (Outcome.OK, Outcome.INFEASIBLE)
"""Outcomes of trials that came to their end with every check and objective measured."""

QUALITY, LEAK, DETECTABILITY = "reconstruction_ssim", "strong_identity_accuracy", "steganalysis_auc"


@dataclass(frozen=True)
class Recorded:
    """One trial that came to its end."""

    number: int
    family: str
    stratum: tuple[Any, ...]
    steps: Sequence[Epoch]
    objectives: Mapping[str, float]
    """By metric, in its own direction."""
    margins: Mapping[str, float]
    """By check; <= 0 is inside the bound."""

    def signals(self, point: str) -> Mapping[str, float] | None:
        """Return the signals at ``release`` or at the n-th epoch of the training, "epoch 1" and so on."""
        if point == Stage.RELEASE:
            found = [step.signals for step in self.steps if step.stage == Stage.RELEASE]
            return found[0] if found else None
        training = [step.signals for step in self.steps if step.stage == Stage.TRAINING]
        index = int(point.removeprefix("epoch ")) - 1
        return training[index] if index < len(training) else None

    @property
    def seconds(self) -> dict[str, float]:
        """Return the seconds spent by stage."""
        totals: dict[str, float] = {}
        for step in self.steps:
            totals[str(step.stage)] = totals.get(str(step.stage), 0.0) + step.seconds
        return totals


def read_curves(folder: Path, strata: Sequence[str]) -> list[Recorded]:
    """Return the trials of a study folder that came to their end, by number; it may still be running.

    Args:
        folder: The study folder.
        strata: Parameters whose combinations compete apart.
    """
    return [_recorded(row, folder, strata) for row in read_parts(folder) if row["outcome"] in MEASURED]


def _recorded(row: Mapping[str, Any], folder: Path, strata: Sequence[str]) -> Recorded:
    def part(prefix: str) -> dict[str, float]:
        found = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
        return {name: value for name, value in found.items() if value is not None}

    return Recorded(
        number=row["trial"],
        family=str(row["param.subversion.family"]),
        stratum=(folder.name, *(row.get(f"param.{name}") for name in strata)),
        steps=recorded_history(row),
        objectives=part("objective."),
        margins=part("constraint."),
    )


@dataclass(frozen=True)
class Target:
    """What a search is after, and how a trial's end is read for it."""

    name: str
    losses: Callable[[Recorded], tuple[float, ...]]
    """Objectives, all to be minimised."""
    bounding: tuple[str, ...]
    """Checks that bound it."""
    objectives: Mapping[str, float]
    """Signals that stand for the objectives, as in ``SignalSource``."""


ONE = Target(
    "one objective",
    lambda trial: (-trial.objectives[QUALITY],),
    ("weak_identity", "strong_identity", "expression_utility", "steganalysis"),
    {"ssim": -1.0},
)
THREE = Target(
    "three objectives",
    lambda trial: (-trial.objectives[QUALITY], trial.objectives[LEAK], trial.objectives[DETECTABILITY]),
    ("weak_identity", "expression_utility"),
    {"ssim": -1.0, "quick_identity": 1.0, "quick_steganalysis": 1.0},
)
UNBOUNDED = replace(ONE, name="one objective, no bounds", bounding=())
TARGETS = (ONE, UNBOUNDED, THREE)


def curve(trial: Recorded, target: Target, source: SignalSource) -> Curve:
    """Return a trial as the simulator replays it."""
    return Curve(
        signals=tuple(source.read(step.signals) for step in trial.steps),
        seconds=tuple(max(step.seconds, 1e-3) for step in trial.steps),
        losses=target.losses(trial),
        feasible=all(trial.margins[check] <= 0 for check in target.bounding),
        stages=tuple(step.stage for step in trial.steps),
        stratum=trial.stratum,
    )
