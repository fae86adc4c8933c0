"""Paired limits: exact where nothing is estimated, honest about images and trainings, narrow where pairing helps."""

import math

import numpy as np
import pytest
from scipy import special, stats

from models.checks.config import ControlConfig
from models.checks.half_widths import (
    auc_half_width,
    error_half_width,
    excess_over,
    pooled_spreads,
    with_detection_half_widths,
)
from models.checks.paired import Spread, paired_excess, retraining_spread
from models.checks.statistics import (
    Estimate,
    accuracy,
    auc_interval,
    clopper_pearson,
    difference_interval,
    pack_answers,
    unpack_answers,
)
from models.measurement import Measurement


def answers(rng, trainings, images, rate, *, moves=0.0, alike=0.6, difficulty=None):
    """Draw answers of one adversary: image difficulty is shared, and each training has an accuracy of its own."""
    shared = rng.normal(size=images) if difficulty is None else difficulty
    rates = np.clip(rate + rng.normal(0, moves, trainings), 0.001, 0.999)
    noise = rng.normal(size=(trainings, images))
    return math.sqrt(alike) * shared + math.sqrt(1 - alike) * noise < special.ndtri(rates)[:, None]


def test_two_trainings_are_compared_by_their_discordant_counts_alone():
    released = np.array([True] * 30 + [False] * 10 + [True] * 60)
    honest = np.array([False] * 30 + [True] * 10 + [True] * 60)
    found = paired_excess(released, honest).estimate
    gain, loss = (Estimate(k / 100, *clopper_pearson(k, 100)) for k in (30, 10))
    correlation = -math.sqrt(0.3 * 0.1 / (0.7 * 0.9))
    down = (gain.value - gain.low, loss.high - loss.value)
    assert found.value == pytest.approx(0.2)
    assert found.value - found.low == pytest.approx(
        math.sqrt(down[0] ** 2 + down[1] ** 2 - 2 * correlation * down[0] * down[1])
    )
    alike = np.ones(900, dtype=bool)  # images on which both are right tell nothing of the difference but their number
    more = paired_excess(np.r_[released, alike], np.r_[honest, alike]).estimate
    assert more.value == pytest.approx(0.02)
    assert more.high - more.low < 0.2 * (found.high - found.low)


def test_equal_answers_have_no_excess_and_the_limits_of_no_event_in_so_many_images():
    same = np.arange(500) % 3 == 0
    found = paired_excess(same, same).estimate
    none = clopper_pearson(0, 500)[1]
    assert (found.value, found.low, found.high) == pytest.approx((0.0, -none, none))


def test_pairing_is_worth_images_where_both_err_on_the_same_ones():
    rng = np.random.default_rng(0)
    difficulty = rng.normal(size=1000)
    ours, theirs = (answers(rng, 1, 1000, 0.5, alike=0.9, difficulty=difficulty) for _ in range(2))
    paired = paired_excess(ours, theirs).estimate
    apart = difference_interval(accuracy(ours), accuracy(theirs))
    assert paired.value == pytest.approx(apart.value)
    assert paired.high - paired.low < 0.6 * (apart.high - apart.low)


def test_several_trainings_narrow_the_limits_unless_they_disagree_with_each_other():
    rng = np.random.default_rng(1)
    difficulty = rng.normal(size=1000)

    def width(trainings, moves):
        widths = []
        for _ in range(20):
            ours, theirs = (answers(rng, trainings, 1000, 0.3, moves=moves, difficulty=difficulty) for _ in range(2))
            found = paired_excess(ours, theirs).estimate
            widths.append(found.high - found.low)
        return float(np.median(widths))

    assert width(4, 0.0) < 0.7 * width(1, 0.0)
    assert width(4, 0.05) > 2 * width(4, 0.0)


@pytest.mark.parametrize(("trainings", "moves"), [((1, 1), 0.0), ((1, 3), 0.0), ((2, 4), 0.01)])
def test_the_limits_cover_the_true_excess(trainings, moves):
    rng = np.random.default_rng(2)
    draws, missed = 300, np.zeros(2)
    for _ in range(draws):
        difficulty = rng.normal(size=400)
        ours = answers(rng, trainings[0], 400, 0.30, moves=moves, difficulty=difficulty)
        theirs = answers(rng, trainings[1], 400, 0.25, moves=moves, difficulty=difficulty)
        found = paired_excess(ours, theirs).estimate
        missed += (found.low > 0.05, found.high < 0.05)
    # 2.5 % a side are stated, 5 % allowed; alpha 0.001
    assert missed.max() <= stats.binom.ppf(0.999, draws, 0.05)


