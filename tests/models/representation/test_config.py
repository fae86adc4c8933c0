"""Settings: everything that is wrong is said at once, with what is permitted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.representation.config import PerceptualConfig, RepresentationConfig, depth
from models.representation.judging_config import JUDGES, JudgeConfig


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cut": 0}, "cut=0; must be a whole number >= 1"),
        ({"noise": -0.1}, "noise=-0.1; must be a number >= 0"),
        ({"noise": float("nan")}, "noise=nan"),
        ({"pixel_weight": float("inf")}, "pixel_weight=inf"),
        ({"adversary": "strong"}, "adversary='strong' is unknown; permitted: none, plain, closed_form, both"),
        ({"public_share": 0.0}, "public_share=0.0; must lie in (0, 1]"),
        ({"warm_up": 1.0}, "warm_up=1.0; must lie in [0, 1)"),
        ({"tasks": "glasses+glasses"}, "each once"),
        ({"tasks": ""}, "must name"),
        ({"batch_size": True}, "batch_size=True"),
        ({"perceptual": PerceptualConfig(layers="1+4")}, "perceptual.layers='1+4'; must join some of 1, 2, 3"),
        ({"perceptual": PerceptualConfig(network="vgg16")}, "perceptual.weights='' is no file"),
        ({"perceptual": PerceptualConfig(weights="vgg.pth")}, "is used with perceptual.network='vgg16' only"),
        ({"perceptual": PerceptualConfig(network="vgg19")}, "perceptual.network='vgg19' is unknown"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_permitted(values: dict[str, Any], words: str) -> None:
    problems = replace(RepresentationConfig(), **values).problems()
    assert len(problems) == 1
    assert words in problems[0]


def test_defaults_are_in_order_and_several_mistakes_are_told_together() -> None:
    assert RepresentationConfig().problems() == []
    assert len(RepresentationConfig(cut=0, noise=-1.0, adversary="x").problems()) == 3


def test_what_the_data_cannot_hold_is_refused() -> None:
    config = RepresentationConfig(cut=4, tasks="glasses+beard")
    problems = config.refusals(32, ("glasses", "expression"))
    assert any("cut=4" in problem and "1..3" in problem for problem in problems)
    assert any("no column beard" in problem and "glasses, expression" in problem for problem in problems)
    assert RepresentationConfig(cut=4, tasks="glasses").refusals(64, ("glasses",)) == []
    assert [depth(size) for size in (16, 32, 64)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"judges": ["small", "loud"]}, "judges=['small', 'loud']; must name at least one of small, large"),
        ({"judges": []}, "judges=[]"),
        ({"judges": ["white_box"]}, "'white_box' begins where 'large' ends: add it"),
        ({"people": {"private": 0.5, "public": 0.5, "test": 0.5}}, "private + public + test = 1.5; must be 1"),
        ({"people": {"private": 0.5, "publik": 0.5}}, "adversaries.people.publik: unknown"),
        ({"people": 3}, "adversaries.people=3; must be a group"),
        ({"step": 10}, "adversaries.step: unknown; known are"),
        ({"tolerance": 0.0}, "adversaries.tolerance=0.0; must lie in (0, 1)"),
        ({"embedding_auc": 0.5}, "adversaries.embedding_auc=0.5; must lie in (0.5, 1)"),
        ({"steps": 1.5}, "adversaries.steps=1.5; must be a whole number >= 1"),
    ],
)
def test_wrong_settings_of_the_judges_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are looked at below
        JudgeConfig.from_mapping(values)
    assert words in str(caught.value)


def test_judges_are_all_by_default_and_can_be_named_alone() -> None:
    assert JudgeConfig.from_mapping({}).judges == JUDGES
    assert JudgeConfig.from_mapping({"judges": "small"}).judges == ("small",)


def test_a_file_of_weights_that_exists_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "vgg.pth").touch()
    config = PerceptualConfig(network="vgg16", weights=str(tmp_path / "vgg.pth"))
    assert config.problems("perceptual") == []
