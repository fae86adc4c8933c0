"""Proportions of right answers: estimates, exact intervals, the answers themselves, and differences.

numpy and scipy only. These intervals cover the sampling of the test images and nothing else. How far an adversary moves
when it is trained again, and what is known better because two sides were judged on the same images, is in
``models.checks.paired``.

References:
    Clopper, Pearson. "The use of confidence or fiducial limits illustrated in the case of the binomial". Biometrika
    26, 1934.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

CONFIDENCE = 0.95
"""Coverage of every interval unless asked otherwise."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float
    answers: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    """Of an accuracy, which test images were read correctly, as ``pack_answers`` packs them, a training an entry."""


def clopper_pearson(successes: int, trials: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact binomial interval of a proportion (Clopper and Pearson 1934).

    Args:
        successes: 0..``trials``.
        trials: >= 1.
        confidence: Coverage, in (0, 1); never undercut, whatever the true proportion.

    Returns:
        (low, high), both in [0, 1].

    Raises:
        ValueError: If the counts do not make a proportion or ``confidence`` is not in (0, 1).
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes / trials must be a proportion of at least one trial; found {successes} / {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1); found {confidence}")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def accuracy(correct: ArrayLike, *, confidence: float = CONFIDENCE) -> Estimate:
    """Return the share of correct answers with its exact interval.

    Args:
        correct: (n,) booleans, n >= 1.

    Raises:
        ValueError: If there is no answer.
    """
    answers = np.asarray(correct, dtype=bool).ravel()
    successes = int(answers.sum())
    low, high = clopper_pearson(successes, answers.size, confidence=confidence)
    return Estimate(successes / answers.size, low, high, (pack_answers(answers),))


def pack_answers(correct: ArrayLike) -> bytes:
    """Return (n,) booleans as bits, eight a byte, to be kept beside an accuracy."""
    return np.packbits(np.asarray(correct, dtype=bool).ravel()).tobytes()


def unpack_answers(packed: Sequence[bytes], images: int) -> NDArray[np.bool_]:
    """Return (len(packed), images) booleans from what ``pack_answers`` returned.

    Raises:
        ValueError: If an entry does not hold ``images`` answers.
    """
    wrong = [len(bits) for bits in packed if len(bits) != (images + 7) // 8]
    if wrong:
        raise ValueError(f"answers for {images} images take {(images + 7) // 8} bytes; found {wrong[0]}")
    rows = np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(len(packed), -1)
    return np.unpackbits(rows, axis=1, count=images).astype(bool)


def mean_accuracy(accuracies: ArrayLike, images: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean accuracy of several adversaries judged on the *same* images.

    Args:
        accuracies: (k,) accuracies in [0, 1], one a training seed, k >= 1.
        images: Number of test images that each was judged on, >= 1.

    Returns:
        The mean; its interval is that of one adversary of this accuracy, since more seeds on the same images add no
        images.

    Raises:
        ValueError: If there is no accuracy or no image.
    """
    values = np.asarray(accuracies, dtype=np.float64).ravel()
    if values.size == 0:
        raise ValueError("mean_accuracy needs the accuracy of at least one seed; found none")
    mean = float(values.mean())
    if not math.isfinite(mean):
        return Estimate(mean, float("nan"), float("nan"))
    successes = mean * images
    # limits between two whole counts: the wider of the two neighbours' limits keeps the coverage
    low, _ = clopper_pearson(math.floor(successes + 1e-9), images, confidence=confidence)
    _, high = clopper_pearson(math.ceil(successes - 1e-9), images, confidence=confidence)
    return Estimate(mean, low, high)


def majority_share(labels: ArrayLike) -> float:
    """Return the accuracy of always naming the most frequent of ``labels``, (n,) integers, n >= 1.

    Raises:
        ValueError: If there is no label.
    """
    values = np.asarray(labels).ravel()
    if values.size == 0:
        raise ValueError("majority_share needs at least one label; found none")
    _, counts = np.unique(values, return_counts=True)
    return float(counts.max() / values.size)


def difference_interval(first: Estimate, second: Estimate) -> Estimate:
    """Return ``first - second`` with limits squared and added from those of two independent estimates (Newcombe 1998).

    Args:
        first: A value with its interval.
        second: Likewise, at the same confidence.

    Notes:
        Two adversaries judged on the same test images tend to err on the same ones; the interval is then too wide, not
        too narrow.

    References:
        Newcombe. "Interval estimation for the difference between independent proportions". Statist. Med. 17, 1998; with
        exact limits in place of the score limits.
    """
    difference = first.value - second.value
    down = math.hypot(first.value - first.low, second.high - second.value)
    up = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(difference, difference - down, difference + up)
