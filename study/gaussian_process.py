"""Gaussian process regression over mixed parameters, in plain arrays.

The kernel is a sum of one Matérn 5/2 kernel for each parameter, and one of all parameters together (Rasmussen and
Williams 2006, equation 4.17; Duvenaud, Nickisch and Rasmussen 2011, "Additive Gaussian processes"): what parameters do
one by one is learnt from few trials, what they do together is not excluded. Two values of a nominal parameter are at
distance 1. Hyperparameters are the mode of their posterior: the likelihood with log-normal priors on length scales,
which for the joint kernel grow with the square root of the dimension (Hvarfner, Hellsten and Nardi 2024, "Vanilla
Bayesian optimization performs great in high dimensions"), and on the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = NDArray[np.float64]

JITTER = 1e-8
MOST_STEPS = 40
"""Of the optimiser of the hyperparameters."""
_ROOT5 = np.sqrt(5.0)
_LENGTH_SPREAD, _NOISE_MEAN, _NOISE_SPREAD, _SHARE_SPREAD = np.sqrt(3.0), -6.0, 2.0, 1.5
"""Standard deviation of a length scale's logarithm; mean and standard deviation of the noise variance's logarithm;
standard deviation of the logit of the share of variance that the single parameters have."""
_LENGTH_BOUNDS, _NOISE_BOUNDS = (np.log(0.05), np.log(50.0)), (np.log(1e-6), np.log(1.0))
_SHARE_BOUNDS = (-4.0, 4.0)


def squared_distances(left: Array, right: Array, nominal: NDArray[np.bool_]) -> Array:
    """Return squared distances in every parameter, (parameters, n, m).

    Args:
        left: (n, parameters).
        right: (m, parameters).
        nominal: Parameters whose values have no order, (parameters,); two of them are 0 or 1 apart.
    """
    differences = left.T[:, :, None] - right.T[:, None, :]
    return np.where(nominal[:, None, None], differences != 0, differences**2).astype(float)


@dataclass(frozen=True)
class Kernel:
    """Hyperparameters; the variance of the process is 1."""

    single: Array
    """Inverse squared length scale of each parameter by itself, (parameters,)."""
    joint: Array
    """The same where all act together, (parameters,)."""
    share: float
    """Variance that the single parameters have together, in (0, 1)."""
    noise: float
    """Variance of the noise."""

    def __call__(self, distances: Array) -> Array:
        """Return the covariance, without noise, at squared distances (parameters, n, m); (n, m)."""
        singles = _matern(self.single[:, None, None] * distances).mean(axis=0)
        return self.share * singles + (1.0 - self.share) * _matern(np.tensordot(self.joint, distances, 1))


@dataclass(frozen=True)
class GaussianProcess:
    """A process conditioned on values with mean 0 and variance 1."""

    points: Array
    """(n, parameters)."""
    values: Array
    """(n,)."""
    nominal: NDArray[np.bool_]
    kernel: Kernel
    factor: Array
    """Lower Cholesky factor of the kernel matrix with noise, (n, n)."""
    weights: Array
    """Inverse kernel matrix times values, (n,)."""

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation, without noise, at points (m, parameters); each (m,)."""
        covariance = self.kernel(squared_distances(points, self.points, self.nominal))
        reduced = solve_triangular(self.factor, covariance.T, lower=True, check_finite=False)
        variance = np.maximum(1.0 - np.sum(reduced**2, axis=0), 1e-12)
        return covariance @ self.weights, np.sqrt(variance)

    def believing(self, points: Array) -> GaussianProcess:
        """Return the process conditioned on its own mean at points (m, parameters) as well: they are being evaluated.

        Ginsbourger, Le Riche and Carraro 2010, "Kriging is well-suited to parallelize optimization": kriging believer.
        """
        values = np.concatenate([self.values, self.predict(points)[0]])
        return _condition(np.concatenate([self.points, points]), values, self.nominal, self.kernel)


