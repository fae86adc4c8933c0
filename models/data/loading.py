"""From a plain ``data`` configuration to checked faces and their splits; everything is checked before use.

A configuration is a mapping of plain values, ``{"kind": "procedural", ...}`` or ``{"kind": "folder", "root": ...}``,
with the fields of ``ProceduralConfig`` or ``FolderConfig`` and under ``split`` those of ``SplitConfig``. Whatever is
left out takes its default.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.data.appearance import EXPRESSIONS
from models.data.dataset import DataError, FaceData
from models.data.folder import LABELS, FolderConfig, load_folder
from models.data.procedural import ProceduralConfig, person_names, procedural_faces, procedural_labels
from models.data.splits import SplitConfig, Splits, split_faces, split_labels

KINDS: dict[str, type[ProceduralConfig] | type[FolderConfig]] = {
    "procedural": ProceduralConfig,
    "folder": FolderConfig,
}

_ACCEPTED = {"int": "a whole number", "float": "a number", "Path": "the path of a folder", "str": "a name"}
_UNSET = ("", "???")  # "???" is how the configuration files spell a value that the user must give


@dataclass(frozen=True)
class _Request:
    source: ProceduralConfig | FolderConfig
    split: SplitConfig
    problems: tuple[str, ...]  # why the fields above are not what was asked for; defaults stand in for what is wrong


def load_faces(mapping: Mapping[str, Any]) -> FaceData:
    """Get the faces that a configuration asks for.

    Args:
        mapping: The ``data`` configuration.

    Returns:
        The faces, with read-only arrays: the same object again when the same is asked for in the same process.

    Raises:
        DataError: If the configuration or the data cannot be used; all problems are listed. Whether they can be split
            is not asked here, but by ``load_splits`` and ``data_problems``.
    """
    request = _request(mapping)
    if isinstance(request.source, FolderConfig):
        return _folder(request)
    if request.problems:
        raise DataError(request.problems)
    return _drawn(request.source)


def load_splits(mapping: Mapping[str, Any]) -> tuple[FaceData, Splits]:
    """Get the faces that a configuration asks for, and how they are divided.

    Args:
        mapping: The ``data`` configuration.

    Returns:
        The faces, as ``load_faces`` gives them, and the positions of train, validation and test images.

    Raises:
        DataError: If the configuration or the data cannot be used, or cannot be split; all problems are listed.
    """
    data = load_faces(mapping)
    return data, split_faces(data, _request(mapping).split)


def data_problems(mapping: Mapping[str, Any]) -> list[str]:
    """Say why a configuration cannot be used, before anything is started on it.

    Args:
        mapping: The ``data`` configuration.

    Returns:
        One line a problem with field, value and what is permitted; empty if ``load_splits`` will succeed.

    Raises:
        Nothing.

    Notes:
        Draws no faces; reads and checks every image of a folder, which ``load_faces`` then need not do again.
    """
    request = _request(mapping)
    try:
        if isinstance(request.source, FolderConfig):
            split_faces(_folder(request), request.split)
        elif request.problems:
            return list(request.problems)
        else:
            labels = procedural_labels(request.source)
            split_labels(*labels, person_names(request.source.identities), EXPRESSIONS, request.split)
    except DataError as error:
        return list(error.problems)
    return []


def _folder(request: _Request) -> FaceData:
    assert isinstance(request.source, FolderConfig)
    found: Sequence[str] = ()
    if request.source.root is not None:
        try:
            data = _read(request.source, _state(request.source.root))
        except DataError as error:
            found = [f"data.{problem}" for problem in error.problems]
        except OSError as error:
            found = [f"data.root = {request.source.root}: cannot be read: {error}"]
    if request.problems or found:
        raise DataError([*request.problems, *found])
    return data


_drawn = lru_cache(maxsize=2)(procedural_faces)


@lru_cache(maxsize=2)
def _read(config: FolderConfig, state: object) -> FaceData:
    del state  # part of the cache's key: a folder that has changed is read again
    return load_folder(config)


def _state(root: Path) -> object:
    """Names, sizes and times of the files of a folder of faces."""
    if not (root / LABELS).is_file():
        return None
    files = sorted((path, path.stat()) for path in root.rglob("*") if path.is_file())
    return tuple((str(path), status.st_size, status.st_mtime_ns) for path, status in files)


def _request(mapping: Mapping[str, Any]) -> _Request:
    """Turn a mapping into configurations, with every complaint about a field: unknown, wrong type, out of range."""
    kind = mapping.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        wrong = f"data.kind = {kind!r}; must be one of {', '.join(KINDS)}"
        return _Request(ProceduralConfig(), SplitConfig(), (wrong,))
    rest = {key: value for key, value in mapping.items() if key not in ("kind", "split")}
    values, problems = _fields(KINDS[kind], rest, "data", ("kind", "split"))
    source = KINDS[kind](**values)
    problems += [f"data.{problem}" for problem in source.problems()]
    if isinstance(source, FolderConfig) and source.problems():
        source = replace(source, size=FolderConfig.size)

    shares = mapping.get("split", {})
    if not isinstance(shares, Mapping):
        problems.append(f"data.split = {shares!r}; must be a mapping of train, validation, test and seed")
        shares = {}
    values, wrong_shares = _fields(SplitConfig, shares, "data.split")
    split = SplitConfig(**values)
    problems += wrong_shares + [f"data.split.{problem}" for problem in split.problems()]
    return _Request(source, SplitConfig() if split.problems() else split, tuple(problems))


def _fields(
    config: type, given: Mapping[str, Any], prefix: str, others: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Sort given values into those a configuration class accepts by name and type, and complaints about the rest."""
    known = {field.name: str(field.type) for field in fields(config)}
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if name not in known:
            problems.append(f"{prefix}.{name} = {value!r}; there is no such field, {_instead(name, [*known, *others])}")
        elif known[name] == "Path":
            if isinstance(value, str | Path) and str(value) not in _UNSET:
                values[name] = Path(value).expanduser()
        elif known[name] == "str":
            if isinstance(value, str) and value:
                values[name] = value
            else:
                problems.append(f"{prefix}.{name} = {value!r}; must be {_ACCEPTED['str']}")
        elif isinstance(value, bool) or not isinstance(value, int if known[name] == "int" else int | float):
            problems.append(f"{prefix}.{name} = {value!r}; must be {_ACCEPTED[known[name]]}")
        elif not math.isfinite(value):
            problems.append(f"{prefix}.{name} = {value!r}; must be finite")
        else:
            values[name] = value
    for name, kind in known.items():
        if kind == "Path" and name not in values:
            problems.append(
                f"{prefix}.{name} = {given.get(name)!r}; must be {_ACCEPTED[kind]}: give {prefix}.{name}=PATH"
            )
            values[name] = None  # read by nobody: the problem is reported first
    return values, problems


def _instead(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"permitted: {', '.join(known)}"
