"""What one identity adversary, or all of them together, read from a release."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checks.adversaries import CLOSED_FORM
from models.checks.config import FitConfig
from models.checks.ensemble import combined, ensemble_weights
from models.checks.fitting import predict_logits, train_classifier
from models.checks.judging import NOT_MEASURED, accuracy_of, attempt
from models.checks.linear import fit_linear
from models.checks.material import Codes, Further, LabelSplits, Release
from models.checks.statistics import Estimate, mean_accuracy


class Reading(NamedTuple):
    """What one adversary reads from a release."""

    estimate: Estimate
    """Its test accuracy; NaN if it crashed."""
    converged: bool = True
    """Whether every training behind it reached its plateau; see ``models.checks.optimising``."""
    validation: Tensor | None = None
    """Log-probabilities of validation images, (m, classes), float32 on the CPU; None if it crashed."""
    test: Tensor | None = None
    """Of test images, (k, classes)."""


UNREAD = Reading(NOT_MEASURED)
"""Of an adversary that crashed."""


def ask(
    name: str,
    fit: FitConfig | None,
    release: Release | Codes,
    labels: LabelSplits,
    *,
    seeds: Sequence[int],
    device: str | torch.device,
    further: Further | None = None,
) -> Reading:
    """Fit an identity adversary once for each seed and return the mean of what it reads; ``UNREAD`` if it crashed.

    Args:
        name: One of ``models.checks.adversaries.IDENTITY_ADVERSARIES`` but the ensemble, or of ``CODE_ADVERSARIES``.
        fit: Its training; None where there is none, in closed form.
        release: What it holds.
        labels: True labels.
        seeds: At least one; in closed form all give the same, so only the first is used.
        device: Where to train.
        further: Honest releases that it holds beside, in closed form only.
    """
    if name in CLOSED_FORM:
        seeds = seeds[:1]

    def answer() -> Reading:
        return _mean([_fitted(name, fit, release, labels, seed, device, further) for seed in seeds], labels)

    return attempt(name, answer, UNREAD)


def ask_together(readings: Sequence[Reading], labels: LabelSplits) -> Reading:
    """Return what the ensemble of adversaries reads; ``UNREAD`` if one of them crashed or there is none."""
    if not readings or any(reading.test is None for reading in readings):
        return UNREAD
    validation = [reading.validation for reading in readings if reading.validation is not None]
    test = [reading.test for reading in readings if reading.test is not None]
    weights = ensemble_weights(validation, labels.validation)
    logits = combined(test, weights)
    converged = all(reading.converged for reading in readings)
    return Reading(accuracy_of(logits, labels.test), converged, combined(validation, weights), logits)


def _fitted(
    name: str,
    fit: FitConfig | None,
    release: Release | Codes,
    labels: LabelSplits,
    seed: int,
    device: str | torch.device,
    further: Further | None,
) -> Reading:
    splits = (release.train, labels.train, release.validation, labels.validation)
    if name in CLOSED_FORM:
        more = (None, None) if further is None else (further.images, further.labels)
        model: nn.Module = fit_linear(name, *splits, *more, classes=labels.classes, device=device)
        converged = True
    elif fit is None:
        raise KeyError(f"adversary {name} has no settings of its training")
    else:
        fitted = train_classifier(name, *splits, classes=labels.classes, config=fit, seed=seed, device=device)
        model, converged = fitted.network, fitted.converged
    precision = "float32" if fit is None else fit.precision
    validation, test = (
        F.log_softmax(predict_logits(model, images, precision=precision), 1)
        for images in (release.validation, release.test)
    )
    return Reading(accuracy_of(test, labels.test), converged, validation, test)


def _mean(readings: Sequence[Reading], labels: LabelSplits) -> Reading:
    """Return the mean of several trainings, which all answer for the same test images."""
    if len(readings) == 1:
        return readings[0]
    found = [reading.estimate for reading in readings]
    estimate = replace(
        mean_accuracy([one.value for one in found], len(labels.test)),
        answers=tuple(answers for one in found for answers in one.answers),
    )
    equal = torch.full((len(readings),), 1 / len(readings))
    validation = combined([reading.validation for reading in readings if reading.validation is not None], equal)
    test = combined([reading.test for reading in readings if reading.test is not None], equal)
    return Reading(estimate, all(reading.converged for reading in readings), validation, test)
