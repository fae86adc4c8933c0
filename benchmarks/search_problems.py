"""Problems with known fronts for ``benchmarks/search.py``: pymoo's BNH, SRN, C2-DTLZ2, MW1 and MW2, all minimised.

BNH and SRN have two parameters; the others are taken with six, C2-DTLZ2 with two objectives. Sources: Binh and Korn
1997; Srinivas and Deb 1994; Jain and Deb 2014 (C2-DTLZ2); Ma and Wang 2019 (MW).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from pymoo.indicators.hv import HV
from pymoo.problems import get_problem

_SETTINGS: dict[str, dict[str, int]] = {
    "bnh": {},
    "srn": {},
    "c2dtlz2": {"n_var": 6, "n_obj": 2},
    "mw1": {"n_var": 6},
    "mw2": {"n_var": 6},
}
PROBLEMS = tuple(_SETTINGS)

REFERENCE = 1.1
"""Reference point of the hypervolume in every objective, where the front's ideal is 0 and its nadir 1."""


@dataclass(frozen=True)
class Problem:
    """A constrained problem of several objectives, all of them minimised."""

    name: str
    low: np.ndarray
    """Smallest value of each parameter, (parameters,)."""
    high: np.ndarray
    objectives: int
    constraints: int
    scales: np.ndarray
    """Violation of each constraint that counts as 1, as a person would state it: the median over random points."""
    ideal: np.ndarray
    nadir: np.ndarray
    whole: float
    """Normalised hypervolume of the reference front."""
    pymoo: Any = field(repr=False)

    @property
    def names(self) -> list[str]:
        """Names of the parameters."""
        return [f"x{index}" for index in range(len(self.low))]

    @property
    def reference(self) -> np.ndarray:
        """Reference point of the hypervolume in the objectives' own units, (objectives,)."""
        return self.ideal + REFERENCE * (self.nadir - self.ideal)

    def evaluate(self, x: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Return objectives (objectives,) and constraints (constraints,), feasible where <= 0, of one point."""
        objectives, constraints = self.pymoo.evaluate(np.asarray([x]), return_values_of=["F", "G"])
        return objectives[0], constraints[0]

    def hypervolume(self, objectives: np.ndarray, constraints: np.ndarray) -> float:
        """Return the hypervolume of the feasible points over that of the reference front, both normalised.

        Args:
            objectives: (points, objectives).
            constraints: (points, constraints).
        """
        feasible = objectives[np.all(constraints <= 0, axis=1)]
        if not len(feasible):
            return 0.0
        return _hypervolume((feasible - self.ideal) / (self.nadir - self.ideal)) / self.whole


@cache
def load_problem(name: str) -> Problem:
    """Return the problem called ``name``, one of ``PROBLEMS``."""
    pymoo = get_problem(name, **_SETTINGS[name])
    low, high = (np.broadcast_to(end, pymoo.n_var).astype(float) for end in (pymoo.xl, pymoo.xu))
    front = pymoo.pareto_front()
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    points = np.random.default_rng(0).uniform(low, high, (1000, pymoo.n_var))
    violations = np.maximum(pymoo.evaluate(points, return_values_of=["G"]), 0)
    scales = np.array([np.median(one[one > 0]) if (one > 0).any() else 1.0 for one in violations.T])
    whole = _hypervolume((front - ideal) / (nadir - ideal))
    return Problem(name, low, high, pymoo.n_obj, pymoo.n_ieq_constr, scales, ideal, nadir, whole, pymoo)


def _hypervolume(normalised: np.ndarray) -> float:
    return float(HV(ref_point=np.full(normalised.shape[1], REFERENCE))(normalised))