def fit(points: Array, values: Array, nominal: NDArray[np.bool_]) -> GaussianProcess:
    """Fit hyperparameters and condition on values.

    Args:
        points: (n, parameters), n >= 1, about [0, 1] in every ordered parameter.
        values: (n,), mean 0 and variance 1.
        nominal: Parameters whose values have no order, (parameters,).

    Notes:
        Draws no random numbers. About n^2 times parameters a step of the optimiser, n^3 while n is large.
    """
    dimension = points.shape[1]
    distances = squared_distances(points, points, nominal)
    means = np.concatenate([np.full(dimension, -0.5), np.full(dimension, np.sqrt(2.0) + 0.5 * np.log(dimension))])
    means = np.append(means, [0.0, _NOISE_MEAN])
    spreads = np.append(np.full(2 * dimension, _LENGTH_SPREAD), [_SHARE_SPREAD, _NOISE_SPREAD])

    def loss(parameters: Array) -> tuple[float, Array]:
        kernel = _kernel(parameters)
        scaled = kernel.single[:, None, None] * distances
        roots = _ROOT5 * np.sqrt(scaled)
        decays = np.exp(-roots)
        singles = ((1.0 + roots + roots**2 / 3.0) * decays).mean(axis=0)
        root = _ROOT5 * np.sqrt(np.tensordot(kernel.joint, distances, 1))
        decay = np.exp(-root)
        joint = (1.0 + root + root**2 / 3.0) * decay
        covariance = kernel.share * singles + (1.0 - kernel.share) * joint
        covariance[np.diag_indices_from(covariance)] += kernel.noise + JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        weights = cho_solve((factor, True), values, check_finite=False)
        inverse = cho_solve((factor, True), np.eye(len(values)), check_finite=False)
        # Of the log-likelihood by the kernel matrix (Rasmussen and Williams 2006, equation 5.9).
        slope = 0.5 * (np.outer(weights, weights) - inverse)
        by_single = np.tensordot(scaled * (1.0 + roots) * decays, slope, 2) * (5.0 / 3.0 * kernel.share / dimension)
        by_joint = np.tensordot(distances, slope * (1.0 + root) * decay, 2) * kernel.joint
        by_joint *= 5.0 / 3.0 * (1.0 - kernel.share)
        by_share = np.sum(slope * (singles - joint)) * kernel.share * (1.0 - kernel.share)
        from_means = (parameters - means) / spreads
        likelihood = -0.5 * values @ weights - np.log(np.diag(factor)).sum() - 0.5 * from_means @ from_means
        gradient = np.concatenate([by_single, by_joint, [by_share, np.trace(slope) * kernel.noise]])
        return -likelihood, from_means / spreads - gradient

    bounds = [_LENGTH_BOUNDS] * (2 * dimension) + [_SHARE_BOUNDS, _NOISE_BOUNDS]
    start = np.append(np.zeros(2 * dimension), [0.0, np.log(1e-3)])
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MOST_STEPS, "ftol": 1e-5}
    )
    return _condition(points, values, nominal, _kernel(found.x))


def _kernel(parameters: Array) -> Kernel:
    """Return the kernel with logarithms of lengths (single, joint), logit of the share and logarithm of the noise."""
    inverse_squared = np.exp(-2.0 * parameters[:-2])
    dimension = len(inverse_squared) // 2
    share = 1.0 / (1.0 + np.exp(-parameters[-2]))
    return Kernel(inverse_squared[:dimension], inverse_squared[dimension:], float(share), float(np.exp(parameters[-1])))


def _condition(points: Array, values: Array, nominal: NDArray[np.bool_], kernel: Kernel) -> GaussianProcess:
    covariance = kernel(squared_distances(points, points, nominal))
    covariance[np.diag_indices_from(covariance)] += kernel.noise + JITTER
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), values, check_finite=False)
    return GaussianProcess(points, values, nominal, kernel, factor, weights)


def _matern(squared: Array) -> Array:
    root = _ROOT5 * np.sqrt(squared)
    return (1.0 + root + root**2 / 3.0) * np.exp(-root)
