import math

import pytest
import torch

from models.checks.config import ControlConfig
from models.checks.controls import (
    planted_leak,
    planted_steganography,
    readable_expression,
    required_accuracy,
    strength_zero,
    with_identity_in_lowest_bits,
    with_independent_changes,
)
from models.checks.material import Release
from models.checks.statistics import Estimate

SETTINGS = ControlConfig()


def _covers(n=20, size=16):
    generator = torch.Generator().manual_seed(0)
    splits = [torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8) for _ in range(3)]
    return Release(*splits)


def test_the_planted_identity_changes_only_lowest_bits_and_only_its_share_of_the_values():
    covers, labels = _covers(), torch.arange(20) % 6
    planted = with_identity_in_lowest_bits(covers, (labels,) * 3, share=0.25, seed=1)
    difference = planted.test ^ covers.test
    assert int(difference.max()) == 1
    touched = difference.any(0).float().mean()
    assert 0.2 < float(touched) <= 0.25
    assert planted.test.dtype == torch.uint8


def test_images_of_one_identity_carry_the_same_lowest_bits_and_others_do_not():
    covers, labels = _covers(), torch.tensor([0, 0, 1, 1] * 5)
    planted = with_identity_in_lowest_bits(covers, (labels,) * 3, share=1.0, seed=1)
    bits = planted.test.flatten(1) & 1
    assert torch.equal(bits[0], bits[1])
    assert torch.equal(bits[0], 1 - bits[2])
    assert 0.4 < float(bits[0].float().mean()) < 0.6  # the mask makes the plane look random


def test_independent_changes_are_of_one_level_at_the_stated_rate_and_stay_in_range():
    covers = _covers(60)
    noisy = with_independent_changes(covers, rate=0.3, seed=2)
    difference = noisy.test.int() - covers.test.int()
    assert int(difference.abs().max()) == 1
    n = difference.numel()
    assert float((difference != 0).float().mean()) == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / n))
    everywhere = with_independent_changes(
        Release(*[torch.zeros((2, 3, 16, 16), dtype=torch.uint8)] * 3), rate=1, seed=0
    )
    assert bool((everywhere.train == 1).all())


def test_a_leak_must_be_read_and_must_break_the_bound():
    def passed(value, baseline):
        found = Estimate(value, value - 0.01, value + 0.01)
        return planted_leak(
            "strong_identity", "plain", "pass_through", found, baseline, classes=6, config=SETTINGS
        ).passed

    assert passed(0.95, 0.3)
    assert not passed(0.7, 0.3)  # not read well enough
    assert not passed(0.99, 0.96)  # an honest baseline that leaks everything: the bound could never be broken
    assert not passed(math.nan, 0.3)
    assert not passed(0.95, math.nan)


def test_the_required_accuracy_lies_the_same_way_from_chance_for_any_number_of_identities():
    assert required_accuracy(2, SETTINGS) == pytest.approx(0.875)
    assert required_accuracy(1000, SETTINGS) == pytest.approx(0.75025)


def test_strength_zero_holds_each_honest_seed_against_the_others():
    def control(accuracies, *, utility=False):
        return strength_zero("c", "a", accuracies, 1000, lower_is_worse=utility, config=SETTINGS)

    assert control([0.30, 0.33]).passed
    assert control([0.30, 0.33]).value == pytest.approx(0.03)
    assert not control([0.30, 0.36]).passed
    assert control([0.30, 0.35]).passed  # exactly the tolerance
    assert control([0.5, 0.5, 0.42]).value == pytest.approx(0.04)
    assert control([0.5, 0.5, 0.42], utility=True).value == pytest.approx(0.08)
    assert not control([0.3, math.nan]).passed


def test_a_steganalyser_must_exceed_the_bound_and_a_utility_classifier_must_beat_a_constant_answer():
    assert planted_steganography("high_pass", Estimate(0.61, 0.6, 0.62), SETTINGS).passed
    assert not planted_steganography("high_pass", Estimate(0.6, 0.59, 0.61), SETTINGS).passed
    assert not planted_steganography("high_pass", Estimate(math.nan, math.nan, math.nan), SETTINGS).passed
    assert readable_expression(Estimate(0.5, 0.45, 0.55), majority=0.4).passed
    assert not readable_expression(Estimate(0.5, 0.39, 0.6), majority=0.4).passed
