"""What is computed from a study before anything is drawn: ranks, fronts, checks, progress, axes, controls."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.checks import failed_checks, summarise_checks, voteless
from analysis.controls import summarise_controls
from analysis.fronts import bound_lines, family_fronts, front_mask, honest_point, joint_fronts
from analysis.parallel import INACTIVE, parallel_axes
from analysis.progress import completion_order, running_best, search_progress
from analysis.ranking import best_feasible, ranked, total_violation
from analysis.records import Study, load_study
from analysis.strata import split, summarise

MakeStudy = Callable[..., Path]


@pytest.fixture(scope="module")
def study(whole_study: Path) -> Study:
    """Return the default study."""
    return load_study(whole_study)


def test_feasible_trials_rank_before_all_others_and_by_the_objective(study: Study) -> None:
    order = ranked(study)
    feasible = study.feasible[order]
    count = int(feasible.sum())
    assert feasible[:count].all()
    assert (np.diff(study.objectives["reconstruction_ssim"][order[:count]]) <= 0).all()
    assert (np.diff(total_violation(study)[order[count:]]) >= 0).all()
    assert sorted(order) == list(range(len(study)))


def test_rank_of_trials_does_not_depend_on_the_order_of_rows(make_study: MakeStudy, study: Study) -> None:
    other = load_study(make_study("other", change_rows=lambda rows: rows[::-1]))
    assert study.trial[ranked(study)].tolist() == other.trial[ranked(other)].tolist()


def test_a_feasible_trial_without_a_value_is_never_the_best(make_study: MakeStudy) -> None:
    def blank(rows: list[dict]) -> list[dict]:
        return [row | {"objective.reconstruction_ssim": float("nan")} if row["feasible"] else row for row in rows]

    assert best_feasible(load_study(make_study("blank", change_rows=blank))) is None
    assert best_feasible(load_study(make_study("none", trials=3, crashed=(0, 1, 2)))) is None


def test_the_joint_front_is_the_best_of_the_family_fronts(study: Study) -> None:
    for joint in joint_fronts(study):
        assert joint.feasible[joint.front].all()
        own = {int(study.trial[row]) for row in joint.rows[joint.front]}
        families = [front for front in family_fronts(study) if front.x == joint.x]
        assert own <= {int(study.trial[front.rows[place]]) for front in families for place in front.front}
        assert (np.diff(joint.xs[joint.front]) >= 0).all()
        assert (np.diff(joint.ys[joint.front]) >= 0).all()


def test_a_family_without_feasible_trials_says_so(study: Study) -> None:
    notes = {front.title: front.note for front in family_fronts(study)}
    assert "no feasible trial" in notes["learned"]
    assert notes["keyed"] == ""


def test_a_family_that_recovers_no_more_than_a_guess_says_so(make_study: MakeStudy) -> None:
    def poor(rows: list[dict]) -> list[dict]:
        return [row | {"objective.reconstruction_ssim": 0.2} for row in rows]

    notes = {front.title: front.note for front in family_fronts(load_study(make_study(change_rows=poor)))}
    assert "no more than anyone can guess" in notes["keyed"]


def test_nan_points_are_on_no_front(study: Study) -> None:
    rows = {int(row) for front in joint_fronts(study) for row in front.rows[front.unchecked]}
    assert 9 not in rows
    assert not front_mask(study)[[5, 9]].any()


def test_the_honest_baseline_is_the_worst_voting_adversary_and_the_mean_face(study: Study) -> None:
    ssim, leak, auc = study.schema.objectives
    leakage, detectability = honest_point(study, leak, ssim), honest_point(study, auc, ssim)
    assert leakage is not None
    assert detectability is not None
    assert leakage.x_is == "baseline"
    assert leakage.x == pytest.approx(0.37)
    assert leakage.y == pytest.approx(0.29)
    assert (detectability.x, detectability.x_is) == (0.5, "chance")


def test_bounds_lie_at_each_adversary_s_own_baseline(study: Study) -> None:
    lines = {line.adversary: line.at for line in bound_lines(study, study.schema.objectives[1])}
    assert lines == pytest.approx({"plain": 0.32, "high_pass": 0.42, "bit_plane": 0.23})
    assert [line.at for line in bound_lines(study, study.schema.objectives[2])] == [0.6]


def test_every_trial_is_within_beyond_or_without_result_of_each_check(study: Study) -> None:
    for check in summarise_checks(study):
        assert check.passed + check.stopped + int(check.missing.sum()) == len(study)
        assert check.alone <= check.stopped
        assert sum(amount for _, amount in check.verdicts) == len(study)


def test_a_trial_that_diverged_is_blamed_on_no_check(make_study: MakeStudy) -> None:
    study = load_study(make_study(trials=2, crashed=(0, 1)))
    assert all(check.stopped == 0 and check.missing.all() for check in summarise_checks(study))
    assert len(failed_checks(study, 0)) == 3


def test_adversaries_without_a_vote_are_counted(make_study: MakeStudy, study: Study) -> None:
    (silent,) = voteless(study)
    assert (silent.name, silent.trials, silent.of) == ("strong_identity_accuracy.bit_plane", 2, 24)
    assert silent.bound
    assert not silent.check_silent

    def mute(rows: list[dict]) -> list[dict]:
        return [row | {"metric.steganalysis_auc.high_pass.votes": False} for row in rows]

    found = {item.name: item for item in voteless(load_study(make_study("mute", change_rows=mute)))}
    assert found["steganalysis_auc.high_pass"].check_silent


def test_strata_partition_the_trials(study: Study) -> None:
    for parameters in (("subversion.family",), study.schema.strata):
        strata = split(study, parameters)
        assert np.sum([item.rows for item in strata], axis=0).tolist() == [1] * len(study)
        assert sum(summarise(study, item).feasible for item in strata) == int(study.feasible.sum())


def test_the_best_of_the_strata_is_the_best_of_all(study: Study) -> None:
    found = [summarise(study, item) for item in split(study, ("subversion.family",))]
    best = best_feasible(study)
    assert best is not None
    assert max(item.best_value for item in found if item.best_trial is not None) == pytest.approx(
        study.objectives["reconstruction_ssim"][best]
    )


def test_running_best_in_closed_form() -> None:
    values = np.array([5.0, 1.0, np.nan, 2.0, 9.0, 3.0])
    eligible = np.array([False, True, True, True, False, True])
    np.testing.assert_array_equal(running_best(values, eligible, True), [np.nan, 1, 1, 2, 2, 3])
    np.testing.assert_array_equal(running_best(values, eligible, False), [np.nan, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(running_best(-values, eligible, False), -running_best(values, eligible, True))


def test_progress_follows_the_order_of_completion(make_study: MakeStudy) -> None:
    def swap(rows: list[dict]) -> list[dict]:
        return [row | {"finished": 1000.0 - row["trial"]} for row in rows]

    study = load_study(make_study(trials=5, change_rows=swap))
    assert study.trial[completion_order(study)].tolist() == [4, 3, 2, 1, 0]
    best = search_progress(study).best
    assert (np.diff(best[~np.isnan(best)]) >= 0).all()


def test_axes_place_active_values_inside_and_inactive_ones_below(study: Study) -> None:
    info = parallel_axes(study, ranked(study))
    axes = {axis.name: axis for axis in info.axes}
    bits = axes["subversion.code_bits"]
    assert bits.log
    assert bits.has_inactive
    for axis in info.axes:
        active = axis.positions[axis.positions != INACTIVE]
        assert active.min() >= 0
        assert active.max() <= 1
        assert axis.has_inactive == (len(active) < len(axis.positions))
    assert info.constant == (("stage_one.recipe", "anchored"),)
    assert info.without_value == 1
    assert info.rows[-1] == ranked(study)[0]


def test_logarithmic_axes_place_the_geometric_mean_in_the_middle(study: Study) -> None:
    axis = next(a for a in parallel_axes(study, ranked(study)).axes if a.name == "subversion.learned.identity_weight")
    (low, _), (middle, text), (high, _) = axis.ticks
    assert (low, middle, high) == pytest.approx((0, 0.5, 1))
    known = [value for value in study.parameters[axis.name] if value is not None]
    assert float(text) == pytest.approx((min(known) * max(known)) ** 0.5, rel=0.3)


def test_controls_are_put_together_and_failures_come_first(study: Study) -> None:
    first, *rest = summarise_controls(study)
    assert (first.adversary, first.control, first.sound) == ("bit_plane", "least_significant_bit", False)
    assert (first.passed, first.trials) == (21, 23)
    assert all(item.sound for item in rest)
