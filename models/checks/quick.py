"""Stand-ins of two checks that cost a fraction of a second: ridge regression on hand-made features, in closed form.

They say early, and roughly, how the adversaries of the battery will judge; no verdict rests on them. Fitted on train
images, read on validation images; test images never come here.

References:
    Pevny, Bas, Fridrich. "Steganalysis by Subtractive Pixel Adjacency Matrix". IEEE Transactions on Information
    Forensics and Security 5(2), 2010: histograms of neighbouring differences. Theirs are of three, these of two.
    Hoerl, Kennard. "Ridge Regression: Biased Estimation for Nonorthogonal Problems". Technometrics 12(1), 1970.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.checks.statistics import auc
from models.hiding.learned.high_pass import SecondDifferences
from models.image_quality import to_float

CLIP = 3
"""Largest difference of two neighbours that a histogram tells apart, in steps."""

STEPS = (1, 4)
"""Grey levels of a step: changes of a level, as of the lowest bit, and of several."""

_PENALTIES = (0.01, 0.1, 1.0)  # of ridge regression, relative to the mean squared norm of an image
_DETECTOR_PENALTY = 0.003  # the same for the detector, which has far more images than features


@dataclass(frozen=True)
class Sample:
    """The same of some train and some validation images: pixels or labels."""

    train: Tensor
    """(n, ...), n >= 2."""
    validation: Tensor
    """(m, ...), m >= 1."""


def quick_accuracy(images: Sample, labels: Sample, classes: int) -> float:
    """Return how often ridge regression on pixels and high-pass residuals names the label of a validation image.

    Args:
        images: (n, 3, size, size), uint8.
        labels: (n,), int64 in 0..classes - 1.
        classes: Number of labels.

    Notes:
        The penalty is the one with the least squared error left out one train image at a time, in closed form.
    """
    return quick_accuracies(images, {"": (labels, classes)})[""]


def quick_accuracies(images: Sample, questions: dict[str, tuple[Sample, int]]) -> dict[str, float]:
    """Return :func:`quick_accuracy` of several labels of the same images by name, each with its number of classes."""
    features, held_out = (_appearance(part) for part in (images.train, images.validation))
    blocks = [_centred(*pair) for pair in zip(features, held_out, strict=True)]
    kernel = torch.stack([own @ own.T for own, _ in blocks]).sum(0)
    across = torch.stack([other @ own.T for own, other in blocks]).sum(0).double()
    values, vectors = torch.linalg.eigh(kernel.double())
    found = {}
    for name, (labels, classes) in questions.items():
        targets = F.one_hot(labels.train, classes).double()
        read = across @ _dual_weights(values, vectors, targets - targets.mean(0)) + targets.mean(0)
        found[name] = float((read.argmax(1) == labels.validation).double().mean())
    return found


def quick_steganalysis(covers: Sample, stego: Sample) -> float:
    """Return the AUC on validation images of a linear detector of stego images, fitted on train images.

    Args:
        covers: (n, 3, size, size), uint8.
        stego: Row i comes from the same input as row i of ``covers``, so that no input is on both sides of the split.

    Returns:
        The AUC, its direction fixed as in ``models.checks.statistics.auc``; 0.5 where no pixel differs.
    """
    if torch.equal(covers.train, stego.train) and torch.equal(covers.validation, stego.validation):
        return 0.5
    below, above = _traces(covers.train), _traces(stego.train)
    both = torch.cat([below, above])
    mean, spread = both.mean(0), both.std(0).clamp(min=1e-6)
    features = (both - mean) / spread
    targets = torch.cat([-torch.ones(len(below)), torch.ones(len(above))]).double()
    gram = features.T @ features
    penalty = _DETECTOR_PENALTY * len(features)
    weights = torch.linalg.solve(gram + penalty * torch.eye(len(gram), dtype=gram.dtype), features.T @ targets)
    scores = [((_traces(part.validation) - mean) / spread) @ weights for part in (covers, stego)]
    return auc(*(score.numpy() for score in scores))


def _appearance(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return pixels and isotropic second differences of images, (n, 3 * size * size) float32 each."""
    pixels = to_float(images.cpu())
    residuals = SecondDifferences()(pixels)[:, ::3]
    return pixels.flatten(1), residuals.flatten(1)


def _centred(own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the mean of ``own`` and divide by the root of its mean squared norm, so that blocks weigh the same."""
    mean = own.mean(0)
    scale = (own - mean).square().sum(1).mean().sqrt().clamp(min=1e-6)
    return (own - mean) / scale, (other - mean) / scale


def _dual_weights(values: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
    """Return the weights of the train images, (n, classes), at the best penalty.

    Args:
        values: Eigenvalues of the kernel, (n,).
        vectors: Its eigenvectors, in columns.
        targets: (n, classes), centred.
    """
    rotated, best, least = vectors.T @ targets, targets, float("inf")
    for penalty in _PENALTIES:
        shrunk = 1 / (values.clamp(min=0) + penalty)
        weights = vectors @ (shrunk[:, None] * rotated)
        left_out = weights / (vectors.square() @ shrunk)[:, None]  # errors of leaving out one image at a time
        error = float(left_out.square().sum())
        if error < least:
            best, least = weights, error
    return best


def _traces(images: Tensor) -> Tensor:
    """Return what a change of few levels leaves in an image: square roots of histograms, and mean residuals.

    Square roots, because the spread of a count grows with its root.
    """
    levels = images.cpu().long()
    histograms = [_neighbours(levels, step).sqrt() for step in STEPS]
    residuals = SecondDifferences()(to_float(images.cpu())).flatten(2)
    return torch.cat([*histograms, residuals.abs().mean(2), residuals.square().mean(2).sqrt()], 1).double()


def _neighbours(levels: Tensor, step: int) -> Tensor:
    """Return how often two differences follow one another along rows and columns, (n, (2 CLIP + 1)^2) shares."""
    side = 2 * CLIP + 1
    counts = torch.zeros(len(levels) * side**2)
    for lines in (levels, levels.transpose(2, 3)):
        difference = torch.div(lines.diff(dim=3), step, rounding_mode="trunc").clamp(-CLIP, CLIP) + CLIP
        pairs = difference[..., :-1] * side + difference[..., 1:]
        rows = torch.arange(len(levels))[:, None] * side**2
        counts += torch.bincount((rows + pairs.flatten(1)).flatten(), minlength=len(counts))
    table = counts.view(len(levels), -1)
    return table / table.sum(1, keepdim=True)
