import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from models.checks.statistics import (
    Estimate,
    accuracy,
    auc,
    auc_interval,
    best_threshold,
    clopper_pearson,
    difference_interval,
    error_probability,
    majority_share,
    mean_accuracy,
)


@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (0, 40), (40, 40), (7, 40), (270, 1000), (999, 1000)]
)
def test_clopper_pearson_equals_scipys_exact_interval(successes, trials):
    oracle = scipy_stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert clopper_pearson(successes, trials) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_clopper_pearson_of_no_success_is_the_closed_form():
    low, high = clopper_pearson(0, 30)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 30))


@pytest.mark.parametrize("counts", [(1, 0), (-1, 5), (6, 5)])
def test_counts_that_make_no_proportion_are_refused(counts):
    with pytest.raises(ValueError, match="proportion"):
        clopper_pearson(*counts)


def test_the_exact_interval_covers_at_least_95_percent_for_every_count():
    n = 25
    limits = [clopper_pearson(k, n) for k in range(n + 1)]
    for p in np.linspace(0.01, 0.99, 25):
        inside = [low <= p <= high for low, high in limits]
        assert scipy_stats.binom.pmf(np.arange(n + 1), n, p)[inside].sum() >= 0.95


def test_accuracy_counts_correct_answers():
    found = accuracy([True, True, False, True])
    assert found.value == 0.75
    assert (found.low, found.high) == clopper_pearson(3, 4)


def test_seeds_judged_on_the_same_images_do_not_narrow_the_interval():
    one = mean_accuracy([0.3], 100)
    four = mean_accuracy([0.25, 0.35, 0.3, 0.3], 100)
    assert (one.low, one.high) == clopper_pearson(30, 100)
    assert four == pytest.approx(one)


def test_a_crashed_seed_makes_the_mean_nan():
    found = mean_accuracy([0.3, math.nan], 100)
    assert math.isnan(found.value)
    assert math.isnan(found.low)


def test_majority_share_is_that_of_the_most_frequent_label():
    assert majority_share([0, 1, 1, 3]) == 0.5


def _auc_by_pairs(negative, positive):
    wins = [(p > n) + 0.5 * (p == n) for n in negative for p in positive]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_the_count_over_all_pairs_with_ties(seed):
    generator = np.random.default_rng(seed)
    negative = generator.integers(0, 8, 23)
    positive = generator.integers(1, 9, 31)
    assert auc(negative, positive) == pytest.approx(_auc_by_pairs(negative, positive), abs=1e-12)


def test_auc_below_one_half_is_not_turned_round():
    assert auc([1.0, 2.0], [-1.0, -2.0]) == 0.0


def test_scores_that_are_nan_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        auc([0.0, math.nan], [1.0])


def test_the_area_is_the_closed_form_for_two_normals():
    generator = np.random.default_rng(0)
    found = auc_interval(generator.normal(0, 1, 4000), generator.normal(1, 1, 4000))
    assert found.low < scipy_stats.norm.cdf(1 / math.sqrt(2)) < found.high


@pytest.mark.parametrize("paired", [False, True])
def test_delongs_interval_agrees_with_the_bootstrap(paired):
    generator = np.random.default_rng(1)
    content = generator.normal(0, 1, 300)  # shared by a cover and its stego image
    negative = content + generator.normal(0, 0.5, 300)
    positive = content + generator.normal(0, 0.5, 300) + 0.4
    found = auc_interval(negative, positive, paired=paired)
    replicates = []
    for _ in range(2000):
        rows = generator.integers(0, 300, 300)
        others = rows if paired else generator.integers(0, 300, 300)
        replicates.append(auc(negative[rows], positive[others]))
    low, high = np.quantile(replicates, [0.025, 0.975])
    # 2,000 replicates know a limit to about 4 % of the width; beyond that bootstrap and DeLong differ at order 1 / n
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


def test_pairs_that_share_their_content_give_a_narrower_interval():
    generator = np.random.default_rng(2)
    content = generator.normal(0, 1, 300)
    together = auc_interval(content, content + 0.2, paired=True)
    apart = auc_interval(content, content + 0.2, paired=False)
    assert together.high - together.low < 0.5 * (apart.high - apart.low)


def test_perfect_separation_still_has_an_interval():
    found = auc_interval(np.zeros(50), np.ones(50))
    assert found.value == 1.0
    assert found.low == clopper_pearson(50, 50)[0]
    assert found.high == 1.0


def test_the_threshold_minimises_the_error_on_the_scores_it_is_chosen_on():
    generator = np.random.default_rng(3)
    negative, positive = generator.normal(0, 1, 60), generator.normal(1, 1, 60)
    chosen = error_probability(negative, positive, best_threshold(negative, positive)).value
    every = np.concatenate([negative, positive, [-np.inf]])
    assert chosen == pytest.approx(min(error_probability(negative, positive, t).value for t in every))


def test_p_e_of_a_coin_is_one_half_and_of_a_perfect_detector_zero():
    scores = np.arange(10.0)
    assert error_probability(scores, scores, best_threshold(scores, scores)).value == 0.5
    assert error_probability(scores, scores + 100, best_threshold(scores, scores + 100)).value == 0.0


def test_p_e_is_the_mean_of_false_alarms_and_misses():
    found = error_probability([0, 0, 0, 9], [9, 9, 0, 0], 5.0)
    assert found.value == pytest.approx((1 / 4 + 2 / 4) / 2)
    assert (found.low, found.high) == clopper_pearson(3, 8)


@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.05, 0.6), (0.4, 0.5)])
def test_the_interval_of_p_e_covers_at_least_95_percent(rates):
    n, grid = 40, np.arange(41)
    false_alarm, miss = (scipy_stats.binom.pmf(grid, n, rate) for rate in rates)
    truth = sum(rates) / 2
    covered = sum(
        false_alarm[a] * miss[b]
        for a in grid
        for b in grid
        if clopper_pearson(int(a + b), 2 * n)[0] <= truth <= clopper_pearson(int(a + b), 2 * n)[1]
    )
    assert covered >= 0.95


def test_a_difference_adds_the_half_widths_in_square():
    found = difference_interval(Estimate(0.5, 0.47, 0.53), Estimate(0.3, 0.26, 0.34))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.15, 0.25))
