"""Tasks: reading labels, Matthews correlation, intervals over people."""

import numpy as np
import pytest
import torch
from scipy import stats

from models.data import FaceData, face_data
from models.representation.people_mean import mean_over_people
from models.representation.tasks import Tasks, matthews, read_tasks, task_quality


def faces() -> FaceData:
    attributes = {"hat": ("no", "yes", "no", "yes"), "gap": ("a", "", "a", "b"), "same": ("x",) * 4}
    rows = np.arange(4, dtype=np.int64)
    return face_data(np.zeros((4, 3, 32, 32), np.uint8), rows % 2, rows % 2, "ab", ("joy", "fear"), attributes)


def test_labels_come_from_attributes_and_from_the_expression() -> None:
    tasks = read_tasks(faces(), ["hat", "expression"])
    assert tasks.classes == (2, 2)
    assert tasks.labels.tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]


def test_columns_that_cannot_be_tasks_are_named_together() -> None:
    with pytest.raises(ValueError, match=r"'gap' has 3 values and gaps.*'same' has 1 values.*'wig' is no column"):
        read_tasks(faces(), ["gap", "same", "wig"])


def test_matthews_correlation_of_two_classes_is_the_phi_coefficient() -> None:
    random = np.random.default_rng(0)
    truth, told = random.integers(0, 2, 200), random.integers(0, 2, 200)
    told[:120] = truth[:120]
    assert matthews(truth, told, 2) == pytest.approx(np.corrcoef(truth, told)[0, 1])
    assert matthews(truth, truth, 2) == pytest.approx(1.0)
    assert matthews(truth, 1 - truth, 2) == pytest.approx(-1.0)
    assert matthews(truth, np.zeros(200, int), 2) == 0.0


def test_matthews_correlation_of_three_classes_is_1_only_for_equal_labels() -> None:
    truth = np.arange(30) % 3
    assert matthews(truth, truth, 3) == pytest.approx(1.0)
    assert matthews(truth, np.roll(truth, 10), 3) < 0.5


def test_with_one_image_a_person_the_interval_is_students() -> None:
    values = np.random.default_rng(1).normal(size=12)
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert mean_over_people(values, np.arange(12)) == pytest.approx((values.mean(), low, high))


def test_more_images_of_the_same_people_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).normal(size=12)
    once = mean_over_people(values, np.arange(12))
    often = mean_over_people(np.repeat(values, 50), np.repeat(np.arange(12), 50))
    assert often == pytest.approx(once)
    assert mean_over_people(values, np.zeros(12))[1] == -np.inf


def test_quality_is_told_for_every_task_and_their_mean() -> None:
    random = np.random.default_rng(0)
    labels = torch.from_numpy(random.integers(0, 2, (60, 2)))
    tasks = Tasks(("hat", "beard"), (2, 3), labels)
    logits = torch.zeros(60, 5)
    logits[torch.arange(60), labels[:, 0]] = 1.0  # hats are told, beards are guessed as class 0
    found = task_quality(tasks, logits, labels, np.arange(60) // 4, 0)
    names = ("attribute_accuracy.hat", "attribute_accuracy.beard", "attribute_mcc.hat", "attribute_mcc.beard")
    assert set(found) == {"task_accuracy", "task_mcc", *names}
    assert (found["attribute_accuracy.hat"].value, found["attribute_mcc.hat"].value) == (1.0, pytest.approx(1.0))
    beard = found["attribute_accuracy.beard"]
    assert beard.value == pytest.approx(float((labels[:, 1] == 0).float().mean()))
    assert beard.chance == pytest.approx(1 / 3)
    assert found["attribute_mcc.beard"].value == 0.0
    assert found["task_accuracy"].value == pytest.approx((1.0 + beard.value) / 2)
    assert found["task_mcc"].value == pytest.approx(0.5)
    assert all(item.low <= item.value <= item.high for item in found.values())
