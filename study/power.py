"""What a check would have found: the smallest leaks that its verdict would have answered to, with 95 % probability.

Computed from the test that gives the verdict (``study.bounds``): the same limits, the same correction for several
adversaries, as wide as they would be for a release near the bound (``Measurement.half_width``). A leak is counted in
the metric's unit from what the bound refers to, so 0.08 is 8 points of accuracy over the baseline (or short of it,
where less is worse); for an absolute bound it is the value of the metric itself, such as an AUC of 0.65.

It is the leak *as this adversary reads it*. How much must be hidden for an adversary to read so much is a question to
planted leaks (``benchmarks.planted_leaks``), not to statistics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

PROBABILITY = 0.95
"""With which a leak of the size given is found."""

_TWO_SIDED = float(ndtri(0.975))


@dataclass(frozen=True)
class Power:
    """Smallest leaks that one check answers to with 95 % probability, in the unit of its metric."""

    withheld: float
    """From this leak on it does not say "pass". With little data it never does, whatever leaks: then this is 0."""
    violation: float
    """From this leak on it says "violation"."""


def widening(members: int) -> float:
    """Return by how much the lower limit of one of several adversaries is widened before it may violate a bound.

    With one adversary there is no correction; of k, each is allowed a k-th of the error (Bonferroni), so that an honest
    release is called a violation by any of them no more often than by one alone, however alike they are. Passing takes
    no correction: it needs all of them, so one that truly exceeds the bound lets it pass no more often than it would
    alone (Berger. "Multiparameter hypothesis testing and acceptance sampling". Technometrics 24, 1982).
    """
    return float(ndtri(1 - 0.025 / members)) / _TWO_SIDED


def power_of(allowance: float, half_width: float | None, members: int, *, sign: int, relative: bool) -> Power | None:
    """Return what one adversary of a check would have found.

    Args:
        allowance: What the bound permits, counted from its reference, in the metric's unit.
        half_width: Half the width of its 95 % interval near the bound; None or NaN if not known.
        members: Adversaries that vote in the check, >= 1.
        sign: 1 where more is worse, -1 where less is.
        relative: Whether the bound has a reference, from which leaks are then counted.

    Returns:
        The power; None where the half width is not known.
    """
    if half_width is None or math.isnan(half_width):
        return None
    # the estimate falls short of the leak by this much in the unlucky 5 % of cases
    luck = float(ndtri(PROBABILITY)) / _TWO_SIDED * half_width
    withheld, violation = luck - half_width, luck + half_width * widening(members)
    if not relative:
        return Power(allowance + sign * withheld, allowance + sign * violation)
    return Power(max(0.0, sign * allowance + withheld), sign * allowance + violation)
