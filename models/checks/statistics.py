"""Estimates and intervals of what adversaries reach: accuracies, the area under the ROC curve, and P_E.

numpy and scipy only. Every interval covers the sampling of the test images and nothing else: how far an adversary
moves when it is trained again shows in the spread over the honest seeds, which is kept beside these limits and not
inside them.

References:
    Clopper, Pearson. "The use of confidence or fiducial limits illustrated in the case of the binomial". Biometrika
    26, 1934. DeLong, DeLong, Clarke-Pearson. "Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach". Biometrics 44, 1988.
    Obuchowski. "Nonparametric analysis of clustered ROC curve data". Biometrics 53, 1997.
    van der Waerden. "Order tests for the two-sample problem and their power". Indagationes Mathematicae 14, 1952.
    Hoeffding. "On the distribution of the number of successes in independent trials". Ann. Math. Statist. 27, 1956.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy import stats as scipy_stats

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


def auc(negative: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative, ties counting one half.

    Args:
        negative: (m,) scores of covers, m >= 1.
        positive: (n,) scores of stego images, n >= 1. Higher means "stego"; the direction is fixed, so a detector that
            is wrong more often than not stays below 0.5.

    Raises:
        ValueError: If a side is empty or a score is NaN.
    """
    negatives, positives = _scores(negative, positive)
    return float(_placements(negatives, positives)[1].mean())


