"""Networks that render released images anew: an autoencoder with a bottleneck, and a denoiser.

Both are trained on released images alone, as a buyer could: honest in that they know of no secret. What cannot be
predicted from the rest of an image does not pass the bottleneck, or goes with the noise.

References:
    Zhang, Zuo, Chen, Meng, Zhang. "Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising". IEEE
    Transactions on Image Processing 26(7), 2017 (the network estimates the noise, not the image).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.checks.inverter import Inverter
from models.image_quality import ssim, to_float, to_uint8
from models.losses import require_finite, update
from models.randomness import seeded
from models.representation.networks import Decoder, Residual, halving

STEPS, BATCH, LEARNING_RATE = 400, 32, 0.004
"""Updates of either network, images a step, and Adam's rate at first, which falls to 0 along a cosine."""

_AT_ONCE = 500
_AUTOENCODER_WIDTH, _LATENT_CHANNELS, _DENOISER_WIDTH = 16, 16, 8


class Autoencoder(nn.Module):
    """Two halvings, a map of 16 channels a quarter of the image wide (a third of its values), and back."""

    def __init__(self) -> None:
        super().__init__()
        width = _AUTOENCODER_WIDTH
        self.encoder = nn.Sequential(
            halving(3, width), halving(width, 2 * width), Residual(2 * width), nn.Conv2d(2 * width, _LATENT_CHANNELS, 1)
        )
        self.decoder = Decoder(_LATENT_CHANNELS, doublings=2, width=width, blocks=1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8, size a multiple of 4, to the same shape in (-1, 1), float32."""
        given = to_float(images).contiguous(memory_format=torch.channels_last)
        rendered: Tensor = self.decoder(self.encoder(given))
        return rendered


class Denoiser(nn.Module):
    """An image less the noise that a U-Net finds in it."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = Inverter(_DENOISER_WIDTH)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, 3, size, size) uint8, size a multiple of 4, to the same shape in [-1, 1], float32."""
        return (to_float(images) - self.noise(images)).clamp(-1.0, 1.0)


def fit_autoencoder(images: Tensor, *, seed: int, device: str) -> nn.Module:
    """Train an autoencoder on released images, (n, 3, size, size) uint8.

    Raises:
        FloatingPointError: If the loss is no longer finite.
    """
    return _fit("autoencoder", Autoencoder, images, 0.0, seed=seed, device=device)


def fit_denoiser(images: Tensor, *, sigma: float, seed: int, device: str) -> nn.Module:
    """Train a network to take Gaussian noise of ``sigma`` grey levels off released images, (n, 3, size, size) uint8.

    Raises:
        FloatingPointError: If the loss is no longer finite.
    """
    return _fit("denoiser", Denoiser, images, sigma, seed=seed, device=device)


@torch.no_grad()
def render(network: nn.Module, images: Tensor) -> Tensor:
    """Return what a trained network makes of images (n, 3, size, size) uint8; the same shape and type, on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    return torch.cat([to_uint8(network(part.to(device))).cpu() for part in images.split(_AT_ONCE)])


def _fit(
    name: str, build: Callable[[], nn.Module], images: Tensor, sigma: float, *, seed: int, device: str
) -> nn.Module:
    given = images.to(device)
    with seeded(seed, "laundering", name):
        network = build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        for step in range(1, STEPS + 1):
            wanted = given[torch.randint(len(given), (BATCH,)).to(given.device)]
            noisy = wanted.float() + sigma * torch.randn(wanted.shape).to(given.device)
            rendered = network(noisy.round().clamp(0, 255).to(torch.uint8))
            truth = to_float(wanted)
            loss = (rendered - truth).abs().mean() + (1.0 - ssim(rendered, truth)).mean()
            update(optimiser, loss)
            schedule.step()
            if step % 50 == 0 or step == STEPS:
                require_finite({"loss": float(loss.detach())}, f"{name}, step {step}")
    return network.eval().requires_grad_(False)
