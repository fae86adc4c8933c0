"""A subverter whose training is over: it hides secrets and reads them, and needs no training data for either."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from models.channel import Channel
from models.hiding import learned
from models.hiding.carriers import Carrier, LearnedCarrier, Sanitised
from models.hiding.config import SubversionConfig
from models.hiding.key import Key
from models.hiding.payload import Payload, Revealed
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.randomness import numpy_generator


@dataclass(frozen=True)
class Handed:
    """What the subverter hands out."""

    images: Tensor
    """(n, 3, size, size), uint8, before the channel."""
    bits: np.ndarray | None
    """Payload, (n, count) uint8; None where the payload is an image."""


@dataclass(frozen=True)
class Read:
    """What the subverter reads."""

    revealed: Revealed
    probabilities: np.ndarray | None
    """Of each payload bit being 1, (n, count) float32; None where the payload is an image."""


@dataclass(frozen=True)
class FinishedSubverter:
    """Sanitiser, carrier, payload and key of one trial; ``models.hiding.loading`` writes and reads it."""

    config: SubversionConfig
    ppgan: PPGANConfig
    """Settings of the sanitiser."""
    channel: Channel
    """Between the images that are handed out and those that are read."""
    key: Key
    seed: int
    """Of nonces and of what else is drawn when secrets are hidden."""
    data: str
    """Fingerprint of the images that it was trained on."""
    size: int
    """Height and width of the images in pixels."""
    identities: int
    """Number of people."""
    generator: Generator
    """The sanitiser that hands out images, in evaluation mode: fine-tuned together with the embedder if it was."""
    payload: Payload | None
    """None where the learned embedder carries an image as an image."""
    carrier: Carrier

    def embed(self, sanitised: Sanitised, *, name: str) -> Handed:
        """Hide each input's secret in what is handed out in place of its cover.

        Args:
            sanitised: Inputs and covers.
            name: Names the set of images, so that each has random numbers of its own.
        """
        if self.payload is None:
            embedder = self._image_carrier().embedder
            return Handed(learned.embed_images(embedder, sanitised.covers, sanitised.inputs), None)
        bits = self.payload.encode(sanitised.inputs, sanitised.identity)
        return Handed(self.carrier.embed(sanitised, bits, numpy_generator(self.seed, "embed", name)), bits)

    def reveal(self, received: Tensor, key: Key | None = None) -> Read:
        """Read what came through the channel, (n, 3, size, size) uint8, with ``key`` or the subverter's own."""
        if self.payload is None:
            images = learned.extract_images(self._image_carrier().extractor, received)
            return Read(Revealed(images, None), None)
        probabilities = self.carrier.extract(received, self.payload.bits, key)
        return Read(self.payload.reveal(probabilities), probabilities)

    def _image_carrier(self) -> LearnedCarrier:
        assert isinstance(self.carrier, LearnedCarrier)  # no other family carries an image as an image
        return self.carrier


def carries_image(config: SubversionConfig) -> bool:
    """Say whether the embedder is handed the input as an image, and not as bits."""
    return config.family == "learned" and config.learned.payload == "image" and config.strength > 0


def learned_bits(config: SubversionConfig, payload: Payload | None, *, lossless: bool) -> int:
    """Return the bits that a learned embedder writes into an image, with the nonce where it has to carry that too.

    Args:
        config: Of the family ``learned``.
        payload: None where an image is carried as an image: 0 bits.
        lossless: Whether images arrive as they were released.
    """
    count = 0 if payload is None else payload.bits
    if lossless or config.learned.key == "none":
        return count
    return learned.carried_bits(count, nonce_bits=config.learned.nonce_bits, repetition=config.learned.nonce_repetition)
