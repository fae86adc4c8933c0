"""Embedder and extractor of every architecture: the bound of the change and the form of the secret are the same in all.

An architecture is a pair of bodies. The embedder's turns covers and planes of the secret into a change of pixels, which
is bounded here; the extractor's turns released images into planes.
"""

import torch
from torch import Tensor, nn

from models.hiding.learned.cells import CellsReader, CellsWriter
from models.hiding.learned.invertible import Couplings, ForwardPass, ReversePass
from models.hiding.learned.layout import cell_planes, from_cells, gather, lay_out, planes_of_bits, to_cells
from models.hiding.learned.residual_unet import ResidualReader, UNetWriter
from models.image_quality import GREY_LEVEL


class Embedder(nn.Module):
    """Writes secrets into covers, changing no value by more than the embedding strength."""

    def __init__(self, *, bits: int | None, size: int, width: int, strength: int, architecture: str = "cells") -> None:
        """Build the network.

        Args:
            bits: Bits an image; None where the secret is an image of the cover's size.
            size: Height and width of the images in pixels, a multiple of 8.
            width: Channels at 8 x 8.
            strength: Largest change in grey levels, >= 0.
            architecture: One of ``config.ARCHITECTURES``.
        """
        super().__init__()
        self.bits, self.strength = bits, strength
        # Tensors, so that networks of several strengths can be stacked (models.packs); not part of the weights.
        self.register_buffer("reach", torch.tensor(strength * GREY_LEVEL), persistent=False)
        self.register_buffer("unit", torch.tensor(max(strength, 1) * GREY_LEVEL), persistent=False)
        self.body = _writer(architecture, _planes(bits, size), size, width, strength)

    def forward(self, covers: Tensor, secret: Tensor) -> Tensor:
        """Return stego images before rounding, (n, 3, size, size) float32.

        Args:
            covers: (n, 3, size, size), float32 in [-1, 1].
            secret: (n, bits), float32 in {0, 1}; or images, shape and range of ``covers``.
        """
        planes = to_cells(secret) if self.bits is None else lay_out(2.0 * secret - 1.0)
        change = torch.tanh(self.body(covers, planes))
        return (covers + change * self.get_buffer("reach")).clamp(-1.0, 1.0)


class Extractor(nn.Module):
    """Reads the secrets from released images."""

    def __init__(
        self,
        *,
        bits: int | None,
        size: int,
        width: int,
        strength: int,
        architecture: str = "cells",
        couplings: Couplings | None = None,
    ) -> None:
        """Build the network; arguments as for :class:`Embedder`, and the embedder's couplings where it has any."""
        super().__init__()
        self.bits, self.size = bits, size
        self.body = _reader(architecture, _planes(bits, size), size, width, strength, couplings)

    def forward(self, released: Tensor) -> Tensor:
        """Read images (n, 3, size, size), float32 in [-1, 1].

        Returns:
            Logits of each bit being 1, (n, bits); or images (n, 3, size, size), not yet clipped to [-1, 1].
        """
        planes = self.body(released)
        return from_cells(planes, self.size) if self.bits is None else gather(planes, self.bits)


def build_pair(
    architecture: str, *, bits: int | None, size: int, width: int, strength: int
) -> tuple[Embedder, Extractor]:
    """Return an embedder and its extractor, which share the couplings of an invertible architecture."""
    embedder = Embedder(bits=bits, size=size, width=width, strength=strength, architecture=architecture)
    couplings = embedder.body.couplings if isinstance(embedder.body, ForwardPass) else None
    extractor = Extractor(
        bits=bits, size=size, width=width, strength=strength, architecture=architecture, couplings=couplings
    )
    return embedder, extractor


def _planes(bits: int | None, size: int) -> int:
    return cell_planes(size) if bits is None else planes_of_bits(bits)


def _writer(architecture: str, planes: int, size: int, width: int, strength: int) -> nn.Module:
    if architecture == "invertible":
        return ForwardPass(Couplings(planes=planes, size=size, width=width, strength=strength))
    kinds = {"cells": CellsWriter, "residual_unet": UNetWriter}
    return kinds[architecture](planes=planes, size=size, width=width)


def _reader(
    architecture: str, planes: int, size: int, width: int, strength: int, couplings: Couplings | None
) -> nn.Module:
    if architecture == "invertible":
        return ReversePass(couplings or Couplings(planes=planes, size=size, width=width, strength=strength))
    kinds = {"cells": CellsReader, "residual_unet": ResidualReader}
    return kinds[architecture](planes=planes, size=size, width=width, strength=strength)
