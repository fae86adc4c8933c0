"""Decoded images as one memory-mapped Arrow file, which all processes of a machine share.

An entry is named by the SHA-256 of the contents of its files, in order, with the image size and the code that decodes:
``images/<content>.arrow`` in the cache folder. Beside it ``images/<stamp>.txt`` names the entry that belongs to paths,
sizes and times of change, so that files are read again only when one of these differs. An entry is written under
another name, flushed to the disk and then renamed; what a killed process left behind is never opened, and a file that
is not whole is made anew. A lock lets one process build while the others wait for its result.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
import pyarrow as pa
from filelock import FileLock

from models.data import decoding
from models.data.dataset import DataError

FOLDER = "images"

Item = TypeVar("Item")
Result = TypeVar("Result")

_COLUMNS = ("pixels", "sha256")
_DIGEST = 32  # bytes of a SHA-256
_AT_ONCE = 512  # images that are decoded, or waiting to be stored, at one time: bounds the memory of a build
_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Stamp:
    """One file as far as it can be known without reading it."""

    path: str
    """Absolute."""
    size: int
    """Bytes."""
    changed: int
    """Time of the last change, nanoseconds."""


@dataclass(frozen=True)
class Decoded:
    """The images of some files."""

    images: np.ndarray
    """uint8 (readable files, 3, size, size), in the order of the files; read-only, shared where it comes from a map."""
    digests: np.ndarray
    """uint8 (readable files, 32), SHA-256 of the pixels of each image; read-only."""
    unreadable: Mapping[int, str]
    """Position of each file that is no whole image, and why."""


def decode_files(stamps: Sequence[Stamp], size: int, folder: Path | None) -> Decoded:
    """Decode image files, or map what was decoded before.

    Args:
        stamps: The files, at least one.
        size: Height and width that the images get, pixels.
        folder: The cache that all processes share; None decodes into memory of this process.

    Returns:
        Images and digests in the order of the files.

    Raises:
        DataError: If a file changes while it is read.
        OSError: If the cache cannot be written.

    Notes:
        Nothing in the cache is ever unpickled. A build holds some 512 images in memory besides what the system keeps
        of the file, and says how far it is on stderr, a line every ten seconds.
    """
    if folder is None:
        return _decode_into_memory(stamps, size)
    entries = folder / FOLDER
    entries.mkdir(parents=True, exist_ok=True)
    known = entries / f"{_key(size, [[stamp.path, stamp.size, stamp.changed] for stamp in stamps])}.txt"
    with contextlib.suppress(OSError):
        name = known.read_text()
        if (found := _open(entries / f"{name}.arrow", name, len(stamps))) is not None:
            return found
    contents = _contents(stamps)
    if contents is None:
        return _decode_into_memory(stamps, size)
    name = _key(size, contents)
    path = entries / f"{name}.arrow"
    with FileLock(entries / f"{name}.lock"):
        found = _open(path, name, len(stamps))
        if found is None:
            _build(path, name, stamps, contents, size)
            found = _open(path, name, len(stamps))
        if found is None:
            raise OSError(f"{path}: was written but cannot be read back; is the disk of the cache whole?")
        _write_durably(known, lambda temporary: temporary.write_text(name))
    return found


def _key(size: int, parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps([_decoder(), size, list(parts)]).encode()).hexdigest()[:32]


@cache
def _decoder() -> str:
    """Hash of what turns files into pixels: other code or another Pillow makes other entries."""
    return hashlib.sha256(Path(decoding.__file__).read_bytes() + PIL.__version__.encode()).hexdigest()


def _contents(stamps: Sequence[Stamp]) -> list[str] | None:
    """SHA-256 of each file; None if one cannot be opened, which is no property of its content and is not kept."""
    try:
        return list(_in_threads(lambda stamp: _content(Path(stamp.path).read_bytes()), stamps, "reading"))
    except OSError:
        return None


def _content(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _decode_into_memory(stamps: Sequence[Stamp], size: int) -> Decoded:
    images: list[np.ndarray] = []
    digests, unreadable = _decode(stamps, [""] * len(stamps), size, images.append)
    return _read_only(np.stack(images) if images else np.empty((0, 3, size, size), np.uint8), digests, unreadable)


def _decode(
    stamps: Sequence[Stamp], contents: Sequence[str], size: int, keep: Callable[[np.ndarray], object]
) -> tuple[np.ndarray, dict[int, str]]:
    """Hand each readable image to ``keep``, and return the digests of these and what was unreadable.

    ``contents`` holds the SHA-256 that a file must still have, or "" where any will do.
    """
    digests, unreadable = [], {}
    decoded = _in_threads(partial(_decode_one, size), list(zip(stamps, contents, strict=True)), "decoding")
    for position, result in enumerate(decoded):
        if isinstance(result, str):
            unreadable[position] = result
            continue
        keep(result)
        digests.append(hashlib.sha256(result.data).digest())
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST), unreadable


def _decode_one(size: int, file: tuple[Stamp, str]) -> np.ndarray | str:
    stamp, content = file
    try:
        data = Path(stamp.path).read_bytes()
    except OSError as error:  # says nothing of the image; leaving it out would give each process its own data
        reason = error.strerror or str(error)
        raise DataError([f"root: {stamp.path} cannot be opened ({reason}); start again once it can"]) from None
    if content and _content(data) != content:
        raise DataError(
            [f"root: {stamp.path} changed while it was read; start again once nothing writes there any more"]
        )
    try:
        return decoding.read_image(io.BytesIO(data), size)
    except Exception as error:  # decoders of broken files raise whatever their format's code runs into
        return decoding.reason(error)


def _in_threads(function: Callable[[Item], Result], items: Sequence[Item], verb: str) -> Iterator[Result]:
    """Yield the result of each item in order; a line on stderr every ten seconds says how far it is."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    started = said = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(items), _AT_ONCE):
            yield from pool.map(function, items[start : start + _AT_ONCE])
            done, now = min(start + _AT_ONCE, len(items)), time.monotonic()
            if now - said >= _SECONDS_BETWEEN_LINES:
                print(f"{verb} images: {done:,} of {len(items):,}, {done / (now - started):,.0f}/s", file=sys.stderr)
                said = now


