"""From a plain ``data`` configuration to checked faces and their splits; everything is checked before use.

A configuration is a mapping of plain values, ``{"kind": "procedural", ...}`` or ``{"kind": "ferg", "root": ...}``, with
the fields of the kind's class in ``KINDS`` and under ``split`` those of ``SplitConfig``. Whatever is left out takes its
default. Images from files are decoded once and shared, if a cache folder is given.
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
from models.data.celeba import CelebAConfig
from models.data.columns import attributes_in_folder
from models.data.dataset import DataError, FaceData
from models.data.ferg import FergConfig
from models.data.folder import FolderConfig
from models.data.folder import identities_in as identities_in_folder
from models.data.listing import load_files
from models.data.mug import MugConfig
from models.data.procedural import ProceduralConfig, person_names, procedural_faces, procedural_labels
from models.data.splits import SPLITS, SplitConfig, Splits, listed, split_faces, split_labels
from models.data.traits import ATTRIBUTES

FileConfig = FolderConfig | FergConfig | MugConfig | CelebAConfig

KINDS: dict[str, type[ProceduralConfig] | type[FileConfig]] = {
    "procedural": ProceduralConfig,
    "folder": FolderConfig,
    "ferg": FergConfig,
    "mug": MugConfig,
    "celeba": CelebAConfig,
}

_ACCEPTED = {
    "int": "a whole number",
    "float": "a number",
    "Path": "the path of a folder",
    "str": "a name",
    "bool": "true or false",
}
_UNSET = ("", "???")  # "???" is how the configuration files spell a value that the user must give


@dataclass(frozen=True)
class _Request:
    source: ProceduralConfig | FileConfig
    split: SplitConfig
    problems: tuple[str, ...]  # why the fields above are not what was asked for; defaults stand in for what is wrong


def load_faces(mapping: Mapping[str, Any], cache: Path | None = None) -> FaceData:
    """Get the faces that a configuration asks for.

    Args:
        mapping: The ``data`` configuration.
        cache: Folder in which decoded images are kept and shared; None decodes them in this process.

    Returns:
        The faces, with read-only arrays: the same object again when the same is asked for in the same process.

    Raises:
        DataError: If the configuration or the data cannot be used; all problems are listed. Whether they can be split
            is not asked here, but by ``load_splits`` and ``data_problems``.
    """
    request = _request(mapping)
    if not isinstance(request.source, ProceduralConfig):
        return _from_files(request.source, request.problems, cache)
    if request.problems:
        raise DataError(request.problems)
    return _drawn(request.source)


def load_splits(mapping: Mapping[str, Any], cache: Path | None = None) -> tuple[FaceData, Splits]:
    """Get the faces that a configuration asks for, and how they are divided.

    Args:
        mapping: The ``data`` configuration.
        cache: As ``load_faces``.

    Returns:
        The faces, as ``load_faces`` gives them, and the positions of train, validation and test images.

    Raises:
        DataError: If the configuration or the data cannot be used, or cannot be split; all problems are listed.
    """
    data = load_faces(mapping, cache)
    return data, split_faces(data, _request(mapping).split)


def data_problems(mapping: Mapping[str, Any], cache: Path | None = None) -> list[str]:
    """Say why a configuration cannot be used, before anything is started on it.

    Args:
        mapping: The ``data`` configuration.
        cache: As ``load_faces``.

    Returns:
        One line a problem with field, value and what is permitted; empty if ``load_splits`` will succeed.

    Raises:
        Nothing.

    Notes:
        Draws no faces; reads and checks every image file, which ``load_faces`` then need not do again.
    """
    try:
        split_sizes(mapping, cache)
    except DataError as error:
        return list(error.problems)
    return []


def split_sizes(mapping: Mapping[str, Any], cache: Path | None = None) -> dict[str, int]:
    """Return how many images train, validation and test will have; draws no faces.

    Raises:
        DataError: As ``load_splits``.
    """
    request = _request(mapping)
    if not isinstance(request.source, ProceduralConfig):
        splits = split_faces(_from_files(request.source, request.problems, cache), request.split)
    elif request.problems:
        raise DataError(request.problems)
    else:
        labels = procedural_labels(request.source)
        splits = split_labels(*labels, person_names(request.source.identities), EXPRESSIONS, request.split)
    return {name: len(getattr(splits, name)) for name in SPLITS}


def described(mapping: Mapping[str, Any], cache: Path | None = None) -> str | None:
    """Say in a line what data from files hold once they are checked; None for data that are drawn.

    Raises:
        DataError: As ``load_splits``.
    """
    if mapping.get("kind") == "procedural":
        return None
    data, splits = load_splits(mapping, cache)
    sizes = ", ".join(f"{name} {len(getattr(splits, name)):,}" for name in SPLITS)
    if kept := len(data.images) - sum(len(getattr(splits, name)) for name in SPLITS):
        sizes += f", kept for the audit {kept:,}"
    text = f"{len(data.images):,} images of {len(data.identity_names):,} people"
    text += f", {len(data.expression_names)} expressions; {sizes}"
    left_out = data.origin.left_out if data.origin else ()
    return text + (f"; left out as unreadable: {len(left_out)} ({listed(left_out)})" if left_out else "")


def identities_in(mapping: Mapping[str, Any]) -> int | None:
    """Return how many people data from files show, None where that cannot be known; opens no image.

    Raises:
        Nothing.
    """
    source = _request(mapping).source
    if isinstance(source, ProceduralConfig) or source.root is None:
        return None
    if isinstance(source, FolderConfig):
        return identities_in_folder(source.root)
    return _people(source)


def attributes_in(mapping: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the attributes that faces will have, none where they cannot be known; opens no image.

    Raises:
        Nothing.
    """
    source = _request(mapping).source
    if isinstance(source, ProceduralConfig):
        return ATTRIBUTES
    if source.root is None:
        return ()
    if isinstance(source, FolderConfig):
        return attributes_in_folder(source.root, source.expression_column)
    return _attributes(source)


