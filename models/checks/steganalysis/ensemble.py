"""Linear ensemble: Fisher discriminants on random subspaces, whose size and number out-of-bag pairs choose.

References:
    Kodovsky, Fridrich, Holub. "Ensemble Classifiers for Steganalysis of Digital Media". IEEE Transactions on
    Information Forensics and Security 7(2), 2012.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.checks.statistics import auc
from models.randomness import torch_generator

SUBSPACES = (20, 40, 80, 160, 320)
"""Sizes that are tried, in features, in rising order until one is clearly worse than the best."""

BLOCK, MOST_BLOCKS = 8, 6
"""Base learners that join at once, and how often; joining ends when the out-of-bag error no longer falls."""

_LEAST_GAIN = 0.001  # of the out-of-bag error, by which another block or size has to be better
_RIDGE = 1e-3  # of the within-class covariance, relative to its diagonal: some features are constant or nearly so


@dataclass(frozen=True)
class LinearEnsemble:
    """Base learners, ready to score."""

    mean: Tensor
    """(features,) float32: subtracted first."""
    scale: Tensor
    """(features,) float32: then divided by."""
    weights: Tensor
    """(features,) float64: the sum of the base learners, each of which projects on unit within-class spread."""
    offset: float
    """Added last, so that 0 lies half-way between the classes."""
    out_of_bag_error: float
    """1 - AUC of training pairs, each scored by the learners that have not seen it."""
    subspace: int
    """Features of a base learner."""
    learners: int

    def score(self, features: Tensor) -> Tensor:
        """Return the mean projection of the base learners, (n,) float64; higher means stego."""
        return ((features - self.mean) / self.scale).double() @ self.weights + self.offset


def fit_ensemble(covers: Tensor, stego: Tensor, *, seed: int) -> LinearEnsemble:
    """Train a linear ensemble.

    Args:
        covers: Features of covers, (n, features) float32, n >= 2.
        stego: Row i comes from the same input as row i of ``covers``. A bootstrap sample draws pairs, so that both of a
            pair are seen or neither is.
        seed: Of the subspaces and the bootstrap samples.

    Raises:
        ValueError: If the sides differ in shape or hold fewer than two rows, or a feature is not finite.

    Notes:
        Divergences from the paper: projections are added instead of votes, which orders single images more finely, and
        the out-of-bag error is 1 - AUC instead of P_E, which for weak detectors is too coarse to choose by.
    """
    if covers.shape != stego.shape or covers.dim() != 2 or len(covers) < 2:
        raise ValueError(
            f"pairs need (n >= 2, features) of each kind; found {tuple(covers.shape)} and {tuple(stego.shape)}"
        )
    both = torch.cat([covers, stego])
    if not bool(torch.isfinite(both).all()):
        raise ValueError("features must be finite numbers")
    mean, scale = both.mean(0), both.std(0)
    scale[scale < 1e-9] = 1.0
    # Rows are features: a subspace is then gathered in whole rows.
    columns = ((both - mean) / scale).T.contiguous()
    best = None
    for size in sorted({min(size, len(columns)) for size in SUBSPACES}):
        grown = _grow(columns, size, seed)
        if best is None or grown.error < best.error:
            best = grown
        elif grown.error > best.error + _LEAST_GAIN:
            break
    assert best is not None
    return LinearEnsemble(mean, scale, best.weights, best.offset, best.error, best.size, best.learners)


@dataclass(frozen=True)
class _Grown:
    weights: Tensor
    offset: float
    error: float
    size: int
    learners: int


def _grow(columns: Tensor, size: int, seed: int) -> _Grown:
    """Add base learners of one subspace size until the out-of-bag error no longer falls.

    Args:
        columns: Standardised features, (features, 2 n) float32: n covers, then their stego images.
        size: Features of a learner.
        seed: Of all draws.
    """
    generator = torch_generator(seed, "linear_ensemble", size)
    pairs = columns.shape[1] // 2
    weights, offset = torch.zeros(len(columns), dtype=torch.float64), 0.0
    sums, seen = torch.zeros(2 * pairs, dtype=torch.float64), torch.zeros(pairs, dtype=torch.float64)
    best: _Grown | None = None
    for block in range(1, MOST_BLOCKS + 1):
        for _ in range(BLOCK):
            chosen = torch.randperm(len(columns), generator=generator)[:size]
            drawn = torch.randint(0, pairs, (pairs,), generator=generator)
            times = torch.bincount(drawn, minlength=pairs)
            part = columns[chosen]
            direction, shift = _discriminant(part, times)
            weights[chosen] += direction
            offset += shift
            left_out = (times == 0).double()
            sums += (direction.float() @ part + shift).double() * left_out.repeat(2)
            seen += left_out
        mean = (sums.view(2, pairs) / seen.clamp(min=1))[:, seen > 0].numpy()
        error = 1 - auc(mean[0], mean[1])
        learners = block * BLOCK
        grown = _Grown(weights / learners, offset / learners, error, size, learners)
        if best is not None and error > best.error - _LEAST_GAIN:
            return min(best, grown, key=lambda one: one.error)
        best = grown
    assert best is not None
    return best


def _discriminant(part: Tensor, times: Tensor) -> tuple[Tensor, float]:
    """Return Fisher's discriminant of a bootstrap sample, (size,) float64, and its shift.

    Args:
        part: (size, 2 n) float32.
        times: How often each pair was drawn, (n,) int64.

    Notes:
        The direction has unit within-class spread; the shift puts 0 half-way between the class means.
    """
    share = times.float() / times.sum()
    means, within = [], torch.zeros(len(part), len(part), dtype=torch.float64)
    for side in part.chunk(2, dim=1):
        mean = side @ share
        centred = (side - mean[:, None]) * share.sqrt()
        within += 0.5 * (centred @ centred.T).double()
        means.append(mean.double())
    within.diagonal().mul_(1 + _RIDGE).add_(_RIDGE)
    direction = torch.linalg.solve(within, means[1] - means[0])
    spread = (direction @ within @ direction).sqrt().clamp(min=1e-12)
    direction = direction / spread
    return direction, -float(direction @ (means[0] + means[1])) / 2
