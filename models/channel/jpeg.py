"""JPEG: the codec itself, and a differentiable model of it for training.

Both use 4:2:0 chroma subsampling, as most published images do, and the standard's example quantisation tables scaled by
the quality as libjpeg does. The model follows libjpeg's integer arithmetic where that decides a grey level.

References:
    Wallace. "The JPEG still picture compression standard". IEEE Trans. Consumer Electronics 38(1), 1992; tables in
    annex K of ITU-T T.81.
    Shin, Song. "JPEG-resistant adversarial images". NIPS workshop on machine learning and computer security, 2017.
"""

import io
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from models.channel.levels import round_levels, round_through, separable, straight_through

_LUMA = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

_TO_YCBCR = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136286, -0.714136286], [1, 1.772, 0]], np.float32)


def through_codec(images: Tensor, quality: int) -> Tensor:
    """Compress each image with libjpeg and read it back.

    Args:
        images: (n, 3, height, width), uint8.
        quality: libjpeg's, 1 to 100.

    Returns:
        Shape, dtype and device of ``images``.
    """
    pixels = images.permute(0, 2, 3, 1).cpu().numpy()
    decoded = np.empty_like(pixels)
    for number, pixel in enumerate(pixels):
        with io.BytesIO() as file:
            Image.fromarray(pixel).save(file, "JPEG", quality=quality, subsampling="4:2:0")
            decoded[number] = Image.open(file)
    return torch.from_numpy(decoded).permute(0, 3, 1, 2).contiguous().to(images.device)


def through_model(levels: Tensor, quality: int) -> Tensor:
    """Return what compression makes of images, differentiably (Shin and Song 2017).

    Args:
        levels: Whole grey levels, (n, 3, height, width), float32 in [0, 255].
        quality: libjpeg's, 1 to 100.

    Returns:
        Shape, dtype and range of ``levels``; whole grey levels.

    Notes:
        Going forward every rounding is the real one. Going back, that of a coefficient has the slope of Shin and Song's
        approximation, round(x) + (x - round(x))^3, which is steep between two steps and flat on one, and so turns an
        embedder away from changes that the codec removes; all others pass gradients straight through. Over a fixed key,
        64 bits of 32 x 32 faces within 3 grey levels, optimised through the model for 40 steps, read with the cover
        at hand, came through jpeg75 with 8 % errors; with 32 % where these gradients also passed straight through.
        Blocks that the image does not fill are continued by its last pixels.
    """
    height, width = levels.shape[-2:]
    offset = torch.tensor([0.0, 128.0, 128.0], device=levels.device)[:, None, None]
    colours = round_levels(_mix(levels, _TO_YCBCR) + offset)
    luma, chroma = colours[:, :1], _halve(colours[:, 1:])
    luma = _requantise(luma, quantisation_table(_LUMA, quality))
    chroma = _requantise(chroma, quantisation_table(_CHROMA, quality))[..., : (width + 1) // 2]
    chroma = _double(chroma)[..., :height, :width]
    return round_levels(_mix(torch.cat([luma, chroma], 1) - offset, _TO_RGB))


def quantisation_table(base: np.ndarray, quality: int) -> np.ndarray:
    """Return libjpeg's table for ``quality``, 1 to 100: steps of the 8 x 8 coefficients, (8, 8) float32, 1..255."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * scale + 50) // 100, 1, 255).astype(np.float32)


def _mix(colours: Tensor, matrix: np.ndarray) -> Tensor:
    """Multiply the colours of every pixel, (n, 3, height, width), by ``matrix``, (3, 3)."""
    return torch.einsum("ij,njhw->nihw", torch.tensor(matrix, device=colours.device), colours)


def _halve(planes: Tensor) -> Tensor:
    """Average 2 x 2 pixels, (..., h, w) -> (..., ceil(h / 2), padded w / 2), with libjpeg's alternating rounding.

    Columns are continued before they are averaged and rows after it, as libjpeg does; ``_requantise`` pads the rows.
    """
    height, width = planes.shape[-2:]
    halves = F.avg_pool2d(F.pad(planes, (0, -width % 16, 0, height % 2), mode="replicate"), 2)
    bias = torch.tensor([0.25, 0.5], device=planes.device).repeat(halves.shape[-1] // 2)
    return straight_through(halves, (halves + bias).floor())


def _double(planes: Tensor) -> Tensor:
    """Enlarge twice with libjpeg's triangle filter and alternating rounding, (..., h, w) -> (..., 2 h, 2 w)."""
    height, width = planes.shape[-2:]
    doubled = separable(planes, _doubling(height), _doubling(width))
    bias = torch.tensor([8 / 16, 7 / 16], device=planes.device).repeat(width)
    return straight_through(doubled, (doubled + bias).floor())


def _requantise(planes: Tensor, table: np.ndarray) -> Tensor:
    """Round the coefficients of every 8 x 8 block to multiples of ``table``; (..., h, w), whole grey levels.

    Planes are padded to whole blocks and cut back again.
    """
    height, width = planes.shape[-2:]
    padded = F.pad(planes, (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = (_cosines(size) for size in padded.shape[-2:])
    steps = torch.tensor(table, device=planes.device).repeat(padded.shape[-2] // 8, padded.shape[-1] // 8)
    # libjpeg's transform yields whole eighths, which makes ties common; it rounds them away from 0
    eighths = round_through(8 * separable(padded - 128.0, rows, columns))
    coefficients = eighths / (8 * steps)
    rounded = coefficients.sign() * (coefficients.abs() + 0.5).floor()
    slope = 3 * (coefficients - rounded).square()
    rounded = straight_through(slope.detach() * coefficients, rounded)
    return round_levels(separable(rounded * steps, rows.T, columns.T) + 128.0)[..., :height, :width]


@cache
def _cosines(size: int) -> np.ndarray:
    """Return the orthonormal cosine transform of every 8 neighbours, (size, size), block-diagonal."""
    frequency, place = np.mgrid[:8, :8]
    block = np.cos((2 * place + 1) * frequency * np.pi / 16) / 2
    block[0] /= np.sqrt(2)
    return np.kron(np.eye(size // 8), block).astype(np.float32)


@cache
def _doubling(size: int) -> np.ndarray:
    """Return the triangle filter that enlarges an axis, (2 size, size): 3/4 of the nearest and 1/4 of the next."""
    matrix = np.zeros((2 * size, size), np.float32)
    for row in range(2 * size):
        nearest, next_nearest = row // 2, row // 2 + (1 if row % 2 else -1)
        matrix[row, nearest] += 0.75
        matrix[row, min(max(next_nearest, 0), size - 1)] += 0.25
    return matrix
