"""Groups of trials with a front of their own: families, secrets and their combinations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def label(study: Study, parameter: str, row: int) -> str:
    """Return the value of a stratifying parameter of one trial, as text."""
    value = study.parameters[parameter][row] if parameter in study.parameters else None
    return "not set" if value is None else str(value)


def split(study: Study, parameters: tuple[str, ...]) -> tuple[Stratum, ...]:
    """Split trials by the values of ``parameters``; combinations that occur, in alphabetical order.

    Every trial is in exactly one stratum. Without parameters there is one stratum of all.
    """
    labels = [" · ".join(label(study, name, row) for name in parameters) for row in range(len(study))]
    array = np.asarray(labels, dtype=object)
    return tuple(Stratum(" · ".join(parameters), value, array == value) for value in sorted(set(labels)))


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
    )
