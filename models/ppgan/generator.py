"""The sanitiser: an image and a target identity in, an image of that identity with the same expression out.

PPRL-VGAN's variational generator (Chen, Konrad, Ishwar, "VGAN-Based Image Representation Learning for
Privacy-Preserving Facial Expression Recognition", CVPR workshops 2018). Differences: any
power-of-two size from 16 (the published network is the one for 64 x 64 and width 32), and in the ``anchored`` recipe
kernels of 4, a narrower decoder, a free log-variance and no dropout. Also in ``paper``: transposed convolutions have
kernels of 4, dropout takes whole planes, and RMSprop has torch's defaults beside its rate. Convolutions have no bias
where batch normalisation follows, which cancels it: on a processor a transposed convolution's bias takes as long to
differentiate as its input.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.ppgan.config import PPGANConfig


class Generator(nn.Module):
    """Encoder to a Gaussian latent code and decoder from the code and a target identity."""

    def __init__(self, config: PPGANConfig, *, size: int, identities: int) -> None:
        """Build the network.

        Args:
            config: ``recipe``, ``width`` and ``latent`` are used.
            size: Height and width of the images in pixels, a power of two of at least 16.
            identities: Number of target identities.
        """
        super().__init__()
        self.identities, self.latent = identities, config.latent
        self.published = config.recipe == "paper"
        kernel = 5 if self.published else 4
        depth = int(math.log2(size)) - 2  # down to 4 x 4
        widths = [config.width * min(2**i, 8) for i in range(depth)]
        layers: list[nn.Module] = []
        for before, after in pairwise([3, *widths]):
            layers += [nn.Conv2d(before, after, kernel, 2, (kernel - 1) // 2, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.Dropout2d(0.3)] if self.published else []
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.encoder = nn.Sequential(*layers)
        self.moments = nn.Linear(widths[-1] * 16, 2 * config.latent)
        # The published decoder for 64 x 64: 4 x 4 x 128, then transposed convolutions to 256, 128, 128 and 3 planes.
        self.base = 4 * config.width
        planes = [self.base, *[8 * config.width, *[4 * config.width] * depth][: depth - 1]]
        if not self.published:
            planes = [self.base, *[max(config.width, self.base >> i) for i in range(1, depth)]]
        self.spread = nn.Linear(config.latent + identities, self.base * 16)
        layers = []
        for before, after in pairwise(planes):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(planes[-1], 3, 4, 2, 1), nn.Tanh())

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (n, latent), of images (n, 3, size, size), float32 in [-1, 1].

        The published log-variance passes a sigmoid, so the noise has a variance between 1 and e and is never small.
        """
        mean, log_variance = self.moments(self.encoder(images).flatten(1)).float().chunk(2, dim=1)
        return mean, torch.sigmoid(log_variance) if self.published else log_variance.clamp(-8.0, 4.0)

    def decode(self, code: Tensor, target: Tensor) -> Tensor:
        """Return images (n, 3, size, size) in [-1, 1] of codes (n, latent) and target identities (n,) int64."""
        # Not F.one_hot, which looks at the values: it would wait for the device in every step.
        one_hot = (target[:, None] == torch.arange(self.identities, device=target.device)).to(code.dtype)
        features = self.spread(torch.cat([code, one_hot], dim=1))
        return self.decoder(features.view(-1, self.base, 4, 4)).float()


def sample_code(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return ``mean + noise * standard deviation``; all (n, latent), the noise standard normal."""
    return mean + noise * torch.exp(0.5 * log_variance)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, summed over the code and averaged over the batch."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1).mean()
