"""What every configuration of ``benchmarks.space`` is measured in: the study's own configuration without its search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.compose import compose_config
from study.config import ConfigError
from study.evaluation import metrics_of
from study.experiments import load_experiment
from study.nested import flatten, with_values
from study.objective import ObjectiveConfig, read_objective


@dataclass(frozen=True)
class Setting:
    """The same for all configurations."""

    experiment: str
    trial: Mapping[str, Any]
    """Complete nested trial configuration, into which a point's values are set."""
    data: Mapping[str, Any]
    """Resolved ``data`` group."""
    adversaries: Mapping[str, Any]
    """How the checks' adversaries are trained."""
    objective: ObjectiveConfig
    """The bounds of the checks; objectives are computed and not searched for."""
    cache: Path
    """Folder for what configurations share, absolute."""


def read_setting(overrides: Sequence[str], cache: Path) -> Setting:
    """Compose ``search_spaces/`` and read what is needed of it.

    Args:
        overrides: As ``python -m study`` takes them.
        cache: Folder for what configurations share.

    Raises:
        ConfigError: If overrides or values are wrong; names every problem found.
    """
    composed = compose_config(overrides)
    problems, values = list(composed.problems), composed.values
    experiment = load_experiment(values["experiment"]["name"])
    data, checks = dict(values.get("data") or {}), values["checks"]
    adversaries = dict(checks.get("adversaries") or {})
    infos = metrics_of(experiment, data, adversaries)
    objective = read_objective(values["objective"], checks.get("bounds"), infos, problems)
    problems += experiment.config_problems(data, adversaries)
    if problems:
        raise ConfigError(problems)
    trial = with_values(experiment.defaults(), flatten(values.get("trial") or {}))
    return Setting(experiment.name, trial, data, adversaries, objective, cache.absolute())
