"""Layers that adversaries share: pixels to a unit range, high-pass filters, a convolution with normalisation.

References:
    Fridrich, Kodovsky. "Rich models for steganalysis of digital images". IEEE Trans. Inf. Forensics Secur. 7(3), 2012
    (the high-pass filters and the truncation of their output).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TRUNCATION = 8.0
"""High-pass residuals are cut at this many grey levels: edges say nothing about changes of one level, and would drown
them."""

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


def block(channels: int, outputs: int, *, stride: int = 1) -> nn.Module:
    """Return a 3 x 3 convolution with batch normalisation and a rectifier."""
    return nn.Sequential(
        nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _five_by_five(rows: tuple[tuple[int, ...], ...]) -> Tensor:
    kernel = torch.tensor(rows, dtype=torch.float32)
    margin = (5 - kernel.shape[0]) // 2
    return F.pad(kernel, (margin,) * 4)