def test_the_half_width_tells_how_wide_the_interval_is_where_a_leak_just_exceeds_the_tolerance():
    rng = np.random.default_rng(3)
    told, real = [], []
    for _ in range(20):
        difficulty = rng.normal(size=1000)
        theirs = answers(rng, 3, 1000, 0.22, difficulty=difficulty)
        told.append(
            paired_excess(answers(rng, 1, 1000, 0.22, difficulty=difficulty), theirs, tolerance=0.05).half_width
        )
        leaking = paired_excess(answers(rng, 1, 1000, 0.31, difficulty=difficulty), theirs).estimate
        real.append((leaking.high - leaking.low) / 2)
    assert np.median(told) == pytest.approx(np.median(real), rel=0.15)


def test_answers_are_kept_as_bits_and_refused_where_they_are_of_other_images():
    rng = np.random.default_rng(4)
    rows = rng.random((3, 13)) < 0.5
    packed = [pack_answers(row) for row in rows]
    assert [len(bits) for bits in packed] == [2, 2, 2]
    assert (unpack_answers(packed, 13) == rows).all()
    with pytest.raises(ValueError, match="17 images take 3 bytes; found 2"):
        unpack_answers(packed, 17)
    assert accuracy(rows[0]).answers == (packed[0],)


@pytest.mark.parametrize("shape", [(0, 5), (1, 0), (1, 4)])
def test_sides_that_cannot_be_paired_are_refused(shape):
    with pytest.raises(ValueError, match="same test images"):
        paired_excess(np.ones(shape, dtype=bool), np.ones((2, 5), dtype=bool))


def test_an_adversary_that_crashed_is_compared_with_nothing():
    whole = accuracy([True, False, True])
    assert excess_over(Estimate(math.nan, math.nan, math.nan), whole.answers, 3, 0.05) is None
    assert excess_over(whole, (), 3, 0.05) is None
    assert excess_over(whole, whole.answers, 3, 0.05).estimate.value == 0.0


def test_the_half_width_of_an_auc_is_that_of_unpaired_normal_scores():
    rng = np.random.default_rng(5)
    shift = math.sqrt(2) * special.ndtri(0.6)
    found = [auc_interval(rng.normal(size=800), rng.normal(shift, 1, 800)) for _ in range(10)]
    assert auc_half_width(0.6, 800) == pytest.approx(np.median([(one.high - one.low) / 2 for one in found]), rel=0.1)


def test_steganalysers_of_single_images_get_their_half_width_and_others_are_left_alone():
    given = {name: Measurement(0.5, 0.4, 0.6) for name in ("steganalysis_auc.x", "steganalysis_p_e.x", "other.x")}
    found = with_detection_half_widths(given, 500, ControlConfig())
    assert found["steganalysis_auc.x"].half_width == auc_half_width(0.6, 500)
    assert found["steganalysis_p_e.x"].half_width == error_half_width(500) == pytest.approx(0.031, abs=1e-3)
    assert found["other.x"] == given["other.x"]


def test_few_trainings_borrow_the_spread_of_the_other_adversaries_of_their_check():
    rng = np.random.default_rng(6)
    sides = [tuple(answers(rng, count, 500, 0.3, moves=0.03) for count in (1, 3)) for _ in range(40)]
    pooled = retraining_spread(sides)
    assert pooled.freedom == 80
    assert math.sqrt(pooled.variance) == pytest.approx(0.03, rel=0.25)
    assert retraining_spread([sides[0]]).freedom == 2
    assert retraining_spread([(sides[0][0], sides[0][0])]) == Spread(0.0, 0)
    widths = np.array([[paired_excess(*side, pooled=known).half_width for known in (None, pooled)] for side in sides])
    assert widths[:, 1].std() < 0.5 * widths[:, 0].std()  # two degrees of freedom each say little of a spread
    steady = (sides[0][0], np.repeat(sides[0][1][:1], 3, axis=0))
    assert paired_excess(*steady, pooled=pooled).half_width > 1.5 * paired_excess(*steady).half_width


def test_adversaries_pool_within_their_check_and_closed_forms_with_nobody():
    rng = np.random.default_rng(7)

    def packed(trainings):
        return tuple(pack_answers(row) for row in answers(rng, trainings, 200, 0.3, moves=0.05))

    honest = {name: packed(3) for name in ("strong.plain", "strong.high_pass", "informed.plain")}
    honest["strong.linear"] = packed(1) * 3
    found = {name: Estimate(0.3, 0.2, 0.4, packed(1)) for name in honest}
    found["strong.high_pass"] = Estimate(math.nan, math.nan, math.nan)  # crashed
    spreads = pooled_spreads(found, honest, 200)
    assert set(spreads) == {"strong.plain", "informed.plain"}
    assert spreads["strong.plain"].freedom == 2
    found["strong.high_pass"] = Estimate(0.3, 0.2, 0.4, packed(1))
    assert pooled_spreads(found, honest, 200)["strong.plain"].freedom == 4
