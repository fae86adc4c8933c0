"""The configuration of a study that is continued: what its folder says, with overrides that leave it the same study.

``resume=DIR`` takes everything from DIR/config.yaml. Overrides may change how much is done and on what, and what is
kept (``budget``, ``resources``, ``cluster``, ``cache``, ``checkpoint_every``, ``keep``); one that would change what is
searched, on which data or under which checks is refused with what it was and what it would be: trials of two studies
are not to be mixed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from study.compose import ROOT, SEARCH_SPACES, Composed, compose_config, groups
from study.config import CONFIG, ConfigError, StudyConfig, read_config
from study.storage import without_password

FREE = (
    "budget",
    "resources",
    "cluster",
    "cache",
    "checkpoint_every",
    "keep",
    "callbacks",
    "dry_run",
    "profile",
    "output",
)
"""Fields and groups that may change from one run of a study to the next."""

_ABSENT = "absent"


def resumed_config(folder: Path, overrides: Sequence[str], tree: Path = SEARCH_SPACES) -> StudyConfig:
    """Return the configuration of the study in ``folder``, with overrides.

    Args:
        folder: The study folder; it may have been moved since the study was started.
        overrides: As typed, without ``resume=``.
        tree: The Hydra tree, in which options of groups are looked up.

    Raises:
        ConfigError: If there is no study, an override is wrong, or it would make another study of it.
    """
    saved = saved_config(folder)
    saved["output"] = str(folder)
    composed = recompose(saved, overrides, tree)
    if ":***@" in str(composed.values.get("storage")):
        raise ConfigError(
            [f"storage={saved['storage']}: the password is not kept; give storage= with it, or set PGPASSWORD"]
        )
    config = read_config(composed.values, composed.fixed, composed.problems, resume=True)
    different = list(differences(saved, config.resolved))
    if different:
        raise ConfigError([f"{line}; that would be another study: start it with output=OTHER" for line in different])
    return config


def saved_config(folder: Path, field: str = "resume") -> dict[str, Any]:
    """Return what config.yaml of a study folder holds.

    Args:
        folder: The study folder.
        field: The field that named it, for messages.

    Raises:
        ConfigError: If there is none, or it cannot be read.
    """
    path = folder / CONFIG
    try:
        saved = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError([f"{field}={folder}: no study was started there ({CONFIG} is missing)"]) from None
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError([f"{field}={folder}: {CONFIG} cannot be read: {error}"]) from None
    if not isinstance(saved, dict):
        raise ConfigError([f"{field}={folder}: {CONFIG} holds no configuration"])
    return saved


def recompose(saved: Mapping[str, Any], overrides: Sequence[str], tree: Path) -> Composed:
    """Return the saved configuration with options of groups put in, then fields set: Hydra's own order."""
    options = groups(tree)
    chosen = [override for override in overrides if override.partition("=")[0] in options]
    fields = [override for override in overrides if override not in chosen]
    if any(override.startswith("experiment=") for override in chosen):
        raise ConfigError(
            [f"experiment= chooses several groups at once; leave it out: resume={saved['output']} has its own"]
        )
    values = dict(saved)
    if chosen:
        composed = compose_config(chosen, tree)
        if composed.problems:
            raise ConfigError(composed.problems)
        values |= {key: composed.values[key] for key in (override.partition("=")[0] for override in chosen)}
    with tempfile.TemporaryDirectory() as folder:  # Hydra reads files: the saved configuration becomes its whole tree
        (Path(folder) / f"{ROOT}.yaml").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
        return compose_config(fields, Path(folder))


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield "FIELD was X, is Y" for every field that makes another study of it."""
    old, new = _leaves(was), _leaves(now)
    for name in [*old, *(name for name in new if name not in old)]:
        group, leaf = name.partition(".")[0], name.rpartition(".")[2]
        before, after = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if before != after and group not in FREE and leaf != "description":
            yield f"{name} was {_shown(name, before)}, is {_shown(name, after)}"


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Return the leaves by dotted name; entries of a list that have names are called by them."""
    if isinstance(value, Mapping) and value:
        entries = {str(key): item for key, item in value.items()}
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        entries = {str(item["name"]): {k: v for k, v in item.items() if k != "name"} for item in value}
    else:
        return {name: value}
    leaves: dict[str, Any] = {}
    for key, item in entries.items():
        leaves |= _leaves(item, f"{name}.{key}" if name else key)
    return leaves


def _shown(name: str, value: Any) -> str:
    return without_password(value) if name == "storage" and isinstance(value, str) else str(value)
