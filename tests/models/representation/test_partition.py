"""People are divided, not images."""

import numpy as np
import pytest

from models.representation.judging_config import People
from models.representation.partition import GROUPS, divide, people_problems, share_of_people

IDENTITY = np.repeat(np.arange(70), 3)[np.random.default_rng(0).permutation(210)]


def test_nobody_is_in_two_groups_and_every_image_in_one() -> None:
    found = divide(IDENTITY, People(), 0)
    people = [set(IDENTITY[getattr(found, group)]) for group in GROUPS]
    assert [len(group) for group in people] == [28, 22, 6, 14]
    assert sum(map(len, people)) == len(set().union(*people)) == 70
    rows = np.concatenate([getattr(found, group) for group in GROUPS])
    assert sorted(rows.tolist()) == list(range(210))


def test_the_seed_alone_decides_who_is_where() -> None:
    first, again, other = (divide(IDENTITY, People(), seed) for seed in (0, 0, 1))
    assert (first.test == again.test).all()
    assert set(IDENTITY[first.test]) != set(IDENTITY[other.test])


def test_an_audit_keeps_people_from_all_groups_and_takes_the_place_of_the_test_people() -> None:
    searched = divide(IDENTITY, People(), 0, audit=0.2)
    audited = divide(IDENTITY, People(), 0, audit=0.2, judged="audit")
    kept = set(IDENTITY[audited.test])
    assert len(kept) == 14
    assert not kept & {person for group in GROUPS for person in IDENTITY[getattr(searched, group)]}
    for group in ("private", "public", "validation"):
        assert (getattr(audited, group) == getattr(searched, group)).all()
    assert [len(set(IDENTITY[getattr(searched, group)])) for group in GROUPS] == [22, 18, 4, 12]
    (problem,) = people_problems(6, People(), 0.1)
    assert problem.startswith("data: 6 identities, 2 of them kept for the audit, leave private 2, public 0, ")


def test_too_few_people_are_refused_with_what_is_needed() -> None:
    assert people_problems(64, People()) == []
    with pytest.raises(ValueError, match=r"5 identities leave private 2, public 0.*at least 2"):
        divide(np.arange(5), People(), 0)


def test_a_poorer_adversary_has_fewer_people_and_all_images_of_these() -> None:
    rows = divide(IDENTITY, People(), 0).public
    few, more = (share_of_people(IDENTITY, rows, share, 0) for share in (0.1, 0.5))
    assert len(set(IDENTITY[few])) == 3
    assert set(IDENTITY[few]) < set(IDENTITY[more]) < set(IDENTITY[rows])
    assert len(few) == 3 * 3
    assert (share_of_people(IDENTITY, rows, 1.0, 0) == rows).all()
