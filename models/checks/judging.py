"""One adversary's answer to one question: fitted where it must be, judged on test images, NaN where it crashed."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.checks.config import FitConfig
from models.checks.fitting import Fitted, predict_logits, train_classifier
from models.checks.material import LabelSplits, Release
from models.checks.statistics import Estimate, accuracy
from models.measurement import NAN
from models.runtime import is_device_fault, is_out_of_memory

logger = logging.getLogger(__name__)

NOT_MEASURED = Estimate(NAN, NAN, NAN)
"""What is known of an adversary that crashed; every bound counts it as violated."""

Answer = TypeVar("Answer")


def attempt(what: str, ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """Return what ``ask`` returns, or ``otherwise`` if the adversary crashes or diverges, with a warning that names it.

    Args:
        what: The adversary and what it was asked, for the log.
        ask: Fits and judges.
        otherwise: The answer that fails closed.

    Raises:
        RuntimeError: If memory ran out or the device failed: a fault of the machine says nothing about the images, and
            the trial is to be run again. Anything but a RuntimeError, ValueError or FloatingPointError
            also passes through.
    """
    try:
        return ask()
    except (RuntimeError, ValueError, FloatingPointError) as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        logger.warning("adversary %s gave no answer, which counts as a violation: %s", what, error, exc_info=True)
        return otherwise


def read(model: nn.Module, images: Tensor, labels: Tensor, fit: FitConfig) -> Estimate:
    """Return the accuracy of a trained ``model`` on test images.

    Raises:
        FloatingPointError: If an output is not finite.
    """
    return accuracy_of(predict_logits(model, images, precision=fit.precision), labels)


def accuracy_of(logits: Tensor, labels: Tensor) -> Estimate:
    """Return the accuracy of logits, (n, classes), against labels, (n,).

    Raises:
        FloatingPointError: If an output is not finite.
    """
    if not bool(torch.isfinite(logits).all()):
        raise FloatingPointError("an output on the test images is not finite")
    return accuracy((logits.argmax(1) == labels.cpu()).numpy())


def fit_and_read(
    network: str, fit: FitConfig, release: Release, labels: LabelSplits, *, seed: int, device: str | torch.device
) -> tuple[Fitted | None, Estimate]:
    """Train ``network`` on ``release`` and return it with its test accuracy there; (None, NaN) if it crashed."""

    nothing: tuple[Fitted | None, Estimate] = (None, NOT_MEASURED)

    def answer() -> tuple[Fitted | None, Estimate]:
        splits = (release.train, labels.train, release.validation, labels.validation)
        fitted = train_classifier(network, *splits, classes=labels.classes, config=fit, seed=seed, device=device)
        return fitted, read(fitted.network, release.test, labels.test, fit)

    return attempt(network, answer, nothing)


def transferred_accuracy(
    what: str, model: nn.Module | None, fit: FitConfig, release: Release, labels: LabelSplits
) -> Estimate:
    """Return the accuracy on ``release`` of a ``model`` trained elsewhere; NaN if there is none or it crashed."""
    if model is None:
        return NOT_MEASURED
    return attempt(what, lambda: read(model, release.test, labels.test, fit), NOT_MEASURED)
