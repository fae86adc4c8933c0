"""Files that survive a crash or a power cut: each holds its old content or its new one, whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_durably(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write ``path`` by way of a temporary file beside it; its folder is made if there is none.

    Args:
        path: The file.
        write: Writes the content into the open binary file that it is given.

    Raises:
        OSError: If it cannot be written; the old content is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A dot in front and another ending, so that nobody who lists *.parquet meets half a file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)  # the new name itself, which rename does not make durable


def write_text_durably(path: Path, text: str) -> None:
    """Write a UTF-8 text file; see :func:`write_durably`."""
    write_durably(path, lambda file: file.write(text.encode()))


def sync_tree(folder: Path) -> None:
    """Make all files below ``folder`` and their names durable."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
