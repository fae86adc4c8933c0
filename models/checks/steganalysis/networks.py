"""A narrow residual network that learns its own filters, beside the one with fixed high-pass filters.

References:
    Boroumand, Chen, Fridrich. "Deep Residual Network for Steganalysis of Digital Images". IEEE Transactions on
    Information Forensics and Security 14(5), 2019 (SRNet).
"""

import torch
from torch import Tensor, nn


def srnet(classes: int, size: int, width: int) -> nn.Module:
    """Return SRNet's four types of layers in their order, for images of tens of pixels.

    Args:
        classes: Number of outputs.
        size: Height and width of the images, pixels; any.
        width: Channels at full resolution; up to four times as many after the two halvings.

    Notes:
        Published: 64 and 16 channels, two layers of type 1, five of type 2 and four of type 3, for 256 x 256 pixels.
        Here one of type 1 and two of each other type. Pixels enter in grey levels less 128, a sixteenth each.
    """
    return nn.Sequential(
        _GreyLevels(),
        _convolution(3, 2 * width), nn.ReLU(inplace=True), _convolution(2 * width, width), nn.ReLU(inplace=True),
        _Unpooled(width), _Unpooled(width), _Pooled(width, 2 * width), _Pooled(2 * width, 4 * width),
        _convolution(4 * width, 4 * width), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes),
    )  # fmt: skip


class _GreyLevels(nn.Module):
    """uint8 images to float32 in which a grey level is 1/16, around 0."""

    def forward(self, images: Tensor) -> Tensor:
        return ((images.float() - 128) / 16).contiguous(memory_format=torch.channels_last)


class _Unpooled(nn.Module):
    """SRNet's type 2: a residual layer at full resolution, since pooling would average the embedded noise away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(width, width), nn.ReLU(inplace=True), _convolution(width, width))

    def forward(self, planes: Tensor) -> Tensor:
        return planes + self.body(planes)


class _Pooled(nn.Module):
    """SRNet's type 3: a residual layer that halves the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = _convolution(inputs, outputs), _convolution(outputs, outputs)
        self.body = nn.Sequential(first, nn.ReLU(inplace=True), second, nn.AvgPool2d(3, 2, 1))
        self.short_cut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, planes: Tensor) -> Tensor:
        return self.short_cut(planes) + self.body(planes)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
