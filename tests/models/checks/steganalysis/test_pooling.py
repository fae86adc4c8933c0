import numpy as np
import pytest
from scipy import stats

from models.checks.steganalysis.pooling import (
    detection_threshold,
    normal_scores,
    pooled_reading,
    share_above,
)


def _pairs(n, shift, seed, correlation=0.9, spread=1.0):
    random = np.random.default_rng([3, seed])
    common = random.normal(size=n) * np.sqrt(correlation)
    below, above = (common + random.normal(size=n) * np.sqrt(1 - correlation) for _ in range(2))
    return below, shift + spread * above


@pytest.mark.parametrize("n", [99, 100, 250, 1000])
def test_the_threshold_is_exceeded_by_at_most_one_in_a_hundred_further_honest_images(n):
    # of exchangeable images the next one exceeds the k-th largest of n with probability k / (n + 1)
    scores = np.random.default_rng(n).permutation(n).astype(float)
    above = int((scores > detection_threshold(scores)).sum())
    assert (above + 1) / (n + 1) <= 0.01 < (above + 2) / (n + 1)


def test_few_honest_images_give_too_many_alarms_rather_than_too_few():
    assert detection_threshold([3.0, 1.0, 2.0]) == 3.0


def test_the_share_above_a_threshold_has_its_exact_interval():
    found = share_above([1, 2, 3, 4], 2.5)
    exact = stats.binomtest(2, 4).proportion_ci()
    assert (found.value, found.low, found.high) == pytest.approx((0.5, exact.low, exact.high))


def test_normal_scores_are_quantiles_of_ranks_among_the_reference_whatever_the_scale():
    reference = np.random.default_rng(0).normal(size=999)
    found = normal_scores(reference, [np.median(reference), -1e9, 1e9])
    np.testing.assert_allclose(found, stats.norm.ppf([0.5, 0.0005, 0.9995]))
    scores = np.linspace(-2, 2, 50)
    np.testing.assert_array_equal(normal_scores(np.exp(reference), np.exp(scores)), normal_scores(reference, scores))
    assert normal_scores([1.0, 1.0], [1.0])[0] == 0  # ties take the middle


def test_where_nothing_differs_detection_is_the_false_alarm_rate_and_p_e_one_half():
    same = np.random.default_rng(1).normal(size=400)
    for pool in (1, 100, 1000):
        found = pooled_reading(same, same, pool, calibration=400)
        assert (found.p_e.value, found.detection.value) == pytest.approx((0.5, 0.01))


@pytest.mark.parametrize(("shift", "spread", "pool"), [(0.2, 1.0, 100), (0.1, 1.5, 100), (0.05, 0.7, 1000)])
def test_rates_are_those_of_simulated_auditors_with_calibration_images_of_their_own(shift, spread, pool):
    m, auditors = 500, 20_000
    found = pooled_reading(*_pairs(4_000, shift, 0, spread=spread), pool, calibration=m)
    random = np.random.default_rng(2)
    cover_mean = random.normal(size=auditors) / np.sqrt(m)
    threshold = cover_mean + stats.norm.ppf(0.99) * np.sqrt(1 / m + 1 / pool)
    covers = random.normal(size=auditors) / np.sqrt(pool)
    stego = shift + spread * random.normal(size=auditors) / np.sqrt(pool)
    noise_of_simulation = 4 * 0.5 / np.sqrt(auditors)
    assert float((covers > threshold).mean()) == pytest.approx(0.01, abs=0.003)
    detected = float((stego > threshold).mean())
    assert found.detection.low - noise_of_simulation <= detected <= found.detection.high + noise_of_simulation
    assert found.detection.value == pytest.approx(detected, abs=0.05)
    share = 1 / (1 + spread)
    common = random.normal(size=auditors) * np.sqrt(0.9)
    noise = random.normal(size=(2, auditors)) * np.sqrt(0.1)
    middle = share * shift + ((1 - share) * (common + noise[0]) + share * spread * (common + noise[1])) / np.sqrt(m)
    errors = ((covers > middle).mean() + (stego <= middle).mean()) / 2
    assert found.p_e.low - noise_of_simulation <= errors <= found.p_e.high + noise_of_simulation
    assert found.p_e.value == pytest.approx(float(errors), abs=0.03)


def test_larger_pools_tell_more_and_small_calibration_sets_less():
    below, above = _pairs(1000, 0.15, 1)
    one, hundred, thousand = (pooled_reading(below, above, pool, calibration=1000) for pool in (1, 100, 1000))
    assert one.detection.value < hundred.detection.value < thousand.detection.value
    assert one.p_e.value > hundred.p_e.value > thousand.p_e.value
    poorly = pooled_reading(below, above, 1000, calibration=50)
    assert poorly.detection.value < thousand.detection.value
    assert poorly.p_e.value > thousand.p_e.value


def test_intervals_cover_the_truth():
    truth = pooled_reading(*_pairs(20_000, 0.1, 7), 100, calibration=1000)
    inside = np.zeros(2)
    for seed in range(100):
        found = pooled_reading(*_pairs(300, 0.1, 100 + seed), 100, calibration=1000)
        inside += [
            one.low <= exact.value <= one.high
            for one, exact in ((found.p_e, truth.p_e), (found.detection, truth.detection))
        ]
    # 95 % of 100 intervals: binomial(100, 0.95) is at least 87 with probability 0.999
    assert inside.min() >= 87


def test_complete_separation_keeps_the_doubt_of_few_images():
    below, above = np.arange(20.0), np.arange(20.0) + 50
    right, wrong = pooled_reading(below, above, 100, calibration=20), pooled_reading(above, below, 100, calibration=20)
    assert (right.p_e.value, right.detection.value) == (0, 1)
    assert right.detection.low < 0.9
    assert (wrong.p_e.value, wrong.detection.value) == (1, 0)


def test_scores_that_cannot_be_pooled_are_refused():
    for below, above, pool in (([1.0], [1.0], 5), ([1.0, 2.0], [1.0], 5), ([1.0, 2.0], [1.0, np.nan], 5)):
        with pytest.raises(ValueError, match="at least 2 pairs of finite scores"):
            pooled_reading(below, above, pool, calibration=10)
    with pytest.raises(ValueError, match="a pool of 0"):
        pooled_reading([1.0, 2.0], [1.0, 3.0], 0, calibration=10)
