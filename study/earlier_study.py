"""The folder of an earlier study, read for what a new one can learn from it: its configuration and its records.

The study may be running, and its folder may have come from somebody else: nothing in it is trusted to be whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from study.config import ConfigError
from study.folder import ENVIRONMENT
from study.records import PARTS, SCHEMA_VERSION
from study.resume import saved_config

_GROUPS = ("trial", "data", "checks", "experiment")
"""What is read of config.yaml."""


@dataclass(frozen=True)
class EarlierStudy:
    """An earlier study as its folder describes it."""

    folder: Path
    saved: dict[str, Any]
    """What config.yaml holds; a group that is null or absent is an empty mapping."""
    digest: str | None
    """Of its images, see ``study.folder.data_digest``."""
    metadata: dict[str, Any]
    """What the records say about their columns."""
    rows: list[dict[str, Any]]
    """The records, by trial number."""

    def parameters(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of one trial by dotted name, None where inactive, of the types that were asked."""
        fields = self.metadata["parameters"]
        return {name: _as_asked(row[f"param.{name}"], fields[name].get("values")) for name in fields}


def read_earlier_study(folder: Path, field: str = "warm_start") -> EarlierStudy:
    """Read configuration and records of a study.

    Args:
        folder: The study folder.
        field: The field that named it, for messages.

    Raises:
        ConfigError: If it is none, or its configuration or records cannot be read.
    """
    saved = saved_config(folder, field)
    wrong = [name for name in _GROUPS if not isinstance(saved.get(name) or {}, dict)]
    if wrong:
        raise ConfigError([f"{field}={folder}: {name} in its config.yaml is no group of settings" for name in wrong])
    saved |= {name: saved.get(name) or {} for name in _GROUPS}
    merged = folder / "trials.parquet"
    paths = sorted((folder / PARTS).glob("*.parquet")) or ([merged] if merged.exists() else [])
    metadata: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for path in paths:
        metadata, read = _read_records(folder, path, field)
        rows.extend(read)
    if not rows:
        raise ConfigError([f"{field}={folder}: no trial of it is finished"])
    return EarlierStudy(folder, saved, _digest(folder), metadata, sorted(rows, key=lambda row: row["trial"]))


def _read_records(folder: Path, path: Path, field: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the metadata and the rows of one file of records."""
    try:
        table = pq.read_table(path)
        metadata = json.loads(table.schema.metadata[b"study"])
        if metadata["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {metadata['schema_version']}, this program reads {SCHEMA_VERSION}")
        kinds = {"param": metadata["parameters"], "objective": metadata["objectives"]}
        kinds |= {"constraint": metadata["constraints"]}
        columns = {f"{kind}.{name}" for kind, names in kinds.items() for name in names} | {"trial", "outcome"}
        if missing := sorted(columns - set(table.column_names)):
            raise ValueError(f"no column {', '.join(missing)}")
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise ConfigError([f"{field}={folder}: {path} cannot be used ({error})"]) from None
    return metadata, table.to_pylist()


def _digest(folder: Path) -> str | None:
    try:
        digest = json.loads((folder / ENVIRONMENT).read_text()).get("data")
    except (OSError, ValueError):
        return None
    return digest if isinstance(digest, str) else None


def _as_asked(value: Any, values: Any) -> Any:
    """Return a recorded value as it was asked: a column of values of mixed kinds holds text."""
    if isinstance(value, str):
        return next((own for own in values or () if str(own) == value), value)
    return value
