"""Carriers: how bits get into covers and out of released images, one class a family, one interface.

Images are uint8 tensors, bits and probabilities numpy arrays, since between the two stands a cipher.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.hiding import keyed, learned
from models.hiding.key import Key, draw_nonces


class Carrier(Protocol):
    """Hides bits in covers within an embedding strength and reads them back."""

    def embed(self, covers: Tensor, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """Return released images.

        Args:
            covers: (n, 3, size, size), uint8.
            bits: (n, count), uint8 in {0, 1}.
            random: Draws nonces and breaks ties.

        Returns:
            Shape and dtype of ``covers``; no value further from its cover than the strength, which at 0 means a copy.
        """

    def extract(self, released: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """Return the probability of each of ``count`` bits being 1, (n, count) float32.

        Args:
            released: (n, 3, size, size), uint8.
            count: Bits an image.
            key: Read with this key instead of the carrier's own, to see what a wrong one gives.
        """


@dataclass(frozen=True)
class KeyedCarrier:
    """Family ``keyed``."""

    key: Key
    strength: int

    def embed(self, covers: Tensor, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """See :class:`Carrier`."""
        return torch.from_numpy(keyed.embed(_array(covers), bits, key=self.key, strength=self.strength, random=random))

    def extract(self, released: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """See :class:`Carrier`; the probabilities are 0 or 1."""
        bits = keyed.extract(_array(released), count, key=key or self.key, strength=self.strength)
        return bits.astype(np.float32)


@dataclass(frozen=True)
class LearnedCarrier:
    """Family ``learned``; encrypted under a per-image key stream unless ``encrypted`` is False."""

    embedder: learned.Embedder
    extractor: learned.Extractor
    key: Key
    encrypted: bool

    def embed(self, covers: Tensor, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """See :class:`Carrier`. Encrypted, the nonce goes into lowest bits at keyed positions, after the embedder."""
        strength = self.embedder.strength
        if strength == 0:
            return covers.clone()
        if not self.encrypted:
            return learned.embed(self.embedder, covers, bits)
        nonces = draw_nonces(len(covers), random)
        stego = learned.embed(self.embedder, covers, self.key.encrypt(bits, nonces))
        flat = _array(stego).reshape(len(stego), -1)
        flat_covers = _array(covers).reshape(len(covers), -1)
        keyed.embed_nonces(flat, flat_covers, nonces, key=self.key, strength=strength, random=random)
        return torch.from_numpy(flat.reshape(stego.shape))

    def extract(self, released: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """See :class:`Carrier`."""
        probabilities = learned.extract(self.extractor, released)
        if not self.encrypted:
            return probabilities
        key = key or self.key
        nonces = keyed.extract_nonces(_array(released).reshape(len(released), -1), key)
        flipped = key.encrypt(np.zeros(probabilities.shape, dtype=np.uint8), nonces)
        return np.where(flipped == 1, 1.0 - probabilities, probabilities).astype(np.float32)


def _array(images: Tensor) -> np.ndarray:
    return images.cpu().numpy().copy()
