"""Small images and settings for the family ``learned``."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from models.hiding.learned import LearnedConfig, LearnedData


@pytest.fixture
def smooth() -> Callable[..., torch.Tensor]:
    """Return a maker of smooth images, (n, 3, 16, 16) uint8."""

    def make(n: int, seed: int = 0) -> torch.Tensor:
        coarse = torch.rand((n, 3, 4, 4), generator=torch.Generator().manual_seed(seed))
        return (F.interpolate(coarse, size=16, mode="bilinear") * 255).round().to(torch.uint8)

    return make


@pytest.fixture
def data(smooth: Callable[..., torch.Tensor]) -> LearnedData:
    """Return sixty covers of three people, with images to hide."""
    return LearnedData(smooth(60), torch.arange(60) % 3, 3, secrets=smooth(60, seed=1))


@pytest.fixture
def small() -> Callable[..., LearnedConfig]:
    """Return a maker of settings that train in a blink."""

    def make(**settings: Any) -> LearnedConfig:
        return LearnedConfig(**{"epochs": 3, "steps_per_epoch": 3, "batch_size": 8, "width": 8, **settings})

    return make
