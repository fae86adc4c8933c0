"""Which label columns a folder of faces has, told from the first line of its ``labels.csv`` alone."""

from __future__ import annotations

import csv
from pathlib import Path

from models.data.folder import LABELS, REQUIRED_COLUMNS


def attributes_in_folder(root: Path, expression_column: str = "expression") -> tuple[str, ...]:
    """Return the names that ``FaceData.attributes`` would have; none where the file cannot be read.

    Args:
        root: The folder.
        expression_column: As in ``FolderConfig``; the file's own column is then called ``labelled_expression``.
    """
    try:
        with (root / LABELS).open(encoding="utf-8-sig", newline="") as stream:
            columns = [name.strip() for name in next(csv.reader(stream), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()
    if expression_column != "expression":
        renamed = {expression_column: "expression", "expression": "labelled_expression"}
        columns = [renamed.get(name, name) for name in columns]
    return tuple(name for name in columns if name and name not in REQUIRED_COLUMNS)
