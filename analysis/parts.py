"""Read the Parquet files of a study folder, finished or still being written.

A running study has one file a finished trial under ``parts/``, controls nested in it; a finished one has
``trials.parquet`` and ``controls.parquet`` too. Both are read, and of a trial that is in both the row written last is
kept: a study resumed after its end shows every trial.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import AnalysisError, NoTrialsYetError
from analysis.schema import Schema, parse_schema


@dataclass(frozen=True)
class Records:
    """The raw tables of a study."""

    schema: Schema
    trials: pa.Table
    controls: pa.Table | None
    consolidated: bool
    """Whether ``trials.parquet`` holds every trial found, as it does at the end of a study."""
    warnings: tuple[str, ...]
    """What could not be read, in words."""


Cache = dict[Path, tuple[int, pa.Table]]
"""Parts read before, with the time of their last change; a running study adds parts and hardly changes any."""


def read_records(folder: Path, cache: Cache | None = None) -> Records:
    """Read whatever trials and controls the folder holds.

    Args:
        folder: The study folder.
        cache: Parts that need not be read again; filled by this call.

    Raises:
        AnalysisError: If ``folder`` is no study folder, holds no finished trial, a file of it is of an unknown schema
            version, or ``trials.parquet`` cannot be read. A damaged part is left out and named in ``warnings``.
    """
    _refuse_other_folders(folder)
    warnings: list[str] = []
    trials: list[pa.Table] = []
    controls: list[pa.Table] = []
    schema: Schema | None = None
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            table = _read(path, cache)
        except (OSError, pa.ArrowException) as error:
            if path.parent == folder:
                raise AnalysisError(
                    f"{name} cannot be read ({error}); move it away to report from the parts, if there are any"
                ) from error
            warnings.append(f"{name} cannot be read and was left out ({str(error).splitlines()[0]})")
            continue
        found, kind = parse_schema(table.schema.metadata, name)
        schema = schema or found
        if kind == "controls":
            controls.append(table)
        if kind == "trials":
            _refuse_without_trials(table, name)
            trials.append(table.drop_columns(["controls"]) if "controls" in table.column_names else table)
            controls.extend(_unfold_controls(table))
    if schema is None or not sum(map(len, trials)):
        raise NoTrialsYetError(
            f"the study in {folder} holds no finished trial yet; wait for the first, or look at its journal and at the "
            "output of `python -m study`" + "".join(f"\n  {warning}" for warning in warnings)
        )
    together = _join(trials)
    newest = _newest_rows(together)
    return Records(
        schema=schema,
        trials=together.take(newest),
        controls=_join(_first_mention(controls)) if controls else None,
        consolidated=(folder / "trials.parquet").is_file() and len(trials[0]) == len(newest),
        warnings=tuple(warnings),
    )


def _refuse_other_folders(folder: Path) -> None:
    if not folder.is_dir():
        raise AnalysisError(f"{folder} is no folder; give the folder of a study, as `python -m study` names it")
    marks = ("trials.parquet", "parts", "config.yaml")
    if not any((folder / mark).exists() for mark in marks):
        raise AnalysisError(
            f"{folder} is no study folder: it has none of {', '.join(marks)}; "
            "give the folder that `python -m study` wrote"
        )


def _files(folder: Path) -> Iterable[Path]:
    whole = [folder / "trials.parquet", folder / "controls.parquet"]
    return [path for path in whole if path.is_file()] + sorted(folder.glob("parts/**/*.parquet"))


def _read(path: Path, cache: Cache | None) -> pa.Table:
    """Read a file without the epochs that a part carries nested in it, which are of no use here."""
    changed = path.stat().st_mtime_ns
    known = (cache or {}).get(path)
    if known is not None and known[0] == changed:
        return known[1]
    with pq.ParquetFile(path) as file:
        table = file.read([name for name in file.schema_arrow.names if name != "history"])
    if cache is not None:
        cache[path] = (changed, table)
    return table


def _refuse_without_trials(table: pa.Table, name: str) -> None:
    if "trial" not in table.column_names:
        raise AnalysisError(f"{name} has no column 'trial'; it was not written by `python -m study`")


def _unfold_controls(table: pa.Table) -> Iterable[pa.Table]:
    """Yield the controls that parts carry nested in the row of their trial, as a table with one row a control."""
    if "controls" not in table.column_names:
        return
    pairs = zip(table["trial"].to_pylist(), table["controls"].to_pylist(), strict=True)
    rows = [{"trial": trial, **control} for trial, nested in pairs for control in nested or ()]
    if rows:
        yield pa.Table.from_pylist(rows)


def _join(tables: list[pa.Table]) -> pa.Table:
    try:
        return pa.concat_tables([table.replace_schema_metadata(None) for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        raise AnalysisError(
            f"the files of the study disagree about a column ({error}); were parts of two studies put into one folder?"
        ) from error


def _first_mention(tables: list[pa.Table]) -> list[pa.Table]:
    """Drop from each table the trials that an earlier one holds: ``controls.parquet`` repeats what the parts say."""
    seen: set[int] = set()
    kept = []
    for table in tables:
        trials = table["trial"].to_pylist() if "trial" in table.column_names else []
        kept.append(table.filter(pa.array([trial not in seen for trial in trials], type=pa.bool_())))
        seen.update(trials)
    return kept


def _newest_rows(trials: pa.Table) -> list[int]:
    """Return, in order of trial, the rows to keep: of each trial the one that finished last."""
    numbers = trials["trial"].to_pylist()
    finished = trials["finished"].to_pylist() if "finished" in trials.column_names else [None] * len(numbers)
    newest: dict[int, tuple[float, int]] = {}
    for row, (trial, when) in enumerate(zip(numbers, finished, strict=True)):
        key = (float("-inf") if when is None else when, row)
        if trial not in newest or key > newest[trial]:
            newest[trial] = key
    return [newest[trial][1] for trial in sorted(newest)]
