"""Scoring: what a trial's measurements become, and that everything fails closed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.measurement import Measurement
from study.bounds import CLIP, MISSING
from study.config import StudyConfig
from study.empty import EXPERIMENT
from study.evaluation import Context
from study.objective import Score, score, unmeasured
from study.outcomes import RULES, Outcome, Told

MakeConfig = Callable[..., StudyConfig]


def metrics_of(tmp_path: Path, **trial: Any) -> dict[str, Measurement]:
    context = Context({}, {}, tmp_path, tmp_path, "cpu")
    evaluation = EXPERIMENT.start({**EXPERIMENT.defaults(), "epochs": 1, **trial}, 0, context)
    return dict(evaluation.step().metrics)


def score_of(config: StudyConfig, tmp_path: Path, **trial: Any) -> Score:
    return score(config.objective, EXPERIMENT.metrics, metrics_of(tmp_path, **trial))


def test_a_trial_inside_every_bound_is_ok_and_feasible(make_config: MakeConfig, tmp_path: Path) -> None:
    result = score_of(make_config(), tmp_path, x=0.5)
    assert result.outcome is Outcome.OK
    assert result.feasible
    assert all(margin <= 0 for margin in result.margins.values())
    assert result.objectives["quality"] == pytest.approx(0.96)


def test_a_trial_outside_one_bound_is_infeasible(make_config: MakeConfig, tmp_path: Path) -> None:
    result = score_of(make_config(), tmp_path, x=0.6)
    assert result.outcome is Outcome.INFEASIBLE
    assert not result.feasible
    assert result.margins["leak"] == pytest.approx(1.0)  # leak 0.3, baseline 0.2 + 0.05, scale 0.05


@pytest.mark.parametrize("fault", ["nan_metric", "absent_metric"])
def test_a_check_that_is_nan_or_absent_is_violated_and_others_keep_their_margin(
    make_config: MakeConfig, tmp_path: Path, fault: str
) -> None:
    result = score_of(make_config(), tmp_path, x=0.5, fault=fault)
    assert result.outcome is Outcome.CHECK_MISSING
    assert not result.feasible
    assert result.margins["leak"] == CLIP
    assert result.verdicts["leak"] == MISSING
    assert result.margins["detectability"] < 0


def test_a_missing_objective_puts_every_margin_at_the_clip(make_config: MakeConfig, tmp_path: Path) -> None:
    result = score_of(make_config(), tmp_path, x=0.5, fault="nan_objective")
    assert result.outcome is Outcome.OBJECTIVE_MISSING
    assert not result.feasible
    assert set(result.margins.values()) == {CLIP}
    assert math.isnan(result.objectives["quality"])


def test_the_worst_adversary_gives_the_objective_in_either_direction(make_config: MakeConfig, tmp_path: Path) -> None:
    def maximise_leak(values: dict[str, Any]) -> None:
        values["objective"]["objectives"]["leak"]["direction"] = "maximise"

    metrics = metrics_of(tmp_path, x=0.6)  # plain 0.2, high_pass 0.3
    minimised = score(make_config().objective, EXPERIMENT.metrics, metrics).objectives["leak"]
    maximised = score(make_config(edit=maximise_leak).objective, EXPERIMENT.metrics, metrics).objectives["leak"]
    assert (minimised, maximised) == (pytest.approx(0.3), pytest.approx(0.2))


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if RULES[outcome].at_clip])
def test_a_trial_that_was_not_measured_is_infeasible_at_the_clip(make_config: MakeConfig, outcome: Outcome) -> None:
    result = unmeasured(make_config().objective, outcome)
    assert not result.feasible
    assert set(result.margins.values()) == {CLIP}
    assert set(result.verdicts.values()) == {MISSING}


def test_only_ok_is_feasible_and_every_outcome_has_a_rule() -> None:
    assert set(RULES) == set(Outcome)
    assert all(rule.at_clip for rule in RULES.values() if rule.told is not Told.COMPLETE)


def test_bounds_are_sorted_by_name_whatever_their_order_in_the_file(make_config: MakeConfig) -> None:
    def reverse(values: dict[str, Any]) -> None:
        values["checks"]["bounds"] = dict(reversed(values["checks"]["bounds"].items()))

    names = [[bound.check for bound in make_config(edit=edit).objective.bounds] for edit in (None, reverse)]
    assert names == [["detectability", "leak"]] * 2


def test_a_check_whose_metric_is_searched_for_is_no_constraint(make_config: MakeConfig) -> None:
    def search_leak(values: dict[str, Any]) -> None:
        values["objective"]["objectives"]["leak"]["searched"] = True

    assert [bound.check for bound in make_config(edit=search_leak).objective.bounds] == ["detectability"]