def auc_interval(
    negative: ArrayLike, positive: ArrayLike, *, paired: bool = False, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the area under the ROC curve with DeLong's interval, on the logit scale so that it stays in [0, 1].

    Args:
        negative: (m,) scores of covers, m >= 2.
        positive: (n,) scores of stego images, n >= 2.
        paired: True where ``negative[i]`` and ``positive[i]`` come from one input (m == n): their placements are then
            summed before the variance is taken, so that the correlation within a pair counts (Obuchowski 1997).
        confidence: Coverage, in (0, 1).

    Raises:
        ValueError: If a side has fewer than two scores, a score is NaN, or pairs do not match in number.

    Notes:
        Where every positive beats every negative (or none does) the estimated variance is 0, which says nothing; the
        limits are then those of min(m, n) successes (or failures) in as many trials.
    """
    negatives, positives = _scores(negative, positive)
    m, n = negatives.size, positives.size
    if min(m, n) < 2 or (paired and m != n):
        raise ValueError(f"auc_interval needs at least 2 scores a side, as many of each if paired; found {m} and {n}")
    below, above = _placements(negatives, positives)
    area = float(above.mean())
    variance = float((below + above).var(ddof=1) / n if paired else below.var(ddof=1) / m + above.var(ddof=1) / n)
    if area in (0.0, 1.0):
        low, high = clopper_pearson(round(area * min(m, n)), min(m, n), confidence=confidence)
        return Estimate(area, low, high)
    z = float(special.ndtri((1 + confidence) / 2))
    half_width = z * math.sqrt(variance) / (area * (1 - area))  # delta method: d logit(a) / d a = 1 / (a (1 - a))
    centre = float(special.logit(area))
    return Estimate(area, float(special.expit(centre - half_width)), float(special.expit(centre + half_width)))


def pooled_auc(negative: ArrayLike, positive: ArrayLike, pool: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Return the AUC of an auditor who holds many images, all stego or all covers, and sums what a detector says.

    Each score is replaced by the normal quantile of its rank among all of them (van der Waerden 1952), which is the
    score itself, standardised, where scores are normal and the sides near each other, and has no tails to be fooled
    by. The sum over a pool is close to normal, so its AUC is Phi(sqrt(pool) (mean+ - mean-) / sqrt(var+ + var-)).

    Args:
        negative: (n,) scores of covers, n >= 2.
        positive: (n,) scores of stego images; row i comes from the same input as row i of ``negative``.
        pool: Images that the auditor holds, >= 1, of independent inputs: a stego image is never set against its own
            cover, so the correlation within a pair narrows the interval but does not help the auditor.
        confidence: Coverage, in (0, 1).

    Returns:
        The AUC; as in ``auc`` the direction is fixed. The interval is the delta method's for the ratio, over pairs; a
        ratio near 0 is magnified sqrt(pool) times, so with as many test images as the pool has, or fewer, it is wide.

    Raises:
        ValueError: If there are fewer than two scores, the sides differ in number, a score is NaN or ``pool`` < 1.

    Notes:
        What sums of ranks can tell, hence a lower bound of what can be told: an auditor who knows that a few images
        give themselves away beyond doubt does better than this. Coverage of 95 % intervals, simulated at 100 and 1,000
        pairs: 0.93 to 0.98 for normal scores 0 to 2 standard deviations apart, 0.92 to 0.96 for scores with heavy
        tails, rare large ones or ties; scores clipped at their 1 % quantiles, the alternative, fell to 0.89.
    """
    negatives, positives = _scores(negative, positive)
    n = negatives.size
    if n < 2 or n != positives.size or pool < 1:
        raise ValueError(
            f"pooled_auc needs at least 2 pairs of scores and a pool of at least 1 image; found {n} covers, "
            f"{positives.size} stego images and a pool of {pool}"
        )
    ranks = scipy_stats.rankdata(np.concatenate([negatives, positives]))  # middle ranks: ties share one
    if ranks.min() == ranks.max():
        return Estimate(0.5, 0.5, 0.5)
    below, above = np.split(special.ndtri((ranks - 0.5) / (2 * n)), 2)
    best, worst = negatives.max() < positives.min(), positives.max() < negatives.min()
    if best or worst:  # the ratio says little then, the number of pairs more, as in auc_interval
        low, high = clopper_pearson(n if best else 0, n, confidence=confidence)
        return _of_pools(math.inf if best else -math.inf, float(special.ndtri(low)), float(special.ndtri(high)), pool)
    spread = math.sqrt(above.var(ddof=1) + below.var(ddof=1))
    ratio = float(above.mean() - below.mean()) / spread
    squares = (above - above.mean()) ** 2 + (below - below.mean()) ** 2
    influence = (above - below) / spread - ratio * squares / (2 * spread**2)
    half_width = float(special.ndtri((1 + confidence) / 2) * influence.std(ddof=1) / math.sqrt(n))
    return _of_pools(ratio, ratio - half_width, ratio + half_width, pool)


def _of_pools(value: float, low: float, high: float, pool: int) -> Estimate:
    """Turn differences of one image's scores, in standard deviations of a difference, into AUCs of pools."""
    areas = [float(special.ndtr(math.sqrt(pool) * ratio)) for ratio in (value, low, high)]
    return Estimate(areas[0], areas[1], areas[2])


def best_threshold(negative: ArrayLike, positive: ArrayLike) -> float:
    """Return the threshold that makes P_E smallest on these scores, to be used on others.

    Args:
        negative: (m,) validation scores of covers, m >= 1.
        positive: (n,) validation scores of stego images, n >= 1.

    Returns:
        Half-way between two neighbouring scores, or an infinity where calling everything one class is best; "stego" is
        a score above it. Of equally good thresholds, the middle one.

    Raises:
        ValueError: If a side is empty or a score is NaN.
    """
    negatives, positives = _scores(negative, positive)
    values = np.unique(np.concatenate([negatives, positives]))
    thresholds = np.concatenate([[-np.inf], (values[:-1] + values[1:]) / 2, [np.inf]])
    false_alarms = 1 - np.searchsorted(np.sort(negatives), thresholds, side="right") / negatives.size
    misses = np.searchsorted(np.sort(positives), thresholds, side="right") / positives.size
    errors = false_alarms + misses
    best = np.flatnonzero(errors <= errors.min() + 1e-12)
    return float(thresholds[best[best.size // 2]])


def error_probability(
    negative: ArrayLike, positive: ArrayLike, threshold: float, *, confidence: float = CONFIDENCE
) -> Estimate:
    """Return P_E at ``threshold``: the mean of the false-alarm and the miss rate; 0.5 is a coin.

    Args:
        negative: (n,) test scores of covers, n >= 1.
        positive: (n,) test scores of stego images, as many.
        threshold: "Stego" is a score above it; chosen on other images.
        confidence: Coverage, in (0, 1).

    Raises:
        ValueError: If the sides differ in number, are empty, or a score is NaN.

    Notes:
        With as many covers as stego images P_E is errors / 2 n. The binomial limits of that count are kept although
        the two rates differ: a sum of independent trials of unequal chances spreads less than the binomial (Hoeffding
        1956), and within a pair a false alarm makes a miss less likely, not more, because both follow the image's
        content.
    """
    negatives, positives = _scores(negative, positive)
    if negatives.size != positives.size:
        raise ValueError(
            f"error_probability needs as many covers as stego images; found {negatives.size} and {positives.size}"
        )
    errors = int((negatives > threshold).sum() + (positives <= threshold).sum())
    low, high = clopper_pearson(errors, 2 * negatives.size, confidence=confidence)
    return Estimate(errors / (2 * negatives.size), low, high)


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


def _scores(negative: ArrayLike, positive: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as flat float64 arrays, refusing what cannot be ranked."""
    negatives = np.asarray(negative, dtype=np.float64).ravel()
    positives = np.asarray(positive, dtype=np.float64).ravel()
    if negatives.size == 0 or positives.size == 0:
        raise ValueError(
            f"scores of covers and of stego images are needed; found {negatives.size} and {positives.size}"
        )
    if np.isnan(negatives).any() or np.isnan(positives).any():
        raise ValueError("scores must be numbers; found NaN")
    return negatives, positives


def _placements(negatives: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, of each negative, the share of positives above it, and of each positive, that of negatives below it."""
    ranks = scipy_stats.rankdata(np.concatenate([negatives, positives]))  # middle ranks: ties count one half
    m, n = negatives.size, positives.size
    below = 1 - (ranks[:m] - scipy_stats.rankdata(negatives)) / n
    above = (ranks[m:] - scipy_stats.rankdata(positives)) / m
    return below, above
