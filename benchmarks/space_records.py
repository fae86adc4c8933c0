"""Records of ``benchmarks.space``: one line of JSON a finished configuration, and flat rows of them for Parquet.

A record is found by the hash of what was asked (configuration, seed, data, checks), not of the code: a figure stands
until somebody removes it, and says which version of the models measured it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.measurement import Measurement

REFUSED = "refused"
"""Outcome of a configuration that was not started; ``reason`` says why. All others are those of ``study.outcomes``."""
LIMITS = ("low", "high", "baseline", "baseline_low", "baseline_high", "chance", "majority", "votes")
"""Fields of a measurement that become suffixes of its column, as in a study's records."""


@dataclass(frozen=True)
class Record:
    """What came of one configuration with one seed."""

    key: str
    values: Mapping[str, Any]
    """What differed from the experiment's defaults, by dotted name."""
    seed: int
    outcome: str
    reason: str | None
    """Why it was refused or how it failed, one line; None for a measured one."""
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    """By check; <= 0 is within the bound."""
    verdicts: Mapping[str, str] = field(default_factory=dict)
    failed_controls: tuple[str, ...] = ()
    """"check.adversary.control" of each control that was not passed: that adversary had no vote."""
    seconds: float = 0.0
    """Time spent, what was found in the cache not counted."""
    finished: float = 0.0
    """Unix time."""
    code: str = ""
    """Version of ``models`` that measured it."""

    @property
    def feasible(self) -> bool:
        """Whether every check was measured and within its bound."""
        return self.outcome == "ok"

    def to_line(self) -> str:
        """Return the record as one line of JSON (NaN as Python writes it)."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Record:
        """Read what :meth:`to_line` returned.

        Raises:
            ValueError: If the line is no whole JSON, or no record.
        """
        try:
            content = json.loads(line)
            content["metrics"] = {name: Measurement.from_dict(item) for name, item in content["metrics"].items()}
            content["failed_controls"] = tuple(content["failed_controls"])
            return cls(**content)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no record: {error}") from None


def record_key(trial: Mapping[str, Any], seed: int, data: Mapping[str, Any], checks: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that stand for what is measured.

    Args:
        trial: Complete nested configuration.
        seed: Of the replication.
        data: Resolved ``data`` group.
        checks: Settings of the adversaries, and the bounds.
    """
    text = json.dumps([trial, seed, data, checks], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RecordFile:
    """The records of one folder; lines are only ever appended, the last of a key counts."""

    def __init__(self, path: Path) -> None:
        """Use ``path``, which need not exist."""
        self._path = path

    def read(self) -> dict[str, Record]:
        """Return the records by key; a line that was cut short by a crash is passed over."""
        if not self._path.exists():
            return {}
        found = {}
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                record = Record.from_line(line)
            except ValueError:
                continue
            found[record.key] = record
        return found

    def append(self, record: Record) -> None:
        """Add a record durably: its line is written at once, on a line of its own whatever stands before it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                whole = file.read(1) == b"\n"
            else:
                whole = True
            file.write(b"" if whole else b"\n")
            file.write(record.to_line().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def flat_row(record: Record, groups: Iterable[str], names: Iterable[str]) -> dict[str, Any]:
    """Return one row of the Parquet file: parameters, metrics with their limits, margins, verdicts.

    Args:
        record: The record.
        groups: Groups of the design that it belongs to.
        names: Its names there.
    """
    row: dict[str, Any] = {"key": record.key, "groups": ", ".join(groups), "names": "; ".join(names)}
    row |= {name: getattr(record, name) for name in ("seed", "outcome", "feasible", "reason", "seconds", "finished")}
    row |= {"code": record.code, "failed_controls": ", ".join(record.failed_controls)}
    row |= {f"param.{name}": value for name, value in record.values.items()}
    for name, measurement in record.metrics.items():
        row[f"metric.{name}"] = measurement.value
        row |= {f"metric.{name}.{limit}": getattr(measurement, limit) for limit in LIMITS}
    row |= {f"constraint.{check}": margin for check, margin in record.margins.items()}
    return row | {f"verdict.{check}": verdict for check, verdict in record.verdicts.items()}


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as Parquet, whole or not at all; columns are those of any row, of mixed kinds as text."""
    names = sorted({name for row in rows for name in row}, key=lambda name: (name.partition(".")[0] in _LAST, name))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.table(columns), temporary)
    temporary.replace(path)


_LAST = ("param", "metric", "constraint", "verdict")


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return pa.array(values, pa.float64())
    if len(kinds) > 1:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values)
