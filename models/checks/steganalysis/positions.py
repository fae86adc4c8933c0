"""Position-wise detector: a linear model of what one sanitiser draws at each position, and what departs from it.

All images of a release come from one network, so every pixel is predictable from its surroundings in a way that
depends on where it stands. Covers are modelled as normal, window by window; of an image x with mean m and precision P
(the inverse of the covariance), P (x - m) holds the error of predicting every pixel from all others of its window,
divided by that error's variance. Independent changes of small variance are found, in that model, by the score test,
which is the squared length of P (x - m). Images differ in how well the model fits them, which the plain sum cannot
tell from hiding; its parts by eigenvalue, colour and window can, and a linear ensemble weighs them.

References:
    Rao. "Large sample tests of statistical hypotheses concerning several parameters with applications to problems of
    estimation". Math. Proc. Cambridge Philos. Soc. 44, 1948 (the score test).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW = 8
"""Side of a window, in pixels: 192 values, few enough for the covariance of a thousand images to be known."""

BANDS = 8
"""Groups of eigenvectors, by eigenvalue, whose parts of the sum are told apart."""

ROUNDING = 1 / 12
"""Variance of rounding to whole grey levels, added to every direction: few covers must not pretend to certainty."""

_SMALLEST = 1e-12  # energies below it count as it: a window without any has no logarithm


@dataclass(frozen=True)
class CoverModel:
    """Mean and covariance of the covers in every window; makes features of an image."""

    means: Tensor
    """(windows, d) float64, d = 3 * side^2 grey levels."""
    values: Tensor
    """Eigenvalues of the covariances in rising order, (windows, d) float64, squared grey levels."""
    vectors: Tensor
    """Eigenvectors in columns, (windows, d, d) float64."""
    side: int
    """Of a window, in pixels."""

    def features(self, images: Tensor) -> Tensor:
        """Return logarithms of parts of the score, (n, windows * 14) float32.

        Args:
            images: (n, 3, height, width), uint8, of the size of the covers.
        """
        parts = []
        for window, mean, values, vectors in zip(
            windows(images, self.side), self.means, self.values, self.vectors, strict=True
        ):
            scaled = ((window - mean) @ vectors) / values
            bands = [band.square().sum(1, keepdim=True) for band in scaled.tensor_split(BANDS, dim=1)]
            score = (scaled @ vectors.T).square()
            precision = (vectors.square() / values).sum(1)
            colours = [kind.unflatten(1, (3, -1)).sum(2) for kind in (score, score / precision)]
            parts.append(torch.cat([*bands, *colours], 1).clamp(min=_SMALLEST).log())
        return torch.cat(parts, 1).float()


def windows(images: Tensor, side: int) -> Tensor:
    """Cut images (n, 3, h, w) into squares of ``side`` pixels, (windows, n, 3 * side^2) float64, row by row.

    Raises:
        ValueError: If the squares do not fill the image.
    """
    height, width = images.shape[2:]
    if height % side or width % side:
        raise ValueError(f"windows of {side} pixels do not fill images of {height} x {width}")
    tiles = images.cpu().unfold(2, side, side).unfold(3, side, side)  # (n, 3, rows, columns, side, side)
    return tiles.permute(2, 3, 0, 1, 4, 5).flatten(3).flatten(0, 1).double()


def fit_cover_model(covers: Tensor) -> CoverModel:
    """Estimate mean and covariance of every window.

    Args:
        covers: (n, 3, height, width), uint8, n >= 2.
    """
    side = WINDOW
    means, values, vectors = [], [], []
    for window in windows(covers, side):
        mean = window.mean(0)
        centred = window - mean
        covariance = centred.T @ centred / len(centred)
        covariance.diagonal().add_(ROUNDING)
        found, basis = torch.linalg.eigh(covariance)
        means.append(mean)
        values.append(found)
        vectors.append(basis)
    return CoverModel(torch.stack(means), torch.stack(values), torch.stack(vectors), side)
