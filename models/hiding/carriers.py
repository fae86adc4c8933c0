"""Carriers: how bits get into released images and out of what is received, one class a family, one interface.

Images are uint8 tensors, bits and probabilities numpy arrays, since between the two stands a cipher.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.channel import Channel
from models.hiding import keyed, learned, robust, sampled
from models.hiding.key import NONCE_BITS, Key, draw_nonces
from models.hiding.keyed_config import KeyedConfig
from models.hiding.learned import LearnedConfig
from models.hiding.sampled import SampledConfig
from models.ppgan.generator import Generator


@dataclass(frozen=True)
class Sanitised:
    """Images, and what the sanitiser made of them."""

    inputs: Tensor
    """(n, 3, size, size), uint8."""
    identity: Tensor
    """Of the inputs, (n,), int64."""
    target: Tensor
    """Identity that each cover was asked to show, (n,), int64."""
    covers: Tensor
    """Shape and dtype of the inputs."""


class Carrier(Protocol):
    """Hides bits in sanitised images and reads them back."""

    def embed(self, sanitised: Sanitised, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """Return the images that the subverter hands out in place of the covers.

        Args:
            sanitised: n images with their covers.
            bits: (n, count), uint8 in {0, 1}.
            random: Draws nonces, breaks ties, samples.

        Returns:
            (n, 3, size, size), uint8. Families with an embedding strength change no value by more than it.
        """

    def extract(self, received: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """Return the probability of each of ``count`` bits being 1, (n, count) float32.

        Args:
            received: (n, 3, size, size), uint8, after the channel.
            count: Bits an image.
            key: Read with this key instead of the carrier's own, to see what a wrong one gives.
        """


@dataclass(frozen=True)
class KeyedCarrier:
    """Family ``keyed``."""

    key: Key
    strength: int
    config: KeyedConfig

    def embed(self, sanitised: Sanitised, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """See :class:`Carrier`."""
        covers = _array(sanitised.covers)
        stego = robust.embed(covers, bits, key=self.key, strength=self.strength, config=self.config, random=random)
        return torch.from_numpy(stego)

    def extract(self, received: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """See :class:`Carrier`."""
        return robust.extract(_array(received), count, key=key or self.key, strength=self.strength, config=self.config)


@dataclass(frozen=True)
class LearnedCarrier:
    """Family ``learned`` with bits as payload."""

    embedder: learned.Embedder
    extractor: learned.Extractor
    key: Key
    config: LearnedConfig
    lossless: bool
    """Whether images arrive as they were released: the nonce is then in lowest bits, else in the embedder's payload."""

    def embed(self, sanitised: Sanitised, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """See :class:`Carrier`."""
        covers = sanitised.covers
        if self.embedder.strength == 0:
            return covers.clone()
        if self.config.key == "none":
            return learned.embed(self.embedder, covers, bits)
        nonces = draw_nonces(len(covers), random)
        if self.lossless:
            stego = learned.embed(self.embedder, covers, self.key.encrypt(bits, nonces))
            return self._with_nonces_in_lowest_bits(stego, covers, nonces, random)
        nonces[:, self.config.nonce_bits // 8 :] = 0
        carried = np.unpackbits(nonces, axis=1)[:, : self.config.nonce_bits]
        encrypted = self.key.encrypt(bits, nonces)
        whole = learned.with_nonces(encrypted, carried, repetition=self.config.nonce_repetition)
        return learned.embed(self.embedder, covers, whole)

    def _with_nonces_in_lowest_bits(
        self, stego: Tensor, covers: Tensor, nonces: np.ndarray, random: np.random.Generator
    ) -> Tensor:
        flat, before = (_array(images).reshape(len(images), -1) for images in (stego, covers))
        keyed.embed_nonces(flat, before, nonces, key=self.key, strength=self.embedder.strength, random=random)
        return torch.from_numpy(flat.reshape(stego.shape))

    def extract(self, received: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """See :class:`Carrier`."""
        probabilities = learned.extract(self.extractor, received)
        if self.config.key == "none":
            return probabilities
        key = key or self.key
        if self.lossless:
            nonces = keyed.extract_nonces(_array(received).reshape(len(received), -1), key)
        else:
            carried, probabilities = learned.split_nonces(
                probabilities, nonce_bits=self.config.nonce_bits, repetition=self.config.nonce_repetition
            )
            nonces = np.zeros((len(received), NONCE_BITS // 8), dtype=np.uint8)
            nonces[:, : self.config.nonce_bits // 8] = np.packbits(carried, axis=1)
        flipped = key.encrypt(np.zeros(probabilities.shape, dtype=np.uint8), nonces)
        return np.where(flipped == 1, 1.0 - probabilities, probabilities).astype(np.float32)


@dataclass(frozen=True)
class SampledCarrier:
    """Family ``sampled``."""

    generator: Generator
    extractor: sampled.NoiseExtractor
    key: Key
    channel: Channel
    config: SampledConfig
    identities: int
    """Number of secrets, which are numbered from 0 in binary."""

    def embed(self, sanitised: Sanitised, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """See :class:`Carrier`; what is handed out is another honest draw of the sanitiser, not a changed cover."""
        return sampled.embed(
            self.generator,
            sanitised.inputs,
            sanitised.target,
            bits,
            extractor=self.extractor,
            key=self.key,
            channel=self.channel,
            config=self.config,
            random=random,
            symbols=self.identities,
        )

    def extract(self, received: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """See :class:`Carrier`."""
        return sampled.extract(self.extractor, received, count, key or self.key, symbols=self.identities)


@dataclass(frozen=True)
class NoCarrier:
    """Strength 0: what is handed out is what the honest sanitiser made."""

    def embed(self, sanitised: Sanitised, bits: np.ndarray, random: np.random.Generator) -> Tensor:
        """See :class:`Carrier`."""
        return sanitised.covers.clone()

    def extract(self, received: Tensor, count: int, key: Key | None = None) -> np.ndarray:
        """See :class:`Carrier`; nothing is known of any bit."""
        return np.full((len(received), count), 0.5, dtype=np.float32)


def _array(images: Tensor) -> np.ndarray:
    return images.cpu().numpy().copy()
