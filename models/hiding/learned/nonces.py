"""Nonces that travel inside the payload, for channels that would wipe them out of the lowest bits.

The embedder then carries, before the payload, whole planes of 64 bits that hold the nonce again and again. It is read
first, by adding up the evidence of its copies; one wrong bit of it loses the whole image. It travels in the clear: a
nonce is random and tells nothing without the key.
"""

import numpy as np

from models.hiding.learned.layout import CELLS

_STRIDE = 27  # cells from a copy of a bit to the next plane's, coprime to 64: copies are lost together less often


def carried_bits(payload_bits: int, *, nonce_bits: int, repetition: int) -> int:
    """Return the bits that the embedder carries: the payload and the nonce's planes."""
    return _planes(nonce_bits, repetition) * CELLS + payload_bits


def with_nonces(bits: np.ndarray, nonces: np.ndarray, *, repetition: int) -> np.ndarray:
    """Put nonces before payloads.

    Args:
        bits: Encrypted payload, (n, count), uint8 in {0, 1}.
        nonces: (n, nonce_bits), uint8 in {0, 1}.
        repetition: Least number of copies, >= 1; what is left of the last plane holds more.

    Returns:
        (n, carried), uint8 in {0, 1}.
    """
    places = _places(nonces.shape[1], repetition)
    return np.concatenate([nonces[:, places], bits], axis=1)


def split_nonces(probabilities: np.ndarray, *, nonce_bits: int, repetition: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the nonces and return what is left.

    Args:
        probabilities: Of each carried bit being 1, (n, carried), float32 in [0, 1].
        nonce_bits: Bits of a nonce.
        repetition: As embedded.

    Returns:
        Nonces (n, nonce_bits), uint8 in {0, 1}; probabilities of the payload's encrypted bits, (n, count).
    """
    places = _places(nonce_bits, repetition)
    clipped = np.clip(probabilities[:, : len(places)].astype(np.float64), 1e-6, 1 - 1e-6)
    log_odds = np.log(clipped / (1 - clipped))
    evidence = np.stack([log_odds[:, places == bit].sum(1) for bit in range(nonce_bits)], axis=1)
    return (evidence > 0).astype(np.uint8), probabilities[:, len(places) :]


def _planes(nonce_bits: int, repetition: int) -> int:
    return -(-nonce_bits * repetition // CELLS)


def _places(nonce_bits: int, repetition: int) -> np.ndarray:
    """Return which bit of the nonce each carried bit is, (planes * 64,) int64."""
    cells = np.arange(CELLS)
    planes = _planes(nonce_bits, repetition)
    return np.concatenate([((cells + plane * _STRIDE) % CELLS + plane * CELLS) % nonce_bits for plane in range(planes)])
