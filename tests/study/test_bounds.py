"""Bounds: their grammar, the one sign rule, the one NaN rule, and verdicts from limits."""

from __future__ import annotations

import math

import pytest

from models.measurement import Measurement
from study.bounds import (
    CLIP,
    MISSING,
    PASS,
    TOO_LITTLE_DATA,
    TOO_LITTLE_TRAINING,
    VIOLATION,
    check_bound,
    parse_bound,
)

NAN = math.nan


def measured(value: float, half: float = 0.0, **fields: float | bool | None) -> Measurement:
    return Measurement(value, value - half, value + half, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "metric", "sense", "reference", "offset"),
    [
        ("accuracy <= 0.25", "accuracy", "<=", None, 0.25),
        ("psnr>=40", "psnr", ">=", None, 40.0),
        ("accuracy <= 1e-3", "accuracy", "<=", None, 1e-3),
        ("loss >= -2.5", "loss", ">=", None, -2.5),
        ("accuracy <= baseline", "accuracy", "<=", "baseline", 0.0),
        ("expression_accuracy >= baseline - 0.05", "expression_accuracy", ">=", "baseline", -0.05),
        ("strong.plain <= chance + .1", "strong.plain", "<=", "chance", 0.1),
        ("accuracy <= majority+0.02", "accuracy", "<=", "majority", 0.02),
    ],
)
def test_a_bound_is_read_from_its_text(
    text: str, metric: str, sense: str, reference: str | None, offset: float
) -> None:
    bound = parse_bound("check", text, 0.1)
    assert (bound.metric, bound.sense, bound.reference, bound.offset) == (metric, sense, reference, offset)


@pytest.mark.parametrize(
    "text", ["", "accuracy", "accuracy < 0.2", "accuracy <= ", "0.2 >= accuracy", "a <= b c", "a <= 1.2.3"]
)
def test_what_is_no_bound_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"checks\.bounds\.check\.bound"):
        parse_bound("check", text, 0.1)


def test_an_unknown_reference_is_refused_and_the_permitted_ones_are_named() -> None:
    with pytest.raises(ValueError, match="'basline'; permitted: baseline, chance, majority"):
        parse_bound("check", "accuracy <= basline + 0.1", 0.1)


@pytest.mark.parametrize("scale", [0.0, -1.0, NAN, math.inf])
def test_a_scale_that_is_not_positive_and_finite_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match=r"check\.scale"):
        parse_bound("check", "accuracy <= 0.2", scale)


@pytest.mark.parametrize(
    ("text", "value", "margin"),
    [
        ("a <= 0.5", 0.5, 0.0),
        ("a <= 0.5", 0.6, 1.0),
        ("a <= 0.5", 0.4, -1.0),
        ("a >= 0.5", 0.4, 1.0),
        ("a >= 0.5", 0.6, -1.0),
        ("a <= 0.5", 99.0, CLIP),
        ("a >= 0.5", 99.0, -CLIP),
        ("a >= 0.5", math.inf, -CLIP),
        ("a >= 0.5", -math.inf, CLIP),
        ("a <= baseline + 0.1", 0.4, 1.0),  # baseline 0.2
        ("a <= chance + 0.1", 0.4, 2.0),  # chance 0.1
        ("a <= majority", 0.4, 1.0),  # majority 0.3
    ],
)
def test_a_margin_is_the_scaled_distance_outside_positive_when_violated(text: str, value: float, margin: float) -> None:
    item = measured(value, baseline=0.2, baseline_low=0.2, baseline_high=0.2, chance=0.1, majority=0.3)
    assert check_bound(parse_bound("check", text, 0.1), {"a": item}).margin == pytest.approx(margin)


@pytest.mark.parametrize(
    "items",
    [
        {},
        {"a.plain": None},
        {"a.plain": measured(NAN)},
        {"a.plain": measured(0.1), "a.other": None},
        {"a.plain": measured(0.1), "a.other": measured(NAN)},
        {"a.plain": measured(0.1, votes=False)},
    ],
    ids=["nothing", "absent", "nan", "one absent", "one nan", "nobody may vote"],
)
def test_what_was_not_measured_is_violated_at_the_clip(items: dict[str, Measurement | None]) -> None:
    result = check_bound(parse_bound("check", "a <= 0.5", 0.1), items)
    assert (result.margin, result.verdict) == (CLIP, MISSING)


