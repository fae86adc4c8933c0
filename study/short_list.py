"""The short list of an audit: which configurations of a study are trained and judged again, and what was found of them.

Either the best feasible trials, in the order of ``python -m analysis select``, or those of a ``best.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from study.config import ConfigError, StudyConfig
from study.earlier_study import EarlierStudy
from study.nested import with_values
from study.objective import MAXIMISE
from study.parameter import Value


@dataclass(frozen=True)
class Candidate:
    """One configuration of the short list."""

    number: int
    """Number of its trial in the study."""
    parameters: dict[str, Value]
    """Active parameters by dotted name."""
    trial: dict[str, Any]
    """Complete nested trial configuration."""
    row: Mapping[str, Any]
    """The study's record of it."""


def best_trials(study: EarlierStudy, config: StudyConfig, top: int) -> list[Candidate]:
    """Return the ``top`` best feasible trials by the first searched objective, of equals the earlier.

    Raises:
        ConfigError: If ``top`` is below 1 or no trial is feasible; the message says what to do.
    """
    if top < 1:
        raise ConfigError([f"--top {top}: must be a whole number >= 1"])
    primary = config.objective.searched[0]
    sign = -1.0 if primary.direction == MAXIMISE else 1.0
    column = f"objective.{primary.name}"
    rows = [row for row in study.rows if row["feasible"] and _measured(row.get(column))]
    if not rows:
        raise ConfigError(
            [
                f"{study.folder}: none of its {len(study.rows)} trials is within every bound; the nearest are shown by "
                "python -m analysis select, which chooses among all with --allow-infeasible; audit its best.yaml with "
                "--selected"
            ]
        )
    rows.sort(key=lambda row: (sign * row[column], row["trial"]))
    return [_candidate(study, config, row) for row in rows[:top]]


def selected_trials(study: EarlierStudy, config: StudyConfig, path: Path) -> list[Candidate]:
    """Return the trials of the study that a ``best.yaml`` names.

    Raises:
        ConfigError: If the file cannot be read, or a trial in it is not one of the study.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(
            [f"--selected {path}: cannot be read: {error}; make it with python -m analysis select"]
        ) from None
    entries = content.get("configurations") if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, Mapping) for entry in entries):
        raise ConfigError([f"--selected {path}: holds no configurations; make it with python -m analysis select"])
    rows = {row["trial"]: row for row in study.rows}
    problems, candidates = [], []
    for entry in entries:
        row = rows.get(entry.get("trial"))
        own = None if row is None else _candidate(study, config, row)
        if own is None or own.parameters != dict(entry.get("parameters") or {}):
            problems.append(
                f"--selected {path}: trial {entry.get('trial')} with these parameters is none of {study.folder}"
            )
        else:
            candidates.append(own)
    if problems:
        raise ConfigError(problems)
    return candidates


def _candidate(study: EarlierStudy, config: StudyConfig, row: Mapping[str, Any]) -> Candidate:
    parameters = {name: value for name, value in study.parameters(row).items() if value is not None}
    return Candidate(row["trial"], parameters, with_values(config.trial, parameters), row)


def _measured(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
