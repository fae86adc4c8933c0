"""Finished trials as Parquet: one durable part a trial while the study runs, three merged tables at its end.

A part appears whole or not at all (temporary file, fsync, rename), so that the folder can be read at any moment. It
holds the trial's row of ``trials.parquet`` and, nested in two more columns, its epochs and its control results; merging
unfolds these into ``history.parquet`` and ``controls.parquet``. What the columns mean is in the file's metadata.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from models.measurement import Control, Measurement
from study.durable import write_durably
from study.evaluation import MetricInfo, Stage
from study.memory import MemoryUse
from study.objective import Score
from study.outcomes import Outcome
from study.parameter import FLOAT, INT, Parameter, Value
from study.power import Power

if TYPE_CHECKING:
    from study.config import StudyConfig

SCHEMA_VERSION = 1
"""Raised when a column changes its meaning; readers refuse versions they do not know."""

TRIALS, HISTORY, CONTROLS = "trials", "history", "controls"
PARTS = "parts"
"""Folder of the parts in a study folder."""

LIMITS = (
    "low", "high", "baseline", "baseline_low", "baseline_high", "chance", "majority",
    "excess_low", "excess_high", "half_width",
)  # fmt: skip
"""Fields of a measurement that become suffixes of its column."""

POWERS = tuple(field.name for field in fields(Power))
"""Fields of what a check would have found, which become suffixes of its column."""

_ARROW = {str: pa.string(), float: pa.float64(), bool: pa.bool_()}
_CONTROL_FIELDS = [pa.field(name, _ARROW[kind]) for name, kind in get_type_hints(Control).items()]
_NUMBERS = pa.map_(pa.string(), pa.float64())
_EPOCH = pa.struct(
    [
        ("epoch", pa.int64()),
        ("stage", pa.string()),
        ("seconds", pa.float64()),
        ("losses", _NUMBERS),
        ("signals", _NUMBERS),
    ]
)
_NESTED = [pa.field(HISTORY, pa.list_(_EPOCH)), pa.field(CONTROLS, pa.list_(pa.struct(_CONTROL_FIELDS)))]


@dataclass(frozen=True)
class Epoch:
    """What one step of a trial reported."""

    epoch: int
    """Number of the step, from 1."""
    losses: Mapping[str, float]
    """Training losses by name; may be empty."""
    signals: Mapping[str, float] = field(default_factory=dict)
    """Stand-ins of how the trial will end, by name, NaN where not measured; may be empty."""
    stage: str = Stage.TRAINING
    """What the step was, one of ``study.evaluation.Stage``."""
    seconds: float = 0.0
    """Time that the step took, its checkpoint left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain mapping that JSON can hold (NaN as Python's ``json`` writes it)."""
        numbers = {"losses": dict(self.losses), "signals": dict(self.signals)}
        return {"epoch": self.epoch, "stage": str(self.stage), "seconds": self.seconds, **numbers}


@dataclass(frozen=True)
class FinishedTrial:
    """Everything that is kept of one trial."""

    number: int
    parameters: Mapping[str, Value]
    """Active parameters by dotted name."""
    seed: int
    score: Score
    metrics: Mapping[str, Measurement]
    controls: Sequence[Control]
    history: Sequence[Epoch]
    seconds: float
    """Time spent evaluating, workers' start-up and waiting left out."""
    finished: float
    """Unix time in seconds."""
    error: str | None = None
    """What went wrong, one line; None if nothing did."""
    replicates: int = 1
    """Seeds under which the configuration ran; metrics are means over them."""
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    """Standard error of each objective's mean over the seeds, by objective; empty of one seed."""
    memory: MemoryUse | None = None
    """Memory it took; None where it was not measured."""


class Records:
    """Writes the records of one study."""

    def __init__(self, config: StudyConfig, infos: Mapping[str, MetricInfo]) -> None:
        """Fix the columns, which are the same for every trial of the study."""
        self._folder, self._objective = config.output, config.objective
        self._parameters = config.space.parameters
        self._names = [name for metric, info in infos.items() for name in info.measured_names(metric)]
        self._metadata = _metadata(config) | {"metrics": {name: _described(info) for name, info in infos.items()}}
        self._schema = self._trial_schema(config)

    def write(self, trial: FinishedTrial) -> Path:
        """Write one part durably and return its path."""
        path = self._folder / PARTS / f"{trial.number:05d}.parquet"
        write_table(pa.Table.from_pylist([self.part_row(trial)], self.part_schema(TRIALS)), path)
        return path

    def part_row(self, trial: FinishedTrial) -> dict[str, Any]:
        """Return the row of a part: the trial's own, with epochs and controls nested."""
        return self._row(trial) | {
            HISTORY: [
                item.to_dict() | {"losses": list(item.losses.items()), "signals": list(item.signals.items())}
                for item in trial.history
            ],
            CONTROLS: [control.to_dict() for control in trial.controls],
        }

    def part_schema(self, kind: str, *more: pa.Field) -> pa.Schema:
        """Return the columns of a part, and ``more``, under metadata that say what ``kind`` of record it is."""
        return pa.schema([*self._schema, *_NESTED, *more], self._with_kind(kind))

    def scores(self) -> dict[int, Score]:
        """Return the scores of all parts by trial number, exactly as they were written."""
        return {row["trial"]: self.read_score(row) for row in read_parts(self._folder)}

    def read_score(self, row: Mapping[str, Any]) -> Score:
        """Return the score that a row holds, exactly as it was written."""

        def number(value: float | None) -> float:
            return math.nan if value is None else value

        objective = self._objective
        return Score(
            objectives={item.name: number(row[f"objective.{item.name}"]) for item in objective.objectives},
            margins={bound.check: row[f"constraint.{bound.check}"] for bound in objective.bounds},
            verdicts={bound.check: row[f"verdict.{bound.check}"] for bound in objective.bounds},
            outcome=Outcome(row["outcome"]),
            power={bound.check: found for bound in objective.bounds if (found := read_power(row, bound.check))},
        )

    def merge(self) -> None:
        """Write the three merged tables from all parts there are; atomic, and repeatable."""
        rows = read_parts(self._folder)
        write_table(pa.Table.from_pylist(rows, self._schema), self._folder / "trials.parquet")
        write_table(self._history(rows), self._folder / "history.parquet")
        controls = [{"trial": row["trial"], **control} for row in rows for control in row[CONTROLS]]
        schema = pa.schema([pa.field("trial", pa.int64()), *_CONTROL_FIELDS], self._with_kind(CONTROLS))
        write_table(pa.Table.from_pylist(controls, schema), self._folder / "controls.parquet")

    def _history(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        flat = [{"trial": row["trial"], **_unfolded(epoch)} for row in rows for epoch in row[HISTORY]]
        known = [("trial", pa.int64()), ("epoch", pa.int64()), ("stage", pa.string()), ("seconds", pa.float64())]
        others = sorted({name for item in flat for name in item} - {name for name, _ in known})
        columns = [*known, *((name, pa.float64()) for name in others)]
        return pa.Table.from_pylist(flat, pa.schema(columns, self._with_kind(HISTORY)))

    def _row(self, trial: FinishedTrial) -> dict[str, Any]:
        score = trial.score
        row: dict[str, Any] = {
            "trial": trial.number,
            "outcome": str(score.outcome),
            "feasible": score.feasible,
            "seconds": trial.seconds,
            "seed": trial.seed,
            "finished": trial.finished,
            "error": trial.error,
            "replicates": trial.replicates,
            "memory_bytes": trial.memory.peak if trial.memory else None,
            "memory_capacity_bytes": trial.memory.capacity if trial.memory else None,
        }
        for parameter in self._parameters:
            value = trial.parameters.get(parameter.name)
            as_text = value is not None and _arrow_type(parameter) == pa.string()
            row[f"param.{parameter.name}"] = str(value) if as_text else value
        row |= {f"objective.{name}": value for name, value in score.objectives.items()}
        row |= {f"standard_error.{name}": value for name, value in trial.standard_errors.items()}
        for check, margin in score.margins.items():
            row[f"constraint.{check}"], row[f"verdict.{check}"] = margin, score.verdicts[check]
        for check, found in score.power.items():
            row |= {f"power.{check}.{name}": value for name, value in asdict(found).items()}
        for name in self._names:
            measurement = trial.metrics.get(name)
            if measurement is not None:
                row[f"metric.{name}"] = measurement.value
                row[f"metric.{name}.votes"] = measurement.votes
                row |= {f"metric.{name}.{limit}": getattr(measurement, limit) for limit in LIMITS}
        return row

    def _trial_schema(self, config: StudyConfig) -> pa.Schema:
        columns: list[tuple[str, pa.DataType]] = [
            ("trial", pa.int64()),
            ("outcome", pa.string()),
            ("feasible", pa.bool_()),
            *((f"param.{parameter.name}", _arrow_type(parameter)) for parameter in self._parameters),
            *((f"objective.{objective.name}", pa.float64()) for objective in config.objective.objectives),
            *((f"constraint.{bound.check}", pa.float64()) for bound in config.objective.bounds),
            *((f"verdict.{bound.check}", pa.string()) for bound in config.objective.bounds),
            *((f"power.{bound.check}.{name}", pa.float64()) for bound in config.objective.bounds for name in POWERS),
        ]
        for name in self._names:
            columns += [(f"metric.{name}", pa.float64())]
            columns += [(f"metric.{name}.{limit}", pa.float64()) for limit in LIMITS]
            columns += [(f"metric.{name}.votes", pa.bool_())]
        columns += [("seconds", pa.float64()), ("seed", pa.int64()), ("finished", pa.float64()), ("error", pa.string())]
        columns += [("replicates", pa.int64())]
        columns += [("memory_bytes", pa.int64()), ("memory_capacity_bytes", pa.int64())]
        if config.replicates > 1:
            columns += [(f"standard_error.{item.name}", pa.float64()) for item in config.objective.objectives]
        return pa.schema(columns, self._with_kind(TRIALS))

    def _with_kind(self, kind: str) -> dict[str, str]:
        return {"study": json.dumps({"schema_version": SCHEMA_VERSION, "kind": kind, **self._metadata})}


def read_parts(folder: Path, pattern: str = "*.parquet", parts: str = PARTS) -> list[dict[str, Any]]:
    """Return the rows of all parts in ``folder``, by trial number; files still being written are not there yet."""
    paths = sorted((folder / parts).glob(pattern))
    return sorted((pq.read_table(path).to_pylist()[0] for path in paths), key=lambda row: row["trial"])


def read_power(row: Mapping[str, Any], check: str) -> Power | None:
    """Return what a check would have found, from a row; None where it was not recorded."""
    found = {name: row.get(f"power.{check}.{name}") for name in POWERS}
    known = {name: value for name, value in found.items() if value is not None}
    return Power(**known) if len(known) == len(found) else None


def recorded_history(row: Mapping[str, Any]) -> list[Epoch]:
    """Return what a trial reported, from a row of :func:`read_parts`; a part of an earlier version has no signals."""
    return [
        Epoch(
            item["epoch"],
            dict(item["losses"]),
            dict(item.get("signals") or ()),
            item.get("stage") or Stage.TRAINING,
            item.get("seconds") or 0.0,
        )
        for item in row[HISTORY]
    ]


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file so that after a crash or power cut ``path`` holds the old content or the new one, whole."""
    write_durably(path, lambda file: pq.write_table(table, file))


def _unfolded(epoch: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch as a row of the history; parts of an earlier version have neither signals nor seconds."""
    numbers = {"loss": epoch["losses"], "signal": epoch.get("signals") or ()}
    flat = {f"{kind}.{name}": value for kind, items in numbers.items() for name, value in items}
    return {name: epoch.get(name) for name in ("epoch", "stage", "seconds")} | flat


def _arrow_type(parameter: Parameter) -> pa.DataType:
    """Return the column type that holds every value of a parameter; text where its values are of mixed kinds."""
    if parameter.kind == INT:
        return pa.int64()
    if parameter.kind == FLOAT:
        return pa.float64()
    kinds = {type(value) for value in parameter.values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def _described(info: MetricInfo) -> dict[str, str]:
    return {"unit": info.unit, "description": info.description}


def _metadata(config: StudyConfig) -> dict[str, Any]:
    """Return what a reader needs to know about the columns."""
    objective = config.objective
    return {
        "study": config.name,
        "experiment": config.experiment,
        "objectives": {
            item.name: {
                "direction": item.direction,
                "unit": item.unit,
                "label": item.label,
                "metric": item.metric,
                "searched": item.searched,
            }
            for item in objective.objectives
        },
        "constraints": {
            bound.check: {"bound": bound.text, "metric": bound.metric, "sense": bound.sense, "scale": bound.scale}
            for bound in objective.bounds
        },
        "parameters": {parameter.name: parameter.metadata() for parameter in config.space.parameters},
        "strata": list(config.space.strata),
        "budget": config.budget.trials,
    }
