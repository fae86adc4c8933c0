"""High-pass residuals, in which embedded traces stand out from the cover."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.image_quality import GREY_LEVEL


class SecondDifferences(nn.Module):
    """Second differences of neighbouring pixels in grey levels, clipped: traces are of few levels, edges of many."""

    channels = 9
    """Residuals a pixel."""

    def __init__(self, clip: float = 16.0) -> None:
        """Set the largest residual, in grey levels."""
        super().__init__()
        self.clip = clip
        kernels = torch.zeros(3, 3, 3)
        kernels[0] = torch.tensor([[-1.0, 2.0, -1.0], [2.0, -4.0, 2.0], [-1.0, 2.0, -1.0]]) / 4.0
        kernels[1, 1] = torch.tensor([-1.0, 2.0, -1.0]) / 2.0
        kernels[2, :, 1] = torch.tensor([-1.0, 2.0, -1.0]) / 2.0
        self.register_buffer("kernels", kernels[:, None].repeat(3, 1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, 9, height, width) residuals in grey levels of images (n, 3, height, width) in [-1, 1]."""
        with torch.autocast(images.device.type, enabled=False):  # 8 bits of mantissa would not resolve a grey level
            residuals = F.conv2d(images.float() / GREY_LEVEL, self.get_buffer("kernels"), padding=1, groups=3)
            return residuals.clamp(-self.clip, self.clip)
