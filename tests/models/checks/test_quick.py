"""Quick checks: they see what is planted, nothing where there is nothing, and their formulas hold."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.checks import quick
from models.checks.quick import Sample, quick_accuracies, quick_accuracy, quick_steganalysis


def smooth(count: int, seed: int) -> Tensor:
    """Return smooth images with a little noise, (count, 3, 32, 32) uint8."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=random) * 150 + 50
    fine = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic", align_corners=True)
    return (fine + torch.randn(fine.shape, generator=random)).round().clamp(0, 255).to(torch.uint8)


def changed(images: Tensor, share: float, levels: int, seed: int) -> Tensor:
    """Move a share of the values by so many levels up or down."""
    random = torch.Generator().manual_seed(seed)
    chosen = torch.rand(images.shape, generator=random) < share
    sign = torch.randint(2, images.shape, generator=random) * 2 - 1
    return (images.long() + chosen * sign * levels).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def covers() -> Sample:
    return Sample(smooth(200, 1), smooth(100, 2))


def altered(covers: Sample, share: float, levels: int) -> Sample:
    return Sample(changed(covers.train, share, levels, 3), changed(covers.validation, share, levels, 4))


@pytest.mark.parametrize(("share", "levels"), [(0.5, 1), (0.1, 4)])
def test_the_detector_sees_changed_pixels(covers: Sample, share: float, levels: int) -> None:
    assert quick_steganalysis(covers, altered(covers, share, levels)) > 0.8


def test_more_changes_are_seen_better(covers: Sample) -> None:
    found = [quick_steganalysis(covers, altered(covers, share, 1)) for share in (0.02, 0.1, 0.5)]
    assert found == sorted(found)


def test_where_no_pixel_differs_the_detector_is_a_coin(covers: Sample) -> None:
    assert quick_steganalysis(covers, covers) == 0.5


def test_other_images_of_the_same_kind_are_not_taken_for_stego(covers: Sample) -> None:
    # 100 + 100 scores: the standard error of the AUC is 0.041; the bound is 3.6 of them
    assert abs(quick_steganalysis(covers, Sample(smooth(200, 5), smooth(100, 6))) - 0.5) < 0.15


def labels_of(seed: int, count: int) -> Tensor:
    return torch.randint(4, (count,), generator=torch.Generator().manual_seed(seed))


def with_mark(images: Tensor, labels: Tensor, levels: int) -> Tensor:
    """Make one corner brighter for each label."""
    marked = images.long()
    for row, label in enumerate(labels.tolist()):
        marked[row, :, :8, 8 * label : 8 * label + 8] += levels
    return marked.clamp(0, 255).to(torch.uint8)


def test_a_planted_label_is_read_and_an_independent_one_is_not(covers: Sample) -> None:
    labels = Sample(labels_of(7, 200), labels_of(8, 100))
    marked = Sample(with_mark(covers.train, labels.train, 60), with_mark(covers.validation, labels.validation, 60))
    assert quick_accuracy(marked, labels, 4) > 0.9
    # 100 images, chance 0.25: below 0.42 with probability above 0.9998
    assert quick_accuracy(covers, labels, 4) < 0.42


def test_questions_asked_together_get_the_answers_they_get_alone(covers: Sample) -> None:
    first, second = Sample(labels_of(7, 200), labels_of(8, 100)), Sample(labels_of(9, 200), labels_of(10, 100))
    together = quick_accuracies(covers, {"first": (first, 4), "second": (second, 4)})
    assert together == {"first": quick_accuracy(covers, first, 4), "second": quick_accuracy(covers, second, 4)}


@pytest.mark.parametrize(("dimensions", "linear"), [(40, False), (4, True)], ids=["noise", "signal"])
def test_the_penalty_is_the_one_whose_errors_of_leaving_one_image_out_are_least(dimensions: int, linear: bool) -> None:
    random = torch.Generator().manual_seed(0)
    features = torch.randn(12, dimensions, generator=random, dtype=torch.float64)
    kernel = features @ features.T / dimensions
    targets = features[:, :2] if linear else torch.randn(12, 2, generator=random, dtype=torch.float64)

    def left_out(penalty: float) -> float:
        errors = 0.0
        for row in range(12):
            rest = [other for other in range(12) if other != row]
            own = kernel[rest][:, rest] + penalty * torch.eye(11, dtype=torch.float64)
            read = kernel[row, rest] @ torch.linalg.solve(own, targets[rest])
            errors += float((read - targets[row]).square().sum())
        return errors

    best = min(quick._PENALTIES, key=left_out)
    assert best == (min if linear else max)(quick._PENALTIES)
    expected = torch.linalg.solve(kernel + best * torch.eye(12, dtype=torch.float64), targets)
    found = quick._dual_weights(*torch.linalg.eigh(kernel), targets)
    torch.testing.assert_close(found, expected)
