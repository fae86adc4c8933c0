"""Importance of parameters: what explains is found, what does not stays within chance."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.importance import Importance, importance
from analysis.records import Study, load_study

MakeStudy = Callable[..., Path]


def cell(found: Importance, parameter: str, target: str) -> tuple[float, float]:
    place = found.parameters.index(parameter), found.targets.index(target)
    return float(found.share[place]), float(found.p_value[place])


@pytest.fixture(scope="module")
def study(whole_study: Path) -> Study:
    """Return the default study."""
    return load_study(whole_study)


def with_target(study: Study, values: np.ndarray) -> Study:
    return replace(study, objectives={**study.objectives, "reconstruction_ssim": values})


def test_a_parameter_that_decides_everything_explains_it(make_study: MakeStudy) -> None:
    study = load_study(make_study(trials=160, crashed=()))
    strength = np.asarray(study.parameters["subversion.strength"], dtype=float)
    found = importance(with_target(study, np.log1p(strength)))
    share, p_value = cell(found, "subversion.strength", "Reconstruction quality")
    assert share > 0.6
    assert p_value == 1 / 200
    within = [name for name in found.parameters if name not in study.strata]
    assert share == max(cell(found, name, "Reconstruction quality")[0] for name in within)


def test_a_stratum_is_judged_over_all_trials_and_taken_out_of_the_others(study: Study) -> None:
    learned = np.asarray([family == "learned" for family in study.parameters["subversion.family"]], dtype=float)
    found = importance(with_target(study, learned))
    assert cell(found, "subversion.family", "Reconstruction quality")[0] > 0.99
    assert np.isnan(cell(found, "subversion.strength", "Reconstruction quality")[0])  # Nothing is left to explain.


def test_an_effect_that_turns_round_between_strata_counts(study: Study) -> None:
    sign = np.asarray([1.0 if family == "learned" else -1.0 for family in study.parameters["subversion.family"]])
    patch = np.asarray([critic == "patch" for critic in study.parameters["stage_one.critic"]], dtype=float)
    found = importance(with_target(study, sign * patch))
    assert cell(found, "stage_one.critic", "Reconstruction quality")[1] <= 0.05


def test_noise_stands_out_no_more_often_than_chance_allows(study: Study) -> None:
    rng = np.random.default_rng(0)
    p_values = [
        cell(importance(with_target(study, rng.normal(size=len(study)))), "stage_one.critic", "Reconstruction quality")[
            1
        ]
        for _ in range(40)
    ]
    # At a true rate of 0.05, seven or more of 40 have probability 0.003.
    assert sum(p <= 0.05 for p in p_values) < 7
    assert 0.3 < np.mean(p_values) < 0.7


def test_conditional_parameters_are_judged_by_the_trials_that_use_them(study: Study) -> None:
    found = importance(study)
    place = found.parameters.index("subversion.learned.key")
    used = [value is not None for value in study.parameters["subversion.learned.key"]]
    assert found.trials[place] <= sum(used)
    assert cell(found, "subversion.learned.key", "Identity leakage")[1] <= 0.05
    assert "stage_one.recipe" not in found.parameters  # It never varies.


def test_the_same_records_give_the_same_figures_and_few_trials_none(study: Study, make_study: MakeStudy) -> None:
    np.testing.assert_array_equal(importance(study).share, importance(study).share)
    assert importance(load_study(make_study(trials=4))).parameters == ()
