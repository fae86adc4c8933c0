"""Groups of trials with a front of their own: families, secrets and their combinations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.checks import without_result
from analysis.ranking import worst_margin
from analysis.records import Study


@dataclass(frozen=True, eq=False)
class Stratum:
    """The trials with one value of a stratifying parameter."""

    parameter: str
    """Dotted name; " · " joins several."""
    value: str
    rows: NDArray[np.bool_]
    """Which trials belong, (trials,)."""


@dataclass(frozen=True)
class StratumSummary:
    """What one stratum achieved."""

    name: str
    trials: int
    feasible: int
    best_trial: int | None
    """Best feasible trial by the first searched objective."""
    best_value: float
    nearest_margin: float
    """Smallest worst margin, in units of the constraints' scales."""
    stopped: tuple[tuple[str, int], ...]
    """Checks and how many trials each stopped by estimate, strictest first; those that stopped none are left out."""


def label(study: Study, parameter: str, row: int) -> str:
    """Return the value of a stratifying parameter of one trial, as text."""
    value = study.parameters[parameter][row] if parameter in study.parameters else None
    return "not set" if value is None else str(value)


def labels_of(study: Study, parameter: str) -> list[str]:
    """Return the values of a stratifying parameter of all trials, as text."""
    column = study.parameters.get(parameter)
    return ["not set" if value is None else str(value) for value in column or [None] * len(study)]


def split(study: Study, parameters: tuple[str, ...]) -> tuple[Stratum, ...]:
    """Split trials by the values of ``parameters``; combinations that occur, in the order of the search space.

    Every trial is in exactly one stratum. Without parameters there is one stratum of all.
    """
    labels = list(zip(*(labels_of(study, name) for name in parameters), strict=True)) if parameters else None
    if labels is None:
        return (Stratum("", "", np.ones(len(study), dtype=bool)),)
    numbers: dict[tuple[str, ...], int] = {}
    codes = np.asarray([numbers.setdefault(own, len(numbers)) for own in labels], dtype=np.int64)
    strata = []
    for values in sorted(numbers, key=lambda values: _order(study, parameters, values)):
        strata.append(Stratum(" · ".join(parameters), " · ".join(values), codes == numbers[values]))
    return tuple(strata)


def _order(study: Study, parameters: tuple[str, ...], values: tuple[str, ...]) -> list[tuple[int, str]]:
    """Return a key that sorts values as the space lists them; those that it does not list come last, by alphabet."""
    places = []
    for name, value in zip(parameters, values, strict=True):
        known = study.schema.parameters.get(name)
        listed = [str(item) for item in (known.values if known else None) or ()]
        places.append((listed.index(value) if value in listed else len(listed), value))
    return places


def summarise(study: Study, stratum: Stratum) -> StratumSummary:
    """Count the trials of a stratum and find its best."""
    primary = study.schema.primary
    values = study.objectives[primary.name]
    candidates = np.flatnonzero(stratum.rows & study.feasible & ~np.isnan(values))
    best: int | None = None
    if candidates.size:
        signed = values[candidates] if primary.maximise else -values[candidates]
        best = int(candidates[np.argmax(signed)])
    return StratumSummary(
        name=stratum.value,
        trials=int(stratum.rows.sum()),
        feasible=int((stratum.rows & study.feasible).sum()),
        best_trial=None if best is None else int(study.trial[best]),
        best_value=float("nan") if best is None else float(values[best]),
        nearest_margin=float(worst_margin(study)[stratum.rows].min()),
        stopped=tuple(sorted(_stopped(study, stratum.rows).items(), key=lambda item: (-item[1], item[0]))),
    )


def _stopped(study: Study, rows: NDArray[np.bool_]) -> dict[str, int]:
    counts = {
        check: int((rows & (margin > 0) & ~without_result(study, check)).sum())
        for check, margin in study.constraints.items()
    }
    return {check: count for check, count in counts.items() if count}


def best_first(study: Study, strata: tuple[Stratum, ...]) -> tuple[StratumSummary, ...]:
    """Return what the strata achieved: best feasible value first, then those nearest to being within the bounds."""
    sign = -1.0 if study.schema.primary.maximise else 1.0

    def rank(found: StratumSummary) -> tuple[bool, float, str]:
        missing = found.best_trial is None
        return missing, found.nearest_margin if missing else sign * found.best_value, found.name

    return tuple(sorted((summarise(study, stratum) for stratum in strata), key=rank))
