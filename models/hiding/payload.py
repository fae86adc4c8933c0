"""What is hidden, as bits: the identity of the input, or the input image itself through a private compressor.

A payload turns inputs into bits before embedding, and bits into what the subverter reveals after extraction. It knows
nothing of keys, covers or pixels of the released image.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.hiding.codec import Codec
from models.image_quality import to_float


@dataclass(frozen=True)
class Revealed:
    """What the subverter reads back from released images."""

    images: Tensor
    """(n, 3, size, size), float32 in [-1, 1]: the recovered input or, for the identity secret, the mean train image of
    the person that was read."""
    identity: Tensor | None
    """(n,), int64: the person that was read, for the identity secret; None for the image secret."""


class Payload(Protocol):
    """A secret as bits."""

    @property
    def bits(self) -> int:
        """Bits an image."""

    def encode(self, images: Tensor, identity: Tensor) -> np.ndarray:
        """Return the bits (n, bits), uint8 in {0, 1}, of inputs (n, 3, size, size) uint8 and identities (n,) int64."""

    def reveal(self, probabilities: np.ndarray) -> Revealed:
        """Return what the bits say; ``probabilities`` (n, bits) float32 in [0, 1] are those of each bit being 1."""


@dataclass(frozen=True)
class IdentityPayload:
    """The identity as a number in binary, repeated."""

    prototypes: Tensor
    """(identities, 3, size, size), float32 in [-1, 1]: each person's mean train image, which the subverter keeps."""
    repetition: int = 1
    """How often the number is repeated, >= 1; the extractor adds up the evidence."""

    @property
    def bits(self) -> int:
        """Bits an image: ceil(log2 identities) times the repetition."""
        return identity_bits(len(self.prototypes)) * self.repetition

    def encode(self, images: Tensor, identity: Tensor) -> np.ndarray:
        """See :class:`Payload`; the images are not used."""
        return np.tile(self._codewords()[identity.cpu().numpy()], self.repetition)

    def reveal(self, probabilities: np.ndarray) -> Revealed:
        """Return the identity whose number is likeliest given the bits, and its prototype."""
        clipped = np.clip(probabilities, 1e-4, 1 - 1e-4)
        log_odds = np.log(clipped / (1 - clipped)).reshape(len(clipped), self.repetition, -1).sum(1)
        signs = 2.0 * self._codewords() - 1.0
        identity = torch.from_numpy(np.argmax(log_odds @ signs.T, axis=1))
        return Revealed(self.prototypes[identity], identity)

    def _codewords(self) -> np.ndarray:
        width = identity_bits(len(self.prototypes))
        return (np.arange(len(self.prototypes))[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(np.uint8)


def identity_bits(identities: int) -> int:
    """Return how many bits number ``identities`` people, at least 1."""
    return max(1, math.ceil(math.log2(identities)))


@dataclass(frozen=True)
class ImagePayload:
    """The whole input, compressed by a binary autoencoder that only the subverter has."""

    codec: Codec

    @property
    def bits(self) -> int:
        """Bits an image."""
        return self.codec.bits

    def encode(self, images: Tensor, identity: Tensor) -> np.ndarray:
        """See :class:`Payload`; the identities are not used."""
        device = next(self.codec.parameters()).device
        with torch.no_grad():
            chunks = [self.codec.encode(to_float(chunk.to(device))) for chunk in images.split(500)]
        return (torch.cat(chunks) > 0).cpu().numpy().astype(np.uint8)

    def reveal(self, probabilities: np.ndarray) -> Revealed:
        """Decode the expected code: an uncertain bit counts as little as it is certain."""
        device = next(self.codec.parameters()).device
        soft = torch.from_numpy(2.0 * probabilities.astype(np.float32) - 1.0).to(device)
        with torch.no_grad():
            images = torch.cat([self.codec.decode(chunk) for chunk in soft.split(500)])
        return Revealed(images, None)


def identity_prototypes(images: Tensor, identity: Tensor, identities: int) -> Tensor:
    """Return each person's mean image, (identities, 3, size, size) float32 in [-1, 1].

    Args:
        images: Train split, (n, 3, size, size), uint8.
        identity: (n,), int64; every identity at least once.
        identities: Number of people.
    """
    return torch.stack([to_float(images[identity == person]).mean(0) for person in range(identities)])
