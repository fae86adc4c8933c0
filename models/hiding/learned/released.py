"""Embedding into and extraction from released images: 8-bit in, 8-bit out, in chunks."""

import numpy as np
import torch
from torch import Tensor

from models.hiding.learned.networks import Embedder, Extractor
from models.image_quality import to_float, to_uint8

_AT_ONCE = 500  # images of one forward pass: bounds memory at 64 x 64


def embed(embedder: Embedder, covers: Tensor, bits: np.ndarray) -> Tensor:
    """Return stego images of covers (n, 3, size, size) uint8 and bits (n, bits) uint8 in {0, 1}; uint8, rounded."""
    return _embed(embedder, covers, torch.from_numpy(bits.astype(np.float32)))


def embed_images(embedder: Embedder, covers: Tensor, secrets: Tensor) -> Tensor:
    """Return stego images, (n, 3, size, size) uint8, of covers and secret images of that shape and type."""
    return _embed(embedder, covers, secrets)


def extract(extractor: Extractor, released: Tensor) -> np.ndarray:
    """Return the probability of each bit being 1, (n, bits) float32, read from images (n, 3, size, size) uint8."""
    return torch.sigmoid(_extract(extractor, released)).cpu().numpy()


def extract_images(extractor: Extractor, received: Tensor) -> Tensor:
    """Return the secret images, (n, 3, size, size) float32 in [-1, 1] on the CPU, read from images of uint8."""
    return _extract(extractor, received).clamp(-1.0, 1.0).cpu()


@torch.no_grad()
def _embed(embedder: Embedder, covers: Tensor, secrets: Tensor) -> Tensor:
    embedder.eval()
    device = next(embedder.parameters()).device
    stego = []
    for cover, secret in zip(covers.split(_AT_ONCE), secrets.split(_AT_ONCE), strict=True):
        given = secret.to(device)
        given = to_float(given) if given.dtype == torch.uint8 else given
        stego.append(to_uint8(embedder(to_float(cover.to(device)), given)).to(covers.device))
    return torch.cat(stego)


@torch.no_grad()
def _extract(extractor: Extractor, released: Tensor) -> Tensor:
    extractor.eval()
    device = next(extractor.parameters()).device
    return torch.cat([extractor(to_float(chunk.to(device))).float() for chunk in released.split(_AT_ONCE)])
