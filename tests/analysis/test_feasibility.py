"""The probability of feasibility: right by simulation, and closed where something is missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.feasibility import feasibility
from analysis.records import load_study

MakeStudy = Callable[..., Path]
AUC = "metric.steganalysis_auc.high_pass"


def test_an_estimate_at_its_bound_is_within_with_probability_one_half(make_study: MakeStudy) -> None:
    def at_bound(rows: list[dict]) -> list[dict]:
        return [row | {AUC: 0.6, f"{AUC}.low": 0.58, f"{AUC}.high": 0.62} for row in rows]

    study = load_study(make_study(trials=4, without_nan=True, crashed=(), change_rows=at_bound))
    np.testing.assert_allclose(feasibility(study).by_check["steganalysis"], 0.5)


def test_the_probability_of_a_check_agrees_with_drawing_estimate_and_baseline(make_study: MakeStudy) -> None:
    study = load_study(make_study(crashed=()))
    rng = np.random.default_rng(0)
    within = np.ones((4000, len(study)), dtype=bool)
    for name, column in study.members("strong_identity_accuracy").items():
        value = rng.normal(column.value, (column.high - column.low) / 3.92, within.shape)
        baseline = rng.normal(column.baseline, (column.baseline_high - column.baseline_low) / 3.92, within.shape)
        within &= (value <= baseline + 0.05) | ~column.votes
        assert name.startswith("strong_identity_accuracy.")
    found = feasibility(study).by_check["strong_identity"]
    np.testing.assert_allclose(found, within.mean(axis=0), atol=0.04)  # Five standard errors of 4,000 draws.


def test_all_checks_together_are_their_product_and_nothing_missing_is_probable(make_study: MakeStudy) -> None:
    study = load_study(make_study())
    found = feasibility(study)
    np.testing.assert_allclose(found.probability, np.prod(list(found.by_check.values()), axis=0))
    assert found.probability[9] == 0.0  # Diverged.
    assert found.probability[5] == found.by_check["steganalysis"][5] == 0.0  # The check gave nothing.
    assert ((found.probability >= 0) & (found.probability <= 1)).all()


def test_a_member_without_a_vote_changes_nothing(make_study: MakeStudy) -> None:
    def leak(rows: list[dict]) -> list[dict]:
        return [row | {"metric.strong_identity_accuracy.bit_plane": 0.9} for row in rows]

    study = load_study(make_study(trials=5, voteless=(3, 4), change_rows=leak))
    found = feasibility(study).by_check["strong_identity"]
    assert found[0] == pytest.approx(0.0, abs=1e-6)
    assert found[4] > 0.01


def test_margins_have_the_interval_of_their_worst_member(make_study: MakeStudy) -> None:
    study = load_study(make_study(crashed=(), without_nan=True))
    found = feasibility(study)
    for check, margin in study.constraints.items():
        assert (found.margin_low[check] <= margin + 1e-9).all()
        assert (found.margin_high[check] >= margin - 1e-9).all()


def test_without_checks_feasible_is_what_the_records_say(make_study: MakeStudy) -> None:
    study = load_study(make_study(trials=4, metadata={"constraints": {}}))
    np.testing.assert_array_equal(feasibility(study).probability, study.feasible.astype(float))