def _read_only(images: np.ndarray, digests: np.ndarray, unreadable: Mapping[int, str]) -> Decoded:
    for array in (images, digests):
        array.flags.writeable = False
    return Decoded(images, digests, unreadable)


def _build(path: Path, name: str, stamps: Sequence[Stamp], contents: Sequence[str], size: int) -> None:
    """Write an entry. Pixels wait in a file of their own, because Arrow writes a batch, here all images, as a whole."""
    for leftover in path.parent.glob(f".{name}.*"):  # of a builder that was killed: the lock says that none is alive
        leftover.unlink(missing_ok=True)
    raw = path.with_name(f".{name}.raw")
    try:
        with raw.open("wb") as stream:
            digests, unreadable = _decode(stamps, contents, size, lambda image: stream.write(image.data))
        pixels = np.memmap(raw, np.uint8, "r") if len(digests) else np.empty(0, np.uint8)
        arrays = [_column(pixels, 3 * size * size), _column(digests.reshape(-1), _DIGEST)]
        note = {"entry": name, "size": size, "unreadable": sorted(unreadable.items())}
        schema = pa.schema(
            [(column, array.type) for column, array in zip(_COLUMNS, arrays, strict=True)],
            metadata={"note": json.dumps(note)},
        )

        def write(temporary: Path) -> None:
            with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

        _write_durably(path, write)
    finally:
        raw.unlink(missing_ok=True)


def _column(values: np.ndarray, width: int) -> pa.Array:
    return pa.Array.from_buffers(pa.binary(width), len(values) // width, [None, pa.py_buffer(values)])


def _open(path: Path, name: str, files: int) -> Decoded | None:
    """Map an entry; None where there is none, or none that is whole."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))  # fails without the footer, which is written last
        note = json.loads(reader.schema.metadata[b"note"])
        batch = reader.get_batch(0)
        size, unreadable = note["size"], dict(note["unreadable"])
        if note["entry"] != name or batch.num_rows + len(unreadable) != files:
            return None
        images, digests = (
            np.frombuffer(batch.column(column).buffers()[1] or b"", np.uint8, count=batch.num_rows * width)
            for column, width in zip(_COLUMNS, (3 * size * size, _DIGEST), strict=True)
        )
    except (OSError, ValueError, TypeError, LookupError, pa.ArrowException):
        return None
    return _read_only(images.reshape(-1, 3, size, size), digests.reshape(-1, _DIGEST), unreadable)


def _write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that appears under its name whole and flushed to the disk, or not at all."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
    write(temporary)
    _flush(temporary)
    os.replace(temporary, path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
