"""How wide the intervals behind verdicts would be near their bounds: what decides how small a leak can be found.

The interval of what was measured does not tell: that of an AUC of 1 is nearly a point, whatever would have become of
0.61. These are the widths that the same tests have where a release just exceeds what its bound permits.

References:
    Hanley, McNeil. "The meaning and use of the area under a receiver operating characteristic (ROC) curve". Radiology
    143, 1982.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from scipy import special

from models.checks.config import ControlConfig
from models.checks.paired import Excess, Spread, paired_excess, retraining_spread
from models.checks.statistics import CONFIDENCE, Estimate, unpack_answers
from models.measurement import Measurement


def pooled_spreads(
    found: Mapping[str, Estimate], honest: Mapping[str, tuple[bytes, ...]], images: int
) -> dict[str, Spread]:
    """Return how far trained adversaries move when they are trained again, pooled over those of each check.

    Args:
        found: Metric ("metric.member") -> accuracy on the release, with its answers.
        honest: Metric -> answers on the honest images, one entry a training.
        images: Number of test images.

    Returns:
        Metric -> the spread of its check; metrics whose trainings all answer alike, as closed forms do, are absent.
    """
    groups: dict[str, list[str]] = {}
    for metric, estimate in found.items():
        if estimate.answers and len(set(honest.get(metric, ()))) > 1:
            groups.setdefault(metric.partition(".")[0], []).append(metric)
    spreads: dict[str, Spread] = {}
    for metrics in groups.values():
        sides = [
            (unpack_answers(found[metric].answers, images), unpack_answers(honest[metric], images))
            for metric in metrics
        ]
        spreads |= dict.fromkeys(metrics, retraining_spread(sides))
    return spreads


def excess_over(
    found: Estimate, honest: tuple[bytes, ...], images: int, tolerance: float, pooled: Spread | None = None
) -> Excess | None:
    """Compare an adversary's accuracy with its honest baseline, image by image.

    Args:
        found: Its accuracy on the release, with its answers.
        honest: Its answers on the honest images, one entry a training.
        images: Number of test images.
        tolerance: Points of accuracy by which the bound lets a release exceed the baseline.
        pooled: Spread of the trainings of its check; None where training it again changes nothing.

    Returns:
        The comparison; None where an adversary crashed, so that there is nothing to compare.
    """
    if not found.answers or not honest:
        return None
    return paired_excess(
        unpack_answers(found.answers, images), unpack_answers(honest, images), tolerance=tolerance, pooled=pooled
    )


def auc_half_width(area: float, pairs: int, *, confidence: float = CONFIDENCE) -> float:
    """Return half the width of the interval of an AUC of ``area`` on ``pairs`` covers and as many stego images.

    Args:
        area: In [0.5, 1].
        pairs: >= 1.
        confidence: Coverage, in (0, 1).

    Notes:
        By Hanley and McNeil (1982), as if covers and stego images were of different inputs: where a stego image scores
        like its own cover, the interval is narrower than this.
    """
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    single = area * (1 - area)
    variance = (single + (pairs - 1) * (both_above + both_below - 2 * area**2)) / pairs**2
    return float(special.ndtri((1 + confidence) / 2)) * math.sqrt(variance)


def error_half_width(pairs: int, *, confidence: float = CONFIDENCE) -> float:
    """Return half the width of the interval of a P_E near 0.5, where it is widest, on ``pairs`` pairs of images."""
    return float(special.ndtri((1 + confidence) / 2)) * math.sqrt(0.25 / (2 * pairs))


def with_detection_half_widths(
    measurements: Mapping[str, Measurement], pairs: int, config: ControlConfig
) -> dict[str, Measurement]:
    """Return the measurements, those of steganalysers of single images with the half width that they lack.

    Args:
        measurements: By ``metric.member``.
        pairs: Test pairs of cover and stego image behind each, >= 1.
        config: Its ``noise_auc`` is the bound near which an AUC is to be told from it.
    """
    widths = {
        "steganalysis_auc": auc_half_width(config.noise_auc, pairs),
        "steganalysis_p_e": error_half_width(pairs),
    }
    found = dict(measurements)
    for name, item in measurements.items():
        width = widths.get(name.partition(".")[0])
        if width is not None:
            found[name] = replace(item, half_width=width)
    return found
