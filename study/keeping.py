"""Which trials keep their weights: the feasible front and the best few of every stratum, as far as a quota allows.

Strata are the combinations of ``space.strata``. The front is the report's: feasible trials of a stratum that no other
dominates, in all objectives together or in the first searched one and any other; it is never given up. The best are
the first ``keep.best`` of a stratum, feasible ones first. Knows no files: ``study.quota`` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from study.bayesian import dominated_by
from study.bounds import CLIP
from study.objective import MAXIMISE, ObjectiveConfig
from study.sections import Section

GIGABYTE = 10**9


@dataclass(frozen=True)
class Keep:
    """The ``keep`` group, resolved."""

    best: int
    """Trials of every stratum that keep their weights beside the front, >= 0."""
    gigabytes: float | None
    """Quota of weights and of checkpoints of running trials together, units of 10**9 bytes; None: no limit."""


@dataclass(frozen=True)
class Judged:
    """A finished trial, as far as its place depends on it."""

    number: int
    stratum: tuple[Any, ...]
    """Values of the stratifying parameters."""
    feasible: bool
    violation: float
    """Largest margin."""
    losses: tuple[float, ...]
    """Every objective, the first searched one first, signed so that smaller is better; NaN where not measured."""

    @property
    def measured(self) -> bool:
        """Whether the first searched objective was measured; a trial without has nothing worth keeping."""
        return not math.isnan(self.losses[0])

    @property
    def rank(self) -> tuple[bool, float, float, int]:
        """Key that sorts the best first, as the report does: feasible, least violation, objective, earlier."""
        return not self.feasible, 0.0 if self.feasible else self.violation, self.losses[0], self.number


@dataclass(frozen=True)
class Decision:
    """Who keeps weights."""

    kept: frozenset[int]
    """Trials that keep them, the front included."""
    front: frozenset[int]
    given_up: frozenset[int]
    """Trials among the best of their stratum for which the quota has no room."""
    front_too_large: bool
    """Whether the front and the running trials alone exceed the quota."""


def read_keep(group: Any, problems: list[str]) -> Keep | None:
    """Read the ``keep`` group; None, where it is null or absent, keeps everything."""
    if group is None:
        return None
    section = Section("keep", group, problems)
    section.text("description", optional=True)
    best = section.integer("best", 0)
    gigabytes = None if section.raw("gigabytes") is None else section.number("gigabytes", 0.0)
    section.close()
    return Keep(best, gigabytes)


def judged(row: Mapping[str, Any], objective: ObjectiveConfig, strata: Sequence[str]) -> Judged:
    """Return a trial as its record has it; a margin that is not there counts as the largest violation."""
    first = objective.searched[0]
    losses = []
    for item in [first, *(item for item in objective.objectives if item != first)]:
        value = row[f"objective.{item.name}"]
        value = math.nan if value is None else value
        losses.append(-value if item.direction == MAXIMISE else value)
    margins = [row[f"constraint.{bound.check}"] for bound in objective.bounds]
    violation = max((CLIP if margin is None or math.isnan(margin) else margin for margin in margins), default=-CLIP)
    stratum = tuple(row.get(f"param.{name}") for name in strata)
    return Judged(row["trial"], stratum, bool(row["feasible"]), violation, tuple(losses))


def decide(trials: Sequence[Judged], sizes: Mapping[int, int], held: int, keep: Keep) -> Decision:
    """Say who keeps weights.

    Args:
        trials: All finished trials.
        sizes: Bytes of the weights of each, by number.
        held: Bytes that trials hold which are not finished.
        keep: How many, and how much.
    """
    front: set[int] = set()
    places: dict[int, tuple[int, tuple[bool, float, float, int]]] = {}
    strata: dict[tuple[Any, ...], list[Judged]] = {}
    for trial in trials:
        strata.setdefault(trial.stratum, []).append(trial)
    for members in strata.values():
        front |= _front(members)
        ranked = sorted((trial for trial in members if trial.measured), key=lambda trial: trial.rank)
        places |= {trial.number: (place, trial.rank) for place, trial in enumerate(ranked[: keep.best])}
    limit = math.inf if keep.gigabytes is None else keep.gigabytes * GIGABYTE
    used = held + sum(sizes[number] for number in front)
    front_too_large = used > limit
    kept, given_up = set(front), set[int]()
    # The first of every stratum before the second of any; once one has no room, nothing that stands behind it has.
    for number in sorted(places.keys() - front, key=lambda number: places[number]):
        used += sizes[number]
        (given_up if used > limit else kept).add(number)
    return Decision(frozenset(kept), frozenset(front), frozenset(given_up), front_too_large)


def _front(members: Sequence[Judged]) -> set[int]:
    """Return the trials of one stratum that are on its feasible front, in all objectives or in one of the pairs."""
    feasible = [trial for trial in members if trial.feasible]
    if not feasible:
        return set()
    losses = np.array([trial.losses for trial in feasible])
    views = [losses, *(losses[:, [0, other]] for other in range(1, losses.shape[1]))]
    on_front = np.any([dominated_by(view) == 0 for view in views], axis=0)
    return {trial.number for trial, member in zip(feasible, on_front, strict=True) if member}
