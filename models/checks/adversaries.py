"""Networks that a checker trains against released images.

All take 8-bit images, (n, 3, size, size) uint8, and return logits, (n, outputs) float32; none knows a key. They are
narrow and look at every pixel from the first layer on: a stem that strides or pools throws away the high frequencies
in which content is hidden.

References:
    Fridrich, Kodovsky. "Rich models for steganalysis of digital images". IEEE Trans. Inf. Forensics Secur. 7(3), 2012
    (the high-pass filters and the truncation of their output).
    Xu, Wu, Shi. "Structural design of convolutional neural networks for steganalysis". IEEE Signal Process. Lett.
    23(5), 2016 (batch normalisation after every convolution, global pooling at the end).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checks.steganalysis.networks import srnet

TRUNCATION = 8.0
"""High-pass residuals are cut at this many grey levels: edges say nothing about changes of one level, and would drown
them."""

_GRID = 4
"""Classifiers keep a grid of 4 x 4 positions up to the last layer, since a face has its parts in fixed places."""

_HIGH_PASS_FILTERS = (
    ((0, 0, 0), (0, -1, 1), (0, 0, 0)),
    ((0, 0, 0), (0, -1, 0), (0, 1, 0)),
    ((0, 0, 0), (1, -2, 1), (0, 0, 0)),
    ((0, 1, 0), (0, -2, 0), (0, 1, 0)),
    ((-1, 2, -1), (2, -4, 2), (-1, 2, -1)),
    ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1)),
)
"""Differences of first and second order and the 3 x 3 and 5 x 5 square filters of Fridrich and Kodovsky (2012, fig.
1)."""


class UnitRange(nn.Module):
    """uint8 images to float32 in [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the same shape, channels last in memory."""
        return (images.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


class HighPass(nn.Module):
    """Fixed high-pass filters on each colour plane; what they leave is cut at ``TRUNCATION`` and scaled to [-1, 1]."""

    kernels: Tensor
    scale: Tensor
    channels = 3 * len(_HIGH_PASS_FILTERS)

    def __init__(self) -> None:
        super().__init__()
        kernels = torch.stack([_five_by_five(rows) for rows in _HIGH_PASS_FILTERS])
        # a change of one grey level leaves at most one grey level in every map
        scale = 1 / (TRUNCATION * kernels.abs().amax(dim=(1, 2)))
        self.register_buffer("kernels", kernels[:, None].repeat(3, 1, 1, 1), persistent=False)
        self.register_buffer("scale", scale.repeat(3)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, h, w) uint8 to (n, 18, h, w) float32; whole numbers until scaled, at any precision around it."""
        with torch.autocast(images.device.type, enabled=False):
            planes = F.pad(images.float(), (2, 2, 2, 2), mode="replicate").contiguous(memory_format=torch.channels_last)
            residual = F.conv2d(planes, self.kernels, groups=3)
            return (residual * self.scale).clamp_(-1, 1).contiguous(memory_format=torch.channels_last)


class LowestBitPlane(nn.Module):
    """uint8 images to the lowest bit of every value, as -1 or 1."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, h, w) uint8 to (n, 3 h w) float32."""
        return (images.flatten(1) & 1).float() * 2 - 1


def plain(classes: int, size: int, width: int) -> nn.Module:
    """Return a convolutional classifier on pixels."""
    return nn.Sequential(UnitRange(), _block(3, width // 2), *_classifier(classes, size, width))


def high_pass(classes: int, size: int, width: int) -> nn.Module:
    """Return a convolutional classifier on high-pass residuals."""
    return nn.Sequential(HighPass(), _block(HighPass.channels, width // 2), *_classifier(classes, size, width))


def bit_plane(classes: int, size: int, width: int) -> nn.Module:
    """Return a classifier with one hidden layer on the lowest bit of every pixel value."""
    hidden = nn.Sequential(nn.Linear(3 * size * size, 4 * width), nn.BatchNorm1d(4 * width), nn.ReLU())
    return nn.Sequential(LowestBitPlane(), hidden, nn.Linear(4 * width, classes))


def steganalyser(classes: int, size: int, width: int) -> nn.Module:
    """Return a high-pass network that pools over the whole image, because a keyed change may sit anywhere."""
    return nn.Sequential(
        HighPass(),
        _block(HighPass.channels, width),
        _block(width, width),
        _block(width, 2 * width, stride=2),
        _block(2 * width, 2 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


ADVERSARIES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "plain": plain,
    "high_pass": high_pass,
    "bit_plane": bit_plane,
    "steganalyser": steganalyser,
    "steganalyser_srnet": srnet,
}
"""Every adversary by name."""

IDENTITY_ADVERSARIES = ("plain", "high_pass", "bit_plane")
"""Those that can read a label from one image."""


def build_adversary(name: str, *, classes: int, size: int, width: int) -> nn.Module:
    """Build an untrained adversary.

    Args:
        name: A key of ``ADVERSARIES``.
        classes: Number of outputs, >= 1.
        size: Height and width of the images, pixels, >= 16 and a power of two.
        width: Channels after the first halving are twice this, and four times at most; >= 2.

    Returns:
        A module from (n, 3, size, size) uint8 to (n, classes) float32 logits, in training mode.

    Raises:
        ValueError: If the name is unknown or a number is out of range; the message says what is permitted.

    Notes:
        The initial weights are drawn from torch's global generator; callers seed and restore it
        (``models.randomness.seeded``).
    """
    problems = []
    if name not in ADVERSARIES:
        problems.append(f"adversary {name!r} is unknown; known: {', '.join(ADVERSARIES)}")
    if classes < 1 or width < 2:
        problems.append(f"classes must be >= 1 and width >= 2; found {classes} and {width}")
    if size < 16 or size & (size - 1):
        problems.append(f"size must be a power of two >= 16 pixels; found {size}")
    if problems:
        raise ValueError("; ".join(problems))
    return ADVERSARIES[name](classes, size, width).to(memory_format=torch.channels_last)


def _classifier(classes: int, size: int, width: int) -> list[nn.Module]:
    """Return the layers from (n, width / 2, size, size) to logits, halving down to a grid of 4 x 4."""
    layers: list[nn.Module] = [_block(width // 2, 2 * width, stride=2), _block(2 * width, 2 * width)]
    channels, side = 2 * width, size // 2
    while side > _GRID:
        layers.append(_block(channels, 4 * width, stride=2))
        channels, side = 4 * width, side // 2
    return [*layers, nn.Flatten(), nn.Linear(channels * side * side, classes)]


def _block(channels: int, outputs: int, *, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _five_by_five(rows: tuple[tuple[int, ...], ...]) -> Tensor:
    kernel = torch.tensor(rows, dtype=torch.float32)
    margin = (5 - kernel.shape[0]) // 2
    return F.pad(kernel, (margin,) * 4)
