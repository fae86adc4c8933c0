"""Judging what a study reports under noise, on a problem small enough to see through. Needs none of the peers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks import search_noise
from benchmarks.search_noise import RULES, Trials, best, judge, passes


def worth(objectives: np.ndarray, constraints: np.ndarray) -> float:
    """Stand for the hypervolume: a point is worth 1, but only a feasible one may come."""
    assert (constraints <= 0).all()
    return float(len(objectives))


PROBLEM: Any = SimpleNamespace(hypervolume=worth)


def test_the_best_are_feasible_and_dominated_by_no_feasible_one() -> None:
    objectives = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]])
    feasible = np.array([False, True, True, True, True])
    assert best(objectives, feasible).tolist() == [False, True, True, False, True]


def test_the_verdict_needs_every_limit_inside_its_bound() -> None:
    constraints = [np.array([row]) for row in ([-1.0, -1.0], [-1.0, -0.1], [-3.0, -3.0], [0.1, -3.0])]
    errors = np.full(2, 0.5)
    assert passes(constraints, errors, 0.0).tolist() == [True, True, True, False]
    assert passes(constraints, errors, 1.96).tolist() == [True, False, True, False]
    assert passes(constraints, errors, 3.0).tolist() == [False, False, True, False]


def test_evaluations_that_disagree_pass_no_verdict() -> None:
    alike, apart = np.array([[-1.0], [-1.1], [-0.9]]), np.array([[-2.0], [-0.9], [-0.1]])
    assert passes([alike, apart], np.array([0.2]), 0.0).tolist() == [True, True]
    assert passes([alike, apart], np.array([0.2]), 1.96).tolist() == [True, False]


def test_a_lucky_violator_is_reported_by_estimate_and_not_by_verdict() -> None:
    objectives = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    trials = Trials(
        objectives=list(objectives[:, None]),
        constraints=list(np.array([[[-0.1]], [[-1.0]], [[-1.0]]])),
        errors=np.array([0.2]),
        true_objectives=objectives,
        true_constraints=np.array([[0.1], [-1.0], [-1.0]]),
    )
    judged = judge(PROBLEM, trials)
    assert judged["estimate"] == {"reported": 2, "feasible": 1, "winners": 1, "found": 1, "hypervolume": 1.0}
    assert judged["verdict"] == {"reported": 1, "feasible": 1, "winners": 1, "found": 1, "hypervolume": 1.0}
    assert judged["strict"] == judged["verdict"]


def test_winners_are_the_true_ones_whatever_was_measured() -> None:
    trials = Trials(
        objectives=list(np.array([[[1.0]], [[0.0]]])),
        constraints=list(np.full((2, 1, 1), -1.0)),
        errors=np.zeros(1),
        true_objectives=np.array([[0.0], [1.0]]),
        true_constraints=np.full((2, 1), -1.0),
    )
    judged = judge(PROBLEM, trials)["verdict"]
    assert (judged["reported"], judged["winners"], judged["found"]) == (1, 1, 0)


def test_the_table_pools_runs() -> None:
    one = {"reported": 4, "feasible": 4, "winners": 5, "found": 1, "hypervolume": 0.5}
    other = {"reported": 6, "feasible": 5, "winners": 5, "found": 2, "hypervolume": 0.7}
    results = {f"random/srn/{seed}": dict.fromkeys(RULES, row) for seed, row in enumerate((one, other))}
    lines = search_noise.table(results, ["srn", "bnh"], "verdict").splitlines()
    assert lines[2] == "| random | n=2: 0.900 (0.833 to 1.000) / 0.300 / 0.600 |  |"


def test_the_committed_results_are_small_and_whole() -> None:
    assert search_noise.RESULTS.path.stat().st_size < 200_000
    results = search_noise.RESULTS.load()
    assert results
    for result in results.values():
        assert set(result) == set(RULES)
        for row in result.values():
            assert row["feasible"] <= row["reported"] <= search_noise.EVALUATIONS
            assert row["found"] <= min(row["winners"], row["reported"])
