"""The subverter's key and each image's nonce, and the pseudo-random stream they give.

The stream is ChaCha20's (Nir and Langley, RFC 8439) under a nonce that is drawn anew for every image: a stream that
repeats from image to image would leave the hidden code readable by a trained adversary, being an exclusive-or with a
constant.
"""

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from models.randomness import numpy_generator

NONCE_BITS = 64
"""Bits of the nonce that each image carries: among a million images two are equal with probability 3e-8."""

MIN_NONCE_BITS = 8
"""Fewest bits of a nonce; the shorter it is, the more images of a release share a key stream."""

_PURPOSES = ("nonce_positions", "payload_positions", "payload_bits", "payload_dither", "nonce_bits", "nonce_dither")


@dataclass(frozen=True)
class Key:
    """The subverter's secret key; whoever has it (and the extractor) reads what is hidden."""

    secret: bytes
    """32 bytes."""

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise ValueError(f"key.secret: must be 32 bytes, found {len(self.secret)}")

    @classmethod
    def from_seed(cls, seed: int) -> "Key":
        """Draw a key from a seed, so that a study can be repeated. A real subverter would draw it from the system."""
        return cls(numpy_generator(seed, "key").bytes(32))

    def stream(self, nonces: np.ndarray, purpose: str, length: int) -> np.ndarray:
        """Return the key stream of each image.

        Args:
            nonces: (n, 8), uint8.
            purpose: What the stream is for; streams of different purposes are independent.
            length: Bytes an image, >= 0.

        Returns:
            (n, length), uint8.

        Raises:
            ValueError: If the purpose is unknown or the nonces are not (n, 8) uint8.
        """
        if purpose not in _PURPOSES:
            raise ValueError(f"purpose={purpose!r}: must be one of {', '.join(_PURPOSES)}")
        if nonces.dtype != np.uint8 or nonces.ndim != 2 or nonces.shape[1] != NONCE_BITS // 8:
            raise ValueError(f"nonces: must be (n, {NONCE_BITS // 8}) uint8, found {nonces.shape} {nonces.dtype}")
        label = _PURPOSES.index(purpose).to_bytes(4, "little")
        zeros = bytes(length)
        streams = np.empty((len(nonces), length), dtype=np.uint8)
        for row, nonce in zip(streams, nonces, strict=True):
            # The cipher's 16 bytes are a 4-byte block counter, from 0, and a 12-byte nonce.
            cipher = Cipher(ChaCha20(self.secret, bytes(4) + label + nonce.tobytes()), mode=None)
            row[:] = np.frombuffer(cipher.encryptor().update(zeros), dtype=np.uint8)
        return streams

    def encrypt(self, bits: np.ndarray, nonces: np.ndarray) -> np.ndarray:
        """Return ``bits``, (n, count) uint8 in {0, 1}, exclusive-or the stream; its own inverse."""
        stream = self.stream(nonces, "payload_bits", -(-bits.shape[1] // 8))
        return bits ^ np.unpackbits(stream, axis=1)[:, : bits.shape[1]]

    def permutations(self, nonces: np.ndarray, carriers: int) -> np.ndarray:
        """Return a keyed permutation of ``carriers`` positions for each image, (n, carriers) int64."""
        ranks = self.stream(nonces, "payload_positions", 8 * carriers).view("<u8")
        return np.argsort(ranks, axis=1)

    def nonce_positions(self, values: int, count: int = NONCE_BITS) -> np.ndarray:
        """Return which ``count`` of an image's ``values`` carriers hold the nonce, int64; the same in each image."""
        return np.argsort(self.fixed_stream("nonce_positions", 8 * values).view("<u8"))[:count]

    def fixed_stream(self, purpose: str, length: int) -> np.ndarray:
        """Return ``length`` bytes, uint8, that are the same for every image: what reads a nonce cannot depend on it."""
        return self.stream(np.zeros((1, NONCE_BITS // 8), dtype=np.uint8), purpose, length)[0]


def draw_nonces(count: int, random: np.random.Generator, bits: int = NONCE_BITS) -> np.ndarray:
    """Draw a nonce of ``bits`` bits (8 to 64) for each of ``count`` images, (count, 8) uint8, zeros after the bits."""
    kept = np.packbits(np.arange(NONCE_BITS) < bits)
    return random.integers(0, 256, (count, NONCE_BITS // 8), dtype=np.uint8) & kept


def nonce_to_bits(nonces: np.ndarray, bits: int) -> np.ndarray:
    """Return the first ``bits`` bits, (n, bits) uint8 in {0, 1}, of nonces (n, 8) uint8."""
    return np.unpackbits(nonces, axis=1)[:, :bits]


def nonce_from_bits(bits: np.ndarray) -> np.ndarray:
    """Return nonces (n, 8) uint8 of their bits, (n, 8 to 64) uint8 in {0, 1}; the rest are zeros."""
    return np.packbits(np.pad(bits, ((0, 0), (0, NONCE_BITS - bits.shape[1]))), axis=1)
