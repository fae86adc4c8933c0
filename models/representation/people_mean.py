"""Means over images with intervals over people: images of one person are alike, and more of them are no more people.

References:
    Liang, Zeger. "Longitudinal data analysis using generalized linear models". Biometrika 73, 1986 (the variance).
"""

import math

import numpy as np
from scipy import stats


def mean_over_people(values: np.ndarray, identity: np.ndarray) -> tuple[float, float, float]:
    """Return the mean over images and its 95 % interval, images of one person counted as one cluster.

    Args:
        values: (n,) float, one an image.
        identity: (n,), who is on each image.

    Returns:
        Mean, lower and upper limit by the cluster-robust variance and Student's t with one degree of freedom less than
        there are people; infinite limits where there is one person only.
    """
    mean = float(values.mean())
    _, person = np.unique(identity, return_inverse=True)
    sums = np.bincount(person, weights=values - mean)
    people = len(sums)
    if people < 2:
        return mean, -math.inf, math.inf
    error = math.sqrt(people / (people - 1) * float((sums**2).sum())) / len(values)
    half = float(stats.t.ppf(0.975, people - 1)) * error
    return mean, mean - half, mean + half
