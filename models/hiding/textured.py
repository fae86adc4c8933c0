"""Adaptive placement of lowest bits: changes go where texture hides them, and are found again without a map.

Parity coding (Anderson and Petitcolas, "On the Limits of Steganography", 1998): the values of an image are dealt out
to as many groups as there are symbols, and a symbol is the sum of its group's values modulo 2^k (at strength 1 the
parity of the lowest bits). One value of a group is changed, the one where HILL (Li, Wang, Huang, Li, "A New Cost
Function for Spatial Image Steganography", ICIP 2014) makes it cheapest. That moves the changes and does not save any:
half of all parities are right by chance, as half of all lowest bits are. HILL's local averages are narrower here, for
images of tens of pixels instead of hundreds.

Syndrome-trellis codes would also change fewer values; no kept package for CPUs has them (``conseal`` 2025.11 ships an
empty ``coding/trellis.py``, ``pystc`` is another thing).
"""

import numpy as np
from scipy.ndimage import convolve, uniform_filter

from models.hiding.key import NONCE_BITS, Key, draw_nonces
from models.hiding.keyed import (
    bits_per_value,
    capacity,
    embed_nonces,
    extract_nonces,
    from_residues,
    payload_positions,
    to_residues,
)

_HIGH_PASS = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]], dtype=np.float32)
_NARROW, _WIDE = 3, 7
"""Sides of HILL's two averages in pixels (3 and 15 in the paper)."""


def embed(
    covers: np.ndarray,
    bits: np.ndarray,
    *,
    key: Key,
    strength: int,
    random: np.random.Generator,
    nonce_bits: int = NONCE_BITS,
    share: float = 1.0,
) -> np.ndarray:
    """Hide encrypted bits in each cover; arguments, result and errors of :func:`models.hiding.keyed.embed`.

    Args:
        share: Share of the values that are dealt out, above 0 to 1; the larger, the more choice a group has.

    Notes:
        A group whose every value would leave 0..255 is left as it is, its bits wrong; at strength 1 there is none.
    """
    if strength == 0:
        return covers.copy()
    flat = covers.reshape(len(covers), -1).copy()
    limit = int(share * capacity(flat.shape[1], strength, nonce_bits))
    if bits.shape[1] > limit:
        raise ValueError(
            f"payload of {bits.shape[1]} bits exceeds the capacity of {limit} bits at strength {strength} in a share "
            f"of {share:g} of {flat.shape[1]} pixel values: use fewer bits, a larger share or a higher strength"
        )
    nonces = draw_nonces(len(covers), random, nonce_bits)
    embed_nonces(flat, flat.copy(), nonces, key=key, strength=strength, random=random, nonce_bits=nonce_bits)
    width = bits_per_value(strength)
    positions = _groups(key, nonces, flat.shape[1], bits.shape[1], strength, nonce_bits, share)
    wanted = to_residues(key.encrypt(bits, nonces), width).astype(np.int16)
    rows = np.arange(len(flat))[:, None, None]
    values = flat[rows, positions].astype(np.int16)
    lack = (wanted - values.sum(2)) & ((1 << width) - 1)
    half = 1 << (width - 1)
    coin = random.integers(0, 2, values.shape, dtype=np.int16)
    change = np.where(lack > half, lack - 2 * half, lack)[:, :, None] + np.zeros_like(values)
    # Half-way round, both directions are as far; a value at the edge takes the one that is open to it.
    up = np.where(values < half, 1, np.where(values > 255 - half, 0, coin))
    change = np.where((lack == half)[:, :, None], np.where(up == 1, half, -half), change)
    moved = values + change
    cost = costs(covers).reshape(len(covers), -1)[rows, positions]
    cost[(moved < 0) | (moved > 255)] = np.inf
    cheapest = cost.argmin(2)[:, :, None]
    possible = np.isfinite(np.take_along_axis(cost, cheapest, axis=2))
    best = np.where(possible, np.take_along_axis(moved, cheapest, axis=2), np.take_along_axis(values, cheapest, axis=2))
    np.put_along_axis(flat, np.take_along_axis(positions, cheapest, axis=2)[:, :, 0], best[:, :, 0].astype(np.uint8), 1)
    return flat.reshape(covers.shape)


def extract(
    stego: np.ndarray, count: int, *, key: Key, strength: int, nonce_bits: int = NONCE_BITS, share: float = 1.0
) -> np.ndarray:
    """Read ``count`` bits from each image, (n, count) uint8; the inverse of :func:`embed`."""
    flat = stego.reshape(len(stego), -1)
    nonces = extract_nonces(flat, key, nonce_bits)
    strength = max(strength, 1)
    positions = _groups(key, nonces, flat.shape[1], count, strength, nonce_bits, share)
    sums = flat[np.arange(len(flat))[:, None, None], positions].sum(2, dtype=np.int64)
    residues = (sums & 255).astype(np.uint8)
    return key.encrypt(from_residues(residues, bits_per_value(strength), count), nonces)


def costs(covers: np.ndarray) -> np.ndarray:
    """Return HILL's cost of changing each value, float32 > 0, shape of ``covers`` (n, 3, height, width) uint8.

    Each colour by itself: the mean of the inverse of the mean absolute high-pass residual, low in texture.
    """
    residual = np.abs(convolve(covers.astype(np.float32), _HIGH_PASS[None, None]))
    texture = uniform_filter(residual, size=(0, 0, _NARROW, _NARROW))
    return uniform_filter(1 / (texture + 1e-3), size=(0, 0, _WIDE, _WIDE))


def _groups(
    key: Key, nonces: np.ndarray, values: int, count: int, strength: int, nonce_bits: int, share: float
) -> np.ndarray:
    """Return the positions of each symbol's group, (n, symbols, values a group) int64."""
    symbols = -(-count // bits_per_value(strength))
    size = max(1, int(share * (values - nonce_bits)) // symbols)
    return payload_positions(key, nonces, values, nonce_bits)[:, : symbols * size].reshape(len(nonces), symbols, size)
