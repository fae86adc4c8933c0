"""Splits are disjoint, complete, stratified and seeded, and refuse what closed-set identification cannot use."""

from __future__ import annotations

import numpy as np
import pytest

from models.data import SPLITS, DataError, SplitConfig, Splits
from models.data.splits import split_labels

PEOPLE = tuple(f"p{index}" for index in range(6))
MOODS = ("anger", "fear", "joy", "sad")


def balanced(images: int) -> tuple[np.ndarray, np.ndarray]:
    cell = np.arange(images) % (len(PEOPLE) * len(MOODS))
    return cell % len(PEOPLE), cell // len(PEOPLE)


def split(identity: np.ndarray, expression: np.ndarray, config: SplitConfig | None = None) -> Splits:
    return split_labels(identity, expression, PEOPLE, MOODS, config or SplitConfig())


@pytest.mark.parametrize("images", [72, 100, 997])
@pytest.mark.parametrize("config", [SplitConfig(), SplitConfig(0.5, 0.25, 0.25), SplitConfig(0.8, 0.05, 0.15, seed=3)])
def test_splits_are_disjoint_and_complete_and_have_their_shares(images: int, config: SplitConfig) -> None:
    splits = split(*balanced(images), config)
    parts = [getattr(splits, name) for name in SPLITS]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(images))
    moved = len(PEOPLE)  # at most one image a person, to give everyone a place
    for name, part in zip(SPLITS, parts, strict=True):
        assert abs(len(part) - getattr(config, name) * images) <= 1 + moved * (images < 200)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_person_and_expression_has_its_share_of_each_split(seed: int) -> None:
    identity, expression = balanced(960)
    splits = split(identity, expression, SplitConfig(seed=seed))
    for name, share in (("train", 2 / 3), ("validation", 1 / 6), ("test", 1 / 6)):
        part = getattr(splits, name)
        for person in range(len(PEOPLE)):
            assert abs((identity[part] == person).sum() - share * 160) <= 2
            for mood in range(len(MOODS)):
                cell = (identity[part] == person) & (expression[part] == mood)
                assert abs(cell.sum() - share * 40) <= 2


def test_same_seed_same_splits_other_seed_other_splits() -> None:
    first, again = split(*balanced(240)), split(*balanced(240))
    other = split(*balanced(240), SplitConfig(seed=1))
    for name in SPLITS:
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


@pytest.mark.parametrize("seed", range(5))
def test_three_images_of_a_person_are_enough_for_three_splits(seed: int) -> None:
    identity = np.concatenate([np.repeat(np.arange(6), 3), np.zeros(100, np.int64)])
    expression = np.arange(len(identity)) % len(MOODS)
    splits = split(identity, expression, SplitConfig(0.9, 0.05, 0.05, seed=seed))
    for name in SPLITS:
        assert set(identity[getattr(splits, name)]) == set(range(6))


def test_people_without_an_image_in_a_split_and_unseen_expressions_are_all_named() -> None:
    identity, expression = balanced(96)
    kept = (identity != 2) & ((identity != 4) | (np.arange(96) < 16)) & (expression != 3)
    with pytest.raises(DataError) as caught:
        split(identity[kept], expression[kept])
    people, moods = caught.value.problems
    assert "2 of 6 identities" in people
    assert "p2 (0 images)" in people
    assert "p4 (2 images)" in people
    assert "Next step" in people
    assert "sad (0 images)" in moods


def test_shares_out_of_range_are_reported_together() -> None:
    with pytest.raises(DataError) as caught:
        split(*balanced(96), SplitConfig(train=1.2, validation=0, test=0.2, seed=-1))
    assert [problem.split(" = ")[0] for problem in caught.value.problems] == ["train", "validation", "seed"]
    assert "must be 1" in str(SplitConfig(0.5, 0.2, 0.2).problems())
    assert SplitConfig(0.667, 0.1667, 0.1667).problems() == []
