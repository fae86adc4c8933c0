"""Reading the sanitiser's sampling noise from what it releases: the extractor, its training, and the capacity.

The extractor estimates the noise vector by least squares, so that its estimate is the expected noise given the image as
far as the network can tell. It does not know the input, whose part of the latent code it cannot tell from noise: along
a direction where it explains the share R2 of the noise's variance, R2 is also the share of the reading that the noise
decides, the rest being decided by the input (for an estimate p with cov(p, noise) = var(p), corr(p, noise)^2 = var(p)).
"""

import math
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.channel import Channel
from models.checks.statistics import Estimate
from models.hiding.sampled.config import SampledConfig
from models.image_quality import to_float, to_uint8
from models.losses import require_finite
from models.ppgan.generator import Generator, sample_code
from models.randomness import numpy_generator, seeded
from models.runtime import reduced_precision

_AT_ONCE = 500
"""Images of one forward pass without gradients: bounds memory at 64 x 64."""

_CALIBRATION_DRAWS = 4000
"""Draws from which directions, scales and repeatability are estimated."""


class NoiseExtractor(nn.Module):
    """Estimates the noise behind an image and reads it along the directions that are best known.

    The directions and what is needed to read them are buffers, so that ``state_dict`` is all there is to keep.
    """

    basis: Tensor
    """(latent, latent): orthonormal directions in noise space as columns, the largest variance explained first."""
    centre: Tensor
    """(hash_bits,): median of the estimates along the first directions, so that signs are fair."""
    scale: Tensor
    """(hash_bits,): their standard deviation."""
    repeatability: Tensor
    """(hash_bits,): correlation of readings of one image after two passages through the channel; 1 if not random."""

    def __init__(self, *, latent: int, size: int, width: int, hash_bits: int) -> None:
        """Build the network.

        Args:
            latent: Size of the noise vector.
            size: Height and width of the images in pixels, a power of two of at least 16.
            width: Channels of the first convolution.
            hash_bits: Directions that are read, at most ``latent``.
        """
        super().__init__()
        widths = [3, *(width * min(2**i, 4) for i in range(int(math.log2(size)) - 2))]  # down to 4 x 4
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)]
        dense = 16 * width
        layers += [nn.Flatten(), nn.Linear(16 * widths[-1], dense), nn.LeakyReLU(0.2), nn.Linear(dense, latent)]
        self.body = nn.Sequential(*layers)
        self.hash_bits = hash_bits
        self.register_buffer("basis", torch.eye(latent))
        self.register_buffer("centre", torch.zeros(hash_bits))
        self.register_buffer("scale", torch.ones(hash_bits))
        self.register_buffer("repeatability", torch.ones(hash_bits))

    def forward(self, received: Tensor) -> Tensor:
        """Return the estimated noise (n, latent) float32 of images (n, 3, size, size), float32 in [-1, 1]."""
        return self.body(received.contiguous(memory_format=torch.channels_last)).float()

    @torch.no_grad()
    def estimate(self, received: Tensor) -> Tensor:
        """Return the noise (n, latent) float32 on the CPU, estimated from images (n, 3, size, size) uint8.

        In single precision on every device: embedder and receiver must see the same signs.
        """
        device = self.basis.device
        with torch.backends.cudnn.flags(allow_tf32=False):
            return torch.cat([self(to_float(part.to(device))).cpu() for part in received.split(_AT_ONCE)])

    def read(self, received: Tensor) -> Tensor:
        """Return the values along the directions, in standard deviations.

        Args:
            received: What arrived through the channel, (n, 3, size, size), uint8.

        Returns:
            (n, hash_bits), float32, on the CPU.
        """
        along = self.estimate(received) @ self.basis[:, : self.hash_bits].cpu()
        return (along - self.centre.cpu()) / self.scale.cpu()


