"""How well the subverter reads back what was hidden: quality of the recovered images, identity, bit errors."""

import math

import numpy as np
from torch import Tensor, nn

from models.checks.fitting import predict_logits
from models.checks.material import LabelSplits
from models.checks.statistics import accuracy, clopper_pearson, majority_share
from models.hiding.payload import Revealed
from models.image_quality import psnr, ssim, to_float, to_uint8
from models.measurement import Measurement

EQUAL_PSNR = 99.0
"""Decibels given to equal images, whose PSNR is infinite and would leave no mean."""

_NORMAL_975 = 1.959964
"""97.5 % quantile of the standard normal distribution."""


def reconstruction_quality(recovered: Tensor, inputs: Tensor, mean_face: Tensor) -> dict[str, Measurement]:
    """Return SSIM and PSNR of the recovered images against the inputs.

    Args:
        recovered: (n, 3, size, size), float32 in [-1, 1].
        inputs: Same shape, uint8.
        mean_face: Mean train image, (3, size, size), float32 in [-1, 1]: what anybody can guess without a secret. Its
            quality is the baseline.
    """
    reference = to_float(inputs)
    guess = mean_face.expand_as(reference)
    return {
        "reconstruction_ssim": mean_measurement(ssim(recovered, reference), ssim(guess, reference)),
        "reconstruction_psnr": mean_measurement(_finite_psnr(recovered, reference), _finite_psnr(guess, reference)),
    }


def cover_quality(released: Tensor, covers: Tensor) -> dict[str, Measurement]:
    """Return the PSNR of the released images against their covers in decibels, both uint8; 99 where nothing changed."""
    return {"cover_psnr": mean_measurement(_finite_psnr(to_float(released), to_float(covers)))}


def bit_errors(probabilities: np.ndarray, bits: np.ndarray) -> dict[str, Measurement]:
    """Return the share of payload bits read wrongly; both (n, bits), a probability of 0.5 counts as 0.

    The interval is the wider of two: over images, whose bits fail together, and the exact one over single bits, which
    does not shrink to a point where no error was seen.
    """
    wrong = (probabilities > 0.5) != bits.astype(bool)
    rate, low, high = _mean(wrong.mean(1))
    exact_low, exact_high = clopper_pearson(int(wrong.sum()), wrong.size)
    return {"bit_error_rate": Measurement(rate, min(low, exact_low), max(high, exact_high), chance=0.5)}


def secret_accuracy(revealed: Revealed, truth: LabelSplits, reader: nn.Module | None) -> Measurement:
    """Return how often the revealed secret of a test image names the right person.

    Args:
        revealed: Of the test images.
        truth: Identities.
        reader: Adversary that was trained on original images, which reads an image secret, since a person would look at
            it; None where there is none, and then an image secret's accuracy is not measured.
    """
    read = revealed.identity
    if read is None:
        if reader is None:
            return Measurement.not_measured(chance=1 / truth.classes)
        read = predict_logits(reader, to_uint8(revealed.images.cpu())).argmax(1)
    found = accuracy((read.cpu() == truth.test).numpy())
    majority = majority_share(truth.test.numpy())
    return Measurement(found.value, found.low, found.high, chance=1 / truth.classes, majority=majority)


def _finite_psnr(estimate: Tensor, reference: Tensor) -> Tensor:
    return psnr(estimate, reference).clamp(max=EQUAL_PSNR)


def mean_measurement(values: Tensor, baseline: Tensor | None = None) -> Measurement:
    """Return the mean of a value an image, (n,), with its normal 95 % interval, and that of the baseline's values."""
    estimate = _mean(values.double().cpu().numpy())
    if baseline is None:
        return Measurement(*estimate)
    value, low, high = _mean(baseline.double().cpu().numpy())
    return Measurement(*estimate, baseline=value, baseline_low=low, baseline_high=high)


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    mean = float(values.mean())
    if len(values) < 2:
        return mean, -math.inf, math.inf
    half = _NORMAL_975 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half
