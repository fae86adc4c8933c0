"""Limits of what a release leaks beyond an honest one, both judged on the same test images.

The adversary answers for every test image twice: trained on what was released, and trained on honest releases. Most
images are as easy or as hard for both, so the difference is known better than either accuracy. Two errors are added in
quadrature:

*Images.* Per image, the gain is what the released side reads more and the loss what it reads less; of one training a
side these are the two discordant counts of McNemar's test. Both get Clopper and Pearson's limits, from which those of
gain - loss are recovered with their correlation (Zou and Donner 2008). Means over several trainings are no counts: they
enter with the number of independent images that would give the variance they have (Korn and Graubard 1998).

*Trainings.* How far an adversary moves when it is trained again, from the spread between trainings of both sides less
what the finite number of images explains of it, with Student's t at Satterthwaite's degrees of freedom. One training of
a release borrows the spread of the honest ones, and the few trainings of one adversary borrow from those of the others
in its check: its own spread or their pooled one, whichever is larger.

References:
    McNemar. "Note on the sampling error of the difference between correlated proportions". Psychometrika 12, 1947.
    Zou, Donner. "Construction of confidence limits about effect measures". Statist. Med. 27, 2008.
    Korn, Graubard. "Confidence intervals for proportions with small expected number of positive counts estimated from
    survey data". Survey Methodology 24, 1998.
    Satterthwaite. "An approximate distribution of estimates of variance components". Biometrics Bulletin 2, 1946.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from models.checks.statistics import CONFIDENCE, Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Excess:
    """How much more is read from a release than from honest images, in points of accuracy (1 = everything)."""

    estimate: Estimate
    """Value and 95 % limits of the difference; trainings and images both count."""
    half_width: float
    """Half the width that the same interval would have for a release that just exceeds the tolerance."""


@dataclass(frozen=True)
class Spread:
    """How far an adversary's accuracy moves when it is trained again, beyond what the number of images explains."""

    variance: float
    """Of one training, in squared points of accuracy, >= 0."""
    freedom: int
    """Degrees of freedom that it is known with; 0 where nothing was trained twice."""


def retraining_spread(sides: Sequence[tuple[ArrayLike, ArrayLike]]) -> Spread:
    """Return the spread of trainings, pooled over adversaries.

    Args:
        sides: Of each adversary its answers on a release and on honest images, as in ``paired_excess``.
    """
    squares, freedom = 0.0, 0
    for one in sides:
        for side in (np.atleast_2d(np.asarray(answers, dtype=np.float64)) for answers in one):
            trainings, images = side.shape
            squares += trainings * float(side.mean(1).var() - side.var(0).mean() / images)
            freedom += trainings - 1
    return Spread(max(0.0, squares / freedom) if freedom else 0.0, freedom)


def paired_excess(
    released: ArrayLike,
    honest: ArrayLike,
    *,
    tolerance: float = 0.0,
    pooled: Spread | None = None,
    confidence: float = CONFIDENCE,
) -> Excess:
    """Return the excess of one adversary's accuracy on a release over that on honest images.

    Args:
        released: (j, n) booleans, j >= 1 trainings on the release: whether test image i was read correctly.
        honest: (k, n) booleans, k >= 1 trainings on honest releases of the same inputs, in the same order.
        tolerance: Excess that a bound permits, >= 0, for ``half_width`` alone.
        pooled: Spread of the trainings of this and similar adversaries; None for its own alone.
        confidence: Coverage, in (0, 1).

    Returns:
        The difference of the mean accuracies with its limits. One training on either side (j = k = 1) says nothing of
        retraining: it is then taken to be the same adversary.

    Raises:
        ValueError: If a side has no training or no image, or they differ in their number of images.

    Notes:
        A true excess should lie below the lower limit in 2.5 % of all cases, and above the upper one in as many.
        Simulated (400 draws, 200 and 1,000 images, accuracy 0.22, 1 or 2 trainings on the release), without pooling:
        0.5 to 3 % where retraining moves the accuracy by nothing but chance, 1 to 6 % where by 1 point, and where by 2
        points 3 to 7 % with 3 or 4 honest trainings and up to 11 % with 2, whose spread two values cannot tell. Nine
        adversaries with 3 honest trainings each, all exactly at their bound and moving by 2 points: one of them
        violates it in 24 % of 300 draws without pooling and in 3 % with it.
    """
    ours, theirs = (np.atleast_2d(np.asarray(side, dtype=np.float64)) for side in (released, honest))
    if ours.shape[1] != theirs.shape[1] or not ours.size or not theirs.size:
        raise ValueError(
            "a paired comparison needs at least one training a side on the same test images; found "
            f"{ours.shape} answers on the release and {theirs.shape} on honest images (trainings, images)"
        )
    difference = ours.mean(0) - theirs.mean(0)
    gains, losses = np.maximum(difference, 0), np.maximum(-difference, 0)
    gain, loss = (_limits(float(side.mean()), float(side.var()), side.size, confidence) for side in (gains, losses))
    own = retraining_spread([(ours, theirs)])
    known = own if pooled is None else Spread(max(own.variance, pooled.variance), max(own.freedom, pooled.freedom))
    spread = known.variance * (1 / len(ours) + 1 / len(theirs))
    image_variance = float(difference.var()) / difference.size
    stretch = _stretch(image_variance, spread, known.freedom, confidence)
    below, above = _difference_widths(gain, loss)
    trainings = _normal(confidence) * math.sqrt(spread)
    below, above = (math.hypot(width, trainings) * stretch for width in (below, above))
    value = float(difference.mean())
    # what a leak adds are gains; losses, and as many gains, are what any two trainings differ by
    churn = min(float(np.square(side).mean()) for side in (gains, losses))
    leak = tolerance + below
    variance = max(2 * churn + leak - leak**2, 0.0) / difference.size
    half_width = _normal(confidence) * math.sqrt(variance + spread) * stretch
    return Excess(Estimate(value, value - below, value + above), half_width)


def _limits(mean: float, variance: float, images: int, confidence: float) -> Estimate:
    """Return the limits of a mean of values in [0, 1]; Clopper and Pearson's where they are 0 or 1."""
    binomial = mean * (1 - mean)
    effective = images * binomial / variance if variance > 0 else float(images)
    tail, successes = (1 - confidence) / 2, mean * effective
    low = 0.0 if mean <= 0 else float(special.betaincinv(successes, effective - successes + 1, tail))
    high = 1.0 if mean >= 1 else float(special.betaincinv(successes + 1, effective - successes, 1 - tail))
    return Estimate(mean, low, high)


def _difference_widths(gain: Estimate, loss: Estimate) -> tuple[float, float]:
    """Return how far the limits of gain - loss lie below and above it; no image is both a gain and a loss."""
    correlation = 0.0
    if 0 < gain.value < 1 and 0 < loss.value < 1:
        correlation = -math.sqrt(gain.value * loss.value / ((1 - gain.value) * (1 - loss.value)))

    def recovered(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))

    below = recovered(gain.value - gain.low, loss.high - loss.value)
    return below, recovered(gain.high - gain.value, loss.value - loss.low)


def _stretch(image_variance: float, spread: float, freedom: int, confidence: float) -> float:
    """Return by how much Student's limits are wider than the normal ones, for the sum of both variances."""
    if spread <= 0:
        return 1.0
    degrees = (image_variance + spread) ** 2 / (spread**2 / freedom)
    return float(special.stdtrit(degrees, (1 + confidence) / 2)) / _normal(confidence)


def _normal(confidence: float) -> float:
    return float(special.ndtri((1 + confidence) / 2))
