"""One adversary's answer to one question: fitted where it must be, judged on test images, NaN where it crashed."""

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from models.checks.config import FitConfig
from models.checks.fitting import Fitted, fit_steganalyser, predict_logits, train_classifier
from models.checks.material import LabelSplits, Release
from models.checks.statistics import (
    Estimate,
    accuracy,
    auc_interval,
    best_threshold,
    error_probability,
    pooled_auc,
)
from models.measurement import NAN
from models.runtime import is_device_fault, is_out_of_memory

logger = logging.getLogger(__name__)

NOT_MEASURED = Estimate(NAN, NAN, NAN)
"""What is known of an adversary that crashed; every bound counts it as violated."""

POOLS = (100, 1000)
"""Numbers of released images that an auditor may hold."""

Answer = TypeVar("Answer")


class Detection(NamedTuple):
    """What a steganalyser tells apart."""

    auc: Estimate
    """Of a single image."""
    p_e: Estimate
    """Of a single image; 0.5 is a coin."""
    pooled: Mapping[int, Estimate]
    """Number of images, one of ``POOLS`` -> AUC of so many at once."""

    @classmethod
    def all_equal(cls, estimate: Estimate) -> "Detection":
        """Return the same for every reading."""
        return cls(estimate, estimate, dict.fromkeys(POOLS, estimate))


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


def detect(covers: Release, stego: Release, fit: FitConfig, *, seed: int, device: str | torch.device) -> Detection:
    """Train a steganalyser on pairs and return its AUC, P_E and pooled AUCs on test pairs; NaN if it crashed.

    Args:
        covers: Honest images.
        stego: Row i of each split comes from the same input as row i of ``covers``.
        fit: Budget of the steganalyser.
        seed: Of its training.
        device: Where to train.

    Notes:
        Where no pixel differs, every detector scores a cover and its stego image alike and all values are exactly 0.5;
        nothing is trained then. Pools take the direction of the scores as they are: the training decided it.
    """
    if covers.equals(stego):
        return Detection.all_equal(Estimate(0.5, 0.5, 0.5))

    def ask() -> Detection:
        model = fit_steganalyser(
            covers.train, stego.train, covers.validation, stego.validation, config=fit, seed=seed, device=device
        )

        def scores(images: Tensor) -> Tensor:
            return predict_logits(model, images, precision=fit.precision).squeeze(1)

        threshold = best_threshold(scores(covers.validation).numpy(), scores(stego.validation).numpy())
        below, above = scores(covers.test).numpy(), scores(stego.test).numpy()
        if below.min() == above.max() and below.max() == above.min():
            raise FloatingPointError("it gives every image the same score, which is no reading")
        pooled = {pool: pooled_auc(below, above, pool) for pool in POOLS}
        return Detection(auc_interval(below, above, paired=True), error_probability(below, above, threshold), pooled)

    return attempt("steganalyser", ask, Detection.all_equal(NOT_MEASURED))
