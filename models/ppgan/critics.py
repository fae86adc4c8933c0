"""The GAN's discriminators, a type each, with the adversarial loss that belongs to it.

All have the heads for identity and expression that PPRL-VGAN's generator learns from; they differ in how they tell real
from synthetic images.

References:
    Isola, Zhu, Zhou, Efros. "Image-to-Image Translation with Conditional Adversarial Networks". CVPR 2017 (PatchGAN).
    Mao, Li, Xie, Lau, Wang, Smolley. "Least Squares Generative Adversarial Networks". ICCV 2017.
    Miyato, Kataoka, Koyama, Yoshida. "Spectral Normalization for Generative Adversarial Networks". ICLR 2018.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.ppgan.config import PPGANConfig


@dataclass(frozen=True)
class Judgement:
    """What a critic says of a batch."""

    real: Tensor
    """Logits of "real": (n, 1), or (n, 1, rows, columns) where a critic judges patches."""
    identity: Tensor
    """Logits, (n, identities)."""
    expression: Tensor
    """Logits, (n, expressions)."""


class Critic(nn.Module):
    """A trunk of convolutions with three heads. Subclasses choose the trunk, the real/synthetic head and its loss."""

    trunk: nn.Module
    features: nn.Module
    real: nn.Module
    identity: nn.Module
    expression: nn.Module

    def forward(self, images: Tensor) -> Judgement:
        """Judge images (n, 3, size, size), float32 in [-1, 1]."""
        planes = self.trunk(images)
        features = self.features(planes)
        logits = self.real_logits(planes, features), self.identity(features), self.expression(features)
        return Judgement(*(values.float() for values in logits))

    def real_logits(self, planes: Tensor, features: Tensor) -> Tensor:
        """Return the logits of "real" from the last planes and the pooled features."""
        return self.real(features)

    def critic_loss(self, real: Tensor, synthetic: Tensor, real_label: Tensor, synthetic_label: Tensor) -> Tensor:
        """Return the critic's real/synthetic loss.

        Args:
            real: Logits of real images.
            synthetic: Logits of synthetic images, same shape.
            real_label: Smoothed labels, broadcastable to ``real``, in [0, 1].
            synthetic_label: Likewise for ``synthetic``.
        """
        on_real = F.binary_cross_entropy_with_logits(real, real_label.expand_as(real))
        on_synthetic = F.binary_cross_entropy_with_logits(synthetic, synthetic_label.expand_as(synthetic))
        return 0.5 * (on_real + on_synthetic)

    def generator_loss(self, synthetic: Tensor) -> Tensor:
        """Return the generator's loss: low where the critic takes synthetic images for real (non-saturating)."""
        return F.softplus(-synthetic).mean()


class ThreeHeadedCritic(Critic):
    """PPRL-VGAN's discriminator: four stride-2 convolutions 32-64-128-256, dense 256, dropout 0.5, three heads."""

    def __init__(self, config: PPGANConfig, *, size: int, identities: int, expressions: int) -> None:
        super().__init__()
        widths = _widths(config, size)
        kernel = 5 if config.recipe == "paper" else 4
        self.trunk = _trunk(widths, kernel=kernel)
        dense = 8 * config.width
        self.features = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * 16, dense), nn.LeakyReLU(0.2), nn.Dropout(0.5)
        )
        self.real, self.identity, self.expression = _heads(dense, identities, expressions)


class PatchCritic(Critic):
    """PatchGAN: real or synthetic for each patch of the planes, so that local texture must be right everywhere.

    With the least-squares loss of Mao et al., as is usual for it since Zhu et al. (CycleGAN, ICCV 2017).
    """

    def __init__(self, config: PPGANConfig, *, size: int, identities: int, expressions: int) -> None:
        super().__init__()
        widths = _widths(config, size)
        self.trunk = _trunk(widths[:-1])
        last = nn.Conv2d(widths[-2], widths[-1], 4, 2, 1)
        dense = nn.Linear(widths[-1] * 16, widths[-1])
        self.features = nn.Sequential(last, nn.LeakyReLU(0.2), nn.Flatten(), dense, nn.LeakyReLU(0.2))
        _, self.identity, self.expression = _heads(widths[-1], identities, expressions)
        self.real = nn.Conv2d(widths[-2], 1, 3, padding=1)

    def real_logits(self, planes: Tensor, features: Tensor) -> Tensor:
        """Return one value a patch, from the planes at 8 x 8."""
        return self.real(planes)

    def critic_loss(self, real: Tensor, synthetic: Tensor, real_label: Tensor, synthetic_label: Tensor) -> Tensor:
        """Return the mean squared distance of the patches from their labels."""
        return 0.5 * ((real - real_label).square().mean() + (synthetic - synthetic_label).square().mean())

    def generator_loss(self, synthetic: Tensor) -> Tensor:
        """Return the mean squared distance of the patches from "real"."""
        return (synthetic - 1.0).square().mean()


class SpectralHingeCritic(Critic):
    """Spectral normalisation of the trunk and of the real/synthetic head, with the hinge loss, after Miyato et al.

    As there, a convolution is normalised by the singular value of its kernel as a matrix, not as an operator. The heads
    of identity and expression are left free, since they are not part of the real/synthetic game.
    """

    def __init__(self, config: PPGANConfig, *, size: int, identities: int, expressions: int) -> None:
        super().__init__()
        widths = _widths(config, size)
        self.trunk = _trunk(widths, spectral=True)
        dense = 8 * config.width
        self.features = nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(widths[-1] * 16, dense)), nn.LeakyReLU(0.2))
        real, self.identity, self.expression = _heads(dense, identities, expressions)
        self.real = spectral_norm(real)

    def critic_loss(self, real: Tensor, synthetic: Tensor, real_label: Tensor, synthetic_label: Tensor) -> Tensor:
        """Return the hinge loss; the labels are not used, since a margin needs no smoothing."""
        return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + synthetic).mean())

    def generator_loss(self, synthetic: Tensor) -> Tensor:
        """Return the generator's side of the hinge loss, the negative mean logit."""
        return -synthetic.mean()


def build_critic(config: PPGANConfig, *, size: int, identities: int, expressions: int) -> Critic:
    """Build the critic that ``config.critic`` names."""
    types = {"three_headed": ThreeHeadedCritic, "patch": PatchCritic, "spectral_hinge": SpectralHingeCritic}
    return types[config.critic](config, size=size, identities=identities, expressions=expressions)


def _widths(config: PPGANConfig, size: int) -> list[int]:
    return [config.width * min(2**i, 8) for i in range(int(math.log2(size)) - 2)]


def _trunk(widths: list[int], *, kernel: int = 4, spectral: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise([3, *widths]):
        convolution = nn.Conv2d(before, after, kernel, 2, (kernel - 1) // 2)
        layers += [spectral_norm(convolution) if spectral else convolution, nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers)


def _heads(features: int, identities: int, expressions: int) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    return nn.Linear(features, 1), nn.Linear(features, identities), nn.Linear(features, expressions)
