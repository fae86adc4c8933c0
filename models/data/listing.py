"""What a data set on disk says of its images before any is opened, and how they become faces with labels.

Each format has a module that makes a listing: ``folder``, ``ferg``, ``mug``, ``celeba``. Checking, decoding and putting
together is the same for all and done here.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from models.data.cache import Decoded, Stamp, decode_files
from models.data.dataset import DataError, FaceData, Origin, face_data
from models.data.splits import listed


@dataclass(frozen=True)
class Listing:
    """The images of a data set by name, with their labels. Every sequence has one entry an image."""

    files: Sequence[str] = ()
    """Path relative to the data set's folder, with "/" between folders."""
    identity: Sequence[str] = ()
    """Name of the person."""
    expression: Sequence[str] = ()
    """Name of what sanitised images must still show."""
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Further labels by name."""
    where: Sequence[str] = ()
    """Where the data set names the image, for messages, such as "line 7"; empty if nowhere."""
    group: Sequence[str] | None = None
    """Images with the same name stay on one side of every split, such as the frames of one take."""
    official: Sequence[int] | None = None
    """Number of the split that the publishers assigned: 0 train, 1 validation, 2 test."""
    problems: Sequence[str] = ()
    """Why the data set cannot be used, a line each."""
    named_by: str = "the data set"
    """What names the files, for messages."""
    remedy: str = "replace them"
    """What to do about files that cannot be read, for messages."""
    skip_unreadable: bool = False
    """Whether files that cannot be read are left out."""


class Source(Protocol):
    """Settings of a data set on disk."""

    @property
    def root(self) -> Path:
        """Folder of the data set."""

    @property
    def size(self) -> int:
        """Height and width that the images get, pixels."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field. Does not open the folder."""

    def listing(self) -> Listing:
        """Say which images there are. Opens no image."""


def load_files(source: Source, cache: Path | None = None) -> FaceData:
    """Check a data set on disk and read it.

    Args:
        source: Which data set, and how large its images become.
        cache: Folder in which decoded images are kept and shared; None keeps them in memory.

    Returns:
        The faces in the order of the listing; names are sorted. Grey images get three equal channels, transparent
        ones lie on white, the middle square is cut out and resized with antialiasing. The same object again when the
        same is asked for in the same process and no file has changed.

    Raises:
        DataError: If anything cannot be used; the message lists all that was found.
        OSError: If the cache cannot be written.

    Notes:
        The first reading decodes every image; with a cache later ones, in any process, map the result.
    """
    listing = source.listing()
    stamps = [_stamp(source.root / file) for file in listing.files]
    return _read(_Reading(_state(listing, stamps), source, cache, listing, stamps))


@dataclass(frozen=True)
class _Reading:
    """What is read; two of the same state, source and cache give the same faces."""

    state: str
    source: Source
    cache: Path | None
    listing: Listing = field(compare=False)
    stamps: list[Stamp | None] = field(compare=False)


def _stamp(path: Path) -> Stamp | None:
    """Stamp of a file, None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stamp(os.path.abspath(path), status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _state(listing: Listing, stamps: list[Stamp | None]) -> str:
    return hashlib.sha256(repr((listing, stamps)).encode()).hexdigest()


@lru_cache(maxsize=2)
def _read(reading: _Reading) -> FaceData:
    source, listing = reading.source, reading.listing
    rows = [row for row, stamp in enumerate(reading.stamps) if stamp is not None]
    missing = [_named(listing, row) for row, stamp in enumerate(reading.stamps) if stamp is None]
    problems = [*listing.problems]
    if missing:
        problems.append(f"{listing.named_by} names files that do not exist: {listed(missing)}")
    wrong = source.problems()
    size = _SIZE_OF_A_CHECK if wrong else source.size
    decoded = decode_files([stamp for stamp in reading.stamps if stamp], size, reading.cache) if rows else None
    unreadable = {rows[position]: why for position, why in decoded.unreadable.items()} if decoded else {}
    if unreadable and not listing.skip_unreadable:
        told = [_named(listing, row, why) for row, why in unreadable.items()]
        problems.append(f"images that cannot be read: {listed(told)}; {listing.remedy}")
    kept = [row for row in rows if row not in unreadable]
    if rows and not kept and listing.skip_unreadable:
        problems.append(
            f"none of the {len(rows)} files can be read: {_named(listing, rows[0], unreadable[rows[0]])}, ..."
        )
    problems += _class_problems(listing, kept)
    if wrong or problems or decoded is None:
        raise DataError([*wrong, *(f"root = {source.root}: {problem}" for problem in problems)])
    return _faces(listing, kept, decoded, [listing.files[row] for row in unreadable])


_SIZE_OF_A_CHECK = 32  # pixels, where the size itself is wrong and images are only checked


def _named(listing: Listing, row: int, why: str = "") -> str:
    told = ": ".join(part for part in (listing.where[row] if listing.where else "", why) if part)
    return f"{listing.files[row]} ({told})" if told else listing.files[row]


def _class_problems(listing: Listing, kept: Sequence[int]) -> list[str]:
    """Too few people or expressions among the images that can be used; silent where there are none at all."""
    problems = []
    for plural, names, why in (
        ("identities", listing.identity, "tell people apart"),
        ("expressions", listing.expression, "measure whether the expression survives"),
    ):
        found = sorted({names[row] for row in kept} - {""})  # empty labels are told as such
        if len(found) == 1:
            problems.append(f"fewer than two {plural}: {listed(found)}; at least two are needed to {why}")
    return problems


def _faces(listing: Listing, kept: Sequence[int], decoded: Decoded, left_out: Sequence[str]) -> FaceData:
    def numbered(names: Sequence[str]) -> tuple[list[str], np.ndarray]:
        known, numbers = np.unique([names[row] for row in kept], return_inverse=True)
        return known.tolist(), numbers.astype(np.int64)

    identity_names, identity = numbered(listing.identity)
    expression_names, expression = numbered(listing.expression)
    official = listing.official
    origin = Origin(
        files=tuple(listing.files[row] for row in kept),
        digests=decoded.digests,
        group=None if listing.group is None else numbered(listing.group)[1],
        official=None if official is None else np.array([official[row] for row in kept], np.int64),
        left_out=tuple(left_out),
    )
    attributes = {name: tuple(values[row] for row in kept) for name, values in listing.attributes.items()}
    return face_data(decoded.images, identity, expression, identity_names, expression_names, attributes, origin=origin)


def visible(folder: Path) -> list[str]:
    """Return the sorted names of the entries of a folder, without those that begin with a dot.

    Raises:
        OSError: If the folder cannot be read.
    """
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))
