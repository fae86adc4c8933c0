"""A study as its records tell it: one frozen value that everything else in this package computes on.

Columns are arrays over trials, in order of trial number. Numbers that were not measured are NaN, never zero and never
left out; a trial counts as feasible only if its record says so *and* none of its margins is positive or missing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.parts import Cache, read_records
from analysis.schema import Schema

Floats = NDArray[np.float64]

SUFFIXES = ("low", "high", "baseline", "baseline_low", "baseline_high", "chance", "majority", "votes")
UNREAD = ("excess_low", "excess_high", "half_width")
"""Suffixes of columns that verdicts and powers were computed from; these are recorded themselves."""
POWERS = ("withheld", "violation")


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric, or one member of it, over all trials; every array is (trials,)."""

    value: Floats
    low: Floats
    """Lower end of the 95 % interval of ``value``."""
    high: Floats
    baseline: Floats
    """The same quantity for the honest baseline; NaN where the metric has none."""
    baseline_low: Floats
    baseline_high: Floats
    chance: Floats
    majority: Floats
    votes: NDArray[np.bool_]
    """False where a control failed, so that this member takes part in no margin. True where the trial has no value."""


@dataclass(frozen=True)
class Control:
    """One calibration result of one trial."""

    trial: int
    check: str
    adversary: str
    control: str
    value: float
    low: float
    high: float
    required: str
    passed: bool


@dataclass(frozen=True, eq=False)
class Study:
    """The records of one study; every array and tuple over trials has the order of ``trial``."""

    folder: Path
    schema: Schema
    finished_writing: bool
    """False while the study runs, or after it was interrupted."""
    trial: NDArray[np.int64]
    outcome: tuple[str, ...]
    feasible: NDArray[np.bool_]
    parameters: Mapping[str, tuple[Any, ...]]
    """By dotted name; None where the parameter is inactive."""
    objectives: Mapping[str, Floats]
    constraints: Mapping[str, Floats]
    """Margins in units of the constraint's scale, clipped to [-3, 3]; <= 0 is feasible."""
    metrics: Mapping[str, Metric]
    """By ``metric`` or ``metric.member``."""
    verdicts: Mapping[str, tuple[str, ...]]
    """By check; the judgement from intervals, as against ``constraints``, which are estimates."""
    power: Mapping[str, Mapping[str, Floats]]
    """By check and by :data:`POWERS`: the smallest leak that a pass would have been withheld from, and that would have
    been called a violation, with 95 % probability; counted from what the bound refers to. NaN where not recorded."""
    replicates: NDArray[np.int64]
    """Seeds under which each configuration ran; objectives, metrics and margins are means over them."""
    standard_errors: Mapping[str, Floats]
    """Of each objective's mean over the seeds; NaN of one seed."""
    seconds: Floats
    seed: tuple[int | None, ...]
    finished: Floats
    """When each trial finished, in seconds since 1970; NaN where not recorded."""
    error: tuple[str | None, ...]
    controls: tuple[Control, ...]
    config: str
    """Text of ``config.yaml``; empty where absent."""
    environment: Mapping[str, Any]
    warnings: tuple[str, ...]
    """What in the folder could not be trusted or read, in words."""

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.trial)

    @property
    def strata(self) -> tuple[str, ...]:
        """Stratifying parameters that tell trials apart: recorded, and not the same in all of them."""
        return tuple(name for name in self.schema.strata if len(set(self.parameters.get(name, ()))) > 1)

    def members(self, metric: str) -> dict[str, Metric]:
        """Return the columns that measure ``metric``: itself, or one a member, by full name."""
        names = [name for name in self.metrics if name == metric or name.startswith(f"{metric}.")]
        return {name: self.metrics[name] for name in names}


