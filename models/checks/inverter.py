"""The decoder of the inversion check: a residual U-Net from released images to inputs, trained without any key.

The adversary of Xiao et al. ("Adversarial Learning of Privacy-Preserving and Task-Oriented Representations", AAAI 2020)
where what is released is an image and not a latent map. It sees pixels and their high-pass residuals: on pixels alone,
changes of a grey level drown in the face.
"""

import torch
from torch import Tensor, nn

from models.checks.adversaries import HighPass, UnitRange
from models.checks.inversion_config import InversionConfig
from models.checks.material import Release
from models.image_quality import ssim, to_float
from models.randomness import seeded, torch_generator
from models.representation.judges import FittedDecoder, to_plateau
from models.representation.networks import Residual, doubling, halving, same_size
from models.runtime import reduced_precision

_AT_ONCE = 500


class Inverter(nn.Module):
    """Released images to estimates of their inputs."""

    def __init__(self, width: int) -> None:
        """Build the network; ``width`` channels at the images' size."""
        super().__init__()
        self.pixels, self.residuals = UnitRange(), HighPass()
        self.first = same_size(3 + HighPass.channels, width)
        self.to_half, self.to_quarter = halving(width, 2 * width), halving(2 * width, 4 * width)
        self.middle = nn.Sequential(Residual(4 * width), Residual(4 * width))
        self.from_quarter, self.at_half = doubling(4 * width, 2 * width), same_size(4 * width, 2 * width)
        self.from_half, self.at_full = doubling(2 * width, width), same_size(2 * width, width)
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, released: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8, size a multiple of 4, to the same shape in (-1, 1), float32."""
        full = self.first(torch.cat([self.pixels(released), self.residuals(released)], 1))
        half = self.to_half(full)
        quarter = self.middle(self.to_quarter(half))
        half = self.at_half(torch.cat([self.from_quarter(quarter), half], 1))
        full = self.at_full(torch.cat([self.from_half(half), full], 1))
        images: Tensor = self.last(full).float().tanh()
        return images


def fit_inverter(
    released: Release, inputs: Release, config: InversionConfig, *, seed: int, device: str | torch.device
) -> FittedDecoder[Inverter]:
    """Train a decoder to its plateau.

    Args:
        released: What it reads; trained on train, stopped on validation images, test images never come here.
        inputs: What it shall give back, row by row.
        config: Budget.
        seed: Of weights and batches.
        device: Where to train.

    Returns:
        The decoder at its best look, and whether it converged.

    Raises:
        FloatingPointError: If a loss is no longer finite.
    """
    images, truth = released.train.to(device), inputs.train.to(device)
    look = torch.randperm(len(inputs.validation), generator=torch_generator(seed, "look"))[: config.interim_images]
    look_images, look_truth = released.validation[look], to_float(inputs.validation[look])
    with seeded(seed, "inverter", "weights"):
        network = Inverter(config.width).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss() -> Tensor:
        rows = torch.randint(len(images), (config.batch_size,)).to(images.device)
        wanted = to_float(truth[rows])
        with reduced_precision(images.device):
            estimate = network(images[rows])
        return (estimate - wanted).abs().mean() + (1.0 - ssim(estimate, wanted)).mean()

    def score() -> float:
        return float(ssim(invert(network, look_images), look_truth).mean())

    deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with seeded(seed, "inverter"), deterministic:
        return to_plateau(network, loss, score, config)


@torch.no_grad()
def invert(network: Inverter, released: Tensor) -> Tensor:
    """Return the estimated inputs, (n, 3, size, size) float32 in [-1, 1] on the CPU, of images uint8 of that shape."""
    network.eval()
    device = next(network.parameters()).device
    return torch.cat([network(part.to(device)).float().cpu() for part in released.split(_AT_ONCE)])
