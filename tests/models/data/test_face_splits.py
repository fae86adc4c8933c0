"""Splits are disjoint, complete, stratified and seeded, and refuse what closed-set identification cannot use."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.data import SPLITS, DataError, Origin, SplitConfig, Splits
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


def origin_of(images: int, same: dict[int, int] | None = None, **labels: np.ndarray) -> Origin:
    digests = np.zeros((images, 32), np.uint8)
    digests[:, :4] = np.arange(images, dtype=np.uint32).view(np.uint8).reshape(-1, 4)
    for image, other in (same or {}).items():
        digests[image] = digests[other]
    return Origin(tuple(f"{image}.png" for image in range(images)), digests, **labels)


def number_of_splits(splits: Splits, labels: np.ndarray) -> list[int]:
    """In how many splits each label occurs."""
    parts = [set(labels[getattr(splits, name)].tolist()) for name in SPLITS]
    return [sum(label in part for part in parts) for label in np.unique(labels).tolist()]


@pytest.mark.parametrize("seed", range(4))
def test_groups_lie_in_one_split_and_everybody_in_all(seed: int) -> None:
    identity, expression = balanced(960)
    group = identity * 1000 + expression * 100 + np.arange(960) // 24 // 8  # takes of 8 frames
    config = SplitConfig(seed=seed)
    splits = split_labels(identity, expression, PEOPLE, MOODS, config, origin_of(960, group=group))
    assert number_of_splits(splits, group) == [1] * len(np.unique(group))
    assert number_of_splits(splits, identity) == [3] * len(PEOPLE)
    assert [len(getattr(splits, name)) for name in SPLITS] == [640, 160, 160]


@pytest.mark.parametrize("seed", range(4))
def test_by_identity_nobody_is_in_two_splits(seed: int) -> None:
    identity = np.arange(120) % 12
    names = [str(number) for number in range(12)]
    config = SplitConfig(seed=seed, by="identity")
    splits = split_labels(identity, np.arange(120) // 12 % 4, names, MOODS, config)
    assert number_of_splits(splits, identity) == [1] * 12
    assert [len(getattr(splits, name)) for name in SPLITS] == [80, 20, 20]
    other = split_labels(identity, np.arange(120) // 12 % 4, names, MOODS, SplitConfig(seed=seed + 1, by="identity"))
    assert not np.array_equal(splits.train, other.train)


def test_by_identity_three_people_are_needed_and_one_image_each_is_enough() -> None:
    config = SplitConfig(by="identity")
    splits = split_labels(np.arange(3), np.zeros(3, np.int64), ["a", "b", "c"], ["joy"], config)
    assert [len(getattr(splits, name)) for name in SPLITS] == [1, 1, 1]
    with pytest.raises(DataError, match="no image in test: the data have 2 parts"):
        split_labels(np.arange(8) % 2, np.zeros(8, np.int64), ["a", "b"], ["joy"], config)


def test_the_official_splits_are_taken_as_they_are() -> None:
    identity, expression = balanced(96)
    official = np.arange(96) % 3
    config = SplitConfig(by="official", seed=4)
    splits = split_labels(identity, expression, PEOPLE, MOODS, config, origin_of(96, official=official))
    assert splits.validation.tolist() == list(range(1, 96, 3))
    for origin in (None, origin_of(96)):
        with pytest.raises(DataError, match="come without a division of their own"):
            split_labels(identity, expression, PEOPLE, MOODS, config, origin)


def test_the_same_pixels_in_two_splits_are_refused_with_both_files() -> None:
    identity, expression = balanced(240)
    splits = split(identity, expression)
    train, test, other = splits.train[0], splits.test[0], splits.test[1]
    one_side = origin_of(240, {int(test): int(other)})
    assert np.array_equal(split_labels(identity, expression, PEOPLE, MOODS, SplitConfig(), one_side).test, splits.test)
    both_sides = origin_of(240, {int(test): int(train)})
    with pytest.raises(DataError) as caught:
        split_labels(identity, expression, PEOPLE, MOODS, SplitConfig(), both_sides)
    (problem,) = caught.value.problems
    assert problem.startswith("1 image with the same pixels as one in another split")
    assert f"{test}.png (test)" in problem
    assert f"{train}.png (train)" in problem
    assert "data.split.duplicates=together" in problem


@pytest.mark.parametrize("by", ["image", "identity"])
def test_the_same_pixels_are_kept_together_on_request(by: str) -> None:
    identity, expression = balanced(240)
    same = {120: 0, 121: 1, 122: 0, 66: 6} | ({7: 0} if by == "identity" else {})  # 7 and 0 show different people
    origin = origin_of(240, same)
    config = SplitConfig(by=by, duplicates="together")
    splits = split_labels(identity, expression, PEOPLE, MOODS, config, origin)
    pixels = np.array([same.get(image, image) for image in range(240)])
    assert number_of_splits(splits, pixels) == [1] * len(np.unique(pixels))
    if by == "identity":
        assert number_of_splits(splits, identity) == [1] * len(PEOPLE)


def test_what_is_published_divided_can_still_hold_duplicates() -> None:
    identity, expression = balanced(96)
    origin = origin_of(96, {1: 0}, official=np.arange(96) % 3)
    with pytest.raises(DataError, match=r"1\.png \(validation\) = 0\.png \(train\)"):
        split_labels(identity, expression, PEOPLE, MOODS, SplitConfig(by="official", duplicates="together"), origin)


def test_unknown_ways_to_divide_name_the_known_ones() -> None:
    assert SplitConfig(by="person", duplicates="drop").problems() == [
        "by = 'person'; must be one of image, identity, official",
        "duplicates = 'drop'; must be one of refuse, together",
    ]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("audit", [0.1, 0.14286, 0.5])
def test_the_audit_keeps_its_share_from_all_splits(seed: int, audit: float) -> None:
    identity, expression = balanced(960)
    config = SplitConfig(seed=seed, audit=audit)
    searched = split(identity, expression, config)
    judged = split(identity, expression, replace(config, judged="audit"))
    parts = [searched.train, searched.validation, searched.test, judged.test]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(960))  # disjoint, together all
    assert np.array_equal(judged.train, searched.train)
    assert np.array_equal(judged.validation, searched.validation)
    assert abs(len(judged.test) - audit * 960) <= 1
    assert abs(len(searched.train) - (1 - audit) * 640) <= 1
    for person in range(len(PEOPLE)):
        assert abs((identity[judged.test] == person).sum() - audit * 160) <= 2
    assert np.array_equal(split(identity, expression, replace(config, judged="audit")).test, judged.test)
    other = split(identity, expression, replace(config, judged="audit", seed=seed + 5))
    assert not np.array_equal(other.test, judged.test)


def test_without_an_audit_the_splits_are_what_they_were_before_there_was_one() -> None:
    splits = split(*balanced(120))
    assert splits.test[:12].tolist() == [13, 26, 34, 45, 47, 59, 63, 65, 66, 68, 77, 81]


@pytest.mark.parametrize("seed", range(5))
def test_the_audit_takes_no_ones_last_image_from_a_split(seed: int) -> None:
    identity = np.concatenate([np.repeat(np.arange(6), 3), np.zeros(100, np.int64)])
    expression = np.arange(len(identity)) % len(MOODS)
    splits = split(identity, expression, SplitConfig(0.8, 0.1, 0.1, seed=seed, audit=0.3))
    for name in SPLITS:
        assert set(identity[getattr(splits, name)]) == set(range(6))


@pytest.mark.parametrize("seed", range(3))
def test_groups_and_people_stay_together_in_the_audit_too(seed: int) -> None:
    identity, expression = balanced(960)
    group = identity * 1000 + expression * 100 + np.arange(960) // 24 // 8
    for by, units in (("image", group), ("identity", identity)):
        config = SplitConfig(seed=seed, audit=0.25, by=by)
        origin = origin_of(960, group=group) if by == "image" else None
        one, other = (
            split_labels(identity, expression, PEOPLE, MOODS, replace(config, judged=judged), origin)
            for judged in ("test", "audit")
        )
        searched = set(units[np.concatenate([one.train, one.validation, one.test])].tolist())
        assert not searched & set(units[other.test].tolist())
        assert len(other.test) > 0


def test_the_audit_of_an_official_division_comes_from_its_test_images() -> None:
    identity, expression = balanced(960)
    origin = origin_of(960, official=np.arange(960) % 3)
    config = SplitConfig(by="official", audit=0.25)
    searched = split_labels(identity, expression, PEOPLE, MOODS, config, origin)
    judged = split_labels(identity, expression, PEOPLE, MOODS, replace(config, judged="audit"), origin)
    assert (len(searched.test), len(judged.test)) == (240, 80)
    assert sorted([*searched.test.tolist(), *judged.test.tolist()]) == list(range(2, 960, 3))
    assert origin.official is not None
    assert (origin.official == np.arange(960) % 3).all()  # read, not written


def test_the_same_pixels_in_the_audit_and_in_a_split_are_refused() -> None:
    identity, expression = balanced(240)
    config = SplitConfig(audit=0.2)
    train = split(identity, expression, config).train[0]
    kept = split(identity, expression, replace(config, judged="audit")).test[0]
    with pytest.raises(DataError, match=rf"{kept}\.png \(audit\)|= {kept}\.png \(audit\)"):
        split_labels(identity, expression, PEOPLE, MOODS, config, origin_of(240, {int(train): int(kept)}))


def test_an_audit_that_keeps_nothing_is_refused() -> None:
    assert "audit = 1.0" in str(SplitConfig(audit=1.0).problems())
    assert "audit = 0 keeps no images" in str(SplitConfig(judged="audit").problems())
    assert "must be one of test, audit" in str(SplitConfig(judged="train").problems())
    with pytest.raises(DataError, match="keeps no image of 72"):
        split(*balanced(72), SplitConfig(audit=0.001))
