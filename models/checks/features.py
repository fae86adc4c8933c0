"""Features of 8-bit images that the closed-form adversaries are linear in.

Each is a module from (n, 3, size, size) uint8 to (n, features) float32 that knows no labels. What one misses
another sees: patterns at fixed places (pixels, cosines), patterns without a fixed phase (spectrum), the lowest bits
(bit_planes), colour and statistics of low order (moments).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.randomness import seeded

PLANES = 4
"""Bit planes that are read, from the lowest on: leaks of up to 8 grey levels."""

_GRID = 4  # moments are also taken in 4 x 4 parts of the image
_CROSSED = 64  # entries of a vector up to which all products are taken
_COMPONENTS = 64  # principal components that count as content
_ROUNDING = 1 / 12  # power of rounding to whole levels: what lies below says nothing
_RESIDUES = 8  # grey levels are counted modulo 8: the histogram of the three lowest bits


class Features(nn.Module):
    """Maps images, or vectors, to features."""

    def __init__(self, size: int) -> None:
        """Make features of images of ``size`` x ``size`` pixels."""
        super().__init__()

    def prepare(self, images: Tensor) -> None:
        """Look at the train images, without their labels; most features need not."""


class Vector(Features):
    """A vector as it is, such as a latent code."""

    def forward(self, values: Tensor) -> Tensor:
        """Return (n, d) float32 unchanged."""
        return values


class Quadratic(Features):
    """A vector with its squares and, up to ``_CROSSED`` entries, its products: for covariances that differ."""

    def forward(self, values: Tensor) -> Tensor:
        """Map (n, d) float32 to (n, 2 d) or (n, d + d (d + 1) / 2)."""
        if values.shape[1] > _CROSSED:
            return torch.cat([values, values.square()], 1)
        rows, columns = torch.triu_indices(values.shape[1], values.shape[1])
        return torch.cat([values, values[:, rows] * values[:, columns]], 1)


class Pixels(Features):
    """Pixel values in [0, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8 to (n, 3 size^2)."""
        return images.flatten(1).float() / 255


class Cosines(Features):
    """Coefficients of the discrete cosine transform (DCT-II, orthonormal) of the whole image, each colour alone."""

    basis: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        frequency, place = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        basis = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * size)) * math.sqrt(2 / size)
        basis[0] /= math.sqrt(2)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8 to (n, 3 size^2), in grey levels."""
        return (self.basis @ images.float() @ self.basis.T).flatten(1)


class Spectrum(Features):
    """Logarithms of the power at every frequency, which do not depend on where a pattern begins.

    Of every colour of what is left of an image once the principal components of all images are taken out of it, since
    faces drown what is faint; and of the image as it is, all colours together, since what is not faint is among these
    components.
    """

    mean: Tensor
    content: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.register_buffer("mean", torch.zeros(3 * size**2))
        self.register_buffer("content", torch.zeros(3 * size**2, 0))

    def prepare(self, images: Tensor) -> None:
        """Find the principal components of images, (n, 3, size, size) uint8."""
        levels = images.flatten(1).float()
        self.mean = levels.mean(0)
        components = min(_COMPONENTS, min(levels.shape) // 4)
        with seeded(0, "principal_components"):  # of a random sketch; which one matters little
            _, _, self.content = torch.svd_lowrank(levels - self.mean, q=components, niter=2)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8 to (n, 4 size (size / 2 + 1))."""
        levels = images.flatten(1).float() - self.mean
        rest = levels - levels @ self.content @ self.content.T
        faint, whole = (
            torch.fft.rfft2(part.view(images.shape), norm="ortho").abs().square() for part in (rest, levels)
        )
        power = torch.cat([faint, whole.sum(1, keepdim=True)], 1)
        return (power + _ROUNDING).log().flatten(1)


class BitPlanes(Features):
    """The lowest ``PLANES`` bits of every pixel value as -1 or 1, and the mean of each plane in each colour."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8 to (n, PLANES (3 size^2 + 3))."""
        planes = [((images >> plane) & 1).float() * 2 - 1 for plane in range(PLANES)]
        return torch.cat([part.flatten(1) for plane in planes for part in (plane, plane.mean((2, 3)))], 1)


class Moments(Features):
    """Statistics of low order of every colour: moments, colours of parts, steps between neighbours, residues."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8 to (n, 150)."""
        levels = images.float()
        centred = levels - levels.mean((2, 3), keepdim=True)
        spread = centred.square().mean((2, 3)).sqrt()
        unit = centred / spread.clamp(min=1)[:, :, None, None]
        parts = F.adaptive_avg_pool2d(levels, _GRID)
        varying = F.adaptive_avg_pool2d((levels - F.avg_pool2d(levels, 3, 1, 1)).abs(), _GRID)
        between = torch.einsum("ncij,ndij->ncd", unit, unit)[:, *torch.triu_indices(3, 3, 1)] / unit[0, 0].numel()
        steps = [levels.diff(n=order, dim=axis).abs().mean((2, 3)) for order in (1, 2) for axis in (2, 3)]
        residues = [((images % _RESIDUES) == value).float().mean((2, 3)) for value in range(_RESIDUES)]
        ends = [levels.amin((2, 3)), levels.amax((2, 3))]
        shape = [spread, unit.pow(3).mean((2, 3)), unit.pow(4).mean((2, 3))]
        return torch.cat([parts.flatten(1), varying.flatten(1), between, *steps, *residues, *ends, *shape], 1)


FEATURES: dict[str, Callable[[int], Features]] = {
    "linear_pixels": Pixels,
    "linear_dct": Cosines,
    "spectrum": Spectrum,
    "bit_planes": BitPlanes,
    "moments": Moments,
    "linear": Vector,
    "quadratic": Quadratic,
}
"""Features of each closed-form adversary; built for a size of images. The last two read vectors, such as codes."""

SHRUNKEN = ("bit_planes",)
"""Those whose features are nearly independent of each other and too many for a covariance: shrunken centroids."""

AS_THEY_ARE = ("linear_pixels",)
"""Those whose features have one unit and keep their proportions; all others are divided by their standard deviation."""
