"""The GAN's discriminators, a type each, with the adversarial loss that belongs to it.

All have the heads for identity and expression that PPRL-VGAN's generator learns from; they differ in how they tell real
from synthetic images.

References:
    Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville. "Improved Training of Wasserstein GANs". NeurIPS 2017.
    Isola, Zhu, Zhou, Efros. "Image-to-Image Translation with Conditional Adversarial Networks". CVPR 2017 (PatchGAN).
    Mao, Li, Xie, Lau, Wang, Smolley. "Least Squares Generative Adversarial Networks". ICCV 2017.
    Miyato, Kataoka, Koyama, Yoshida. "Spectral Normalization for Generative Adversarial Networks". ICLR 2018.
    Wang, Liu, Zhu, Tao, Kautz, Catanzaro. "High-Resolution Image Synthesis and Semantic Manipulation with Conditional
    GANs". CVPR 2018 (pix2pixHD).
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from models.ppgan.config import PPGANConfig


@dataclass(frozen=True)
class Judgement:
    """What a critic says of a batch."""

    real: Tensor
    """Logits of "real": (n, 1), or (n, scales, rows, columns) where a critic judges patches."""
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


class ResidualCritic(Critic):
    """Residual blocks that halve the resolution, without normalisation, with the cross-entropy of the published critic.

    The blocks are those of Gulrajani et al.'s critic, where a convolution of stride 2 stands for convolution and mean
    pooling; their Wasserstein loss and gradient penalty, which costs a second differentiation, are not taken over.
    Of all critics it leaves the grainiest faces; dropout as in the published critic did not change that.
    """

    def __init__(self, config: PPGANConfig, *, size: int, identities: int, expressions: int) -> None:
        super().__init__()
        widths = _widths(config, size)
        blocks = (_HalvingBlock(before, after) for before, after in pairwise([3, *widths]))
        self.trunk = nn.Sequential(*blocks, nn.LeakyReLU(0.2))
        dense = 8 * config.width
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * 16, dense), nn.LeakyReLU(0.2))
        self.real, self.identity, self.expression = _heads(dense, identities, expressions)


class MultiScaleCritic(PatchCritic):
    """Two PatchGANs of one structure, at full and at half resolution, with the least-squares loss, after pix2pixHD.

    The coarse one sees twice as much of the face with each patch. Both count alike. Identity and expression are read
    at full resolution.
    """

    def __init__(self, config: PPGANConfig, *, size: int, identities: int, expressions: int) -> None:
        super().__init__(config, size=size, identities=identities, expressions=expressions)
        widths = _widths(config, size)
        self.coarse = nn.Sequential(*_trunk(widths[:-1]), nn.Conv2d(widths[-2], 1, 3, padding=1))

    def forward(self, images: Tensor) -> Judgement:
        """Judge images (n, 3, size, size), float32 in [-1, 1]; ``real`` is (n, 2, rows, columns), fine and coarse."""
        fine = super().forward(images)
        coarse = self.coarse(F.avg_pool2d(images, 2)).float()
        # Each coarse patch stands for four fine ones, so that a mean over everything is the mean of both critics'.
        coarse = F.interpolate(coarse, scale_factor=2, mode="nearest")
        return Judgement(torch.cat([fine.real, coarse], dim=1), fine.identity, fine.expression)


def build_critic(config: PPGANConfig, *, size: int, identities: int, expressions: int) -> Critic:
    """Build the critic that ``config.critic`` names."""
    types = {
        "three_headed": ThreeHeadedCritic,
        "patch": PatchCritic,
        "spectral_hinge": SpectralHingeCritic,
        "residual": ResidualCritic,
        "multi_scale": MultiScaleCritic,
    }
    return types[config.critic](config, size=size, identities=identities, expressions=expressions)


def _widths(config: PPGANConfig, size: int) -> list[int]:
    return [config.width * min(2**i, 8) for i in range(int(math.log2(size)) - 2)]


def _trunk(widths: list[int], *, kernel: int = 4, spectral: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise([3, *widths]):
        convolution = nn.Conv2d(before, after, kernel, 2, (kernel - 1) // 2)
        layers += [spectral_norm(convolution) if spectral else convolution, nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers)


class _HalvingBlock(nn.Module):
    """A residual block with activations first, from (n, inputs, 2 s, 2 s) to (n, outputs, s, s)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        images = inputs == 3  # pixels are not rectified, and three channels would be a bottleneck inside the block
        inner = outputs if images else inputs
        activation: nn.Module = nn.Identity() if images else nn.LeakyReLU(0.2)
        self.body = nn.Sequential(
            activation, nn.Conv2d(inputs, inner, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(inner, outputs, 4, 2, 1)
        )
        self.short_cut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, planes: Tensor) -> Tensor:
        return self.short_cut(planes) + self.body(planes)


def _heads(features: int, identities: int, expressions: int) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    return nn.Linear(features, 1), nn.Linear(features, identities), nn.Linear(features, expressions)
