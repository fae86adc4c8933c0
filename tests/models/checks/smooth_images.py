"""Drawn images without any network: smooth content that does not depend on the labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.checks.material import SPLITS, LabelSplits, Release

COUNTS = {"train": 400, "validation": 200, "test": 200}


def smooth_release(seed: int, *, size: int = 16, classes: int = 4, train: int = 400) -> tuple[Release, LabelSplits]:
    """Return images of 24 smooth components with random weights, with a little grain, and independent labels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((24, 3, 4, 4), generator=generator)
    components = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    images, labels = {}, {}
    for split in SPLITS:
        count = train if split == "train" else COUNTS[split]
        weights = torch.randn((count, 24), generator=generator) * 10
        grain = torch.randn((count, 3, size, size), generator=generator)
        levels = 128 + torch.einsum("nk,kchw->nchw", weights, components) + grain
        images[split] = levels.round().clamp(0, 255).to(torch.uint8)
        labels[split] = torch.randint(0, classes, (count,), generator=generator)
    return Release(**images), LabelSplits(**labels, classes=classes)


def accuracy_of(logits: Tensor, labels: Tensor) -> float:
    """Return the share of right answers."""
    return float((logits.argmax(1) == labels).double().mean())
