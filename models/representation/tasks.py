"""What must still be told from a representation: labels, and how well they are told, each task and on average.

References:
    Gorodkin. "Comparing two K-category assignments by a K-category correlation coefficient". Computational Biology and
    Chemistry 28, 2004 (Matthews correlation of more than two classes).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.checks.statistics import majority_share
from models.data import FaceData
from models.measurement import Measurement
from models.randomness import numpy_generator
from models.representation.people_mean import mean_over_people

MOST_CLASSES = 20
RESAMPLES = 300
"""Of the bootstrap over people behind the intervals of a correlation."""


@dataclass(frozen=True)
class Tasks:
    """Labels of every image for every task."""

    names: tuple[str, ...]
    classes: tuple[int, ...]
    """Number of values of each task."""
    labels: Tensor
    """(images, tasks), int64."""

    def split(self, logits: Tensor) -> tuple[Tensor, ...]:
        """Cut (n, all classes) into (n, classes) of each task."""
        return logits.split(list(self.classes), dim=1)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy over tasks, in nats; ``labels`` (n, tasks)."""
        parts = [F.cross_entropy(part, labels[:, index]) for index, part in enumerate(self.split(logits))]
        return torch.stack(parts).mean()


def read_tasks(faces: FaceData, names: Sequence[str]) -> Tasks:
    """Return the labels of the columns ``names``: attributes of the faces, or their expression.

    Raises:
        ValueError: If a column is missing, has gaps, or has fewer than 2 or more than 20 values; all are named.
    """
    columns: dict[str, Sequence[str]] = dict(faces.attributes)
    columns["expression"] = [faces.expression_names[index] for index in faces.expression]
    found, classes, labels = [], [], []
    for name in names:
        values = columns.get(name)
        if values is None:
            found.append(f"{name!r} is no column of the data; permitted: {', '.join(columns)}")
            continue
        known, index = np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)
        if not 2 <= len(known) <= MOST_CLASSES or "" in known:
            gaps = " and gaps" if "" in known else ""
            found.append(f"{name!r} has {len(known)} values{gaps}; a task needs 2 to {MOST_CLASSES} and no gaps")
        classes.append(len(known))
        labels.append(torch.from_numpy(index.astype(np.int64)))
    if found:
        raise ValueError("tasks: " + "; ".join(found))
    return Tasks(tuple(names), tuple(classes), torch.stack(labels, dim=1))


def task_quality(
    tasks: Tasks, logits: Tensor, labels: Tensor, identity: np.ndarray, seed: int
) -> dict[str, Measurement]:
    """Return accuracy and Matthews correlation of every task and of their mean, with 95 % intervals over people.

    Args:
        tasks: Names and numbers of classes.
        logits: (n, all classes), of test images.
        labels: (n, tasks), int64.
        identity: (n,), who is on each image.
        seed: Of the bootstrap.

    Returns:
        ``task_accuracy``, ``task_mcc``, ``attribute_accuracy.NAME`` and ``attribute_mcc.NAME``.
    """
    told = torch.stack([part.argmax(1) for part in tasks.split(logits)], dim=1).cpu().numpy()
    truth = labels.cpu().numpy()
    right = (told == truth).astype(np.float64)
    majorities = [majority_share(truth[:, index]) for index in range(len(tasks.names))]
    chances = [1 / count for count in tasks.classes]
    metrics = _accuracies(tasks.names, right, identity, chances, majorities)
    draws = _resamples(identity, seed)
    every = np.arange(len(truth))
    values = [_correlations(told, truth, tasks.classes, rows) for rows in (every, *draws)]
    table = np.array(values)  # (1 + resamples, tasks)
    for index, name in enumerate(tasks.names):
        metrics[f"attribute_mcc.{name}"] = _bootstrapped(table[:, index])
    metrics["task_mcc"] = _bootstrapped(table.mean(1))
    return metrics


def _accuracies(
    names: Sequence[str], right: np.ndarray, identity: np.ndarray, chances: list[float], majorities: list[float]
) -> dict[str, Measurement]:
    metrics = {}
    for index, name in enumerate(names):
        value, low, high = mean_over_people(right[:, index], identity)
        metrics[f"attribute_accuracy.{name}"] = Measurement(
            value, max(0.0, low), min(1.0, high), chance=chances[index], majority=majorities[index]
        )
    value, low, high = mean_over_people(right.mean(1), identity)
    metrics["task_accuracy"] = Measurement(
        value, max(0.0, low), min(1.0, high), chance=float(np.mean(chances)), majority=float(np.mean(majorities))
    )
    return metrics


def _bootstrapped(values: np.ndarray) -> Measurement:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Measurement(float(values[0]), float(min(low, values[0])), float(max(high, values[0])), chance=0.0)


def _resamples(identity: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return rows of images of people drawn with replacement, ``RESAMPLES`` times."""
    random = numpy_generator(seed, "task bootstrap")
    rows = [np.flatnonzero(identity == person) for person in np.unique(identity)]
    return [np.concatenate([rows[i] for i in random.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]


def _correlations(told: np.ndarray, truth: np.ndarray, classes: Sequence[int], rows: np.ndarray) -> list[float]:
    return [matthews(truth[rows, index], told[rows, index], count) for index, count in enumerate(classes)]


def matthews(truth: np.ndarray, told: np.ndarray, classes: int) -> float:
    """Return Matthews correlation of two labellings, (n,) int each in 0..classes - 1 (Gorodkin 2004, eq. 8).

    Returns:
        In [-1, 1]; 0 where one of the two names a single class only.
    """
    table = np.bincount(truth * classes + told, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    total, agreed = table.sum(), np.trace(table)
    by_truth, by_told = table.sum(1), table.sum(0)
    spread = (total**2 - (by_truth**2).sum()) * (total**2 - (by_told**2).sum())
    return 0.0 if spread <= 0 else float((agreed * total - by_truth @ by_told) / np.sqrt(spread))