def load_study(folder: Path, cache: Cache | None = None) -> Study:
    """Read a study folder.

    Args:
        folder: What ``python -m study`` wrote; the study may still be running.
        cache: Files that need not be read again, for one who reads a running study many times.

    Returns:
        The study, trials in order of their number.

    Raises:
        AnalysisError: If the folder is no study, holds no trial yet, is of an unknown schema version, or lacks columns
            that its own metadata promises; the message says what to do.
    """
    records = read_records(folder, cache)
    schema, table = records.schema, records.trials
    _refuse_missing_columns(schema, table)
    warnings = list(records.warnings)
    constraints = {item.check: _floats(table, f"constraint.{item.check}") for item in schema.constraints}
    feasible = _feasible(table, constraints, warnings)
    return Study(
        folder=folder,
        schema=schema,
        finished_writing=records.consolidated,
        trial=np.asarray(table["trial"].to_pylist(), dtype=np.int64),
        outcome=tuple(value or "unknown" for value in table["outcome"].to_pylist()),
        feasible=feasible,
        parameters=_parameters(table, schema),
        objectives={item.name: _floats(table, f"objective.{item.name}") for item in schema.objectives},
        constraints=constraints,
        metrics=_metrics(table),
        verdicts={
            item.check: tuple(value or "missing" for value in _objects(table, f"verdict.{item.check}"))
            for item in schema.constraints
        },
        power={
            item.check: {name: _floats(table, f"power.{item.check}.{name}") for name in POWERS}
            for item in schema.constraints
        },
        replicates=np.asarray([value or 1 for value in _objects(table, "replicates")], dtype=np.int64),
        standard_errors={item.name: _floats(table, f"standard_error.{item.name}") for item in schema.objectives},
        seconds=_floats(table, "seconds"),
        seed=tuple(_objects(table, "seed")),
        finished=_floats(table, "finished"),
        error=tuple(_objects(table, "error")),
        controls=_controls(records.controls),
        config=_text(folder / "config.yaml"),
        environment=_environment(folder / "environment.json", warnings),
        warnings=tuple(warnings),
    )


def _refuse_missing_columns(schema: Schema, table: pa.Table) -> None:
    needed = ["trial", "outcome", "feasible"]
    needed += [f"objective.{item.name}" for item in schema.objectives]
    needed += [f"constraint.{item.check}" for item in schema.constraints]
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise AnalysisError(
            f"the records lack columns that their metadata promises: {', '.join(missing)}; the files are damaged or "
            "come from two studies"
        )


def _feasible(table: pa.Table, constraints: Mapping[str, Floats], warnings: list[str]) -> NDArray[np.bool_]:
    recorded = np.asarray([bool(value) for value in table["feasible"].to_pylist()])
    kept = np.ones(len(recorded), dtype=bool)
    for margin in constraints.values():
        kept &= margin <= 0.0  # False for NaN: a missing margin is a violation.
    doubtful = recorded & ~kept
    if doubtful.any():
        trials = ", ".join(str(trial) for trial in np.asarray(table["trial"].to_pylist())[doubtful][:10])
        warnings.append(
            f"{int(doubtful.sum())} recorded as feasible, but a margin is missing or positive; counted as infeasible: "
            f"trial {trials}"
        )
    return recorded & kept


def _parameters(table: pa.Table, schema: Schema) -> dict[str, tuple[Any, ...]]:
    found = {}
    for column in table.column_names:
        if column.startswith("param."):
            name = column.removeprefix("param.")
            known = schema.parameters.get(name)
            # Categories of mixed kinds are stored as text; the metadata know which values were meant.
            meant = {str(value): value for value in (known.values if known else None) or ()}
            values = table[column].to_pylist()
            found[name] = tuple(meant.get(value, value) if isinstance(value, str) else value for value in values)
    return found


def _metrics(table: pa.Table) -> dict[str, Metric]:
    names = [name.removeprefix("metric.") for name in table.column_names if name.startswith("metric.")]
    bases = sorted(name for name in names if name.rpartition(".")[2] not in (*SUFFIXES, *UNREAD))
    return {
        name: Metric(
            value=_floats(table, f"metric.{name}"),
            **{suffix: _floats(table, f"metric.{name}.{suffix}") for suffix in SUFFIXES[:-1]},
            votes=_flags(table, f"metric.{name}.votes"),
        )
        for name in bases
    }


def _floats(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.array(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)  # Missing becomes NaN.


def _flags(table: pa.Table, name: str) -> NDArray[np.bool_]:
    """Read a column of flags; missing ones are True."""
    if name not in table.column_names or table[name].type != pa.bool_():
        return np.ones(len(table), dtype=bool)
    return np.array(table[name].fill_null(True).to_numpy(), dtype=bool)


def _objects(table: pa.Table, name: str) -> list[Any]:
    return table[name].to_pylist() if name in table.column_names else [None] * len(table)


def _controls(table: pa.Table | None) -> tuple[Control, ...]:
    if table is None:
        return ()
    columns = [_objects(table, name) for name in ("trial", "check", "adversary", "control")]
    numbers = [_floats(table, name).tolist() for name in ("value", "low", "high")]
    required = [value or "" for value in _objects(table, "required")]
    passed = [value is True for value in _objects(table, "passed")]
    return tuple(Control(*row) for row in zip(*columns, *numbers, required, passed, strict=True))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _environment(path: Path, warnings: list[str]) -> Mapping[str, Any]:
    text = _text(path)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        warnings.append(f"{path.name} is no JSON and was left out")
        return {}
    return found if isinstance(found, dict) else {"environment": found}
