"""What must stay together when images are divided: a person, a take, images with the same pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def joined(labels: Sequence[np.ndarray], images: int) -> np.ndarray:
    """Number images so that two of one number are joined by labels, directly or through other images.

    Args:
        labels: int64 (images,) each, >= 0; images that share a value of any of them stay together.
        images: How many there are.

    Returns:
        int64 (images,), 0 .. units - 1 by first appearance; ``arange`` without labels.

    Raises:
        Nothing.
    """
    nodes, ends = images, []
    for values in labels:
        ends.append(values + nodes)
        nodes += int(values.max(initial=-1)) + 1
    starts = np.tile(np.arange(images), len(ends))
    edges = coo_array((np.ones(len(starts)), (starts, np.concatenate([*ends, starts[:0]]))), shape=(nodes, nodes))
    component = connected_components(edges, directed=False)[1][:images]
    _, first, unit = np.unique(component, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[unit].astype(np.int64)


def same_pixels(digests: np.ndarray) -> np.ndarray:
    """Number images so that those with the same pixels have the same number.

    Args:
        digests: uint8 (images, bytes), hash of each image's pixels.

    Returns:
        int64 (images,), 0 .. different images - 1 by first appearance.

    Raises:
        Nothing.
    """
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(bytes(digest), len(known)) for digest in digests], np.int64)
