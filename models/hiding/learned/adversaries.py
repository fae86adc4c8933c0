"""Adversaries that learn beside the embedder: identity adversaries and steganalysers, a type each.

References:
    Boroumand, Chen, Fridrich. "Deep Residual Network for Steganalysis of Digital Images". IEEE Transactions on
    Information Forensics and Security 14(5), 2019 (SRNet).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.hiding.learned.config import LearnedConfig
from models.hiding.learned.high_pass import SecondDifferences
from models.losses import distance_to_uniform


class AdversariesInTheLoop(nn.Module):
    """The adversaries of a configuration; a type that is ``none`` or has no weight is not there."""

    def __init__(self, config: LearnedConfig, *, identities: int, size: int) -> None:
        super().__init__()
        kinds = ("plain", "high_pass") if config.identity_adversary == "ensemble" else (config.identity_adversary,)
        wanted = config.identity_weight > 0 and config.identity_adversary != "none"
        self.identity = nn.ModuleList(_identity_adversary(kind, identities, size) for kind in kinds if wanted)
        self.steganalyser: nn.Module | None = None
        if config.steganalysis_weight > 0 and config.steganalyser != "none":
            self.steganalyser = _srnet() if config.steganalyser == "srnet" else _high_pass_steganalyser()

    def losses(self, covers: Tensor, stego: Tensor, identity: Tensor) -> dict[str, Tensor]:
        """Return what the adversaries minimise, a scalar each; empty if there are none.

        Args:
            covers: (n, 3, size, size), float32 in [-1, 1], as published.
            stego: Shape and range of ``covers``, without gradients.
            identity: (n,), int64.
        """
        losses = {}
        if self.identity:
            read = [F.cross_entropy(adversary(stego).float(), identity) for adversary in self.identity]
            losses["identity_adversary"] = torch.stack(read).sum()
        if self.steganalyser is not None:
            on_covers, on_stego = self._detect(self.steganalyser, covers, stego)
            losses["steganalyser"] = 0.5 * (F.softplus(on_covers).mean() + F.softplus(-on_stego).mean())
        return losses

    def embedder_losses(self, covers: Tensor, stego: Tensor) -> dict[str, Tensor]:
        """Return what the embedder minimises against them: ``identity`` and ``steganalysis``, where they are there.

        Of several identity adversaries the one that knows most counts.
        """
        losses = {}
        if self.identity:
            distances = [distance_to_uniform(adversary(stego)) for adversary in self.identity]
            losses["identity"] = torch.stack(distances).max()
        if self.steganalyser is not None:
            losses["steganalysis"] = F.softplus(self._detect(self.steganalyser, covers, stego)[1]).mean()
        return losses

    @staticmethod
    def _detect(steganalyser: nn.Module, covers: Tensor, stego: Tensor) -> tuple[Tensor, Tensor]:
        # In one batch: apart, batch normalisation would hide from the detector what the two differ in.
        on_covers, on_stego = steganalyser(torch.cat([covers, stego])).float().chunk(2)
        return on_covers, on_stego


def _identity_adversary(kind: str, identities: int, size: int) -> nn.Sequential:
    """Return a network from images (n, 3, size, size) in [-1, 1] to logits (n, identities)."""
    high_pass = kind == "high_pass"
    return nn.Sequential(
        *([SecondDifferences()] if high_pass else []),
        nn.Conv2d(SecondDifferences.channels if high_pass else 3, 32, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * (size // 8) ** 2, identities),
    )  # fmt: skip


def _high_pass_steganalyser() -> nn.Sequential:
    """Return a network from images to logits (n,) of "stego"."""
    return nn.Sequential(
        SecondDifferences(),
        nn.Conv2d(9, 24, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(24, 48, 3, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(48, 48, 3, 2, 1), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 1),
        nn.Flatten(0),
    )  # fmt: skip


def _srnet(width: int = 12) -> nn.Sequential:
    """Return a small SRNet: its four types of layers in their order, two of the residual ones each, no fixed filters.

    Published: 64 and 16 channels, two layers of type 1, five of type 2, four of type 3, for 256 x 256 pixels.
    """
    return nn.Sequential(
        _convolution(3, width), nn.ReLU(inplace=True),
        _Unpooled(width), _Unpooled(width), _Pooled(width, 2 * width), _Pooled(2 * width, 4 * width),
        _convolution(4 * width, 4 * width), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4 * width, 1), nn.Flatten(0),
    )  # fmt: skip


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))


class _Unpooled(nn.Module):
    """SRNet's type 2: a residual layer at full resolution, since pooling would average the embedded noise away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_convolution(width, width), nn.ReLU(inplace=True), _convolution(width, width))

    def forward(self, planes: Tensor) -> Tensor:
        return planes + self.body(planes)


class _Pooled(nn.Module):
    """SRNet's type 3: a residual layer that halves the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = _convolution(inputs, outputs), _convolution(outputs, outputs)
        self.body = nn.Sequential(first, nn.ReLU(inplace=True), second, nn.AvgPool2d(3, 2, 1))
        self.short_cut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, planes: Tensor) -> Tensor:
        return self.short_cut(planes) + self.body(planes)
