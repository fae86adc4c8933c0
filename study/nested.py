"""Dotted names and nested mappings: ``{"a": {"b": 1}}`` against ``{"a.b": 1}``.

Configurations are nested where people write them and dotted where parameters are named; both directions live here.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of ``nested`` by dotted name, in order; an empty mapping is a leaf."""
    leaves: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves.update(flatten(value, f"{name}."))
        else:
            leaves[name] = value
    return leaves


def with_values(nested: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy of ``nested`` with the dotted ``values`` set, groups made where they are missing."""
    result = copy.deepcopy(dict(nested))
    for dotted, value in values.items():
        *groups, leaf = dotted.split(".")
        place = result
        for group in groups:
            inner = place.get(group)
            if not isinstance(inner, dict):
                inner = {} if inner is None else dict(inner)
                place[group] = inner
            place = inner
        place[leaf] = value
    return result


def near_misses(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x' or 'y'?" for the known names close to ``name``, or an empty string."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    if not close:
        tail = name.rsplit(".", 1)[-1]
        close = [other for other in known if tail and other.rsplit(".", 1)[-1] == tail][:2]
    return f"; did you mean {' or '.join(repr(other) for other in close)}?" if close else ""
