"""Encoder, task classifier and decoder: one convolutional path, cut where the latent is released.

Images are float32 in [-1, 1]; a latent is a map, (n, channels, side, side), of values in (-1, 1) before its noise.
"""

import torch
from torch import Tensor, nn

from models.representation.config import RepresentationConfig, depth

_DROPOUT = 0.2
_WIDEST = 128
_HEAD = 128  # channels of the features that the tasks are read from
CAPACITIES = {"small": (8, 0), "large": (16, 1)}
"""Width and residual blocks of the judges' decoders."""


class Encoder(nn.Module):
    """Images to bounded latent maps."""

    def __init__(self, config: RepresentationConfig) -> None:
        super().__init__()
        self.noise = config.noise
        inside, channels = 3, []
        for index in range(config.cut):
            outside = stage_width(config.width, index)
            channels.append(halving(inside, outside))
            inside = outside
        self.stages = nn.Sequential(*channels)
        self.bottleneck = nn.Conv2d(inside, config.latent_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) in [-1, 1] to (n, channels, side, side) in (-1, 1): the latent without its noise."""
        latent: Tensor = self.bottleneck(self.stages(images.contiguous(memory_format=torch.channels_last))).tanh()
        return latent

    def release(self, images: Tensor) -> Tensor:
        """Return what leaves the encoder: the latent with noise from torch's global generator."""
        return with_noise(self(images), self.noise)


class TaskClassifier(nn.Module):
    """Latent maps to the logits of all tasks, side by side."""

    def __init__(self, config: RepresentationConfig, size: int, outputs: int) -> None:
        super().__init__()
        inside, stages = config.latent_channels, []
        for index in range(config.cut, depth(size)):
            outside = stage_width(config.width, index)
            stages.append(halving(inside, outside))
            inside = outside
        stages.append(same_size(inside, _HEAD))
        self.stages = nn.Sequential(*stages)
        side = size // 2 ** max(config.cut, depth(size))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(_DROPOUT), nn.Linear(_HEAD * side * side, outputs))

    def forward(self, latent: Tensor) -> Tensor:
        """Map (n, channels, side, side) to (n, outputs)."""
        logits: Tensor = self.head(self.stages(latent))
        return logits


class Decoder(nn.Module):
    """Latent maps back to images."""

    def __init__(self, latent_channels: int, doublings: int, width: int, blocks: int) -> None:
        """Build a decoder.

        Args:
            latent_channels: Of the latent.
            doublings: How often the latent's side must double to the image's.
            width: Channels at the image's size; smaller maps have more.
            blocks: Residual blocks at the latent's size.
        """
        super().__init__()
        inside = min(width * 2**doublings, 4 * width)
        layers: list[nn.Module] = [same_size(latent_channels, inside), *(Residual(inside) for _ in range(blocks))]
        for left in range(doublings, 0, -1):
            outside = min(width * 2 ** (left - 1), 4 * width)
            layers.append(doubling(inside, outside))
            inside = outside
        self.layers = nn.Sequential(*layers, nn.Conv2d(inside, 3, 3, padding=1))

    def forward(self, latent: Tensor) -> Tensor:
        """Map (n, channels, side, side) to (n, 3, size, size) in (-1, 1)."""
        images: Tensor = self.layers(latent.contiguous(memory_format=torch.channels_last)).tanh()
        return images


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            same_size(channels, channels), nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the shape."""
        return maps + self.inner(maps)


def with_noise(latent: Tensor, noise: float, generator: torch.Generator | None = None) -> Tensor:
    """Add Gaussian noise of standard deviation ``noise``, drawn on the CPU where a generator is given."""
    if noise == 0:
        return latent
    if generator is None:
        return latent + noise * torch.randn_like(latent)
    return latent + noise * torch.randn(latent.shape, generator=generator).to(latent.device)


def build_decoder(config: RepresentationConfig, capacity: str) -> Decoder:
    """Return an untrained decoder for latents of this configuration; ``capacity`` is a key of ``CAPACITIES``."""
    width, blocks = CAPACITIES[capacity]
    return Decoder(config.latent_channels, config.cut, width, blocks)


def stage_width(width: int, index: int) -> int:
    """Return the channels after halving number ``index``, counted from 0."""
    return min(width * 2**index, max(width, _WIDEST))


def halving(inside: int, outside: int) -> nn.Sequential:
    """Return a convolution that halves the side, with normalisation."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)
    )


def same_size(inside: int, outside: int) -> nn.Sequential:
    """Return a convolution that keeps the side, with normalisation."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)
    )


def doubling(inside: int, outside: int) -> nn.Sequential:
    """Return a convolution that doubles the side: four channels become the four pixels of a square."""
    return nn.Sequential(
        nn.Conv2d(inside, 4 * outside, 3, padding=1, bias=False),
        nn.PixelShuffle(2),
        nn.BatchNorm2d(outside),
        nn.LeakyReLU(0.2),
    )
