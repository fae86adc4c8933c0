"""Family ``keyed``: encrypted bits in the low bits of pixels at keyed positions.

A pixel value carries k bits as its residue modulo 2^k, and is moved to the nearest value that has the wanted residue
(least-significant-bit matching where k = 1: Sharp, "An Implementation of Key-Based Digital Signal Steganography",
Information Hiding 2001). An embedding strength of s grey levels gives k = floor(log2(2 s)), since the nearest value is
never further than 2^(k-1): stronger embedding touches fewer pixels for the same payload.

Everything here is on released images: uint8, numpy.
"""

import numpy as np

from models.hiding.key import NONCE_BITS, Key, draw_nonces, nonce_from_bits, nonce_to_bits

MAX_STRENGTH = 64
"""Largest embedding strength in grey levels: 7 bits a value."""


def bits_per_value(strength: int) -> int:
    """Return how many bits a pixel value carries at an embedding strength in grey levels; 0 at strength 0.

    Raises:
        ValueError: If ``strength`` is not a whole number from 0 to 64.
    """
    if strength != int(strength) or not 0 <= strength <= MAX_STRENGTH:
        raise ValueError(f"strength={strength!r}: must be a whole number of grey levels from 0 to {MAX_STRENGTH}")
    return int(2 * strength).bit_length() - 1 if strength else 0


def capacity(values: int, strength: int, nonce_bits: int = NONCE_BITS) -> int:
    """Return the payload bits that an image of ``values`` pixel values (3 x height x width) can carry, nonce apart."""
    return max(0, values - nonce_bits) * bits_per_value(strength)


