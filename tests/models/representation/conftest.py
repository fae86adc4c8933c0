"""Small images and networks on which the parts of a representation are tried in milliseconds."""

import pytest
import torch
from torch import Tensor

from models.randomness import seeded, torch_generator
from models.representation.config import RepresentationConfig
from models.representation.instruments import FaceClassifier, Perceptual, frozen
from models.representation.tasks import Tasks
from models.representation.training import TrainingData


@pytest.fixture(scope="session")
def small() -> RepresentationConfig:
    """Settings for images of 16 pixels."""
    return RepresentationConfig(
        cut=1, latent_channels=4, width=4, adversary_width=4, epochs=3, steps_per_epoch=3, batch_size=8, noise=0.1
    )


@pytest.fixture(scope="session")
def perceptual() -> Perceptual:
    """An untrained network: distances mean little, but are distances."""
    with seeded(0, "test"):
        return Perceptual(frozen(FaceClassifier(2, 4)))


@pytest.fixture(scope="session")
def images() -> Tensor:
    """Smooth images, (48, 3, 16, 16), uint8; the first task of ``tasks`` is whether they are bright."""
    coarse = torch.rand(48, 3, 4, 4, generator=torch_generator(3))
    coarse = coarse * 0.5 + 0.5 * (torch.arange(48) % 2).view(-1, 1, 1, 1)
    smooth = torch.nn.functional.interpolate(coarse, size=16, mode="bilinear", align_corners=False)
    return (255 * smooth).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="session")
def tasks() -> Tasks:
    """Two tasks of two classes."""
    rows = torch.arange(48)
    return Tasks(("bright", "third"), (2, 2), torch.stack([rows % 2, (rows % 3 == 0).long()], dim=1))


@pytest.fixture(scope="session")
def data(images: Tensor, tasks: Tasks) -> TrainingData:
    """The first 24 images are private, the others public."""
    return TrainingData(images[:24], tasks.labels[:24], images[24:])
