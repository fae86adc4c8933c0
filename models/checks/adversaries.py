"""Networks that a checker trains against released images.

All take 8-bit images, (n, 3, size, size) uint8, and return logits, (n, outputs) float32; none knows a key. They are
narrow and look at every pixel from the first layer on: a stem that strides or pools throws away the high frequencies
in which content is hidden.

References:
    Xu, Wu, Shi. "Structural design of convolutional neural networks for steganalysis". IEEE Signal Process. Lett.
    23(5), 2016 (batch normalisation after every convolution, global pooling at the end).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.checks import networks
from models.checks.ensemble import ENSEMBLE
from models.checks.features import FEATURES
from models.checks.layers import HighPass, UnitRange, block
from models.checks.steganalysis.networks import srnet as srnet_detector

_GRID = 4
"""Classifiers keep a grid of 4 x 4 positions up to the last layer, since a face has its parts in fixed places."""


class LowestBitPlane(nn.Module):
    """uint8 images to the lowest bit of every value, as -1 or 1."""

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, h, w) uint8 to (n, 3 h w) float32."""
        return (images.flatten(1) & 1).float() * 2 - 1


def plain(classes: int, size: int, width: int) -> nn.Module:
    """Return a convolutional classifier on pixels."""
    return nn.Sequential(UnitRange(), block(3, width // 2), *_classifier(classes, size, width))


def high_pass(classes: int, size: int, width: int) -> nn.Module:
    """Return a convolutional classifier on high-pass residuals."""
    return nn.Sequential(HighPass(), block(HighPass.channels, width // 2), *_classifier(classes, size, width))


def bit_plane(classes: int, size: int, width: int) -> nn.Module:
    """Return a classifier with one hidden layer on the lowest bit of every pixel value."""
    hidden = nn.Sequential(nn.Linear(3 * size * size, 4 * width), nn.BatchNorm1d(4 * width), nn.ReLU())
    return nn.Sequential(LowestBitPlane(), hidden, nn.Linear(4 * width, classes))


def steganalyser(classes: int, size: int, width: int) -> nn.Module:
    """Return a high-pass network that pools over the whole image, because a keyed change may sit anywhere."""
    return nn.Sequential(
        HighPass(),
        block(HighPass.channels, width),
        block(width, width),
        block(width, 2 * width, stride=2),
        block(2 * width, 2 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


ADVERSARIES: dict[str, Callable[[int, int, int], nn.Module]] = {
    "plain": plain,
    "high_pass": high_pass,
    "bit_plane": bit_plane,
    "evaluator": networks.evaluator,
    "residual": networks.residual,
    "resnet18": networks.resnet18,
    "patch": networks.patch,
    "srnet": networks.srnet,
    "xunet": networks.xunet,
    "steganalyser": steganalyser,
    "steganalyser_srnet": srnet_detector,
}
"""Every adversary by name."""

DEFAULT_STRONG = ("plain", "high_pass", "bit_plane")
"""Adversaries of the fast battery."""

NETWORKS = (*DEFAULT_STRONG, "evaluator", "residual", "resnet18", "patch", "srnet", "xunet")
"""Those that are trained and read a label from one image."""

CODE_ADVERSARIES = ("linear", "quadratic")
"""Those that read a label from a latent code, in closed form."""

INFORMED_ADVERSARIES = ("linear_pixels", "linear_dct", "spectrum", "moments", ENSEMBLE)
"""Those that can make something of further honest releases: they estimate what varies anyway from all images."""

CLOSED_FORM = tuple(FEATURES)
"""Those of ``models.checks.linear``, which are fitted without steps."""

IMAGE_CLOSED_FORM = tuple(name for name in CLOSED_FORM if name not in CODE_ADVERSARIES)
"""Those of them that read images."""

IDENTITY_ADVERSARIES = (*NETWORKS, *IMAGE_CLOSED_FORM, ENSEMBLE)
"""Everything that can read a label from one image."""


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
    layers: list[nn.Module] = [block(width // 2, 2 * width, stride=2), block(2 * width, 2 * width)]
    channels, side = 2 * width, size // 2
    while side > _GRID:
        layers.append(block(channels, 4 * width, stride=2))
        channels, side = 4 * width, side // 2
    return [*layers, nn.Flatten(), nn.Linear(channels * side * side, classes)]