def train_extractor(
    config: SampledConfig, generator: Generator, inputs: Tensor, *, channel: Channel, seed: int
) -> NoiseExtractor:
    """Train an extractor on fresh releases of a frozen sanitiser.

    Args:
        config: ``hash_bits`` and the settings of the extractor.
        generator: The sanitiser, in evaluation mode, on the device to train on.
        inputs: Train split, (n, 3, size, size), uint8.
        channel: Between release and extraction.
        seed: Of the initial weights, the batches, the noise and the targets.

    Returns:
        The extractor in evaluation mode.

    Raises:
        ValueError: If more signs are asked for than the latent code has values.
        FloatingPointError: If the loss is no longer finite.
    """
    device = next(generator.parameters()).device
    mean, log_variance = moments(generator, inputs)
    if problems := config.problems(latent=mean.shape[1]):
        raise ValueError("\n".join(problems))
    with seeded(seed, "noise_extractor"):
        extractor = NoiseExtractor(
            latent=mean.shape[1], size=inputs.shape[-1], width=config.width, hash_bits=config.hash_bits
        ).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(extractor.parameters(), config.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
        for step in range(1, config.steps + 1):
            rows = torch.randint(len(mean), (config.batch_size,), device=device)
            with torch.no_grad():
                noise = torch.randn(config.batch_size, mean.shape[1], device=device)
                target = torch.randint(generator.identities, (config.batch_size,), device=device)
                released = generator.decode(sample_code(mean[rows], log_variance[rows], noise), target)
                received = channel.surrogate(to_float(to_uint8(released)))
            with reduced_precision(device):
                estimate = extractor(received)
            loss = F.mse_loss(estimate, noise)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            if step % 100 == 0 or step == config.steps:
                require_finite({"noise": float(loss.detach())}, f"noise extractor, step {step}")
    extractor.eval()
    _find_directions(extractor, generator, mean, log_variance, channel, numpy_generator(seed, "noise_directions"))
    return extractor


@torch.no_grad()
def moments(generator: Generator, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the log-variance of the code, (n, latent) each, of inputs (n, 3, size, size) uint8."""
    device = next(generator.parameters()).device
    parts = [generator.encode(to_float(part.to(device))) for part in inputs.split(_AT_ONCE)]
    return torch.cat([mean for mean, _ in parts]), torch.cat([log_variance for _, log_variance in parts])


@torch.no_grad()
def draw(
    generator: Generator, mean: Tensor, log_variance: Tensor, target: Tensor, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw one honest release of each input.

    Args:
        generator: The sanitiser, in evaluation mode.
        mean: Of the codes, (n, latent), as :func:`moments` returns it.
        log_variance: Likewise.
        target: Identities to show, (n,), int64.
        random: Draws the noise, on the CPU, so that every device draws the same.

    Returns:
        The noise, (n, latent) float32, and the images, (n, 3, size, size) uint8, both on the CPU.

    Notes:
        In single precision, as the honest release (``models.ppgan.release.sanitise``): rounding of its own would tell.
    """
    noise = torch.from_numpy(random.standard_normal(tuple(mean.shape), dtype=np.float32))
    code = sample_code(mean, log_variance, noise.to(mean.device))
    chunks = zip(code.split(_AT_ONCE), target.to(mean.device).split(_AT_ONCE), strict=True)
    return noise, torch.cat([to_uint8(generator.decode(part, chosen)).cpu() for part, chosen in chunks])


def capacity_bits(
    extractor: NoiseExtractor,
    generator: Generator,
    inputs: Tensor,
    *,
    channel: Channel,
    random: np.random.Generator,
    resamples: int = 400,
) -> Estimate:
    """Measure how many bits of its noise the sanitiser's images carry through a channel to this extractor.

    Along direction j, whose noise is Gaussian and of which the extractor explains the share R2_j of the variance, at
    least -0.5 log2(1 - R2_j) bits arrive: of all errors with that variance, a Gaussian one leaves the least. The noise
    is independent between directions, so the bits add up to a lower bound on what any extractor could get.

    Args:
        extractor: Trained for this sanitiser and channel.
        generator: The sanitiser.
        inputs: That the extractor was not trained on, (n, 3, size, size), uint8.
        channel: Between release and extraction.
        random: Draws noise, targets, the channel's own noise and the resamples.
        resamples: Of the bootstrap.

    Returns:
        Bits an image, with the 95 % interval of the bootstrap over images.
    """
    mean, log_variance = moments(generator, inputs)
    target = torch.from_numpy(random.integers(0, generator.identities, len(inputs)))
    noise, released = draw(generator, mean, log_variance, target, random)
    basis = extractor.basis.cpu()
    truth = noise @ basis
    error = (truth - extractor.estimate(channel.apply(released, random)) @ basis).square().double().numpy()
    total = truth.square().double().numpy()
    counts = random.multinomial(len(inputs), np.full(len(inputs), 1 / len(inputs)), size=resamples)
    bits = -0.5 * np.log2((counts @ error) / (counts @ total)).sum(1)
    value = float(-0.5 * np.log2(error.sum(0) / total.sum(0)).sum())
    low, high = np.quantile(bits, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _find_directions(
    extractor: NoiseExtractor,
    generator: Generator,
    mean: Tensor,
    log_variance: Tensor,
    channel: Channel,
    random: np.random.Generator,
) -> None:
    """Fill the extractor's buffers from fresh draws through the real channel."""
    rows = torch.from_numpy(random.integers(0, len(mean), _CALIBRATION_DRAWS)).to(mean.device)
    target = torch.from_numpy(random.integers(0, generator.identities, _CALIBRATION_DRAWS))
    _, released = draw(generator, mean[rows], log_variance[rows], target, random)
    estimate = extractor.estimate(channel.apply(released, random))
    _, vectors = torch.linalg.eigh(torch.cov(estimate.T))  # ascending
    extractor.basis.copy_(vectors.flip(1))
    along = estimate @ extractor.basis[:, : extractor.hash_bits].cpu()
    extractor.centre.copy_(along.median(0).values)
    extractor.scale.copy_(along.std(0).clamp(min=1e-6))
    first = (along - extractor.centre.cpu()) / extractor.scale.cpu()
    second = extractor.read(channel.apply(released, random))
    # both have variance 1, so half of their mean squared difference is 1 minus their correlation
    extractor.repeatability.copy_((1.0 - 0.5 * (first - second).square().mean(0)).clamp(min=0.0))
