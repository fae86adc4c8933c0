"""Bounds as people write them."""

import math

import pytest

from analysis.bounds import Bound, parse_bound


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("steganalysis_auc <= 0.6", Bound("steganalysis_auc", "<=", None, 0.6)),
        ("cover_psnr >= 4e1", Bound("cover_psnr", ">=", None, 40.0)),
        ("shift >= -0.5", Bound("shift", ">=", None, -0.5)),
        ("leak <= baseline", Bound("leak", "<=", "baseline", 0.0)),
        ("leak <= baseline + 0.05", Bound("leak", "<=", "baseline", 0.05)),
        ("expression_accuracy >= baseline - 0.05", Bound("expression_accuracy", ">=", "baseline", -0.05)),
        ("leak.high_pass<=majority+.1", Bound("leak.high_pass", "<=", "majority", 0.1)),
    ],
)
def test_permitted_forms_are_understood(text: str, bound: Bound) -> None:
    assert parse_bound(text) == bound


@pytest.mark.parametrize("text", ["", "leak < 0.3", "leak <= twice baseline", "0.3 >= leak", "leak <= 0.3 + baseline"])
def test_other_forms_are_left_as_text(text: str) -> None:
    assert parse_bound(text) is None


def test_a_bound_lies_at_its_reference_plus_offset() -> None:
    references = {"baseline": 0.37, "chance": 1 / 6, "majority": 0.2}
    assert Bound("leak", "<=", "baseline", 0.05).at(**references) == pytest.approx(0.42)
    assert Bound("leak", "<=", "chance", -0.05).at(**references) == pytest.approx(1 / 6 - 0.05)
    assert Bound("leak", "<=", None, 0.6).at(**references) == 0.6
    assert math.isnan(Bound("leak", "<=", "baseline", 0.05).at(baseline=math.nan, chance=0.1, majority=0.1))
