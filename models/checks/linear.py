"""Adversaries in closed form: features of an image, then a linear classifier without a single training step.

They cost seconds on one core and never stop short of their optimum, so they have nothing to converge. What they can
read is a label that moves the mean of a feature: patterns, channel means, coefficients, bits at fixed places. The
strength of the regularisation is chosen on validation images.

References:
    Friedman. "Regularized discriminant analysis". J. Amer. Statist. Assoc. 84, 1989.
    Hastie, Buja, Tibshirani. "Penalized discriminant analysis". Ann. Statist. 23, 1995 (by ridge regression).
    Tibshirani, Hastie, Narasimhan, Chu. "Diagnosis of multiple cancer types by shrunken centroids of gene expression".
    PNAS 99, 2002.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checks.features import AS_THEY_ARE, FEATURES, SHRUNKEN

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Candidates of lambda, as shares of the mean eigenvalue of the scatter."""

THRESHOLDS = (0.0, 2.0, 4.0, 8.0)
"""Candidates of the distance by which class centroids are moved towards the mean, in their own standard errors."""

_TEMPERATURES = tuple(10 ** (k / 8) for k in range(-16, 17))  # as shares of the spread of the logits
_NEVER = -30.0  # log-probability of a class without train images
_TINY = 1e-6
_AT_ONCE = 500  # images


class LinearAdversary(nn.Module):
    """Fixed features, then logits linear in them."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: nn.Module, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor) -> None:
        """Keep features with ``mean`` and ``scale``, (p,), ``weight`` (p, classes) and ``bias`` (classes,)."""
        super().__init__()
        self.features = features
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8, or (n, d) float32 where the features are a vector's, to (n, classes) logits."""
        with torch.autocast(images.device.type, enabled=False):
            return (self.features(images) - self.mean) * self.scale @ self.weight + self.bias


@torch.no_grad()
def fit_linear(
    name: str,
    train_x: Tensor,
    train_y: Tensor,
    val_x: Tensor,
    val_y: Tensor,
    honest_x: Tensor | None = None,
    honest_y: Tensor | None = None,
    *,
    classes: int,
    device: str | torch.device,
) -> LinearAdversary:
    """Fit an adversary in closed form.

    Args:
        name: A key of ``models.checks.features.FEATURES``.
        train_x: (n, 3, size, size), uint8; (n, d) float32 where the features are a vector's.
        train_y: (n,), int64 in 0..classes - 1.
        val_x: (m, 3, size, size), uint8.
        val_y: (m,), int64.
        honest_x: Further honest images, like ``train_x``: they sharpen the estimate of what varies anyway, and tell
            nothing about the leak.
        honest_y: Their labels.
        classes: Number of labels.
        device: Where to compute.

    Raises:
        ValueError: If images and labels do not match in number.
        FloatingPointError: If no candidate gave a finite answer.

    Notes:
        Deterministic. Time grows with n p min(n, p) and memory with min(n, p)^2 for p features.
    """
    if len(train_x) != len(train_y) or len(val_x) != len(val_y):
        raise ValueError(
            f"{name}: as many labels as images are needed; found {len(train_y)} for {len(train_x)} train images and "
            f"{len(val_y)} for {len(val_x)} validation images"
        )
    features = FEATURES[name](train_x.shape[-1]).to(device)
    features.prepare(train_x.to(device))
    own, look = (_described(features, images, device) for images in (train_x, val_x))
    labels, look_labels = train_y.to(device), val_y.to(device)
    mean, scale = own.mean(0), _scale(own, name)
    own, look = (own - mean) * scale, (look - mean) * scale
    if name in SHRUNKEN:
        candidates = _shrunken_centroids(own, labels, classes)
    else:
        extra = None
        if honest_x is not None and honest_y is not None:
            extra = _within_class((_described(features, honest_x, device) - mean) * scale, honest_y.to(device), classes)
        candidates = _discriminants(own, labels, classes, extra)
    best, least = None, (math.inf, math.inf)
    for weight, bias in candidates:
        logits = look @ weight + bias
        temperature, loss = _temperature(logits, look_labels)
        wrong = float((logits.argmax(1) != look_labels).float().mean())
        if (loss, wrong) < least:
            best, least = (weight / temperature, bias / temperature), (loss, wrong)
    if best is None or not math.isfinite(least[0]):
        raise FloatingPointError(f"adversary {name}: no strength of regularisation gave finite logits")
    return LinearAdversary(features, mean, scale, *best)


