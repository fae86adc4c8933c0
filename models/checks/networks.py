"""More networks that read a label from one image, for batteries that have time.

Like those of ``models.checks.adversaries`` they take (n, 3, size, size) uint8 and return (n, classes) float32. They
differ in what they look at: the whole face (evaluator, residual, resnet18), texture wherever it is (patch), or what a
high-pass filter leaves, as steganalysers do (srnet, xunet).

References:
    Chen, Konrad, Ishwar. "VGAN-Based Image Representation Learning for Privacy-Preserving Facial Expression
    Recognition". CVPR Workshops 2018 (the discriminator, whose trunk the evaluator has).
    He, Zhang, Ren, Sun. "Deep Residual Learning for Image Recognition". CVPR 2016.
    Brendel, Bethge. "Approximating CNNs with Bag-of-local-Features models works surprisingly well on ImageNet". ICLR
    2019 (BagNet).
    Boroumand, Chen, Fridrich. "Deep Residual Network for Steganalysis of Digital Images". IEEE Trans. Inf. Forensics
    Secur. 14(5), 2019 (SRNet).
    Xu, Wu, Shi. "Structural design of convolutional neural networks for steganalysis". IEEE Signal Process. Lett.
    23(5), 2016.
"""

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18 as torchvision_resnet18

from models.checks.layers import HighPass, UnitRange, block


class Residual(nn.Module):
    """Two convolutions with a way round them; the same size before and after, or half of it."""

    def __init__(self, inputs: int, outputs: int, *, halve: bool = False) -> None:
        super().__init__()
        last = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.body = nn.Sequential(block(inputs, outputs), last)
        self.halve = nn.AvgPool2d(3, 2, 1) if halve else nn.Identity()
        same = inputs == outputs and not halve
        self.way_round = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, 2 if halve else 1, bias=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Map (n, inputs, s, s) to (n, outputs, s, s), or half of s."""
        return F.relu(self.halve(self.body(planes)) + self.way_round(planes))


class Magnitude(nn.Module):
    """Magnitudes: the sign of a residual says little."""

    def forward(self, planes: Tensor) -> Tensor:
        """Return the absolute value of every entry."""
        return planes.abs()


def evaluator(classes: int, size: int, width: int) -> nn.Module:
    """Return the trunk of PPRL-VGAN's discriminator with its head for the identity; published with width 32.

    Strided 5 x 5 convolutions of width 1, 2, 4, 8 times ``width`` down to 4 x 4, which at 32 x 32 takes three of the
    four, a dense layer of 8 times ``width`` with dropout 0.5, leaky rectifiers of slope 0.2, no normalisation.
    """
    widths = [width * min(2**level, 8) for level in range(int(math.log2(size)) - 2)]
    layers: list[nn.Module] = [UnitRange()]
    for before, after in pairwise([3, *widths]):
        layers += [nn.Conv2d(before, after, 5, 2, 2), nn.LeakyReLU(0.2)]
    dense = [nn.Flatten(), nn.Linear(16 * widths[-1], 8 * width), nn.LeakyReLU(0.2), nn.Dropout(0.5)]
    return nn.Sequential(*layers, *dense, nn.Linear(8 * width, classes))


def residual(classes: int, size: int, width: int) -> nn.Module:
    """Return a narrow residual network that stays at full resolution for its first blocks."""
    halvings = [Residual(width, 2 * width, halve=True), Residual(2 * width, 4 * width, halve=True)]
    pool = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(4 * width * 16, classes)]
    return nn.Sequential(UnitRange(), block(3, width), Residual(width, width), *halvings, *pool)


def resnet18(classes: int, size: int, width: int) -> nn.Module:
    """Return torchvision's ResNet-18 with a stem that keeps the resolution. Its widths are its own; for GPUs."""
    network = torchvision_resnet18(weights=None, num_classes=classes)
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)  # a stem of stride 4 throws away what hides in single pixels
    network.maxpool = nn.Identity()
    return nn.Sequential(UnitRange(), network)


def patch(classes: int, size: int, width: int) -> nn.Module:
    """Return a network whose logits are the mean of those of patches of 9 x 9 pixels (BagNet)."""
    return nn.Sequential(
        UnitRange(),
        block(3, width),
        block(width, 2 * width),
        block(2 * width, 4 * width, stride=2),
        nn.Conv2d(4 * width, 4 * width, 2, bias=False),
        nn.BatchNorm2d(4 * width),
        nn.ReLU(inplace=True),
        nn.Conv2d(4 * width, classes, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def srnet(classes: int, size: int, width: int) -> nn.Module:
    """Return a narrow network in the manner of SRNet: full resolution first, residual blocks, pooling, global mean."""
    first = [UnitRange(), block(3, width), block(width, width), Residual(width, width)]
    pooled = [Residual(width, 2 * width, halve=True), Residual(2 * width, 4 * width, halve=True)]
    last = nn.Linear(4 * width, classes)
    nn.init.zeros_(last.bias)  # nothing for the traces of single pixels to be rounded away against
    return nn.Sequential(*first, *pooled, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)


def xunet(classes: int, size: int, width: int) -> nn.Module:
    """Return a network in the manner of Xu, Wu and Shi: high-pass filters, magnitudes, hyperbolic tangents, means."""

    def group(inputs: int, outputs: int, kernel: int, act: nn.Module, *first: nn.Module) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False)
        return [convolution, *first, nn.BatchNorm2d(outputs), act]

    return nn.Sequential(
        HighPass(),
        *group(HighPass.channels, width, 5, nn.Tanh(), Magnitude()),
        nn.AvgPool2d(3, 2, 1),
        *group(width, 2 * width, 5, nn.Tanh()),
        nn.AvgPool2d(3, 2, 1),
        *group(2 * width, 4 * width, 1, nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, classes),
    )
