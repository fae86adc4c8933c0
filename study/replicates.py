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
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np
from scipy.special import stdtrit

from models.measurement import Measurement

UPPER = 0.975
"""Upper quantile of a two-sided 95 % interval."""


def aggregate(replicates: Sequence[Mapping[str, Measurement]]) -> dict[str, Measurement]:
    """Return the mean of every measurement over the replicates of one configuration.

    Args:
        replicates: Of each replicate what it measured, by name. One alone is returned as it is: it says nothing of the
            variance between seeds.

    Returns:
        By name the mean, with its 95 % interval. NaN where a replicate that may vote measured nothing, or a replicate
        lacks the name, or some have a vote and others none. Baselines, being the study's, are normally the same in
        all; otherwise their mean and the widest limits.
    """
    if len(replicates) == 1:
        return dict(replicates[0])
    names = dict.fromkeys(name for measured in replicates for name in measured)
    return {name: _mean([measured.get(name) for measured in replicates]) for name in names}


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean over replicates, in the unit of ``values``; NaN of fewer than two."""
    if len(values) < 2:
        return math.nan
    return float(np.std(np.subtract(values, values[0]), ddof=1) / math.sqrt(len(values)))  # exactly 0 of equal values


def _mean(given: Sequence[Measurement | None]) -> Measurement:
    present = [item for item in given if item is not None]
    baseline, chance, majority = (
        _if_all([getattr(item, name) for item in present], fmean) for name in ("baseline", "chance", "majority")
    )
    # Where seeds disagree on whether an adversary may vote, leaving it out would hide what it read in one of them.
    disagree = len({item.votes for item in present}) > 1
    if disagree or len(present) < len(given) or any(item.votes and not item.measured for item in present):
        return Measurement.not_measured(baseline=baseline, chance=chance, majority=majority)
    value = fmean([item.value for item in present])
    below = fmean([item.value - item.low for item in present])
    above = fmean([item.high - item.value for item in present])
    of_seeds = float(stdtrit(len(present) - 1, UPPER)) * standard_error([item.value for item in present])
    return Measurement(
        value,
        value - math.hypot(below, of_seeds),
        value + math.hypot(above, of_seeds),
        baseline=baseline,
        baseline_low=_if_all([item.baseline_low for item in present], min),
        baseline_high=_if_all([item.baseline_high for item in present], max),
        chance=chance,
        majority=majority,
        excess_low=_excess_limit([_excess(item, item.excess_low) for item in present], -of_seeds),
        excess_high=_excess_limit([_excess(item, item.excess_high) for item in present], of_seeds),
        half_width=_if_all([item.half_width for item in present], lambda widths: math.hypot(fmean(widths), of_seeds)),
        votes=present[0].votes,
        converged=all(item.converged for item in present),
    )


def _excess(item: Measurement, limit: float | None) -> tuple[float, float] | None:
    """Return the excess of a value over its baseline, and one of its limits; None where they were not compared."""
    return None if limit is None or item.baseline is None else (item.value - item.baseline, limit)


def _excess_limit(given: Sequence[tuple[float, float] | None], of_seeds: float) -> float | None:
    """Return one limit of the mean excess, ``of_seeds`` being signed as the limit lies to the mean."""
    known = [item for item in given if item is not None]
    if len(known) < len(given):
        return None
    distance = math.hypot(fmean(limit - excess for excess, limit in known), of_seeds)
    return fmean(excess for excess, _ in known) + math.copysign(distance, of_seeds)


def _if_all(values: Sequence[float | None], summary: Callable[[list[float]], float]) -> float | None:
    """Return the summary of the values, None if there is none or one is None."""
    known = [value for value in values if value is not None]
    return float(summary(known)) if known and len(known) == len(values) else None
