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

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models.data.dataset import DataError, FaceData, face_data
from models.data.procedural import SMALLEST_SIZE, size_problems
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
    """Check a folder of images and read it.

    Args:
        config: Folder and image size.

    Returns:
        The faces in the order of ``labels.csv``; names are sorted. Grey images get three equal channels, transparent
        ones lie on white, the middle square is cut out and resized with antialiasing.

    Raises:
        DataError: If anything in the folder cannot be used; the message lists all that was found.

    Notes:
        Reads every image; some 1,500 small images a second on one core.
    """
    wrong_size = config.problems()
    table = _read_table(config.root, config.expression_column)
    images, unusable = _read_images(config.root, table.rows, SMALLEST_SIZE if wrong_size else config.size)
    problems = table.problems + _label_problems(table) + unusable
    if wrong_size or problems:
        raise DataError([*wrong_size, *(f"root = {config.root}: {problem}" for problem in problems)])
    rows = table.rows
    identity_names, identity = np.unique([row.values["identity"] for row in rows], return_inverse=True)
    expression_names, expression = np.unique([row.values["expression"] for row in rows], return_inverse=True)
    further = [name for name in table.columns if name not in REQUIRED_COLUMNS]
    return face_data(
        np.stack(images),
        identity.astype(np.int64),
        expression.astype(np.int64),
        identity_names.tolist(),
        expression_names.tolist(),
        {name: tuple(row.values[name] for row in rows) for name in further},
    )


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
    """Empty labels, paths that leave the folder, files listed twice, too few people or expressions."""
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
    for name, plural, why in (
        ("identity", "identities", "tell people apart"),
        ("expression", "expressions", "measure whether the expression survives"),
    ):
        found = sorted({row.values.get(name, "") for row in table.rows} - {""})
        if name in table.columns and table.rows and len(found) < 2:
            problems.append(f"fewer than two {plural}: {listed(found) or 'none'}; at least two are needed to {why}")
    return problems


def _leaves(file: str) -> bool:
    return file.startswith("/") or posixpath.normpath(file).split("/")[0] == ".."


def _read_images(root: Path, rows: list[_Row], size: int) -> tuple[list[np.ndarray], list[str]]:
    """Images, uint8 (3, size, size) each, of the rows whose path stays in the folder, and what was wrong."""
    images, missing, unreadable = [], [], []
    for row in rows:
        file = row.values.get("file", "")
        if not file or _leaves(file):
            continue
        path = root / file
        if not path.is_file():
            missing.append(f"{file} (line {row.line})")
            continue
        try:
            images.append(read_image(path, size))
        except Exception as error:  # decoders of broken files raise whatever their format's code runs into
            reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
            unreadable.append(f"{file} (line {row.line}: {reason})")
    problems = []
    if missing:
        problems.append(f"{LABELS} names files that do not exist: {listed(missing)}")
    if unreadable:
        problems.append(f"images that cannot be read: {listed(unreadable)}; replace them or remove their rows")
    return images, problems


def read_image(path: Path, size: int) -> np.ndarray:
    """Read one image as the middle square in colour.

    Args:
        path: Image file of a format that Pillow reads; 8 or 16 bits a channel.
        size: Height and width to resize to, pixels.

    Returns:
        uint8 (3, size, size).

    Raises:
        OSError: If the file is no image, is truncated or cannot be opened.
        ValueError: If the pixels are numbers without a known range.
    """
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened)  # decodes the whole file
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode} have no known range; save it with 8 bits a channel")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    square = ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    return np.asarray(square).transpose(2, 0, 1).copy()
