"""One configuration under several seeds: the mean of each measurement, with an interval that holds the seeds' variance.

Replicates of a configuration differ in the trial's seed only: embedder, key, adversaries. Data, sanitiser and honest
baselines are those of the study, so what the means and intervals say, they say about these. All replicates are judged
on the same test images: averaging takes the seeds' variance down, but not the error that comes from the images. The two
are added in quadrature, the first by Student's t over the seeds, the second as the measurements state it; where the
replicates' errors are less alike than that, the interval is too wide rather than too narrow.

Everything fails closed: what one replicate could not measure is not measured. Knows nothing of Ray and Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtri, stdtrit

from models.measurement import Measurement

UPPER = 0.975
"""Upper quantile of a two-sided 95 % interval."""


def aggregate(replicates: Sequence[Mapping[str, Measurement]], *, same_images: bool = True) -> dict[str, Measurement]:
    """Return the mean of every measurement over the replicates of one configuration.

    Args:
        replicates: Of each replicate what it measured, by name. One alone is returned as it is: it says nothing of the
            variance between seeds.
        same_images: Whether the error that a measurement's own interval states is common to the replicates, as on the
            same test images. Otherwise it is taken as independent, so that it averages out and makes up its part of
            the variance between replicates.

    Returns:
        By name the mean, with its 95 % interval. NaN where a replicate that may vote measured nothing, or a replicate
        lacks the name. It has a vote if all replicates have one. Baselines, being the study's, are normally the same in
        all; otherwise their mean and the widest limits.
    """
    if len(replicates) == 1:
        return dict(replicates[0])
    names = dict.fromkeys(name for measured in replicates for name in measured)
    return {name: _mean([measured.get(name) for measured in replicates], same_images) for name in names}


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean over replicates, in the unit of ``values``; NaN of fewer than two."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _mean(given: Sequence[Measurement | None], same_images: bool) -> Measurement:
    present = [item for item in given if item is not None]
    baseline, chance, majority = (
        _if_all([getattr(item, name) for item in present], np.mean) for name in ("baseline", "chance", "majority")
    )
    if len(present) < len(given) or any(item.votes and not item.measured for item in present):
        return Measurement.not_measured(baseline=baseline, chance=chance, majority=majority)
    value = float(np.mean([item.value for item in present]))
    below = float(np.mean([item.value - item.low for item in present]))
    above = float(np.mean([item.high - item.value for item in present]))
    of_seeds = _seeds_half_width(present, same_images)
    shrink = 1.0 if same_images else 1 / math.sqrt(len(present))
    return Measurement(
        value,
        value - math.hypot(shrink * below, of_seeds),
        value + math.hypot(shrink * above, of_seeds),
        baseline=baseline,
        baseline_low=_if_all([item.baseline_low for item in present], np.min),
        baseline_high=_if_all([item.baseline_high for item in present], np.max),
        chance=chance,
        majority=majority,
        votes=all(item.votes for item in present),
    )


def _seeds_half_width(present: Sequence[Measurement], same_images: bool) -> float:
    """Return half the width of the mean's 95 % interval as far as it comes from the variance between seeds."""
    count = len(present)
    variance = float(np.var([item.value for item in present], ddof=1))
    if not same_images:
        own = np.array([(item.high - item.low) / (2 * ndtri(UPPER)) for item in present])
        variance = max(0.0, variance - float(np.mean(own**2)))
    return float(stdtrit(count - 1, UPPER)) * math.sqrt(variance / count)


def _if_all(values: Sequence[float | None], summary: np.ufunc | object) -> float | None:
    """Return the summary of the values, None if there is none or one is None."""
    known = [value for value in values if value is not None]
    return float(summary(known)) if known and len(known) == len(values) else None  # type: ignore[operator]
