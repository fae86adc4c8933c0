"""Take the finished trials of earlier studies into a new one's search: ``warm_start=DIR``.

An earlier study is compatible if its figures mean the same here: the same experiment, data, checks (bounds, scales and
adversaries), searched objectives, and settings wherever neither study searches. Its space may differ. Of a compatible
study those trials are taken that this space can express; a parameter that only one of the two studies searches has in
the other the value that is set there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.data.splits import SplitConfig
from study.bounds import CLIP
from study.config import ConfigError
from study.earlier import EarlierTrial, WarmStart
from study.earlier_study import EarlierStudy, read_earlier_study
from study.experiments import load_experiment
from study.folder import data_digest
from study.nested import flatten, with_values
from study.outcomes import Outcome
from study.parameter import Value
from study.resume import differences

if TYPE_CHECKING:
    from study.config import StudyConfig

TAKEN = (Outcome.OK, Outcome.INFEASIBLE, Outcome.CHECK_MISSING, Outcome.OBJECTIVE_MISSING, Outcome.DIVERGED)
"""Outcomes that say something about a configuration. Memory that was too small there may be larger here."""

REASONS_SHOWN, VALUES_SHOWN = 5, 3


@dataclass(frozen=True)
class _Outside:
    """Why a trial is not of this space: the first value that is not."""

    name: str
    value: Any
    reason: str


def read_warm_start(config: StudyConfig, problems: list[str]) -> WarmStart:
    """Read the trials of the studies that ``warm_start`` names.

    Args:
        config: The new study, resolved but for this.
        problems: What is wrong is added here. If there are any before, studies are compared but no trials are taken:
            the space may have been read in part.

    Returns:
        The trials, study by study, and a line about each study.
    """
    readable = not problems
    trials: list[EarlierTrial] = []
    notes = []
    for folder in _folders(config.resolved.get("warm_start"), problems):
        try:
            earlier = read_earlier_study(folder)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        different = list(_incompatible(earlier, config))
        problems.extend(f"warm_start={folder}: {line}; figures of the two cannot be compared" for line in different)
        if different or not readable:
            continue
        taken, outside = _take(earlier, config)
        note = _describe(earlier, len(taken), outside)
        if not taken:
            problems.append(f"{note}; leave it out, or change the space")
        trials.extend(taken)
        notes.append(note)
    return WarmStart(tuple(trials), tuple(notes))


def _folders(given: Any, problems: list[str]) -> list[Path]:
    """Return the folders named, each once."""
    names = [] if given is None else given if isinstance(given, list) else [given]
    if not all(isinstance(name, str) and name for name in names):
        problems.append(f"warm_start={given!r} must be the folder of a study, or a list of them: warm_start=[DIR,DIR]")
        return []
    return list(dict.fromkeys(Path(name) for name in names))


def _incompatible(earlier: EarlierStudy, config: StudyConfig) -> Iterator[str]:
    """Yield "FIELD was X, is Y" for everything that gives the earlier study's figures another meaning."""
    searched = config.space.names | set(earlier.metadata["parameters"])
    was, now = _meaning_there(earlier, config), _meaning_here(config)
    for meaning in (was, now):
        meaning["trial"] = {name: value for name, value in meaning["trial"].items() if name not in searched}
        meaning["data"].pop("root", None)  # the folder may have been moved: what is in it counts
    yield from differences(was, now)
    root = config.data.get("root")
    if (root is not None or earlier.digest) and data_digest(config.data) != earlier.digest:
        yield f"data.root={root}: the images or labels are not those of the earlier study"


def _meaning_there(earlier: EarlierStudy, config: StudyConfig) -> dict[str, Any]:
    """Return what must be the same, as it was in the earlier study."""
    saved, objectives, bounds = earlier.saved, earlier.metadata["objectives"], config.objective.bounds
    searched = [item.name for item in config.objective.searched if item.name in objectives]
    return {
        "experiment": saved["experiment"],
        "data": _with_defaults(saved["data"]),
        "checks": saved["checks"],
        # A check whose metric was searched for has no margin in the records.
        "constraint": {
            bound.check: "bounded" if bound.check in earlier.metadata["constraints"] else "searched for"
            for bound in bounds
        },
        "objective": {name: _axis(objectives[name]) for name in searched},
        "trial": flatten(load_experiment(config.experiment).defaults()) | flatten(saved["trial"]),
    }


