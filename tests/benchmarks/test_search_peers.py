"""This project's search as the benchmarks ask it, on a problem that needs none of the peers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from optuna.trial import TrialState

from benchmarks.search_peers import StudySearcher

PROBLEM: Any = SimpleNamespace(
    name="line",
    names=["x0", "x1"],
    low=np.zeros(2),
    high=np.array([1.0, 3.0]),
    objectives=2,
    constraints=1,
    scales=np.array([0.5]),
)


def test_the_search_is_told_objectives_and_normalised_clipped_margins() -> None:
    searcher = StudySearcher(PROBLEM, "tpe", seed=0)
    asked = searcher.ask(3)
    assert all(0 <= x0 <= 1 and 0 <= x1 <= 3 for _, (x0, x1) in asked)
    for (token, _), constraint in zip(asked, (-0.25, 0.25, 50.0), strict=True):
        searcher.tell(token, np.array([1.0, 2.0]), np.array([constraint]))
    trials = searcher._search.study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert [trial.constraints["g0"] for trial in trials] == [-0.5, 0.5, 3.0]
    assert [trial.values for trial in trials] == [[1.0, 2.0]] * 3
