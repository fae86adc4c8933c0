"""What a buyer who holds many images can tell: the mean of calibrated scores over a pool.

Scores of one image become normal quantiles of their ranks among the scores of validation images (van der Waerden
1952). Where covers and stego images are normal with equal spread after some monotone change of scale, that is, up to
scale and an additive constant, the log-likelihood ratio of an image, and its mean over a pool is the best statistic
there is; where they are not, it is a statistic without heavy tails. The mean of a pool is taken as normal.

References:
    van der Waerden. "Order tests for the two-sample problem and their power". Indagationes Mathematicae 14, 1952.
    Efron. "Bootstrap methods: another look at the jackknife". Annals of Statistics 7, 1979.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from models.checks.statistics import CONFIDENCE, Estimate, accuracy, clopper_pearson

FALSE_ALARMS = 0.01
"""Rate of false alarms at which detection is stated."""

_RESAMPLES = 500

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class PooledReading:
    """What a pool of images tells."""

    p_e: Estimate
    """Mean of false-alarm and miss rate at the threshold half-way, in spreads, between covers and stego images."""
    detection: Estimate
    """Share of stego pools that are found at ``FALSE_ALARMS``."""


def detection_threshold(covers: ArrayLike) -> float:
    """Return the threshold that at most 1 % of further honest images are expected to exceed.

    Args:
        covers: Scores of honest validation images, (n,), n >= 1. "Stego" is a score above the threshold.

    Notes:
        The k-th largest score, k = (n + 1) / 100 rounded down: of exchangeable images the next one exceeds it with
        probability k / (n + 1) at most. Fewer than 99 images cannot show 1 %; their largest score then has more false
        alarms than that, and detection comes out too high rather than too low.
    """
    scores = np.sort(np.asarray(covers, dtype=np.float64).ravel())
    rank = max(int(FALSE_ALARMS * (len(scores) + 1)), 1)
    return float(scores[-rank])


def share_above(scores: ArrayLike, threshold: float) -> Estimate:
    """Return the share of test scores above a threshold that was chosen on other images, with its exact interval."""
    return accuracy(np.asarray(scores) > threshold)


def normal_scores(reference: ArrayLike, scores: ArrayLike) -> Scores:
    """Return the normal quantiles of the ranks of ``scores`` among ``reference``.

    Args:
        reference: Scores of validation images, covers and stego images alike, (m,), m >= 1.
        scores: Of other images, (n,).

    Returns:
        (n,) float64, between the quantiles of 1 / (2 m + 2) and 1 - 1 / (2 m + 2); ties take the middle.
    """
    ordered = np.sort(np.asarray(reference, dtype=np.float64).ravel())
    values = np.asarray(scores, dtype=np.float64).ravel()
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    quantiles: Scores = special.ndtri(((below + up_to) / 2 + 0.5) / (ordered.size + 1))
    return quantiles


def pooled_reading(
    covers: ArrayLike, stego: ArrayLike, pool: int, *, calibration: int, confidence: float = CONFIDENCE
) -> PooledReading:
    """Return what a pool of images tells an auditor who has honest images to compare it with.

    Args:
        covers: Calibrated test scores of covers, (n,), n >= 2.
        stego: Row i comes from the same input as row i of ``covers``.
        pool: Images of independent inputs that the auditor holds, all stego or all covers; >= 1.
        calibration: Validation images of each kind from which the auditor's threshold comes, >= 1. Their means are
            uncertain as well: with as many honest images as the pool has, this widens the honest spread by sqrt(2).
        confidence: Coverage of the intervals, in (0, 1).

    Returns:
        Rates averaged over what pool and calibration images may be; 1 % and 0.5 where the sides do not differ.

    Raises:
        ValueError: If the sides differ in number, hold fewer than two scores or a number is not finite.

    Notes:
        The interval is the percentile bootstrap's over pairs (500 resamples), so it is that of the few images at hand
        and not of so many pools. It rests on the pool's mean being normal, which holds for pools of 100 of such scores;
        how the adversary varies when trained again is not in it. Where every stego image scores above every cover (or
        below) the resamples do not vary; the limits are then those of n successes in n trials.
    """
    below, above = (np.asarray(side, dtype=np.float64).ravel() for side in (covers, stego))
    n = below.size
    if n < 2 or n != above.size or pool < 1 or calibration < 1 or not np.isfinite([below, above]).all():
        raise ValueError(
            "pooled_reading needs at least 2 pairs of finite scores, a pool and calibration images; found "
            f"{n} covers, {above.size} stego images, a pool of {pool} and {calibration} calibration images"
        )
    if below.max() < above.min() or above.max() < below.min():
        low, high = clopper_pearson(n, n, confidence=confidence)
        right = PooledReading(Estimate(0.0, 0.0, 1 - low), Estimate(1.0, low, high))
        wrong = PooledReading(Estimate(1.0, low, high), Estimate(0.0, 0.0, 1 - low))
        return right if below.max() < above.min() else wrong
    value = _rates(np.full((1, n), 1 / n), below, above, pool, calibration)[:, 0]
    random = np.random.default_rng(0)
    shares = random.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES) / n
    tail = 50 * (1 - confidence)
    limits = np.percentile(_rates(shares, below, above, pool, calibration), [tail, 100 - tail], axis=1)
    p_e, detection = (
        Estimate(float(one), float(min(low, one)), float(max(high, one)))
        for one, low, high in zip(value, *limits, strict=True)
    )
    return PooledReading(p_e, detection)


def _rates(shares: Scores, below: Scores, above: Scores, pool: int, calibration: int) -> Scores:
    """Return P_E and detection, (2, resamples), of pairs weighted by ``shares``, (resamples, n); rows add up to 1."""

    def moments(values: Scores) -> tuple[Scores, Scores]:
        mean = shares @ values
        variance: Scores = np.maximum(shares @ values**2 - mean**2, 1e-12)
        return mean, variance

    (low, low_variance), (high, high_variance) = moments(below), moments(above)
    difference = high - low
    # The auditor's threshold moves with the mean of the calibration images, the pool's mean with the pool.
    of_covers = low_variance / pool + low_variance / calibration
    of_stego = high_variance / pool + low_variance / calibration
    quantile = -float(special.ndtri(FALSE_ALARMS))
    detection = special.ndtr((difference - quantile * np.sqrt(of_covers)) / np.sqrt(of_stego))
    low_spread, high_spread = np.sqrt(low_variance), np.sqrt(high_variance)
    share = low_spread / (low_spread + high_spread)  # of the way from the covers' mean to the stego images'
    # Both means come from the same calibration inputs, so what they share moves the threshold as a whole.
    first, second, cross = (shares @ product for product in (below**2, above**2, below * above))
    middle = (1 - share) * low + share * high
    square = (1 - share) ** 2 * first + share**2 * second + 2 * share * (1 - share) * cross
    of_threshold = np.maximum(square - middle**2, 1e-12) / calibration
    false_alarm = special.ndtr(-share * difference / np.sqrt(low_variance / pool + of_threshold))
    miss = special.ndtr(-(1 - share) * difference / np.sqrt(high_variance / pool + of_threshold))
    return np.stack([(false_alarm + miss) / 2, detection])