def embed(
    covers: np.ndarray,
    bits: np.ndarray,
    *,
    key: Key,
    strength: int,
    random: np.random.Generator,
    nonce_bits: int = NONCE_BITS,
) -> np.ndarray:
    """Hide encrypted bits in each cover.

    Args:
        covers: (n, 3, height, width), uint8.
        bits: Payload, (n, count), uint8 in {0, 1}.
        key: Encrypts the bits and chooses their positions, with a fresh nonce an image, itself carried in the image.
        strength: Largest change of a pixel value in grey levels, 0 to 64. 0 hides nothing.
        random: Draws the nonces and, where two values are equally near, which one.
        nonce_bits: Length of the nonce, 8 to 64.

    Returns:
        Stego images, shape and dtype of ``covers``; at strength 0 a copy of the covers.

    Raises:
        ValueError: If the payload exceeds the capacity or ``strength`` is out of range.

    Notes:
        Values near 0 and 255 may not reach the wanted residue within the strength; they take the reachable value whose
        bits differ least (residues are Gray-coded), so that at strengths above 1 some bits can be wrong.
    """
    values = int(np.prod(covers.shape[1:]))
    if strength == 0:
        return covers.copy()
    limit = capacity(values, strength, nonce_bits)
    if bits.shape[1] > limit:
        raise ValueError(
            f"payload of {bits.shape[1]} bits exceeds the capacity of {limit} bits at strength "
            f"{strength} in {values} pixel values: use fewer bits, a higher strength or larger images"
        )
    nonces = draw_nonces(len(covers), random, nonce_bits)
    stego = covers.reshape(len(covers), values).copy()
    embed_nonces(stego, stego.copy(), nonces, key=key, strength=strength, random=random, nonce_bits=nonce_bits)
    carriers = payload_positions(key, nonces, values, nonce_bits)[:, : -(-bits.shape[1] // bits_per_value(strength))]
    wanted = to_residues(key.encrypt(bits, nonces), bits_per_value(strength))
    moved = move(np.take_along_axis(stego, carriers, axis=1), wanted, strength, random)
    np.put_along_axis(stego, carriers, moved, axis=1)
    return stego.reshape(covers.shape)


def extract(stego: np.ndarray, count: int, *, key: Key, strength: int, nonce_bits: int = NONCE_BITS) -> np.ndarray:
    """Read ``count`` payload bits from each image; the inverse of :func:`embed` given the same key and strength.

    Args:
        stego: (n, 3, height, width), uint8.
        count: Payload bits an image.
        key: The subverter's.
        strength: As embedded; at 0 nothing was hidden, and least-significant bits of the covers are read.
        nonce_bits: As embedded.

    Returns:
        (n, count), uint8 in {0, 1}. With a wrong key they are wrong half of the time.
    """
    flat = stego.reshape(len(stego), -1)
    nonces = extract_nonces(flat, key, nonce_bits)
    width = bits_per_value(max(strength, 1))
    positions = payload_positions(key, nonces, flat.shape[1], nonce_bits)[:, : -(-count // width)]
    read = np.take_along_axis(flat, positions, axis=1)
    return key.encrypt(from_residues(read, width, count), nonces)


def embed_nonces(
    flat: np.ndarray,
    covers: np.ndarray,
    nonces: np.ndarray,
    *,
    key: Key,
    strength: int,
    random: np.random.Generator,
    nonce_bits: int = NONCE_BITS,
) -> None:
    """Write each nonce into the lowest bits at its keyed positions, changing values by at most 1, in place.

    Args:
        flat: Images as (n, values), uint8; changed in place.
        covers: What they were before embedding, same shape; values stay within ``strength`` of it.
        nonces: (n, 8), uint8.
        key: Chooses the positions.
        strength: Largest change against the covers in grey levels, >= 1.
        random: Chooses between adding and subtracting 1 where both are allowed.
        nonce_bits: Length of the nonces, 8 to 64.
    """
    positions = key.nonce_positions(flat.shape[1], nonce_bits)
    values, start = flat[:, positions].astype(np.int16), covers[:, positions].astype(np.int16)
    change = 1 - 2 * random.integers(0, 2, values.shape, dtype=np.int16)
    change[values >= np.minimum(255, start + strength)] = -1
    change[values <= np.maximum(0, start - strength)] = 1
    wrong = (values & 1) != nonce_to_bits(nonces, nonce_bits)
    flat[:, positions] = np.where(wrong, values + change, values).astype(np.uint8)


def extract_nonces(flat: np.ndarray, key: Key, nonce_bits: int = NONCE_BITS) -> np.ndarray:
    """Read the nonces, (n, 8) uint8, from images given as (n, values) uint8."""
    return nonce_from_bits(flat[:, key.nonce_positions(flat.shape[1], nonce_bits)] & 1)


def payload_positions(key: Key, nonces: np.ndarray, values: int, nonce_carriers: int) -> np.ndarray:
    """Return all positions that the nonce leaves, in each image's keyed order, (n, values - nonce_carriers) int64."""
    free = np.setdiff1d(np.arange(values), key.nonce_positions(values, nonce_carriers))
    return free[key.permutations(nonces, len(free))]


def to_residues(bits: np.ndarray, width: int) -> np.ndarray:
    """Return the Gray-coded residues, (n, ceil(count / width)) uint8, of bits (n, count); short groups end in zeros."""
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % width)))
    weights = 1 << np.arange(width - 1, -1, -1)
    code = (padded.reshape(len(bits), -1, width) * weights).sum(2).astype(np.uint8)
    return _from_gray(code)


def from_residues(values: np.ndarray, width: int, count: int) -> np.ndarray:
    """Return the ``count`` bits, (n, count) uint8, that values (n, carriers) uint8 hold; see :func:`to_residues`."""
    residue = values & ((1 << width) - 1)
    code = residue ^ (residue >> 1)
    bits = (code[:, :, None] >> np.arange(width - 1, -1, -1, dtype=np.uint8)) & 1
    return bits.reshape(len(values), -1)[:, :count].astype(np.uint8)


def _from_gray(code: np.ndarray) -> np.ndarray:
    residue = code.copy()
    for shift in (1, 2, 4):
        residue ^= residue >> shift
    return residue


def move(values: np.ndarray, wanted: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    """Return the values moved by at most ``strength`` to where their residue is, or is in most bits, the wanted one."""
    width = bits_per_value(strength)
    mask, reach = (1 << width) - 1, 1 << (width - 1)
    start = values.astype(np.int16)
    wanted_code = (wanted ^ (wanted >> 1)).astype(np.int16)
    coin = random.integers(0, 2, values.shape, dtype=np.int16)
    best_cost = np.full(values.shape, np.iinfo(np.int16).max, dtype=np.int16)
    best = start.copy()
    for change in range(-reach, reach + 1):
        candidate = start + change
        residue = candidate & mask
        wrong_bits = np.bitwise_count((residue ^ (residue >> 1)) ^ wanted_code).astype(np.int16)
        # Bits decide, then distance; the coin breaks the tie between +reach and -reach.
        cost = wrong_bits * 512 + abs(change) * 2 - (coin if change > 0 else 0)
        cost[(candidate < 0) | (candidate > 255)] = np.iinfo(np.int16).max
        better = cost < best_cost
        best[better], best_cost[better] = candidate[better], cost[better]
    return best.astype(np.uint8)
