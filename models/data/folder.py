"""A folder of real images with a ``labels.csv``, checked as a whole before any of it is used.

``labels.csv`` is a UTF-8 table with a header. ``file`` is a path relative to the folder, ``identity`` and
``expression`` are names; every further column becomes an attribute.
"""

from __future__ import annotations

import csv
import posixpath
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.data.dataset import FaceData
from models.data.listing import Listing, load_files
from models.data.procedural import size_problems
from models.data.splits import listed

LABELS = "labels.csv"
REQUIRED_COLUMNS = ("file", "identity", "expression")

_HELP = f"the first line of {LABELS} must name the columns file,identity,expression and may name more"


@dataclass(frozen=True)
class FolderConfig:
    """Which folder to read, and how large its images become."""

    root: Path
    """Folder that holds ``labels.csv``."""
    size: int = 32
    """Height and width, pixels: a power of two, >= 32."""
    expression_column: str = "expression"
    """Column of ``labels.csv`` that says what sanitised images must still show, such as ``pose``."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field; none if all is well. Does not open the folder.

        Raises:
            Nothing.
        """
        return size_problems(self.size)

    def listing(self) -> Listing:
        """Read ``labels.csv``.

        Raises:
            OSError: If the folder cannot be read.
        """
        table = _read_table(self.root, self.expression_column)
        rows = [row for row in table.rows if row.values.get("file") and not _leaves(row.values["file"])]
        return Listing(
            files=[row.values["file"] for row in rows],
            identity=[row.values.get("identity", "") for row in rows],
            expression=[row.values.get("expression", "") for row in rows],
            attributes={
                name: [row.values[name] for row in rows] for name in table.columns if name not in REQUIRED_COLUMNS
            },
            where=[f"line {row.line}" for row in rows],
            problems=table.problems + _label_problems(table),
            named_by=LABELS,
            remedy="replace them or remove their rows",
        )


@dataclass(frozen=True)
class _Row:
    line: int  # where it stands in labels.csv
    values: dict[str, str]  # by column


@dataclass(frozen=True)
class _Table:
    columns: list[str]
    rows: list[_Row]  # those with a value for each column
    problems: list[str]


def load_folder(config: FolderConfig) -> FaceData:
    """Check a folder of images and read it, without a cache; see ``load_files``.

    Args:
        config: Folder and image size.

    Returns:
        The faces in the order of ``labels.csv``.

    Raises:
        DataError: If anything in the folder cannot be used; the message lists all that was found.
    """
    return load_files(config)


def identities_in(root: Path) -> int | None:
    """Return how many people ``labels.csv`` names, None where it cannot be read; opens no image."""
    try:
        changed = (root / LABELS).stat().st_mtime_ns
    except OSError:
        return None
    return _identities_in(root, changed)


@lru_cache(maxsize=8)
def _identities_in(root: Path, changed: int) -> int | None:
    return len({row.values.get("identity") for row in _read_table(root, "expression").rows}) or None


def _read_table(root: Path, expression_column: str) -> _Table:
    """Read ``labels.csv`` as far as it can be read, and say what stood in the way.

    Another column that serves as expression is called so from here on; the file's own is then ``labelled_expression``.
    """
    if not root.is_dir():
        return _Table([], [], ["is not a folder; give the folder that holds the images and their labels.csv"])
    path = root / LABELS
    if not path.is_file():
        kind = f"the folder has no {LABELS}" if any(root.iterdir()) else "the folder is empty"
        return _Table([], [], [f"{kind}; {_HELP}"])
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            lines = [(reader.line_num, [value.strip() for value in line]) for line in reader if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return _Table([], [], [f"{LABELS} cannot be read as a UTF-8 table of comma-separated values: {error}"])
    if not lines:
        return _Table([], [], [f"{LABELS} is empty; {_HELP}"])
    columns = lines[0][1]
    if expression_column != "expression":
        if expression_column not in columns:
            missing = f"{LABELS} has no column {expression_column!r}; it has {listed(columns)}"
            return _Table([], [], [f"{missing}: choose one with data.expression_column"])
        new_names = {expression_column: "expression", "expression": "labelled_expression"}
        columns = [new_names.get(name, name) for name in columns]
    whole = [
        _Row(line, dict(zip(columns, values, strict=True))) for line, values in lines[1:] if len(values) == len(columns)
    ]
    return _Table(columns, whole, _table_problems(columns, lines[1:]))


def _table_problems(columns: list[str], lines: list[tuple[int, list[str]]]) -> list[str]:
    problems = [f"{LABELS} has no column {name!r}; {_HELP}" for name in REQUIRED_COLUMNS if name not in columns]
    shared = [name or "(empty)" for name, times in Counter(columns).items() if times > 1 or not name]
    if shared:
        problems.append(f"{LABELS} has columns without a name of their own: {listed(shared)}; names must differ")
    if not lines:
        problems.append(f"{LABELS} lists no image; it needs one line an image below the header")
    ragged = [f"line {line} has {len(values)}" for line, values in lines if len(values) != len(columns)]
    if ragged:
        problems.append(
            f"{LABELS} has rows with another number of values than its {len(columns)} columns: {listed(ragged)}"
        )
    return problems


def _label_problems(table: _Table) -> list[str]:
    """Empty labels, paths that leave the folder, files listed twice."""
    problems = []
    for name in table.columns:
        empty = [f"line {row.line}" for row in table.rows if not row.values[name]]
        if empty and name in REQUIRED_COLUMNS:
            problems.append(f"{LABELS} has no {name} at {listed(empty)}; every row needs one")
    files = [row.values.get("file", "") for row in table.rows]
    outside = [f"{file} (line {row.line})" for file, row in zip(files, table.rows, strict=True) if _leaves(file)]
    if outside:
        problems.append(f"{LABELS} names files outside the folder: {listed(outside)}; paths must be relative to it")
    times = Counter(posixpath.normpath(file) for file in files if file)
    twice = [f"{name} ({count} times)" for name, count in times.items() if count > 1]
    if twice:
        problems.append(f"{LABELS} lists files more than once: {listed(twice)}; keep one row a file")
    return problems


def _leaves(file: str) -> bool:
    return file.startswith("/") or posixpath.normpath(file).split("/")[0] == ".."
