"""Power and calibration of verdicts: what is called found is found, what is honest is not called a violation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from models.checks.half_widths import auc_half_width
from models.checks.paired import Spread, paired_excess, retraining_spread
from models.measurement import Measurement
from study.bounds import PASS, TOO_LITTLE_DATA, VIOLATION, check_bound, parse_bound
from study.power import power_of, widening

BOUND = parse_bound("strong_identity", "identity <= baseline + 0.05", 0.05)
ALPHA = 0.001
"""Of the statistical tests below: how often sound code would fail them by chance, were their seeds drawn anew."""


def compared(released: np.ndarray, honest: np.ndarray, pooled: Spread | None = None) -> Measurement:
    """Return what a battery measures of one adversary's answers, (trainings, images) a side."""
    excess, baseline = paired_excess(released, honest, tolerance=0.05, pooled=pooled), float(honest.mean())
    value = baseline + excess.estimate.value
    return Measurement(
        value,
        value - 0.1,
        value + 0.1,
        baseline=baseline,
        baseline_low=baseline - 0.1,
        baseline_high=baseline + 0.1,
        excess_low=excess.estimate.low,
        excess_high=excess.estimate.high,
        half_width=excess.half_width,
    )


def judge(rng: np.random.Generator, *, images: int, members: int = 1, leak: float = 0.0, moves: float = 0.0) -> tuple:
    """Judge one release by several adversaries, the first of which reads a leak of so many points."""
    difficulty = rng.normal(size=images)

    def answers(trainings: int, rate: float) -> np.ndarray:
        rates = np.clip(rate + rng.normal(0, moves, trainings), 0.001, 0.999)
        noise = rng.normal(size=(trainings, images))
        return 0.8 * difficulty + 0.6 * noise < special.ndtri(rates)[:, None]

    found = {
        f"identity.{number}": compared(answers(1, 0.22 + (0 if number else leak)), answers(3, 0.22))
        for number in range(members)
    }
    result = check_bound(BOUND, found)
    return result.verdict, result.power


@pytest.mark.parametrize(
    ("images", "members", "moves"), [(2000, 1, 0.0), (4000, 4, 0.0), (200, 4, 0.0), (1000, 4, 0.02)]
)
def test_strength_0_passes_on_nine_of_ten_seeds_or_there_is_too_little_data(
    images: int, members: int, moves: float
) -> None:
    rng = np.random.default_rng(0)
    verdicts = [judge(rng, images=images, members=members, moves=moves)[0] for _ in range(100)]
    assert verdicts.count(VIOLATION) <= stats.binom.ppf(1 - ALPHA, 100, 0.025)
    enough = images >= 2000 and moves == 0
    share = verdicts.count(PASS) / 100
    assert share >= 0.9 if enough else share < 0.9
    assert verdicts.count(PASS) + verdicts.count(VIOLATION) + verdicts.count(TOO_LITTLE_DATA) == 100


@pytest.mark.parametrize("members", [1, 6])
def test_an_excess_of_the_whole_tolerance_is_no_violation_however_many_adversaries_look(members: int) -> None:
    rng = np.random.default_rng(1)
    tolerated = [0] * 2
    for _ in range(150):
        found = {}
        for number in range(members):  # all of them exactly at the bound, and independent: the worst case
            shared = rng.normal(size=600)
            ours, theirs = (
                shared + rng.normal(size=(1, 600)) < special.ndtri(rate) * math.sqrt(2) for rate in (0.27, 0.22)
            )
            found[f"identity.{number}"] = compared(ours, theirs)
        alone = [check_bound(BOUND, {name: item}).verdict for name, item in found.items()]
        tolerated[0] += check_bound(BOUND, found).verdict == VIOLATION
        tolerated[1] += VIOLATION in alone
    assert tolerated[0] <= stats.binom.ppf(1 - ALPHA, 150, 0.025)
    if members > 1:  # what the correction is for
        assert tolerated[1] > stats.binom.ppf(1 - ALPHA, 150, 0.025)


def test_nor_where_few_trainings_tell_how_far_retraining_moves_them() -> None:
    rng = np.random.default_rng(4)
    violations = [0, 0]
    for _ in range(100):
        sides = []
        for _ in range(9):  # all of them at the bound, 3 honest trainings each, 2 points between trainings
            rates = [np.clip(mean + rng.normal(0, 0.02, count), 0.01, 1) for mean, count in ((0.27, 1), (0.22, 3))]
            shared = rng.normal(size=600)
            cuts = [special.ndtri(rate)[:, None] * math.sqrt(2) for rate in rates]
            sides.append([shared + rng.normal(size=(len(cut), 600)) < cut for cut in cuts])
        for number, pooled in enumerate((retraining_spread(sides), None)):
            found = {f"identity.{index}": compared(*side, pooled=pooled) for index, side in enumerate(sides)}
            violations[number] += check_bound(BOUND, found).verdict == VIOLATION
    assert violations[0] <= stats.binom.ppf(1 - ALPHA, 100, 0.03)
    assert violations[1] > violations[0]  # what pooling is for


