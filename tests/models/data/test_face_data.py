"""A data set refuses parts that disagree, and its fingerprint follows what it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.data import DataError, FaceData, Origin, face_data


def parts(**changes: Any) -> dict[str, Any]:
    given = {
        "images": np.arange(4 * 3 * 32 * 32, dtype=np.uint32).astype(np.uint8).reshape(4, 3, 32, 32),
        "identity": np.array([0, 1, 0, 1]),
        "expression": np.array([0, 0, 1, 1]),
        "identity_names": ("ann", "bob"),
        "expression_names": ("joy", "fear"),
        "attributes": {"pose": ("left", "right", "left", "up")},
    }
    return {**given, **changes}


def build(**changes: Any) -> FaceData:
    return face_data(**parts(**changes))


def test_disagreements_are_reported_together() -> None:
    with pytest.raises(DataError) as caught:
        build(
            images=np.zeros((4, 32, 32, 3), np.uint8),
            identity=np.array([0, 1, 2, 1]),
            expression=np.array([0.0, 0, 1, 1]),
            identity_names=("ann", "ann"),
            attributes={"pose": ("left",)},
        )
    named = [problem.split(":")[0] for problem in caught.value.problems]
    assert named == ["images", "identity", "identity_names", "expression", "attributes['pose']"]
    assert all(problem in str(caught.value) for problem in caught.value.problems)


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((4, 3, 32, 32), np.uint8)},
        {"identity": np.array([1, 1, 0, 1])},
        {"expression": np.array([1, 0, 1, 1])},
        {"identity_names": ("ann", "eve")},
        {"expression_names": ("joy", "anger")},
        {"attributes": {}},
    ],
)
def test_fingerprint_changes_with_every_part(change: dict[str, Any]) -> None:
    assert build().fingerprint == build().fingerprint
    assert build(**change).fingerprint != build().fingerprint


def test_subset_keeps_names_and_takes_labels_along() -> None:
    data = build()
    kept = data.subset(np.array([3, 0]))
    assert np.array_equal(kept.images, data.images[[3, 0]])
    assert (kept.identity.tolist(), kept.expression.tolist()) == ([1, 0], [1, 0])
    assert kept.attributes == {"pose": ("up", "left")}
    assert kept.identity_names == data.identity_names
    assert kept.fingerprint != data.fingerprint


def test_arrays_cannot_be_changed_by_accident() -> None:
    data = build()
    with pytest.raises(ValueError, match="read-only"):
        data.images[0] = 0


def origin(**changes: Any) -> Origin:
    digests = np.arange(4 * 32, dtype=np.uint8).reshape(4, 32)
    return Origin(**{"files": ("a", "b", "c", "d"), "digests": digests, "group": np.array([0, 0, 1, 1]), **changes})


def test_what_is_known_of_files_goes_along_with_a_subset() -> None:
    data = build(origin=origin(official=np.array([0, 1, 2, 0]), left_out=("e",)))
    kept = data.subset(np.array([3, 0])).origin
    assert kept is not None
    assert kept.files == ("d", "a")
    assert kept.digests[:, 0].tolist() == [96, 0]
    assert kept.group is not None
    assert kept.official is not None
    assert (kept.group.tolist(), kept.official.tolist()) == ([1, 0], [0, 0])
    assert kept.left_out == ("e",)


def test_fingerprint_follows_hashes_groups_and_official_splits() -> None:
    numbers = np.array([0, 0, 1, 1])
    variants = [origin(), origin(group=None), origin(group=None, official=numbers), origin(digests=np.ones((4, 32)))]
    fingerprints = {build(origin=variant).fingerprint for variant in variants}
    assert len(fingerprints) == 4
    assert build(origin=origin(files=("e", "f", "g", "h"))).fingerprint in fingerprints  # names are not content


def test_origins_of_other_images_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        build(origin=origin(files=("a",), group=np.arange(5)))
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["origin.files", "origin.group"]
