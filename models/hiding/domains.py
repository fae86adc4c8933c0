"""Carrier domains: the numbers of an image that a modulation may move, and the pixel change that moves them.

- :class:`Pixels`: every pixel value.
- :class:`PixelResiduals`: every pixel value less the mean of its 3 x 3 neighbourhood; for correlation, to which the
  image itself is noise.
- :class:`BlockDCT`: 27 coefficients of each 8 x 8 block of the luma, on JPEG's grid: all with 1 <= u + v <= 6 in the
  orthonormal type-II DCT. JPEG divides low frequencies by the smallest steps and keeps the luma at full resolution, so
  these are what it spares; the mean (u + v = 0) is left out, since its changes show as flat 8 x 8 tiles.

The domains work on float32 images in grey levels, (n, 3, size, size), 0 to 255.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.fft import dct
from scipy.ndimage import uniform_filter

BLOCK = 8
"""Rows and columns of a DCT block."""
MAX_FREQUENCY = 6
"""Largest u + v of a coefficient that carries bits."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in the luma (ITU-R BT.601, as JPEG has it)."""
STEPS_PER_STRENGTH = 3.0
"""How far a DCT coefficient may be moved for each grey level of the embedding strength."""


class Domain(Protocol):
    """Carriers of images of one size."""

    @property
    def bands(self) -> np.ndarray:
        """Which carriers share their statistics, (carriers,) int64 from 0."""

    def reach(self, strength: int) -> float:
        """Return how far a modulation may move one carrier at an embedding strength in grey levels."""

    def analyse(self, images: np.ndarray) -> np.ndarray:
        """Return the carriers, (n, carriers) float32, of images (n, 3, size, size) float32 in grey levels."""

    def synthesise(self, change: np.ndarray) -> np.ndarray:
        """Return a pixel change, (n, 3, size, size) float32, that moves the carriers by ``change``, (n, carriers)."""

    def round(self, change: np.ndarray) -> np.ndarray:
        """Return whole grey levels near a pixel change, none further from it than 1, float32."""


@dataclass(frozen=True)
class Pixels:
    """Every pixel value."""

    size: int

    @property
    def bands(self) -> np.ndarray:
        """See :class:`Domain`; one band."""
        return np.zeros(3 * self.size**2, dtype=np.int64)

    def reach(self, strength: int) -> float:
        """See :class:`Domain`."""
        return float(strength)

    def analyse(self, images: np.ndarray) -> np.ndarray:
        """See :class:`Domain`."""
        return images.reshape(len(images), -1)

    def synthesise(self, change: np.ndarray) -> np.ndarray:
        """See :class:`Domain`."""
        return change.reshape(-1, 3, self.size, self.size)

    def round(self, change: np.ndarray) -> np.ndarray:
        """See :class:`Domain`."""
        return np.rint(change)


@dataclass(frozen=True)
class PixelResiduals(Pixels):
    """Every pixel value less the mean of its neighbourhood, which a sum over many carriers would otherwise measure."""

    def analyse(self, images: np.ndarray) -> np.ndarray:
        """See :class:`Domain`."""
        return super().analyse(images - uniform_filter(images, size=(0, 0, 3, 3)))


@dataclass(frozen=True)
class BlockDCT:
    """Low-frequency coefficients of the luma."""

    size: int
    """Height and width in pixels, a multiple of 8."""

    @property
    def bands(self) -> np.ndarray:
        """See :class:`Domain`; a band for each u + v."""
        rows, columns = _frequencies()
        return np.tile(rows + columns - 1, (self.size // BLOCK) ** 2)

    def reach(self, strength: int) -> float:
        """See :class:`Domain`; :data:`STEPS_PER_STRENGTH` times the strength."""
        return STEPS_PER_STRENGTH * strength

    def analyse(self, images: np.ndarray) -> np.ndarray:
        """See :class:`Domain`."""
        n, side = len(images), self.size // BLOCK
        luma = np.tensordot(images, LUMA, axes=(1, 0)).reshape(n, side, BLOCK, side, BLOCK)
        blocks = _transform() @ luma.transpose(0, 1, 3, 2, 4) @ _transform().T
        rows, columns = _frequencies()
        return blocks[..., rows, columns].reshape(n, -1)

    def synthesise(self, change: np.ndarray) -> np.ndarray:
        """See :class:`Domain`; all three colours change alike, which leaves the chroma as it is."""
        n, side = len(change), self.size // BLOCK
        rows, columns = _frequencies()
        blocks = np.zeros((n, side, side, BLOCK, BLOCK), dtype=np.float32)
        blocks[..., rows, columns] = change.reshape(n, side, side, -1)
        luma = (_transform().T @ blocks @ _transform()).transpose(0, 1, 3, 2, 4).reshape(n, 1, self.size, self.size)
        return np.repeat(luma, 3, axis=1)

    def round(self, change: np.ndarray) -> np.ndarray:
        """See :class:`Domain`; each colour is rounded up or down so that the luma comes nearest to what it was."""
        floor = np.floor(change)
        wanted = np.tensordot(change - floor, LUMA, axes=(1, 0))
        choices = (np.arange(8)[:, None] >> np.arange(3)) & 1
        best = np.abs(wanted[..., None] - (choices @ LUMA)).argmin(-1)
        up = choices[best].transpose(0, 3, 1, 2)
        return np.where(change == floor, floor, floor + up)


def domain_of(name: str, size: int, *, residuals: bool) -> Domain:
    """Return the domain called ``name`` ("pixels" or "dct"), for correlation if ``residuals``."""
    if name == "dct":
        return BlockDCT(size)
    return PixelResiduals(size) if residuals else Pixels(size)


def _transform() -> np.ndarray:
    return dct(np.eye(BLOCK, dtype=np.float32), axis=0, norm="ortho")


def _frequencies() -> tuple[np.ndarray, np.ndarray]:
    sums = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    rows, columns = np.nonzero((sums >= 1) & (sums <= MAX_FREQUENCY))
    return rows, columns
