"""Material with known answers: drawn faces, and an ideal honest sanitiser of them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import torch

from models.checks.material import Labels, LabelSplits, Release
from models.data.procedural import ProceduralConfig, procedural_faces
from models.randomness import numpy_generator


@dataclass(frozen=True)
class Known:
    """Drawn faces with their labels, and covers from which the identity is gone and the expression is not."""

    originals: Release
    covers: Release
    labels: Labels


@lru_cache(maxsize=2)
def known_material(train: int, validation: int, test: int) -> Known:
    """Draw faces; each input's cover is the picture of somebody else, drawn at random, with the same expression."""
    count = train + validation + test
    faces = procedural_faces(ProceduralConfig(images=count, size=32, seed=11))
    generator = numpy_generator(11, "covers")
    order = generator.permutation(count)
    parts = np.split(order, [train, train + validation])

    def swap(rows: np.ndarray) -> np.ndarray:
        swapped = rows.copy()
        for expression in range(len(faces.expression_names)):
            places = np.flatnonzero(faces.expression[rows] == expression)
            swapped[places] = rows[generator.permutation(places)]
        return swapped

    def release(splits: list[np.ndarray]) -> Release:
        return Release(*[torch.from_numpy(faces.images[rows]) for rows in splits])

    def labels(values: np.ndarray, classes: int) -> LabelSplits:
        return LabelSplits(*[torch.from_numpy(values[rows]) for rows in parts], classes)

    truth = Labels(
        labels(faces.identity, len(faces.identity_names)), labels(faces.expression, len(faces.expression_names))
    )
    return Known(release(parts), release([swap(rows) for rows in parts]), truth)


@pytest.fixture(scope="session")
def few() -> Known:
    """Enough for every path of the code, too few for conclusions."""
    return known_material(240, 60, 60)


@pytest.fixture(scope="session")
def many() -> Known:
    """What the default budgets are made for, at half the images."""
    return known_material(2000, 500, 1000)
