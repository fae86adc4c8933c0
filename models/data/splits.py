"""Divide faces into train, validation and test images for closed-set identification.

Closed-set means that the people of the test images are those of the training images, so every person needs images in
each of the three splits. Splits are disjoint and stratified by person and expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.data.dataset import DataError, FaceData

SPLITS = ("train", "validation", "test")

_ROUNDING = 0.005  # fractions may miss the sum 1 by this much, as 0.667 + 0.167 + 0.167 does
_NAMED = 10  # names listed before "and so many more"


@dataclass(frozen=True)
class SplitConfig:
    """Shares of the images; they sum to 1."""

    train: float = 2 / 3
    """Share that models are fitted on, > 0."""
    validation: float = 1 / 6
    """Share for stopping and thresholds, > 0."""
    test: float = 1 / 6
    """Share for verdicts, > 0."""
    seed: int = 0
    """Seed of the draw, >= 0."""

    def problems(self) -> list[str]:
        """Say what is out of range, one line a field; none if all is well.

        Raises:
            Nothing.
        """
        shares = (self.train, self.validation, self.test)
        found = [
            f"{name} = {share}; must lie between 0 and 1, both excluded"
            for name, share in zip(SPLITS, shares, strict=True)
            if not 0 < share < 1
        ]
        if not found and abs(sum(shares) - 1) > _ROUNDING:
            found.append(f"train + validation + test = {sum(shares):g}; must be 1")
        if self.seed < 0:
            found.append(f"seed = {self.seed}; must be a whole number >= 0")
        return found


@dataclass(frozen=True)
class Splits:
    """Positions of the images of each split, int64, ascending; disjoint, together all images."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_faces(data: FaceData, config: SplitConfig) -> Splits:
    """Divide a data set.

    Args:
        data: The faces.
        config: Shares and seed.

    Returns:
        The splits. Their sizes follow the shares to within one image, and so do the images of each person and of each
        person's expression to within about two; people with few images then get one in each split.

    Raises:
        DataError: If a share is out of range, a person has no image in some split, or an expression none in train;
            the message names them all.

    Notes:
        Draws from a generator of its own, seeded by ``config.seed``.
    """
    return split_labels(data.identity, data.expression, data.identity_names, data.expression_names, config)


def split_labels(
    identity: np.ndarray,
    expression: np.ndarray,
    identity_names: Sequence[str],
    expression_names: Sequence[str],
    config: SplitConfig,
) -> Splits:
    """Divide images of which only the labels are at hand; see ``split_faces``.

    Args:
        identity: int64 (images,).
        expression: int64 (images,).
        identity_names: Names by identity index.
        expression_names: Names by expression index.
        config: Shares and seed.

    Returns:
        The splits.

    Raises:
        DataError: As ``split_faces``.
    """
    problems = config.problems()
    if problems:
        raise DataError(problems)
    split = np.empty(len(identity), np.int64)
    order = _shuffled_by_cell(identity, expression, config.seed)
    split[order] = _interleaved(len(identity), (config.train, config.validation, config.test))
    _give_everyone_a_place(split, identity, order)
    problems = _closed_set_problems(split, identity, identity_names)
    problems += _expression_problems(split, expression, expression_names)
    if problems:
        raise DataError(problems)
    train, validation, test = (np.flatnonzero(split == number) for number in range(len(SPLITS)))
    return Splits(train, validation, test)


def _shuffled_by_cell(identity: np.ndarray, expression: np.ndarray, seed: int) -> np.ndarray:
    """Order images so that a person's lie together, and within these an expression's; all else is random."""
    generator = np.random.default_rng(seed)
    people = generator.permutation(identity.max(initial=0) + 1)[identity]
    cells = generator.random((len(people) and people.max() + 1, expression.max(initial=0) + 1))[people, expression]
    return np.lexsort((generator.random(len(identity)), cells, people))


def _interleaved(count: int, shares: tuple[float, float, float]) -> np.ndarray:
    """Sequence of split numbers, (count,), in which every stretch holds the splits in about their shares."""
    exact = np.array(shares) / sum(shares) * count
    sizes = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: count - sizes.sum()]] += 1
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return np.repeat(np.arange(len(sizes)), sizes)[np.argsort(places, kind="stable")]


def _give_everyone_a_place(split: np.ndarray, identity: np.ndarray, order: np.ndarray) -> None:
    """Move images of people who miss a split, from the split where they have most, if they have enough images."""
    for person in np.unique(identity):
        own = order[identity[order] == person]
        for number in range(len(SPLITS)):
            counts = np.bincount(split[own], minlength=len(SPLITS))
            if counts[number] == 0 and counts.max() > 1:
                split[own[split[own] == counts.argmax()][0]] = number


def _closed_set_problems(split: np.ndarray, identity: np.ndarray, names: Sequence[str]) -> list[str]:
    table = np.zeros((len(names), len(SPLITS)), np.int64)
    np.add.at(table, (identity, split), 1)
    missing = np.flatnonzero((table == 0).any(axis=1))
    if not len(missing):
        return []
    told = [f"{names[person]} ({_count(int(table[person].sum()), 'image')})" for person in missing.tolist()]
    return [
        f"{len(missing)} of {len(names)} identities have no image in some split: {listed(told)}; closed-set "
        f"identification needs at least {len(SPLITS)} images of every identity, one each for {', '.join(SPLITS)}. "
        "Next step: add images of these identities, or remove their rows from the labels"
    ]


def _expression_problems(split: np.ndarray, expression: np.ndarray, names: Sequence[str]) -> list[str]:
    seen = np.unique(expression[split == 0])
    absent = [
        f"{name} ({_count(int((expression == i).sum()), 'image')})" for i, name in enumerate(names) if i not in seen
    ]
    if not absent:
        return []
    return [
        f"{_count(len(absent), 'expression')} without an image in train: {listed(absent)}; a classifier cannot learn "
        "them. Next step: add images, raise the share of train, or remove their rows from the labels"
    ]


def listed(items: Sequence[str]) -> str:
    """Join names for a message, the first ten and the number of the rest.

    Raises:
        Nothing.
    """
    rest = len(items) - _NAMED
    return ", ".join(items[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