def test_a_missing_baseline_is_violated_at_the_clip() -> None:
    result = check_bound(parse_bound("check", "a <= baseline + 0.5", 0.1), {"a": measured(0.1)})
    assert (result.margin, result.verdict) == (CLIP, MISSING)


def test_the_worst_member_against_its_own_baseline_counts() -> None:
    bound = parse_bound("check", "a <= baseline + 0.05", 0.1)
    items = {
        "a.plain": measured(0.30, baseline=0.30, baseline_low=0.3, baseline_high=0.3),  # higher value, inside
        "a.high_pass": measured(0.29, baseline=0.20, baseline_low=0.2, baseline_high=0.2),  # lower value, outside
    }
    assert check_bound(bound, items).margin == pytest.approx(0.4)


def test_a_member_that_may_not_vote_is_left_out_even_when_it_violates() -> None:
    items = {"a.plain": measured(0.1), "a.bit_plane": measured(0.9, votes=False)}
    assert check_bound(parse_bound("check", "a <= 0.5", 0.1), items).margin == pytest.approx(-CLIP)


@pytest.mark.parametrize(
    ("value", "half", "verdict"),
    [(0.30, 0.05, PASS), (0.70, 0.05, VIOLATION), (0.48, 0.05, TOO_LITTLE_DATA), (0.52, 0.05, TOO_LITTLE_DATA)],
)
@pytest.mark.parametrize("sense", ["<=", ">="])
def test_the_verdict_needs_the_whole_interval_on_one_side(value: float, half: float, verdict: str, sense: str) -> None:
    value = value if sense == "<=" else 1.0 - value
    result = check_bound(parse_bound("check", f"a {sense} 0.5", 0.1), {"a": measured(value, half)})
    assert result.verdict == verdict


def test_limits_against_a_baseline_combine_both_intervals() -> None:
    # Value 0.30 +- 0.03 against baseline 0.20 +- 0.04: the difference is 0.10 +- 0.05.
    item = measured(0.30, 0.03, baseline=0.20, baseline_low=0.16, baseline_high=0.24)
    verdicts = {
        offset: check_bound(parse_bound("check", f"a <= baseline + {offset}", 0.1), {"a": item}).verdict
        for offset in (0.049, 0.051, 0.149, 0.151)
    }
    assert verdicts == {0.049: VIOLATION, 0.051: TOO_LITTLE_DATA, 0.149: TOO_LITTLE_DATA, 0.151: PASS}


def test_an_estimate_without_limits_gives_a_margin_but_no_verdict() -> None:
    result = check_bound(parse_bound("check", "a <= 0.5", 0.1), {"a": Measurement(0.4, NAN, NAN)})
    assert result.margin == pytest.approx(-1.0)
    assert result.verdict == TOO_LITTLE_DATA


def test_an_adversary_that_was_still_learning_cannot_pass_and_can_still_violate() -> None:
    bound = parse_bound("strong", "a <= 0.5", 0.1)

    def verdict(value: float, half: float = 0.01, **more: Measurement) -> tuple[str, float]:
        found = check_bound(bound, {"a.plain": measured(value, half, converged=False), **more})
        return found.verdict, found.margin

    assert verdict(0.3) == (TOO_LITTLE_TRAINING, pytest.approx(-2.0))  # the search's margin is as ever
    assert verdict(0.7)[0] == VIOLATION
    assert verdict(0.5, 0.1)[0] == TOO_LITTLE_DATA
    assert verdict(0.3, **{"a.other": measured(0.3, 0.01)})[0] == TOO_LITTLE_TRAINING
    assert verdict(0.3, **{"a.other": measured(0.9, 0.01)})[0] == VIOLATION
    silent = {"a.plain": measured(0.3, 0.01, converged=False, votes=False), "a.other": measured(0.3, 0.01)}
    assert check_bound(bound, silent).verdict == PASS
