"""Divide faces into train, validation and test images.

By image, for closed-set identification: the people of the test images are those of the training images, so everybody
needs images in each of the three splits, which are stratified by person and expression. By identity: nobody is in two
splits. Or as the publishers of the data divided them. Splits are disjoint; no group of images that is drawn (such as
the frames of one take), and no two images with the same pixels, lie on two sides.

A fourth part, ``audit``, can be kept from all three: a search never sees it, and ``study.audit`` judges on it in the
place of the test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.data.dataset import DataError, FaceData, Origin
from models.data.units import joined, same_pixels

SPLITS = ("train", "validation", "test")
AUDIT = "audit"
PARTS = (*SPLITS, AUDIT)
JUDGED = ("test", AUDIT)
BY = ("image", "identity", "official")
DUPLICATES = ("refuse", "together")

_ROUNDING = 0.005  # fractions may miss the sum 1 by this much, as 0.667 + 0.167 + 0.167 does
_NAMED = 10  # names listed before "and so many more"


@dataclass(frozen=True)
class SplitConfig:
    """Shares of the images (or of people, or of groups, whatever stays together).

    Those of train, validation and test sum to 1 and divide what the audit leaves.
    """

    train: float = 2 / 3
    """Share that models are fitted on, > 0."""
    validation: float = 1 / 6
    """Share for stopping and thresholds, > 0."""
    test: float = 1 / 6
    """Share for verdicts, > 0."""
    seed: int = 0
    """Seed of the draw, >= 0."""
    by: str = "image"
    """What is divided: images of each person, people, or nothing, because the publishers did ("official")."""
    duplicates: str = "refuse"
    """What happens if two images with the same pixels come to lie in two splits: "refuse", or keep them "together"."""
    audit: float = 0.0
    """Share of all images that is kept from train, validation and test, in [0, 1); of the publishers' test images where
    ``by`` is "official"."""
    judged: str = "test"
    """Which part ``Splits.test`` holds: "test", or "audit" once the search is over."""

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
        if not 0 <= self.audit < 1:
            found.append(f"audit = {self.audit}; must lie between 0 and 1, 0 included and 1 excluded")
        names = (("by", self.by, BY), ("duplicates", self.duplicates, DUPLICATES), ("judged", self.judged, JUDGED))
        for name, value, permitted in names:
            if value not in permitted:
                found.append(f"{name} = {value!r}; must be one of {', '.join(permitted)}")
        if self.judged == AUDIT and self.audit == 0:
            found.append("judged = 'audit', but audit = 0 keeps no images for it; give audit a share such as 0.1")
        return found


@dataclass(frozen=True)
class Splits:
    """Positions of the images of each split, int64, ascending; disjoint, with the part not judged on all images."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    """Those to judge on: of the part that ``SplitConfig.judged`` names."""


def split_faces(data: FaceData, config: SplitConfig) -> Splits:
    """Divide a data set.

    Args:
        data: The faces.
        config: Shares and seed.

    Returns:
        The splits. By image, their sizes follow the shares to within one image, and so do the images of each person
        and of each person's expression to within about two; people with few images then get one in each split. Where
        images stay together, this holds for groups or people instead of images.

    Raises:
        DataError: If a setting is not permitted or not possible with these data, a person (by image) or everybody has
            no image in some split, an expression has none in train, or two images with the same pixels lie in two
            splits; the message names them all.

    Notes:
        Draws from a generator of its own, seeded by ``config.seed``.
    """
    labels = (data.identity, data.expression, data.identity_names, data.expression_names)
    return split_labels(*labels, config, data.origin)


def split_labels(
    identity: np.ndarray,
    expression: np.ndarray,
    identity_names: Sequence[str],
    expression_names: Sequence[str],
    config: SplitConfig,
    origin: Origin | None = None,
) -> Splits:
    """Divide images of which only the labels are at hand; see ``split_faces``.

    Args:
        identity: int64 (images,).
        expression: int64 (images,).
        identity_names: Names by identity index.
        expression_names: Names by expression index.
        config: Shares and seed.
        origin: Groups, official splits and hashes of the images.

    Returns:
        The splits.

    Raises:
        DataError: As ``split_faces``.
    """
    problems = config.problems()
    if config.by == "official" and (origin is None or origin.official is None):
        problems.append("data.split.by = 'official'; these data come without a division of their own; image, identity")
    if problems:
        raise DataError(problems)
    units = _units(identity, config, origin)
    if config.by != "official":
        split = _drawn(identity, expression, units, config)
    else:
        split = _official(identity, expression, origin, config)
    if config.by == "image":
        problems += _closed_set_problems(split, identity, identity_names, units)
    else:
        problems += _empty_split_problems(split, units)
    if config.audit and not (split == PARTS.index(AUDIT)).any():
        problems.append(
            f"data.split.audit = {config.audit:g} keeps no image of {len(split)}; raise it, add images, or give 0"
        )
    problems += _expression_problems(split, expression, expression_names)
    problems += _duplicate_problems(split, origin) if origin else []
    if problems:
        raise DataError(problems)
    train, validation, test = (
        np.flatnonzero(split == PARTS.index(name)) for name in ("train", "validation", config.judged)
    )
    return Splits(train, validation, test)


def _units(identity: np.ndarray, config: SplitConfig, origin: Origin | None) -> np.ndarray:
    """Number images, int64 (images,), so that those of one number have to lie in one split."""
    labels = [identity] if config.by == "identity" else []
    if origin and origin.group is not None:
        labels.append(origin.group)
    if origin and config.duplicates == "together":
        labels.append(same_pixels(origin.digests))
    return joined(labels, len(identity))


def _drawn(identity: np.ndarray, expression: np.ndarray, units: np.ndarray, config: SplitConfig) -> np.ndarray:
    """Draw a split number for each image, the same for all of a unit."""
    first = np.unique(units, return_index=True)[1]
    people, cells = identity[first], expression[first]
    if config.by == "identity":  # a unit is a person: there is nothing to stratify by
        people, cells = np.zeros_like(people), np.zeros_like(cells)
    order = _shuffled_by_cell(people, cells, config.seed)
    split = np.empty(len(first), np.int64)
    split[order] = _interleaved(len(first), _shares(config))
    _give_everyone_a_place(split, people, order)
    return split[units]


def _shares(config: SplitConfig) -> tuple[float, ...]:
    """Shares of ``PARTS`` in all images, up to a common factor."""
    shares = (config.train, config.validation, config.test)
    return (*(share * (1 - config.audit) for share in shares), sum(shares) * config.audit)


def _official(identity: np.ndarray, expression: np.ndarray, origin: Origin | None, config: SplitConfig) -> np.ndarray:
    """The publishers' division; the audit, of which they know nothing, takes its share of their test images."""
    assert origin is not None
    assert origin.official is not None
    split = origin.official.copy()
    test = np.flatnonzero(split == PARTS.index("test"))
    order = _shuffled_by_cell(identity[test], expression[test], config.seed)
    kept = _interleaved(len(test), (1 - config.audit, config.audit)) == 1
    split[test[order[kept]]] = PARTS.index(AUDIT)
    return split