def _with_defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``data`` group with fields of the split that were added since it was written."""
    return {**data, **({"split": asdict(SplitConfig()) | dict(data["split"])} if data.get("split") else {})}


def _meaning_here(config: StudyConfig) -> dict[str, Any]:
    return {
        "experiment": {"name": config.experiment},
        "data": _with_defaults(config.data),
        "checks": config.resolved.get("checks"),
        "constraint": {bound.check: "bounded" for bound in config.objective.bounds},
        "objective": {item.name: _axis(vars(item)) for item in config.objective.searched},
        "trial": flatten(config.trial),
    }


def _axis(objective: Mapping[str, Any]) -> dict[str, Any]:
    return {field: objective.get(field) for field in ("metric", "direction")}


def _take(earlier: EarlierStudy, config: StudyConfig) -> tuple[list[EarlierTrial], list[_Outside]]:
    """Return the trials that this space can express, and for each of the others why it cannot."""
    taken: list[EarlierTrial] = []
    outside = []
    for row in earlier.rows:
        if row["outcome"] not in TAKEN:
            continue
        found = _expressed(earlier.parameters(row), earlier.saved["trial"], config)
        if isinstance(found, _Outside):
            outside.append(found)
        else:
            taken.append(_trial(row, found, earlier, config))
    return taken, outside


def _expressed(given: Mapping[str, Any], base: Mapping[str, Any], config: StudyConfig) -> dict[str, Value] | _Outside:
    """Return a configuration of the earlier study as active parameters of this space.

    Args:
        given: Its parameters there, None where inactive.
        base: The nested trial configuration that they were set into.
        config: The new study.
    """
    was = flatten(with_values(base, {name: value for name, value in given.items() if value is not None}))
    active = config.space.active(was, config.trial)
    values: dict[str, Value] = {}
    for parameter in config.space.parameters:
        if parameter.name not in active:
            continue
        value = was.get(parameter.name)
        if value is None or not parameter.contains(value):
            return _Outside(parameter.name, value, f"is outside {parameter.permitted()}")
        values[parameter.name] = parameter.own(value)
    for name, default in flatten(config.trial).items():
        without_effect = name in given and given[name] is None
        if name not in values and not without_effect and was.get(name) != default:
            return _Outside(name, was.get(name), f"is not {default}, as it is set here")
    return values


def _trial(
    row: Mapping[str, Any], values: dict[str, Value], earlier: EarlierStudy, config: StudyConfig
) -> EarlierTrial:
    objectives = {item.name: _finite(row[f"objective.{item.name}"]) for item in config.objective.searched}
    measured = None not in objectives.values()
    margins = {}
    for bound in config.objective.bounds:
        margin = _finite(row[f"constraint.{bound.check}"])
        margins[bound.check] = CLIP if margin is None or not measured else min(max(margin, -CLIP), CLIP)
    return EarlierTrial(str(earlier.metadata["study"]), int(row["trial"]), values, objectives, margins)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _describe(earlier: EarlierStudy, taken: int, outside: list[_Outside]) -> str:
    """Return one line: how many trials are taken, and why others are not."""
    text = f"warm_start={earlier.folder}: {taken} of {taken + len(outside)} finished trials lie in this space"
    if outside:
        text += f"; {len(outside)} do not: {_reasons(outside)}"
    without = Counter(str(row["outcome"]).replace("_", " ") for row in earlier.rows if row["outcome"] not in TAKEN)
    if without:
        listed = ", ".join(f"{outcome} {count}" for outcome, count in without.most_common())
        text += f"; {without.total()} more ended without a result ({listed})"
    return text


def _reasons(outside: list[_Outside]) -> str:
    """Return the reasons, the most frequent first, each with some of the values and the number of trials."""
    grouped: dict[tuple[str, str], list[Any]] = {}
    for item in outside:
        grouped.setdefault((item.name, item.reason), []).append(item.value)
    by_count = sorted(grouped.items(), key=lambda pair: -len(pair[1]))
    parts = []
    for (name, reason), values in by_count[:REASONS_SHOWN]:
        distinct = list(dict.fromkeys(f"{value:.4g}" if isinstance(value, float) else str(value) for value in values))
        shown = " or ".join(distinct[:VALUES_SHOWN]) + (" or others" if len(distinct) > VALUES_SHOWN else "")
        parts.append(f"{name}={shown} {reason} ({len(values)})")
    if len(by_count) > REASONS_SHOWN:
        parts.append(f"other reasons ({sum(len(values) for _, values in by_count[REASONS_SHOWN:])})")
    return ", ".join(parts)