@pytest.mark.parametrize("members", [1, 5])
def test_a_leak_of_the_stated_size_is_found_with_the_stated_probability(members: int) -> None:
    rng = np.random.default_rng(2)
    power = judge(rng, images=1000, members=members)[1]
    found = [judge(rng, images=1000, members=members, leak=power.violation)[0] for _ in range(120)]
    not_passed = [judge(rng, images=1000, members=members, leak=power.withheld)[0] for _ in range(120)]
    least = stats.binom.ppf(ALPHA, 120, 0.95)
    assert found.count(VIOLATION) >= least
    assert 120 - not_passed.count(PASS) >= least
    smaller = [judge(rng, images=1000, members=members, leak=0.75 * power.violation)[0] for _ in range(60)]
    assert smaller.count(VIOLATION) < 57  # and not much smaller ones as well


def test_an_auc_of_the_stated_size_is_found_with_the_stated_probability() -> None:
    from models.checks.statistics import auc_interval

    bound = parse_bound("steganalysis", "auc <= 0.6", 0.1)
    rng = np.random.default_rng(3)

    def verdict(area: float) -> tuple:
        shift = math.sqrt(2) * special.ndtri(area)
        found = auc_interval(rng.normal(size=500), rng.normal(shift, 1, 500))
        item = Measurement(found.value, found.low, found.high, chance=0.5, half_width=auc_half_width(0.6, 500))
        result = check_bound(bound, {"auc": item})
        return result.verdict, result.power

    power = verdict(0.5)[1]
    assert 0.58 < power.withheld < 0.6 < power.violation < 0.68
    verdicts = [verdict(power.violation)[0] for _ in range(150)]
    assert verdicts.count(VIOLATION) >= stats.binom.ppf(ALPHA, 150, 0.95)


def test_the_verdict_rests_on_the_paired_limits_where_there_are_some() -> None:
    fields = {"baseline": 0.2, "baseline_low": 0.15, "baseline_high": 0.25}
    apart = Measurement(0.22, 0.17, 0.27, **fields)
    paired = Measurement(0.22, 0.17, 0.27, excess_low=0.01, excess_high=0.03, **fields)
    assert check_bound(BOUND, {"identity": apart}).verdict == TOO_LITTLE_DATA
    assert check_bound(BOUND, {"identity": paired}).verdict == PASS
    assert check_bound(BOUND, {"identity": paired}).margin == check_bound(BOUND, {"identity": apart}).margin
    useful = parse_bound("utility", "identity >= baseline - 0.05", 0.05)
    worse = Measurement(0.1, 0.05, 0.15, excess_low=-0.12, excess_high=-0.08, **fields)
    assert check_bound(useful, {"identity": worse}).verdict == VIOLATION
    assert check_bound(useful, {"identity": paired}).verdict == PASS


def test_one_of_several_adversaries_needs_more_than_one_alone_to_violate() -> None:
    fields = {"baseline": 0.2, "baseline_low": 0.2, "baseline_high": 0.2}
    close = Measurement(0.3, 0.26, 0.34, excess_low=0.051, excess_high=0.149, **fields)
    quiet = Measurement(0.2, 0.19, 0.21, excess_low=-0.01, excess_high=0.01, **fields)
    assert check_bound(BOUND, {"identity.a": close}).verdict == VIOLATION
    assert check_bound(BOUND, {"identity.a": close, "identity.b": quiet}).verdict == TOO_LITTLE_DATA
    assert (widening(1), round(widening(10), 3)) == (pytest.approx(1.0), round(2.80703 / 1.95996, 3))


def test_power_in_the_unit_of_the_bound() -> None:
    luck = special.ndtri(0.95) / special.ndtri(0.975) * 0.1
    over = power_of(0.05, 0.1, 1, sign=1, relative=True)
    short = power_of(-0.05, 0.1, 1, sign=-1, relative=True)
    assert over == short
    assert over.violation == pytest.approx(0.15 + luck)
    assert over.withheld == pytest.approx(0.05 - 0.1 + luck)
    assert power_of(0.05, 0.6, 1, sign=1, relative=True).withheld == 0.0  # so little data that nothing passes
    absolute = power_of(0.9, 0.1, 1, sign=-1, relative=False)
    assert absolute.violation == pytest.approx(0.9 - 0.1 - luck)
    assert power_of(0.05, None, 1, sign=1, relative=True) is None


def test_the_power_of_a_check_is_that_of_its_blindest_voting_member_and_unknown_if_one_is_unknown() -> None:
    def member(half_width: float | None, **fields: bool) -> Measurement:
        return Measurement(
            0.2, 0.1, 0.3, 0.2, 0.1, 0.3, excess_low=-0.1, excess_high=0.1, half_width=half_width, **fields
        )

    sharp, blunt = member(0.02), member(0.06)
    both = check_bound(BOUND, {"identity.a": sharp, "identity.b": blunt}).power
    first, second = (check_bound(BOUND, {"identity.a": one, "identity.b": one}).power for one in (sharp, blunt))
    assert both is not None
    assert first is not None
    assert second is not None
    assert both.violation == second.violation > first.violation
    assert both.withheld == first.withheld > second.withheld  # wider limits pass less, so they let less slip through
    silent = check_bound(BOUND, {"identity.a": sharp, "identity.b": member(0.06, votes=False)}).power
    assert silent == check_bound(BOUND, {"identity.a": sharp}).power
    assert check_bound(BOUND, {"identity.a": sharp, "identity.b": member(None)}).power is None
    assert check_bound(BOUND, {"identity.a": None}).power is None
