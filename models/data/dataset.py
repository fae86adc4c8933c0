"""What every data set of faces is, wherever it comes from: 8-bit images, labels, and a fingerprint of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


class DataError(ValueError):
    """Data that cannot be used; ``problems`` holds every reason that was found, the message lists them."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(self.problems)} problem" + ("s" if len(self.problems) != 1 else "")
        super().__init__("\n".join([f"the data cannot be used ({count}):", *(f"  - {text}" for text in self.problems)]))


@dataclass(frozen=True)
class Origin:
    """What is known of images that were read from files, besides their labels; the split needs it."""

    files: tuple[str, ...]
    """Path within the data set, one an image."""
    digests: np.ndarray
    """uint8 (images, 32), SHA-256 of the pixels of each image."""
    group: np.ndarray | None = None
    """int64 (images,): images with the same number stay on one side of every split; None: there are no groups."""
    official: np.ndarray | None = None
    """int64 (images,), the split that the publishers assigned: 0 train, 1 validation, 2 test; None: they did not."""
    left_out: tuple[str, ...] = ()
    """Files that could not be read and were left out on request."""

    def subset(self, indices: np.ndarray) -> Origin:
        """Keep some images, in the given order.

        Raises:
            IndexError: If a position does not exist.
        """
        group, official = (values if values is None else values[indices] for values in (self.group, self.official))
        files = tuple(self.files[index] for index in indices)
        return Origin(files, self.digests[indices], group, official, self.left_out)


@dataclass(frozen=True)
class FaceData:
    """Faces with their labels; the arrays are read-only. Built by ``face_data``, which also checks it."""

    images: np.ndarray
    """uint8 (images, 3, size, size)."""
    identity: np.ndarray
    """int64 (images,), index into ``identity_names``."""
    expression: np.ndarray
    """int64 (images,), index into ``expression_names``."""
    identity_names: tuple[str, ...]
    """One name a person."""
    expression_names: tuple[str, ...]
    """One name an expression."""
    attributes: Mapping[str, tuple[str, ...]]
    """Further labels by name, one value an image."""
    fingerprint: str
    """SHA-256 of pixels, labels, names and groups, hexadecimal."""
    origin: Origin | None = None
    """Files, groups and official splits of the images; None for images that were drawn."""

    def subset(self, indices: np.ndarray) -> FaceData:
        """Keep some images, in the given order; names stay, so label numbers keep their meaning.

        Args:
            indices: Positions of the images to keep, int64 (kept,).

        Returns:
            The kept images, with a fingerprint of their own.

        Raises:
            IndexError: If a position does not exist.
        """
        attributes = {name: tuple(values[index] for index in indices) for name, values in self.attributes.items()}
        return face_data(
            self.images[indices],
            self.identity[indices],
            self.expression[indices],
            self.identity_names,
            self.expression_names,
            attributes,
            origin=self.origin and self.origin.subset(indices),
        )


def face_data(
    images: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray,
    identity_names: Sequence[str],
    expression_names: Sequence[str],
    attributes: Mapping[str, Sequence[str]] | None = None,
    *,
    origin: Origin | None = None,
) -> FaceData:
    """Check the parts of a data set against each other and put them together.

    Args:
        images: uint8 (images, 3, size, size).
        identity: int64 (images,), 0 .. number of identity names - 1.
        expression: int64 (images,), 0 .. number of expression names - 1.
        identity_names: Names by identity index, all different.
        expression_names: Names by expression index, all different.
        attributes: Further labels by name, one value an image.
        origin: What is known of images from files. The fingerprint then takes pixels from its digests instead of
            reading every pixel of a mapped file.

    Returns:
        The data set. Its arrays are the given ones where these are contiguous, and become read-only.

    Raises:
        DataError: If shapes, types, ranges or lengths disagree; every disagreement is named.
    """
    further = {name: tuple(values) for name, values in (attributes or {}).items()}
    problems = _disagreements(images, identity, expression, identity_names, expression_names, further)
    problems += _origin_disagreements(origin, len(images)) if origin else []
    if problems:
        raise DataError(problems)
    arrays = [np.ascontiguousarray(array) for array in (images, identity, expression)]
    digest = hashlib.sha256(json.dumps([list(identity_names), list(expression_names), further]).encode())
    for array in arrays:
        array.flags.writeable = False
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(origin.digests.tobytes() if origin and array is arrays[0] else array.data)
    if origin:
        for name, values in (("group", origin.group), ("official", origin.official)):
            digest.update(name.encode() + (b"" if values is None else values.tobytes()))
    return FaceData(
        images=arrays[0],
        identity=arrays[1],
        expression=arrays[2],
        identity_names=tuple(identity_names),
        expression_names=tuple(expression_names),
        attributes=further,
        fingerprint=digest.hexdigest(),
        origin=origin,
    )


def _origin_disagreements(origin: Origin, images: int) -> list[str]:
    fields = {name: getattr(origin, name) for name in ("files", "digests", "group", "official")}
    return [
        f"origin.{name}: {len(values)} values; must be {images}, one an image"
        for name, values in fields.items()
        if values is not None and len(values) != images
    ]


def _disagreements(
    images: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray,
    identity_names: Sequence[str],
    expression_names: Sequence[str],
    attributes: Mapping[str, Sequence[str]],
) -> list[str]:
    problems = []
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        problems.append(f"images: {images.dtype} {images.shape}; must be uint8 (images, 3, size, size)")
    for field, labels, names in (
        ("identity", identity, identity_names),
        ("expression", expression, expression_names),
    ):
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            problems.append(f"{field}: {labels.dtype} {labels.shape}; must be int64 ({len(images)},), one an image")
        elif labels.size and not (labels.min() >= 0 and labels.max() < len(names)):
            problems.append(
                f"{field}: {labels.min()} .. {labels.max()}; must be 0 .. {len(names) - 1}, one of the names"
            )
        if len(set(names)) != len(names):
            problems.append(f"{field}_names: a name occurs twice; names must differ")
    for name, values in attributes.items():
        if len(values) != len(images):
            problems.append(f"attributes[{name!r}]: {len(values)} values; must be {len(images)}, one an image")
    return problems
