"""Compose ``search_spaces/`` with the overrides of the command line into one plain mapping, by Hydra.

Hydra stops at the first wrong override. Here each one is tried on its own when composing fails, so that all wrong ones
are named at once, with what is permitted and what is near.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from study.config import ConfigError
from study.nested import flatten, near_misses

SEARCH_SPACES = Path(__file__).resolve().parent.parent / "search_spaces"
_ERRORS = (HydraException, OmegaConfBaseException)
ROOT = "study"
"""Name of the file in ``search_spaces/`` where composing starts."""


@dataclass(frozen=True)
class Composed:
    """A composed configuration."""

    values: dict[str, Any]
    """Plain nested mapping."""
    fixed: dict[str, Any]
    """Fields of ``trial`` that the command line set, by dotted name; those in the space are not searched."""
    problems: list[str]
    """What is wrong with the overrides; the values are composed from the others."""


def compose_config(overrides: Sequence[str], folder: Path = SEARCH_SPACES) -> Composed:
    """Compose the configuration.

    Args:
        overrides: Hydra overrides, such as ``space=small`` or ``budget.trials=16``.
        folder: The Hydra tree.

    Raises:
        ConfigError: If nothing can be composed at all; overrides that are wrong are reported in ``problems`` instead.
    """
    overrides = [_quoted(override) for override in overrides]
    problems: list[str] = []
    with initialize_config_dir(str(folder.resolve()), version_base="1.3", job_name="study"):
        try:
            composed = _compose(overrides)
        except _ERRORS as error:
            good, problems = _sort_out(overrides, folder)
            if not problems:  # each works, but not all of them together
                raise ConfigError([_first_lines(error)]) from None
            try:
                composed = _compose(good)
            except _ERRORS:
                raise ConfigError(problems) from None
    for name in sorted(OmegaConf.missing_keys(composed)):
        problems.append(f"{name} has no value; give {name}=...")
    values = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(values, dict)
    return Composed({str(key): value for key, value in values.items()}, _set_in_trial(overrides, values), problems)


def _set_in_trial(overrides: Sequence[str], values: dict[Any, Any]) -> dict[str, Any]:
    """Return the fields of ``trial`` that overrides set, by dotted name, with the values they got."""
    trial = flatten(values.get("trial") or {})
    named = [override.partition("=")[0].lstrip("+") for override in overrides if "=" in override]
    given = [name.removeprefix("trial.") for name in named if name.startswith("trial.")]
    return {name: trial[name] for name in given if name in trial}


def groups(folder: Path = SEARCH_SPACES) -> dict[str, list[str]]:
    """Return the options of every group, both sorted."""
    return {
        group.name: sorted(path.stem for path in group.glob("*.yaml"))
        for group in sorted(folder.iterdir())
        if group.is_dir() and any(group.glob("*.yaml"))
    }


def _compose(overrides: Sequence[str]) -> DictConfig:
    return compose(ROOT, overrides=list(overrides))


def _quoted(override: str) -> str:
    """Quote the value of a bound, which Hydra's grammar would refuse: shells take the user's own quotes away.

    Folders joined by commas become a list.
    """
    key, equals, value = override.partition("=")
    if key == "warm_start" and "," in value and not re.match(r"\s*['\"{\[]", value):
        return f"{key}=[{value}]"
    if equals and re.search(r"[<>]=", value) and not re.match(r"\s*['\"{\[]", value):
        return f"{key}='{value}'"
    return override


def _sort_out(overrides: Sequence[str], folder: Path) -> tuple[list[str], list[str]]:
    """Try each override alone, values together with the group choices that exist; return the good ones and problems."""
    options = groups(folder)
    good: list[str] = []
    problems: list[str] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if key in options and equals and value != "null" and value not in options[key]:
            listed = ", ".join(options[key])
            problems.append(f"{override}: no such {key}{near_misses(value, options[key])} (permitted: {listed})")
        elif key in options:
            good.append(override)
    known = [*options, *_field_names(good)]
    for override in overrides:
        if override.partition("=")[0] in options:
            continue
        try:
            _compose([*good, override])
            good.append(override)
        except _ERRORS as error:
            problems.append(_explain(override, error, known))
    return good, problems


def _field_names(overrides: Sequence[str]) -> list[str]:
    """Return the dotted names of all fields, groups included; none if nothing can be composed."""
    try:
        composed = OmegaConf.to_container(_compose(overrides), resolve=False)
    except _ERRORS:
        return []
    assert isinstance(composed, dict)
    return list(flatten({str(key): value for key, value in composed.items()}))


def _explain(override: str, error: Exception, known: Sequence[str]) -> str:
    key, equals, _ = override.partition("=")
    key = key.lstrip("+~")
    if not equals and not override.startswith("~"):
        return f"{override}: write key=value{near_misses(key, known)}"
    if key not in known and "Could not override" in str(error):
        siblings = [name for name in known if name.startswith(key.rpartition(".")[0] + ".")] if "." in key else []
        listed = (
            f" (permitted: {', '.join(siblings)})"
            if 0 < len(siblings) <= 12
            else "; python -m study --help lists what there is"
        )
        return f"{override}: {key} is no option{near_misses(key, known)}{listed}"
    if "Exception" in str(error).partition(":")[0]:  # Hydra names its parser's errors and says no more
        return f"{override}: not in Hydra's grammar; quote text that holds spaces or <, >, =, as in key='a <= 1'"
    return f"{override}: {_first_lines(error)}"


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("See https")]
    return " ".join(lines[:3])
