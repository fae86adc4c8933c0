"""``laundering.parquet`` in a study folder: a row for every trial and laundering step, written anew after each.

The file is whole at any moment, so that a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.measurement import Measurement
from study.config import ConfigError
from study.records import write_table

LAUNDERING = "laundering.parquet"
SCHEMA_VERSION = 1
"""Raised when a column changes its meaning."""

MEASURED = {
    "bit_error_rate": ("1", "share of payload bits read wrongly after laundering"),
    "reconstruction_ssim": ("1", "SSIM of the image recovered after laundering; baseline: the mean face"),
    "secret_accuracy": ("1", "share of images whose identity the subverter still reads"),
    "expression_accuracy": ("1", "expression accuracy of a classifier trained on originals, on laundered images"),
    "released_psnr": ("dB", "PSNR of laundered against released images; 99 where equal"),
    "released_ssim": ("1", "SSIM of laundered against released images"),
}
"""Unit and meaning of what is measured, by the name of its columns."""

_LIMITS = ("low", "high", "baseline", "chance", "majority")

Row = dict[str, Any]


def schema(study: str) -> pa.Schema:
    """Return the columns, with what they mean in the metadata; ``study`` is its name."""
    columns = [("trial", pa.int64()), ("step", pa.string()), ("weights", pa.string()), ("family", pa.string())]
    columns += [("secret", pa.string()), ("channel", pa.string()), ("strength", pa.int64()), ("images", pa.int64())]
    for name in MEASURED:
        columns += [(name, pa.float64()), *((f"{name}.{limit}", pa.float64()) for limit in _LIMITS)]
    columns.append(("seconds", pa.float64()))
    described = {name: {"unit": unit, "description": text} for name, (unit, text) in MEASURED.items()}
    note = {"schema_version": SCHEMA_VERSION, "kind": "laundering", "study": study, "metrics": described}
    return pa.schema(columns, {"study": json.dumps(note)})


def columns_of(measured: Mapping[str, Measurement]) -> Row:
    """Return measurements as columns; what was not measured is null."""
    row: Row = {}
    for name in MEASURED:
        found = measured[name]
        row[name] = _number(found.value)
        row |= {f"{name}.{limit}": _number(getattr(found, limit)) for limit in _LIMITS}
    return row


def read_rows(folder: Path) -> list[Row]:
    """Return the rows that a study folder holds; none where nothing was laundered yet.

    Raises:
        ConfigError: If the file cannot be read or another version of this code wrote it.
    """
    path = folder / LAUNDERING
    if not path.exists():
        return []
    try:
        table = pq.read_table(path)
        version = json.loads((table.schema.metadata or {})[b"study"])["schema_version"]
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema version {version}, this program reads {SCHEMA_VERSION}")
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise ConfigError([f"{path} cannot be used ({error}); move it away to measure anew"]) from None
    rows: list[Row] = table.to_pylist()
    return rows


def write_rows(folder: Path, study: str, rows: Sequence[Row]) -> None:
    """Write all rows, by trial in the order in which they were measured, at once or not at all."""
    ordered = sorted(rows, key=lambda row: row["trial"])
    write_table(pa.Table.from_pylist(ordered, schema(study)), folder / LAUNDERING)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