@lru_cache(maxsize=8)
def _attributes(source: FergConfig | MugConfig | CelebAConfig) -> tuple[str, ...]:
    try:
        return tuple(source.listing().attributes)
    except OSError:
        return ()


@lru_cache(maxsize=8)
def _people(source: FergConfig | MugConfig | CelebAConfig) -> int | None:
    try:
        return len(set(source.listing().identity)) or None
    except OSError:
        return None


def _from_files(source: FileConfig, problems: Sequence[str], cache: Path | None) -> FaceData:
    """Read the faces, or list what is wrong with them after ``problems``, which are those of the configuration."""
    found: Sequence[str] = ()
    if source.root is not None:
        try:
            data = load_files(source, cache)
        except DataError as error:
            found = [f"data.{problem}" for problem in error.problems]
        except OSError as error:
            found = [f"data.root = {source.root}: cannot be read, or not be kept in the cache: {error}"]
    if problems or found:
        raise DataError([*problems, *found])
    return data


_drawn = lru_cache(maxsize=2)(procedural_faces)


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
    if not isinstance(source, ProceduralConfig) and source.problems():
        refused = {problem.split(" = ")[0] for problem in source.problems()}
        defaults: dict[str, Any] = {field.name: field.default for field in fields(source) if field.name in refused}
        source = replace(source, **defaults)

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
        elif not _has_type(value, known[name]):
            problems.append(f"{prefix}.{name} = {value!r}; must be {_ACCEPTED[known[name]]}")
        elif isinstance(value, float) and not math.isfinite(value):
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


def _has_type(value: object, kind: str) -> bool:
    if kind == "str":
        return isinstance(value, str) and value != ""
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    return isinstance(value, int if kind == "int" else int | float)


def _instead(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"permitted: {', '.join(known)}"
