"""The subverter's private compressor: a binary autoencoder, trained on the train split's inputs.

The code is a grid of 8 x 8 cells of ``bits / 64`` planes with values -1 and +1; the sign passes gradients straight
through (Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons", 2013). Some code
values are flipped in training, so that a few wrong bits after extraction do little harm.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.image_quality import ssim, to_float
from models.losses import require_finite
from models.randomness import seeded
from models.runtime import reduced_precision

GRID = 8
"""Rows and columns of the code."""


@dataclass(frozen=True)
class CodecConfig:
    """Settings of the compressor."""

    bits: int = 1280
    """Bits an image; a positive multiple of 64."""
    width: int = 48
    """Channels at the code's resolution and above, >= 1."""
    steps: int = 600
    """Updates, >= 1."""
    batch_size: int = 64
    """Images a step, >= 1."""
    learning_rate: float = 3e-3
    """Peak learning rate of Adam's one-cycle schedule, > 0."""
    flip_rate: float = 0.02
    """Share of code values flipped in training, 0 to 0.5."""


class Codec(nn.Module):
    """Encoder to -1/+1 codes and decoder from codes in [-1, 1]."""

    def __init__(self, config: CodecConfig, *, size: int) -> None:
        """Build the networks.

        Args:
            config: ``bits`` and ``width`` are used.
            size: Height and width of the images in pixels, a power of two of at least 16.

        Raises:
            ValueError: If ``bits`` is not a positive multiple of 64.
        """
        super().__init__()
        if config.bits <= 0 or config.bits % GRID**2:
            raise ValueError(f"code_bits={config.bits}: must be a positive multiple of {GRID**2}")
        self.bits = config.bits
        planes, width = config.bits // GRID**2, config.width
        halvings = int(math.log2(size // GRID))
        widths = [3, *[width] * halvings]
        down: list[nn.Module] = []
        for before, after in pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)]
        self.encoder = nn.Sequential(*down, _Residual(width), nn.Conv2d(width, planes, 3, 1, 1))
        up: list[nn.Module] = [nn.Conv2d(planes, width, 3, 1, 1), nn.LeakyReLU(0.2), _Residual(width), _Residual(width)]
        for _ in range(halvings - 1):
            up += [nn.ConvTranspose2d(width, width, 4, 2, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True)]
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh())

    def encode(self, images: Tensor) -> Tensor:
        """Return codes (n, bits) of -1 and +1, float32, of images (n, 3, size, size) float32 in [-1, 1].

        Gradients pass the sign as they pass tanh.
        """
        soft = torch.tanh(self.encoder(images).float()).flatten(1)
        hard = torch.where(soft.detach() >= 0, 1.0, -1.0)
        return soft + (hard - soft.detach())

    def decode(self, code: Tensor) -> Tensor:
        """Return images (n, 3, size, size), float32 in [-1, 1], of codes (n, bits) in [-1, 1]."""
        return self.decoder(code.view(len(code), -1, GRID, GRID)).float()


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, planes: Tensor) -> Tensor:
        return F.leaky_relu(planes + self.body(planes), 0.2)


def train_codec(
    config: CodecConfig,
    images: Tensor,
    *,
    seed: int,
) -> Codec:
    """Train the compressor from scratch with the loss L1 + (1 - SSIM).

    Args:
        config: Its settings.
        images: Train split, (n, 3, size, size), uint8, on the device to train on.
        seed: Seed of the initial weights, the batches and the flips.

    Returns:
        The compressor in evaluation mode.

    Raises:
        FloatingPointError: If the loss is no longer finite.
        ValueError: If ``config.bits`` is not permitted.
    """
    with seeded(seed, "codec"):
        codec = Codec(config, size=images.shape[-1]).to(images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(codec.parameters(), config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
        for step in range(1, config.steps + 1):
            rows = torch.randint(len(images), (config.batch_size,), device=images.device)
            batch = to_float(images[rows]).contiguous(memory_format=torch.channels_last)
            with reduced_precision(batch.device):
                code = codec.encode(batch)
                flips = torch.where(torch.rand_like(code) < config.flip_rate, -1.0, 1.0)
                decoded = codec.decode(code * flips)
            loss = F.l1_loss(decoded, batch) + (1.0 - ssim(decoded, batch)).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if step % 100 == 0 or step == config.steps:
                require_finite({"reconstruction": float(loss.detach())}, f"compressor, step {step}")
    return codec.eval()
