"""The non-dominated mask against a quadratic oracle, closed forms and its invariances."""

import numpy as np
import pytest

from analysis.pareto import nondominated


def oracle(values: np.ndarray, maximise: tuple[bool, ...]) -> np.ndarray:
    """Compare every pair, as the definition says."""
    costs = np.where(maximise, -values, values)
    known = ~np.isnan(values).any(axis=1)
    mask = known.copy()
    for i in np.flatnonzero(known):
        for j in np.flatnonzero(known):
            if (costs[j] <= costs[i]).all() and (costs[j] < costs[i]).any():
                mask[i] = False
    return mask


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("levels", [3, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_mask_agrees_with_comparing_every_pair(objectives: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (60, objectives)).astype(float)  # Three levels give many ties and copies.
    values[rng.random(values.shape) < 0.03] = np.nan
    maximise = tuple(bool(flag) for flag in rng.integers(0, 2, objectives))
    assert (nondominated(values, maximise) == oracle(values, maximise)).all()


@pytest.mark.parametrize("objectives", [2, 3])
def test_order_of_points_does_not_matter(objectives: int) -> None:
    rng = np.random.default_rng(7)
    values = rng.random((200, objectives))
    order = rng.permutation(200)
    maximise = (True,) * objectives
    assert (nondominated(values[order], maximise) == nondominated(values, maximise)[order]).all()


def test_staircase_is_all_front_and_its_shadow_is_not() -> None:
    steps = np.arange(50.0)
    staircase = np.stack([steps, steps], axis=1)  # More leakage buys more reconstruction.
    shadow = staircase + np.array([0.5, -0.5])
    mask = nondominated(np.concatenate([staircase, shadow]), (False, True))
    assert mask[:50].all()
    assert not mask[50:].any()


def test_flipping_sign_and_direction_changes_nothing() -> None:
    values = np.random.default_rng(3).random((80, 2))
    assert (nondominated(values, (True, False)) == nondominated(values * [-1, 1], (False, False))).all()


def test_copies_stay_together_on_the_front() -> None:
    values = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [-0.0, 0.0]])
    assert nondominated(values, (True, True)).tolist() == [True, False, True, False]
    assert nondominated(values, (False, False)).tolist() == [False, True, False, True]


def test_nan_is_never_on_the_front_and_dominates_nothing() -> None:
    values = np.array([[np.nan, 9.0], [1.0, 1.0], [9.0, np.nan]])
    assert nondominated(values, (True, True)).tolist() == [False, True, False]
    assert not nondominated(np.full((3, 2), np.nan), (True, True)).any()


def test_infinite_values_are_ordinary_values() -> None:
    values = np.array([[np.inf, 0.0], [0.0, np.inf], [np.inf, np.inf]])
    assert nondominated(values, (True, True)).tolist() == [False, False, True]
    assert nondominated(values, (False, False)).tolist() == [True, True, False]


def test_no_points_give_an_empty_mask() -> None:
    assert nondominated(np.empty((0, 2)), (True, True)).shape == (0,)


@pytest.mark.parametrize(("values", "flags"), [(np.zeros(3), (True,)), (np.zeros((3, 2)), (True,))])
def test_shapes_that_do_not_fit_are_refused(values: np.ndarray, flags: tuple[bool, ...]) -> None:
    with pytest.raises(ValueError, match="maximise"):
        nondominated(values, flags)
