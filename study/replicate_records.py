"""Every seed's own record, where configurations run under several: parts while the study runs, one table at its end.

``replicates/<trial>.<replicate>.parquet`` is written like a trial's part and has its columns, with ``replicate`` added;
merging makes ``replicates.parquet`` of them, epochs and controls nested. A study of one seed has neither: there the
trial's own part is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.measurement import Control, Measurement
from study.objective import Score
from study.parameter import Value
from study.records import CONTROLS, LIMITS, FinishedTrial, Records, read_parts, recorded_history, write_table

REPLICATES = "replicates"
"""Folder of the parts in a study folder, and name of the merged table."""


class ReplicateRecords:
    """Writes and reads the replicates of one study."""

    def __init__(self, folder: Path, records: Records) -> None:
        """Take the columns of ``records``, whose study lies in ``folder``."""
        self._folder, self._records = folder, records
        self._schema = records.part_schema(REPLICATES, pa.field("replicate", pa.int64()))

    def write(self, trial: FinishedTrial, replicate: int) -> None:
        """Write the record of one replicate durably."""
        row = self._records.part_row(trial) | {"replicate": replicate}
        path = self._folder / REPLICATES / f"{trial.number:05d}.{replicate}.parquet"
        write_table(pa.Table.from_pylist([row], self._schema), path)

    def read(self, number: int, parameters: Mapping[str, Value]) -> dict[int, FinishedTrial]:
        """Return what was recorded of a trial, whose parameters these are, by replicate."""
        rows = read_parts(self._folder, f"{number:05d}.*.parquet", REPLICATES)
        return {row["replicate"]: self._finished(row, parameters) for row in rows}

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows, by trial and replicate."""
        rows = read_parts(self._folder, parts=REPLICATES)
        return sorted(rows, key=lambda row: (row["trial"], row["replicate"]))

    def merge(self) -> None:
        """Write the merged table if there are parts; atomic, and repeatable."""
        if rows := self.rows():
            write_table(pa.Table.from_pylist(rows, self._schema), self._folder / f"{REPLICATES}.parquet")

    def read_score(self, row: Mapping[str, Any]) -> Score:
        """Return the score of one replicate, exactly as it was written."""
        return self._records.read_score(row)

    def _finished(self, row: Mapping[str, Any], parameters: Mapping[str, Value]) -> FinishedTrial:
        return FinishedTrial(
            number=row["trial"],
            parameters=parameters,
            seed=row["seed"],
            score=self.read_score(row),
            metrics=recorded_measurements(row),
            controls=tuple(Control.from_dict(fields) for fields in row[CONTROLS]),
            history=recorded_history(row),
            seconds=row["seconds"],
            finished=row["finished"],
            error=row["error"],
        )


def recorded_measurements(row: Mapping[str, Any]) -> dict[str, Measurement]:
    """Return the measurements that a row holds; one that was not made has no vote in it, neither yes nor no."""
    flags = [name for name in row if name.startswith("metric.") and name.endswith(".votes")]
    names = [name.removesuffix(".votes") for name in flags if row[name] is not None]
    controls = row.get(CONTROLS) or ()
    learning = [  # said by a control, which has no column of its own
        (f"metric.{item['check']}", f".{item['adversary']}")
        for item in controls
        if item["control"] == "convergence" and not item["passed"]
    ]
    return {
        name.removeprefix("metric."): Measurement(
            row[name],
            votes=row[f"{name}.votes"],
            converged=not any(name.startswith(check) and name.endswith(member) for check, member in learning),
            **{limit: row[column] for limit in LIMITS if (column := f"{name}.{limit}") in row},
        )
        for name in names
    }
