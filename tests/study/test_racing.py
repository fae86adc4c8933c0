"""Racing: who gets another seed, by whose spread, and that it saves without losing what is reported."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.replicates import compare
from study.bounds import CLIP
from study.racing import ENOUGH, Seeds, deviations, promising


def seeds(*rows: tuple[Any, float]) -> Seeds:
    """Return a configuration from an objective (or several) and a margin a seed."""
    objectives = np.array([np.atleast_1d(objective) for objective, _ in rows], dtype=float)
    return Seeds(objectives, np.array([[margin] for _, margin in rows]))


SPREAD = np.array([0.1, 0.1])
GOOD = seeds((0.0, -1.0), (0.0, -1.0))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((-0.5, -1.0), True),  # the best yet
        ((0.05, -1.0), True),  # behind by less than a standard error
        ((0.5, -1.0), False),  # behind by far
        ((-0.5, 0.05), True),  # perhaps feasible
        ((-0.5, 0.5), False),  # hardly
        ((-0.5, CLIP), False),
        ((math.nan, -1.0), False),
        ((-0.5, math.nan), False),
    ],
)
def test_who_is_promising(own: tuple[float, float], expected: bool) -> None:
    assert promising(seeds(own), [GOOD], SPREAD) is expected


def test_an_infeasible_rival_is_none() -> None:
    assert promising(seeds((0.5, -1.0)), [seeds((0.0, 0.01))], SPREAD)
    assert promising(seeds((0.5, -1.0)), [seeds((0.0, math.nan))], SPREAD)
    assert promising(seeds((0.5, -1.0)), [], SPREAD)


def test_the_more_seeds_the_less_hope() -> None:
    assert promising(seeds((0.11, -1.0)), [GOOD], SPREAD)
    assert not promising(seeds(*[(0.11, -1.0)] * 3), [GOOD], SPREAD)
    assert promising(seeds((-1.0, 0.08)), [GOOD], SPREAD)
    assert not promising(seeds(*[(-1.0, 0.08)] * 3), [GOOD], SPREAD)


def test_being_better_in_one_of_two_objectives_is_enough() -> None:
    rivals, spread = [seeds(((0.0, 1.0), -1.0))], np.array([0.1, 0.1, 0.1])
    assert promising(seeds(((9.0, 0.5), -1.0)), rivals, spread)
    assert not promising(seeds(((9.0, 1.5), -1.0)), rivals, spread)


def test_equals_do_not_stop_each_other() -> None:
    assert promising(seeds((0.0, -1.0)), [GOOD], np.zeros(2))


def test_without_checks_and_without_noise() -> None:
    own, rival = (Seeds(np.array([[value]]), np.empty((1, 0))) for value in (1.0, 0.0))
    assert promising(rival, [own], np.zeros(1))
    assert not promising(own, [rival], np.zeros(1))


def test_the_spread_is_pooled_over_replicated_configurations() -> None:
    configurations = [seeds((0.0, -1.0), (2.0, -1.0)), seeds((5.0, 0.0), (5.0, 0.2)), seeds((1.0, 0.0), (1.0, 0.0))]
    # Sums of squares 2 and 0.02, three degrees of freedom each.
    expected = (math.sqrt(2 / 3), math.sqrt(0.02 / 3))
    assert deviations([*configurations, seeds((99.0, 9.0))], np.ones(2)) == pytest.approx(expected)


def test_until_enough_are_replicated_the_measurements_tell() -> None:
    one = seeds((0.0, -1.0), (2.0, -1.0))
    assert deviations([one] * (ENOUGH - 1), np.array([7.0, 8.0])) == pytest.approx([7.0, 8.0])


def test_margins_at_the_clip_do_not_tell_of_the_spread() -> None:
    configurations = [seeds((0.0, CLIP), (2.0, CLIP))] * ENOUGH
    assert deviations(configurations, np.array([7.0, 8.0])) == pytest.approx([math.sqrt(2), 8.0])


@pytest.mark.parametrize(("problem", "most"), [("BNH", 0.85), ("SRN", 0.5)])
def test_racing_saves_seeds_and_reports_as_good_a_front(problem: str, most: float) -> None:
    runs = [compare(problem, configurations=60, seeds=3, seed=seed) for seed in range(4)]
    used, volume = (
        {way: np.mean([getattr(run[way], field) for run in runs]) for way in runs[0]}
        for field in ("evaluations", "hypervolume")
    )
    assert used["all seeds"] == 180
    assert used["racing"] <= most * used["all seeds"]
    assert volume["racing"] >= volume["all seeds"] - 0.01
    assert volume["racing"] > volume["all seeds, fewer configurations"]