def _shuffled_by_cell(identity: np.ndarray, expression: np.ndarray, seed: int) -> np.ndarray:
    """Order images so that a person's lie together, and within these an expression's; all else is random."""
    generator = np.random.default_rng(seed)
    people = generator.permutation(identity.max(initial=0) + 1)[identity]
    cells = generator.random((len(people) and people.max() + 1, expression.max(initial=0) + 1))[people, expression]
    return np.lexsort((generator.random(len(identity)), cells, people))


def _interleaved(count: int, shares: tuple[float, ...]) -> np.ndarray:
    """Sequence of split numbers, (count,), in which every stretch holds the splits in about their shares."""
    exact = np.array(shares) / sum(shares) * count
    sizes = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: count - sizes.sum()]] += 1
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return np.repeat(np.arange(len(sizes)), sizes)[np.argsort(places, kind="stable")]


def _give_everyone_a_place(split: np.ndarray, identity: np.ndarray, order: np.ndarray) -> None:
    """Move images of people who miss a split, from the part where they have most, if they have enough images.

    The audit can do without a person; the splits cannot, so they get its last image where there is no other.
    """
    audit = PARTS.index(AUDIT)
    table = np.zeros((identity.max(initial=-1) + 1, len(PARTS)), np.int64)
    np.add.at(table, (identity, split), 1)
    for person in np.flatnonzero((table[:, :audit] == 0).any(axis=1) & (table.sum(axis=1) > 1)):
        own = order[identity[order] == person]
        for number in range(len(SPLITS)):
            counts = np.bincount(split[own], minlength=len(PARTS))
            giver = int(counts.argmax()) if counts.max() > 1 else audit
            if counts[number] == 0 and counts[giver] > 0 and (giver == audit or counts[giver] > 1):
                split[own[split[own] == giver][0]] = number


def _closed_set_problems(split: np.ndarray, identity: np.ndarray, names: Sequence[str], units: np.ndarray) -> list[str]:
    table = np.zeros((len(names), len(PARTS)), np.int64)
    np.add.at(table, (identity, split), 1)
    missing = np.flatnonzero((table[:, : len(SPLITS)] == 0).any(axis=1))
    if not len(missing):
        return []
    told = [f"{names[person]} ({_count(int(table[person].sum()), 'image')})" for person in missing.tolist()]
    grouped = ", in groups that stay together," if len(np.unique(units)) < len(units) else ""
    return [
        f"{len(missing)} of {len(names)} identities have no image in some split: {listed(told)}; closed-set "
        f"identification needs at least {len(SPLITS)} images{grouped} of every identity, one each for "
        f"{', '.join(SPLITS)}. Next step: add images of these identities, remove their rows from the labels, or keep "
        "every identity in one split with data.split.by=identity, where the experiment permits it"
    ]


def _empty_split_problems(split: np.ndarray, units: np.ndarray) -> list[str]:
    empty = [name for number, name in enumerate(SPLITS) if not (split == number).any()]
    if not empty:
        return []
    parts = _count(len(np.unique(units)), "part")
    return [f"no image in {listed(empty)}: the data have {parts} that can be divided, and need {len(SPLITS)} or more"]


def _duplicate_problems(split: np.ndarray, origin: Origin) -> list[str]:
    """Images with the same pixels on two sides: what is tested on would have been trained on."""
    same = same_pixels(origin.digests)
    first = np.unique(same, return_index=True)[1][same]
    apart = np.flatnonzero(split != split[first])
    if not len(apart):
        return []
    told = [
        f"{origin.files[image]} ({PARTS[split[image]]}) = {origin.files[first[image]]} ({PARTS[split[first[image]]]})"
        for image in apart.tolist()
    ]
    return [
        f"{_count(len(apart), 'image')} with the same pixels as one in another split: {listed(told)}. Next step: "
        "remove one of each, or keep such images in one split with data.split.duplicates=together (unless "
        "data.split.by=official)"
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
