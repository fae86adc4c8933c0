"""Means over seeds: closed forms, an interval that covers what it should, and nothing unmeasured that passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.measurement import Control, Measurement
from study.bounds import MISSING, PASS, TOO_LITTLE_DATA, check_bound, parse_bound
from study.records import CONTROLS, LIMITS
from study.replicate_records import recorded_measurements
from study.replicates import aggregate, standard_error

T_2 = 4.302653
"""Quantile 0.975 of Student's t with two degrees of freedom."""


def exact(value: float, **others: float) -> Measurement:
    return Measurement(value, value, value, **others)


def within(value: float, half: float = 0.02) -> Measurement:
    return Measurement(value, value - half, value + half)


NAN = Measurement.not_measured()


def mean(*given: Measurement) -> Measurement:
    return aggregate([{"leak": item} for item in given])["leak"]


def test_one_replicate_is_the_measurement_itself() -> None:
    measured = {"leak": Measurement(0.2, 0.1, 0.4, 0.3, 0.2, 0.35, 0.1, 0.15, votes=False), "other": NAN}
    assert aggregate([measured]) == measured


def test_mean_and_t_interval_of_exact_measurements() -> None:
    found = mean(exact(0.1), exact(0.2), exact(0.3))
    half = T_2 * 0.1 / math.sqrt(3)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half), rel=1e-6)


def test_the_error_of_common_images_does_not_average_out() -> None:
    found = mean(*[within(0.5)] * 4)
    assert found.high - found.value == pytest.approx(0.02)


def test_seeds_and_images_add_in_quadrature_on_each_side() -> None:
    found = mean(*(Measurement(value, value - 0.03, value + 0.01) for value in (0.1, 0.2, 0.3)))
    seeds = T_2 * 0.1 / math.sqrt(3)
    assert found.value - found.low == pytest.approx(math.hypot(0.03, seeds), rel=1e-6)
    assert found.high - found.value == pytest.approx(math.hypot(0.01, seeds), rel=1e-6)


def test_the_interval_covers_the_truth() -> None:
    """Of 1,000 configurations of three seeds at least 95 %, less 3 standard errors of 7 each: once in 700 by chance."""
    random, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        images = 0.01 * random.standard_normal()
        values = 0.02 * random.standard_normal(3) + images
        found = mean(*(within(float(value), 1.96 * 0.01) for value in values))
        covered += found.low <= 0 <= found.high
    assert covered >= 950 - 3 * 7


@pytest.mark.parametrize(
    "others",
    [
        [{"leak": NAN}],
        [{}],
        [{"leak": Measurement(math.inf, 0.0, math.inf)}],
        [{"leak": within(0.1)}, {"leak": NAN}],
    ],
)
def test_what_one_replicate_did_not_measure_is_violated(others: list[dict[str, Measurement]]) -> None:
    found = aggregate([{"leak": within(0.1)}, *others])["leak"]
    assert math.isnan(found.value)
    assert found.votes
    assert check_bound(parse_bound("leak", "leak <= 0.9", 0.1), {"leak": found}).verdict == MISSING


def test_a_vote_takes_all_replicates_and_a_missing_one_takes_no_vote_away() -> None:
    without = Measurement(0.9, 0.8, 1.0, votes=False)
    assert not mean(without, without).votes
    assert not mean(without, Measurement(math.nan, math.nan, math.nan, votes=False)).votes
    disputed = mean(within(0.1), without)
    assert disputed.votes, "an adversary that could not vote in one seed must not vanish from the mean of all"
    assert math.isnan(disputed.value)
    assert mean(NAN, without).votes, "NaN that may vote is a violation, whatever the others say"
    assert aggregate([{}, {"leak": without}])["leak"].votes


def test_limits_that_are_not_known_stay_unknown() -> None:
    found = mean(Measurement(0.1, math.nan, math.nan), within(0.1))
    assert found.value == pytest.approx(0.1)
    assert math.isnan(found.high)
    assert check_bound(parse_bound("leak", "leak <= 0.9", 0.1), {"leak": found}).verdict == TOO_LITTLE_DATA


def test_baselines_are_kept_and_widest_where_they_differ() -> None:
    one = Measurement(0.2, 0.2, 0.2, 0.3, 0.25, 0.35, 0.1, 0.15)
    kept = mean(one, one)
    assert (kept.baseline, kept.baseline_low, kept.baseline_high) == pytest.approx((0.3, 0.25, 0.35))
    assert (kept.chance, kept.majority) == pytest.approx((0.1, 0.15))
    wide = mean(one, Measurement(0.2, 0.2, 0.2, 0.5, 0.2, 0.6, 0.1, 0.15))
    assert (wide.baseline, wide.baseline_low, wide.baseline_high) == pytest.approx((0.4, 0.2, 0.6))
    assert mean(one, exact(0.2)).baseline is None, "a bound on a baseline that is missing once is violated"


def test_a_verdict_holds_the_variance_between_seeds() -> None:
    bound = parse_bound("leak", "leak <= 0.3", 0.1)
    seeds = [within(0.2), within(0.21), within(0.27)]
    assert [check_bound(bound, {"leak": one}).verdict for one in seeds] == [PASS] * 3
    assert check_bound(bound, {"leak": mean(*seeds)}).verdict == TOO_LITTLE_DATA


def test_standard_error() -> None:
    assert standard_error([1.0, 3.0]) == pytest.approx(1.0)
    assert standard_error([0.2000001] * 3) == 0.0
    assert math.isnan(standard_error([1.0]))
    assert math.isnan(standard_error([1.0, math.nan]))


def test_a_mean_has_converged_only_if_every_seed_has() -> None:
    done, learning = Measurement(0.2, 0.1, 0.3), Measurement(0.2, 0.1, 0.3, converged=False)
    assert mean(done, done).converged
    assert not mean(done, learning).converged


def test_what_was_still_learning_is_read_back_as_such() -> None:
    names = ("strong_identity_accuracy.plain", "strong_identity_accuracy.moments", "steganalysis_auc.high_pass")
    fields = {f"metric.{name}": 0.2 for name in names}
    row = {**fields, **{f"{name}.votes": True for name in fields}}
    row |= {f"{name}.{limit}": 0.2 for name in fields for limit in LIMITS}
    controls = [
        Control(check, adversary, "convergence", 0.0, 0.0, 0.0, "a plateau", passed=False).to_dict()
        for check, adversary in (("strong_identity", "plain"), ("steganalysis", "high_pass"))
    ]
    found = recorded_measurements({**row, CONTROLS: controls})
    assert not found["strong_identity_accuracy.plain"].converged
    assert not found["steganalysis_auc.high_pass"].converged
    assert found["strong_identity_accuracy.moments"].converged
