"""Divide people, not images: private ones for the supplier, public ones for the adversary, test ones for nobody.

Some may be kept from all of these, for an audit, which judges on them in the place of the test people.
"""

import math
from dataclasses import dataclass

import numpy as np

from models.data.splits import AUDIT
from models.randomness import numpy_generator
from models.representation.judging_config import People

GROUPS = ("private", "public", "validation", "test")
VALIDATION_SHARE = 0.2
"""Of the public people, who are kept from every training and show when a judge has reached its plateau."""


@dataclass(frozen=True)
class Partition:
    """Positions of the images of each group of people, int64, ascending; together all images."""

    private: np.ndarray
    public: np.ndarray
    """Public people that judges are trained on."""
    validation: np.ndarray
    """Public people that they are not."""
    test: np.ndarray
    """People to judge on: the test people, or those kept for the audit."""


def divide(identity: np.ndarray, people: People, seed: int, *, audit: float = 0.0, judged: str = "test") -> Partition:
    """Divide the people of a data set.

    Args:
        identity: int64 (images,), who is on each image.
        people: Shares of the groups, in those whom the audit leaves.
        seed: Of the draw.
        audit: Share of all people that is kept for an audit, 0 <= audit < 1.
        judged: Whether to judge on the people of "test" or of the "audit".

    Raises:
        ValueError: If a group would be left without two people; the message says how many there must be.
    """
    if problems := people_problems(len(np.unique(identity)), people, audit):
        raise ValueError("; ".join(problems))
    order = numpy_generator(seed, "people").permutation(np.unique(identity))
    left = len(order) - _kept(len(order), audit)
    groups = np.split(order[:left], np.cumsum(_sizes(left, people))[:-1])
    if judged == AUDIT:
        groups[GROUPS.index("test")] = order[left:]
    return Partition(*(np.flatnonzero(np.isin(identity, group)) for group in groups))


def people_problems(identities: int, people: People, audit: float = 0.0) -> list[str]:
    """Return why so many people cannot be divided, in at most one line; ``audit`` is the share kept for it."""
    kept = _kept(identities, audit)
    sizes = _sizes(identities - kept, people)
    if min(sizes) >= 2:
        return []
    told = ", ".join(f"{group} {size}" for group, size in zip(GROUPS, sizes, strict=True))
    taken = f", {kept} of them kept for the audit," if kept else ""
    return [
        f"data: {identities} identities{taken} leave {told} people; at least 2 are needed in each group, and 64 in all "
        "for identity similarity to mean anything: raise data.identities or the shares in checks.adversaries.people"
    ]


def share_of_people(identity: np.ndarray, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return those of ``rows`` that show a share of their people, at least two: what a poorer adversary has."""
    own = numpy_generator(seed, "public share").permutation(np.unique(identity[rows]))
    kept = own[: max(2, math.ceil(share * len(own)))]
    return rows[np.isin(identity[rows], kept)]


def _kept(identities: int, audit: float) -> int:
    """Return how many people are kept for the audit: two at least, where any are."""
    return max(2, round(audit * identities)) if audit else 0


def _sizes(identities: int, people: People) -> list[int]:
    """Return the numbers of people in each of ``GROUPS``."""
    private, public = (round(share * identities) for share in (people.private, people.public))
    validation = max(2, round(VALIDATION_SHARE * public))
    return [private, public - validation, validation, identities - private - public]
