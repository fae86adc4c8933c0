"""The Bayesian sampler: what it learns from, what its acquisition is, and that it finds things."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState, create_trial

from study.bayesian import Acquisition, BayesianSampler, Results, _fit_model, dominated_by
from study.bounds import CLIP


def evaluate(trial: Trial) -> None:
    """Minimise two distances, to (0, 0) and (1, 1), feasible in a band that holds a tenth of the square."""
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    trial.set_constraint("band", (abs(x - y - 0.3) - 0.07) / 0.3)
    trial.study.tell(trial, [x**2 + y**2, (1 - x) ** 2 + (1 - y) ** 2])


def searched(sampler: optuna.samplers.BaseSampler, trials: int) -> Study:
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    while len(study.trials) < trials:
        for trial in [study.ask() for _ in range(2)]:
            evaluate(trial)
    return study


def feasible_values(study: Study) -> np.ndarray:
    trials = [one for one in study.trials if all(value <= 0 for value in one.constraints.values())]
    return np.array([one.values for one in trials]).reshape(-1, 2)


@pytest.mark.slow
def test_it_finds_a_front_in_a_narrow_feasible_band() -> None:
    found = feasible_values(searched(BayesianSampler(8, seed=0), 32))
    random = feasible_values(searched(optuna.samplers.RandomSampler(seed=0), 32))
    assert len(found) > 2 * len(random)
    front = found[dominated_by(found) == 0]
    # On the band's edge nearest to the diagonal the two distances have this relation; the front lies on it.
    assert np.median(front.sum(axis=1)) < np.median(random.sum(axis=1))
    assert len(front) >= 6


@pytest.mark.slow
def test_proposals_are_a_function_of_seed_number_and_trials() -> None:
    first, again = (searched(BayesianSampler(6, seed=1), 14) for _ in range(2))
    assert [one.params for one in first.trials] == [one.params for one in again.trials]
    other = searched(BayesianSampler(6, seed=2), 14)
    assert [one.params for one in first.trials] != [one.params for one in other.trials]
    continued = optuna.create_study(directions=["minimize", "minimize"], sampler=BayesianSampler(6, seed=1))
    continued.add_trials(first.trials[:12])
    for trial in [continued.ask() for _ in range(2)]:
        evaluate(trial)
    assert [one.params for one in continued.trials] == [one.params for one in first.trials]


def test_trials_at_the_clip_teach_the_constraints_and_not_the_objectives() -> None:
    study = optuna.create_study(directions=["maximize"])
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    for value, margins in ((0.5, {"a": -1.0, "b": 0.5}), (-1.0, {"a": CLIP, "b": CLIP}), (0.7, {"a": -1.0})):
        study.add_trial(create_trial(value=value, params={"x": 0.5}, distributions=space, constraints=margins))
    results = Results.of(study, study.trials)
    np.testing.assert_allclose(results.losses, [[-0.5], [math.nan], [-0.7]])
    np.testing.assert_allclose(results.margins, [[-1.0, 0.5], [CLIP, CLIP], [-1.0, CLIP]])  # a missing one is violated
    assert results.order.tolist() == [0, 2, 1]
    assert set(Results(results.losses, results.margins).chosen(2).tolist()) == {0, 2}


def test_the_scalarisations_average_to_the_hypervolume_that_is_gained() -> None:
    points = np.random.default_rng(0).random((30, 2))
    losses = np.column_stack([points[:, 0], 1 - points[:, 0] + points[:, 1]])
    model = _fit_model(points, losses, np.empty((30, 0)), np.array([False, False]))
    low, high = np.array([[0.2, 0.3]]), np.array([[0.5, 0.6]])
    volume = [float(np.prod(model.reference - one)) for one in (low, high)]
    scalarised = np.array(
        [
            [
                Acquisition(model, np.empty((0, 2)), np.random.default_rng(seed))._scalarise(one).mean()
                for seed in range(300)
            ]
            for one in (low, high)
        ]
    )
    ratio, spread = scalarised[0].mean() / scalarised[1].mean(), 4 * scalarised.std() / math.sqrt(300)
    assert abs(ratio - volume[0] / volume[1]) < spread / scalarised[1].mean()


@pytest.mark.slow
def test_what_is_being_evaluated_is_not_proposed_again_nearby() -> None:
    study = searched(BayesianSampler(8, seed=0), 20)
    asked = [study.ask() for _ in range(4)]
    points = np.array([[trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)] for trial in asked])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(4, 1)]
    assert distances.min() > 1e-3


def test_a_small_space_is_gone_through_before_anything_is_repeated() -> None:
    study = optuna.create_study(directions=["maximize"], sampler=BayesianSampler(3, seed=0))
    asked = []
    for _ in range(3 + 9):
        trial = study.ask()
        values = trial.suggest_categorical("a", ["p", "q", "r"]), trial.suggest_categorical("b", [1, 2, 4])
        asked.append(values)
        study.tell(trial, float(values[1]) + (values[0] == "q"))
    assert len(set(asked[3:])) + len(set(asked[:3]) - set(asked[3:])) == 9  # the first three are random
    assert len(set(asked[: 3 + 6])) >= 7


@pytest.mark.parametrize("broken", ["all_infeasible", "all_at_clip", "equal_values", "no_constraints", "one_parameter"])
def test_degenerate_studies_are_served(broken: str) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=BayesianSampler(2, seed=0))
    for number in range(6):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        y = 0.5 if broken == "one_parameter" else trial.suggest_int("y", 1, 9)
        if broken != "no_constraints":
            margin = {"all_infeasible": 0.1 + x, "all_at_clip": CLIP}.get(broken, x - 0.5)
            trial.set_constraint("c", margin)
        study.tell(trial, [1.0, 1.0] if broken == "equal_values" else [x, float(y)])
        assert len(study.trials) == number + 1
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)


def test_what_failed_is_not_proposed_again() -> None:
    """The search fails a configuration that the experiment refuses, and asks at once for another."""
    study = optuna.create_study(directions=["maximize"], sampler=BayesianSampler(3, seed=0))
    refused = []
    for _ in range(20):
        trial = study.ask()
        values = trial.suggest_categorical("a", ["p", "q", "r", "s"]), trial.suggest_int("b", 1, 8)
        if values[1] > 6 and len(study.get_trials(states=(TrialState.COMPLETE,))) >= 3:
            refused.append(values)
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, float(values[1]))
    assert len(refused) >= 3
    assert len(set(refused)) == len(refused)
