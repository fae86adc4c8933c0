"""Several studies side by side: what each reached, how fast, at what cost, and in what they differ.

Only objectives that all of them measured, in the same direction, are compared; their ranges are taken over all studies
together, so that feasible hypervolumes are shares of one box.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from analysis.errors import AnalysisError
from analysis.feasibility import feasibility
from analysis.hypervolume import MOST_OBJECTIVES, Box, VolumeCurve, box_of, dominated_volume, scaled, volume_curve
from analysis.records import Floats, Study
from analysis.schema import Objective
from analysis.summary import objective_intervals
from analysis.words import listing

LIKELY, POSSIBLE = 0.975, 0.025
"""Probability of feasibility from which on a trial counts for the worse, and for the better, end of a range."""
Z = 1.959963984540054
MOST_SETTINGS = 20_000
"""Settings that are read of a configuration; no study has so many."""
INCIDENTAL = ("output", "name", "cache", "storage", "cluster", "resources", "keep")
"""Settings that change no result."""


@dataclass(frozen=True, eq=False)
class Reached:
    """What one study reached."""

    study: Study
    name: str
    """Unlike any other's."""
    feasible: int
    feasible_low: float
    """Lower end of the 95 % interval (Wilson) of the share of feasible trials."""
    feasible_high: float
    best: tuple[int | None, ...]
    """By objective compared: the trial with the best feasible value."""
    best_value: Floats
    """(objectives,); NaN where no feasible trial has one."""
    best_low: Floats
    best_high: Floats
    curve: VolumeCurve
    volume_low: float
    """Final hypervolume of the trials that are feasible with a probability of at least 0.975, at the worse ends of
    their intervals."""
    volume_high: float
    """The same of those with at least 0.025, at the better ends."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several studies and what they have in common."""

    studies: tuple[Reached, ...]
    objectives: tuple[Objective, ...]
    """Compared: measured by all, in the order of the first study."""
    box: Box
    left_out: tuple[str, ...]
    """Objectives that only some of the studies have."""
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    """Settings that differ: name, and the value of each study ("not set" where absent)."""


def compare(studies: tuple[Study, ...]) -> Comparison:
    """Put studies side by side.

    Raises:
        AnalysisError: If there are fewer than two, or they have no objective in common that all of them measured; the
            message says which each has.
    """
    if len(studies) < 2:
        raise AnalysisError("a comparison needs two studies or more; give their folders one after the other")
    shared = shared_objectives(studies)
    names = _names(studies)
    if not shared:
        have = "\n".join(
            f"  {name}: {', '.join(map(_spoken, s.schema.objectives))}" for name, s in zip(names, studies, strict=True)
        )
        raise AnalysisError(
            f"the studies have no objective in common, so there is nothing to compare:\n{have}\n"
            "Compare studies of one experiment, or with `objective=` such that one objective is in each"
        )
    counted = tuple(sorted(shared, key=lambda item: not item.searched)[:MOST_OBJECTIVES])
    box = box_of(studies, counted)
    if box is None:
        raise AnalysisError(f"no trial of any study measured {listing([item.name for item in counted])}")
    everything = dict.fromkeys(item.name for study in studies for item in study.schema.objectives)
    kept = {item.name for item in shared}
    return Comparison(
        studies=tuple(_reached(study, name, shared, box) for study, name in zip(studies, names, strict=True)),
        objectives=shared,
        box=box,
        left_out=tuple(name for name in everything if name not in kept),
        settings=differing_settings(studies),
    )


def shared_objectives(studies: tuple[Study, ...]) -> tuple[Objective, ...]:
    """Return the objectives of the first study that every other has too, with the same direction."""
    others = [{(item.name, item.maximise) for item in study.schema.objectives} for study in studies[1:]]
    return tuple(
        item for item in studies[0].schema.objectives if all((item.name, item.maximise) in found for found in others)
    )


def _spoken(item: Objective) -> str:
    return f"{item.name} ({'maximise' if item.maximise else 'minimise'})"


def _names(studies: tuple[Study, ...]) -> list[str]:
    """Return folder names, longer by their parents until no two are the same."""
    paths = [Path(study.folder).resolve() for study in studies]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise AnalysisError(f"{paths[0]} was given more than once; give the folders of different studies")


def _reached(study: Study, name: str, objectives: tuple[Objective, ...], box: Box) -> Reached:
    best: list[int | None] = []
    numbers = np.full((3, len(objectives)), np.nan)
    for index, item in enumerate(objectives):
        values = study.objectives[item.name]
        candidates = np.flatnonzero(study.feasible & ~np.isnan(values))
        if not candidates.size:
            best.append(None)
            continue
        row = int(candidates[np.argmax(values[candidates] if item.maximise else -values[candidates])])
        low, high = objective_intervals(study, item)
        best.append(int(study.trial[row]))
        numbers[:, index] = values[row], low[row], high[row]
    low_share, high_share = wilson(int(study.feasible.sum()), len(study))
    worse, better = _volume_range(study, box)
    return Reached(
        study=study,
        name=name,
        feasible=int(study.feasible.sum()),
        feasible_low=low_share,
        feasible_high=high_share,
        best=tuple(best),
        best_value=numbers[0],
        best_low=numbers[1],
        best_high=numbers[2],
        curve=volume_curve(study, box),
        volume_low=worse,
        volume_high=better,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927); ``trials`` must be positive."""
    share = successes / trials
    middle = (share + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    half = Z * np.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2)) / (1 + Z**2 / trials)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _volume_range(study: Study, box: Box) -> tuple[float, float]:
    """Return the final hypervolume at the worse and at the better ends of all intervals."""
    chance = feasibility(study).probability
    values = scaled(study, box)
    ends: tuple[list[Floats], list[Floats]] = ([], [])
    for index, item in enumerate(box.objectives):
        width = box.worst[index] - box.best[index]
        for place, limit in enumerate(objective_intervals(study, item)):
            cost = (limit - box.best[index]) / width if width else np.zeros(len(study))
            cost = np.where(np.isnan(cost), values[:, index], cost)
            ends[int((place == 0) == item.maximise) ^ 1].append(cost)
    worse, better = (np.clip(np.stack(columns, axis=1), 0.0, None) for columns in ends)
    sure, possible = chance >= LIKELY, chance >= POSSIBLE
    known = ~np.isnan(values).any(axis=1)
    return dominated_volume(worse[sure & known]), dominated_volume(better[possible & known])


def differing_settings(studies: tuple[Study, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the settings of ``config.yaml`` in which the studies differ, incidental ones left out."""
    flat = [_flat(study.config) for study in studies]
    names = dict.fromkeys(name for settings in flat for name in settings)
    found = []
    for name in names:
        values = tuple(settings.get(name, "not set") for settings in flat)
        if len(set(values)) > 1 and name.partition(".")[0] not in INCIDENTAL:
            found.append((name, values))
    return tuple(found)


def _flat(text: str) -> dict[str, str]:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    found: dict[str, str] = {}
    _flatten(tree, "", found)
    return found


def _flatten(value: Any, name: str, found: dict[str, str]) -> None:
    if len(found) >= MOST_SETTINGS:  # Aliases can make a small file endless.
        return
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _flatten(item, f"{name}.{key}" if name else str(key), found)
    elif name:
        found[name] = "[" + ", ".join(str(item) for item in value[:50]) + "]" if isinstance(value, list) else str(value)