def _described(features: nn.Module, images: Tensor, device: str | torch.device) -> Tensor:
    """Return the features of images, (n, p) float32 on ``device``."""
    return torch.cat([features(part.to(device)) for part in images.split(_AT_ONCE)])


def _scale(features: Tensor, name: str) -> Tensor:
    """Return what each feature is multiplied by, (p,); 0 where it never varies."""
    spread = features.std(0, correction=0)
    varies = spread > _TINY * features.abs().amax(0).clamp(min=_TINY)
    if name in AS_THEY_ARE:
        spread = spread.square().mean().sqrt().expand_as(spread)
    return torch.where(varies, 1 / spread.clamp(min=_TINY), 0.0)


def _within_class(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Subtract from each row the mean of its class."""
    truth = F.one_hot(labels, classes).to(features.dtype)
    return features - truth @ ((truth.T @ features) / truth.sum(0).clamp(min=1)[:, None])


def _discriminants(own: Tensor, labels: Tensor, classes: int, honest: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weights (p, classes) and biases (classes,) of linear discriminants, a pair for each of ``PENALTIES``.

    With T the total scatter, B that between classes and Y the indicators of the classes, the ridge regression
    W = (T + lambda)^-1 X^T Y gives the discriminant of the penalised within-class scatter as
    (T - B + lambda)^-1 X^T Y = W (Y^T Y - Y^T X W)^-1 Y^T Y, by Woodbury's identity.

    Args:
        own: (n, p), centred.
        labels: (n,), int64.
        classes: Number of labels.
        honest: (k, p), centred within their classes; added to the scatter.
    """
    truth = F.one_hot(labels, classes).to(own.dtype)
    counts = truth.sum(0)
    rows = own if honest is None else torch.cat([own, honest])
    primal = own.shape[1] <= len(rows)
    gram = rows.T @ rows if primal else rows @ rows.T
    diagonal = gram.diagonal().clone()
    between = own.T @ truth  # X^T Y
    right = between if primal else F.pad(truth, (0, 0, 0, len(rows) - len(own)))
    for penalty in PENALTIES:
        ridge = max(penalty * float(diagonal.sum()) / min(rows.shape), _TINY)
        gram.diagonal().copy_(diagonal + ridge)
        factor, failed = torch.linalg.cholesky_ex(gram)
        if int(failed):
            continue
        solved = torch.cholesky_solve(right, factor)
        weight = solved if primal else rows.T @ solved
        # an empty class has neither a mean nor a say
        left = (truth.T @ (truth - own @ weight)).double() + torch.diag((counts == 0).double())
        weight = (weight.double() @ torch.linalg.pinv(left, hermitian=False)) * (len(own) - classes)
        means = between.double() / counts.clamp(min=1)
        bias = torch.log(counts.double() / len(own)).clamp(min=_NEVER) - 0.5 * (weight * means).sum(0)
        yield weight.to(own.dtype), bias.to(own.dtype)


def _shrunken_centroids(own: Tensor, labels: Tensor, classes: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weights (p, classes) and biases (classes,) of nearest shrunken centroids, for each of ``THRESHOLDS``.

    Args:
        own: (n, p), centred.
        labels: (n,), int64.
        classes: Number of labels.
    """
    truth = F.one_hot(labels, classes).to(own.dtype)
    counts = truth.sum(0).clamp(min=1)
    means = (truth.T @ own) / counts[:, None]
    spread = ((own.square().sum(0) - (counts[:, None] * means.square()).sum(0)) / max(len(own) - classes, 1)).clamp(
        min=0
    )
    spread = spread.sqrt() + _TINY + spread.median()  # so that a feature which hardly varies is not overrated
    errors = (1 / counts - 1 / len(own)).clamp(min=0).sqrt()[:, None] * spread
    prior = torch.log(truth.mean(0)).clamp(min=_NEVER)
    for threshold in THRESHOLDS:
        moved = means.sign() * (means.abs() - threshold * errors).clamp(min=0)
        weight = (moved / spread.square()).T
        yield weight, prior - 0.5 * (weight.T * moved).sum(1)


def _temperature(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return by what to divide logits so that they fit validation labels best, and the loss in nats it leaves."""
    spread = float(logits.std()) if len(logits) > 1 else 0.0
    if not spread > 0:
        return 1.0, float(F.cross_entropy(logits, labels))
    losses = {spread * t: float(F.cross_entropy(logits / (spread * t), labels)) for t in _TEMPERATURES}
    return min(losses.items(), key=lambda item: item[1])
