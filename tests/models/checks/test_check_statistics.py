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
    pooled_auc,
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


def _pairs(n, shift, correlation, seed):
    """Scores of covers and of stego images of the same inputs: normal, of variance 1, ``shift`` apart."""
    content, below, above = np.random.default_rng(seed).standard_normal((3, n))
    shared, own = math.sqrt(correlation) * content, math.sqrt(1 - correlation)
    return shared + own * below, shared + own * above + shift


def _true_pooled_auc(shift, pool):
    return scipy_stats.norm.cdf(math.sqrt(pool / 2) * shift)


@pytest.mark.parametrize("shift", [-0.5, 0.0, 0.5, 1.0])
def test_a_pool_of_one_is_the_plain_auc_of_normal_scores(shift):
    negative, positive = _pairs(20_000, shift, 0.5, seed=1)
    assert pooled_auc(negative, positive, 1).value == pytest.approx(auc(negative, positive), abs=0.002)


@pytest.mark.parametrize(("shift", "pool"), [(0.1, 100), (0.05, 1000), (-0.1, 100)])
def test_a_pooled_auc_is_that_of_sums_over_pools(shift, pool):
    negative, positive = _pairs(400_000, shift, 0.0, seed=2)
    # at a correlation of 0 a standard error of the difference is sqrt(1 / n); sqrt(pool) times that on the probit scale
    tolerance = 4 * math.sqrt(pool / 400_000) * scipy_stats.norm.pdf(0)
    assert pooled_auc(negative, positive, pool).value == pytest.approx(_true_pooled_auc(shift, pool), abs=tolerance)
    sums = [scores.reshape(-1, pool).sum(1) for scores in (negative, positive)]
    assert auc(*sums) == pytest.approx(
        pooled_auc(negative, positive, pool).value, abs=4 * 0.41 / math.sqrt(sums[0].size)
    )


def test_heavy_tails_hide_nothing_from_pools_and_add_nothing():
    negative, positive = _pairs(4_000, 0.2, 0.5, seed=3)
    assert pooled_auc(np.sinh(9 * negative), np.sinh(9 * positive), 100) == pooled_auc(negative, positive, 100)
    struck = negative.copy()
    struck[0] = 1e30
    assert pooled_auc(struck, positive, 100).value == pytest.approx(pooled_auc(negative, positive, 100).value, abs=0.01)


def test_a_pooled_auc_below_one_half_stays_there():
    negative, positive = _pairs(1_000, 0.3, 0.5, seed=4)
    right, wrong = pooled_auc(negative, positive, 100), pooled_auc(positive, negative, 100)
    assert (wrong.value, wrong.low, wrong.high) == pytest.approx((1 - right.value, 1 - right.high, 1 - right.low))
    assert wrong.high < 0.5


def test_detectors_that_guess_are_at_one_half():
    same = np.random.default_rng(5).standard_normal(500)
    assert pooled_auc(np.zeros(50), np.zeros(50), 1000) == Estimate(0.5, 0.5, 0.5)
    alike = pooled_auc(same, same, 1000)
    assert alike.low == pytest.approx(0.5)
    assert alike.high == pytest.approx(0.5)
    found = pooled_auc(*_pairs(500, 0.0, 0.0, seed=6), 1000)
    assert found.low < 0.5 < found.high
    assert found.high - found.low > 0.5  # 500 images cannot settle what 1,000 would tell


def test_pairs_that_go_together_narrow_the_interval_of_pools_but_leave_the_value():
    loose, tight = (pooled_auc(*_pairs(2_000, 0.1, correlation, seed=7), 100) for correlation in (0.0, 0.95))
    assert tight.high - tight.low < 0.4 * (loose.high - loose.low)
    for found in (loose, tight):
        assert found.low < _true_pooled_auc(0.1, 100) < found.high


def test_scores_without_overlap_are_limited_by_the_number_of_pairs():
    for scores in (np.arange(10.0), np.zeros(10)):
        found = pooled_auc(scores, scores + 100, 1)
        assert (found.value, found.high) == (1.0, 1.0)
        assert found.low == pytest.approx(clopper_pearson(10, 10)[0])
        assert pooled_auc(scores + 100, scores, 1).high == pytest.approx(1 - found.low)


@pytest.mark.parametrize(
    ("negative", "positive", "pool"),
    [([0.0], [1.0], 10), ([0.0, 1.0], [1.0], 10), ([0.0, 1.0], [0.0, 1.0], 0), ([0.0, math.nan], [0.0, 1.0], 10)],
)
def test_what_cannot_be_pooled_is_refused(negative, positive, pool):
    with pytest.raises(ValueError, match=r"pool|NaN"):
        pooled_auc(negative, positive, pool)


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [100, 1000])
def test_intervals_of_pooled_aucs_cover_the_truth(shift, correlation, n):
    """Of 1,000 intervals that cover 95 %, the standard deviation of the share that does is 0.7 %."""
    kinds = {"normal": lambda scores: scores, "heavy": lambda scores: np.sinh(3 * scores)}
    # the truth for sums of normal scores of ranks, which at large shifts differ a little from the scores themselves
    truth = pooled_auc(*_pairs(1_000_000, shift, correlation, seed=8), 1).value
    for kind, warp in kinds.items():
        hits = 0
        for seed in range(1000):
            found = pooled_auc(*map(warp, _pairs(n, shift, correlation, seed=[9, seed])), 1)
            hits += found.low <= truth <= found.high
        assert 0.92 <= hits / 1000 <= 0.985, kind
