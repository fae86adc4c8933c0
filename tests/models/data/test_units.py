"""What is joined by any label, directly or through others, is one unit."""

from __future__ import annotations

import numpy as np
import pytest

from models.data.units import joined, same_pixels


def test_labels_join_directly_and_through_others() -> None:
    take = np.array([0, 0, 1, 1, 2, 3])
    pixels = np.array([0, 1, 1, 2, 3, 4])
    assert joined([], 4).tolist() == [0, 1, 2, 3]
    assert joined([take], 6).tolist() == [0, 0, 1, 1, 2, 3]
    assert joined([take, pixels], 6).tolist() == [0, 0, 0, 0, 1, 2]
    assert joined([np.array([5, 2, 5])], 3).tolist() == [0, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_units_are_those_of_a_plain_search(seed: int) -> None:
    labels = [np.random.default_rng((seed, part)).integers(0, 30, 40) for part in range(2)]
    unit = list(range(40))
    changed = True
    while changed:
        changed = False
        for one in range(40):
            for other in range(40):
                if unit[one] != unit[other] and any(values[one] == values[other] for values in labels):
                    unit = [unit[one] if number == unit[other] else number for number in unit]
                    changed = True
    found = joined(labels, 40)
    for one in range(40):
        for other in range(40):
            assert (found[one] == found[other]) == (unit[one] == unit[other])
    assert found.max() + 1 == len(set(unit))


def test_same_pixels_have_the_same_number() -> None:
    digests = np.array([[1, 2], [3, 4], [1, 2], [2, 1]], np.uint8)
    assert same_pixels(digests).tolist() == [0, 1, 0, 2]
