"""Family ``learned``: a neural embedder writes bits into a cover within a bound, a neural extractor reads them.

In the manner of HiDDeN (Zhu, Kaplan, Johnson, Fei-Fei, "HiDDeN: Hiding Data With Deep Networks", ECCV 2018), with
three differences: the change of a pixel is bounded by the embedding strength, the image is rounded to 8 bits inside
training, and the bits can be encrypted under a key stream that is different for every image. Both networks work on
8 x 8 cells: pixels are gathered into cells, so that all convolutions run at 8 x 8.

Adversaries in the loop learn beside the embedder: one reads the identity from stego images, one tells stego from cover.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.hiding.codec import GRID
from models.image_quality import GREY_LEVEL, round_straight_through, to_float, to_uint8
from models.losses import distance_to_uniform, require_finite, update
from models.randomness import seeded
from models.runtime import reduced_precision

KEYS = ("per_image", "none")


@dataclass(frozen=True)
class LearnedConfig:
    """Settings of the embedder, the extractor and their training."""

    key: str = "per_image"
    """``per_image``: bits are encrypted under a key stream that each image has for itself. ``none``: as they are."""
    epochs: int = 5
    """Reports (and possible checkpoints) of the training, >= 1."""
    steps_per_epoch: int = 40
    """Updates an epoch, >= 1."""
    batch_size: int = 64
    """Images a step, >= 2."""
    width: int = 96
    """Channels of both networks, >= 4."""
    learning_rate: float = 2e-3
    """Adam's, > 0."""
    residual_weight: float = 0.03
    """Weight of the mean squared change, in units of the embedding strength, >= 0."""
    identity_weight: float = 0.0
    """Weight of concealing the identity from the adversary in the loop, >= 0; 0 trains none."""
    steganalysis_weight: float = 0.0
    """Weight of deceiving the steganalyser in the loop, >= 0; 0 trains none."""

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, a line each, naming the field, the value and what is permitted."""
        found = []
        if self.key not in KEYS:
            found.append(f"subversion.learned.key={self.key!r}: must be one of {', '.join(KEYS)}")
        for name, least in (("epochs", 1), ("steps_per_epoch", 1), ("batch_size", 2), ("width", 4)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                found.append(f"subversion.learned.{name}={value!r}: must be a whole number of at least {least}")
        for name in ("residual_weight", "identity_weight", "steganalysis_weight"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value < float("inf")):
                found.append(f"subversion.learned.{name}={value!r}: must be a finite number of at least 0")
        if not (isinstance(self.learning_rate, int | float) and 0 < self.learning_rate < 1):
            found.append(f"subversion.learned.learning_rate={self.learning_rate!r}: must be between 0 and 1")
        return found


class Embedder(nn.Module):
    """Writes bits into covers, changing no value by more than the embedding strength."""

    def __init__(self, *, bits: int, size: int, width: int, strength: int) -> None:
        """Build the network.

        Args:
            bits: Bits an image. A multiple of 64 is laid out over the 8 x 8 cells, any other count is in every cell.
            size: Height and width of the images in pixels, a multiple of 8.
            width: Channels.
            strength: Largest change in grey levels, >= 0.
        """
        super().__init__()
        self.strength = strength
        cell = 3 * (size // GRID) ** 2
        self.from_bits = nn.Conv2d(_planes(bits), width, 3, 1, 1)
        self.from_cover = nn.Conv2d(cell, width, 3, 1, 1)
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2), nn.Conv2d(width, cell, 1),
        )  # fmt: skip
        self.scale = size // GRID

    def forward(self, covers: Tensor, bits: Tensor) -> Tensor:
        """Return stego images before rounding, (n, 3, size, size) float32.

        Args:
            covers: (n, 3, size, size), float32 in [-1, 1].
            bits: (n, bits), float32 in {0, 1}.
        """
        cells = F.pixel_unshuffle(covers, self.scale)
        features = self.from_bits(_lay_out(2.0 * bits - 1.0)) + self.from_cover(cells)
        residual = torch.tanh(F.pixel_shuffle(self.body(features), self.scale))
        return (covers + residual * (self.strength * GREY_LEVEL)).clamp(-1.0, 1.0)


class Extractor(nn.Module):
    """Reads the bits from released images."""

    def __init__(self, *, bits: int, size: int, width: int, strength: int) -> None:
        """Build the network; arguments as for :class:`Embedder`."""
        super().__init__()
        self.bits, self.scale, self.strength = bits, size // GRID, strength
        self.residuals = SecondDifferences()
        self.body = nn.Sequential(
            nn.Conv2d(9 * self.scale**2, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2),
            nn.Conv2d(width, _planes(bits), 3, 1, 1),
        )  # fmt: skip

    def forward(self, released: Tensor) -> Tensor:
        """Return logits (n, bits) of each bit being 1, from images (n, 3, size, size) float32 in [-1, 1]."""
        # Without high-pass residuals in units of the strength, the cover drowns the bits and nothing is learnt.
        cells = F.pixel_unshuffle(self.residuals(released) / max(self.strength, 1), self.scale)
        planes = self.body(cells)
        return planes.flatten(1) if self.bits % GRID**2 == 0 else planes.mean((2, 3))


class SecondDifferences(nn.Module):
    """Second differences of neighbouring pixels in grey levels, clipped: traces are of few levels, edges of many."""

    def __init__(self, clip: float = 16.0) -> None:
        """Set the largest residual, in grey levels."""
        super().__init__()
        self.clip = clip
        kernels = torch.zeros(3, 3, 3)
        kernels[0] = torch.tensor([[-1.0, 2.0, -1.0], [2.0, -4.0, 2.0], [-1.0, 2.0, -1.0]]) / 4.0
        kernels[1, 1] = torch.tensor([-1.0, 2.0, -1.0]) / 2.0
        kernels[2, :, 1] = torch.tensor([-1.0, 2.0, -1.0]) / 2.0
        self.register_buffer("kernels", kernels[:, None].repeat(3, 1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, 9, height, width) residuals in grey levels of images (n, 3, height, width) in [-1, 1]."""
        with torch.autocast(images.device.type, enabled=False):  # 8 bits of mantissa would not resolve a grey level
            residuals = F.conv2d(images.float() / GREY_LEVEL, self.get_buffer("kernels"), padding=1, groups=3)
            return residuals.clamp(-self.clip, self.clip)


def _planes(bits: int) -> int:
    return bits // GRID**2 if bits % GRID**2 == 0 else bits


def _lay_out(values: Tensor) -> Tensor:
    n, bits = values.shape
    if bits % GRID**2 == 0:
        return values.view(n, -1, GRID, GRID)
    return values[:, :, None, None].expand(n, bits, GRID, GRID)


@dataclass(frozen=True)
class LearnedData:
    """What embedder and extractor are trained on: the train split, on the device."""

    covers: Tensor
    """(n, 3, size, size), uint8."""
    identity: Tensor
    """(n,), int64."""
    identities: int
    bits: Tensor | None
    """(n, bits), float32 in {0, 1}, where embedded as they are; None where encrypted, hence uniform."""


class LearnedTraining:
    """Embedder, extractor, adversaries in the loop, and their optimisers; trained an epoch at a time."""

    def __init__(self, config: LearnedConfig, data: LearnedData, *, bits: int, strength: int, seed: int) -> None:
        self.config, self.data, self.bits, self.seed = config, data, bits, seed
        self.epoch = 0
        size, device = data.covers.shape[-1], data.covers.device
        with seeded(seed, "learned", "weights"):
            self.embedder = Embedder(bits=bits, size=size, width=config.width, strength=strength).to(device)
            self.extractor = Extractor(bits=bits, size=size, width=config.width, strength=strength).to(device)
            self.identity_adversary = _identity_adversary(data.identities, size).to(device)
            self.steganalyser = _steganalyser().to(device)
        ours = [*self.embedder.parameters(), *self.extractor.parameters()]
        theirs = [*self.identity_adversary.parameters(), *self.steganalyser.parameters()]
        self.optimiser = torch.optim.Adam(ours, config.learning_rate)
        self.adversaries_optimiser = torch.optim.Adam(theirs, config.learning_rate)

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch and return the mean of each loss over its last ten steps.

        Raises:
            FloatingPointError: If a loss is no longer finite.

        Notes:
            Random numbers follow from seed and epoch alone, so a restored training continues as if never stopped.
        """
        steps: list[dict[str, Tensor]] = []
        self.embedder.train()
        self.extractor.train()
        with seeded(self.seed, "learned", self.epoch):
            for _ in range(self.config.steps_per_epoch):
                steps.append(self._step())
        self.epoch += 1
        last = steps[-10:]
        losses = {name: float(torch.stack([step[name] for step in last]).mean()) for name in last[0]}
        require_finite(losses, f"learned embedder, epoch {self.epoch}")
        return losses

    def _step(self) -> dict[str, Tensor]:
        config, data = self.config, self.data
        rows = torch.randint(len(data.covers), (config.batch_size,), device=data.covers.device)
        covers = to_float(data.covers[rows])
        if data.bits is None:
            bits = torch.randint(2, (len(rows), self.bits), device=covers.device).to(covers.dtype)
        else:
            bits = data.bits[rows]
        with reduced_precision(covers.device):
            stego = round_straight_through(self.embedder(covers, bits))
        losses = self._adversaries_step(covers, stego.detach(), data.identity[rows])
        with reduced_precision(covers.device):
            terms = self._terms(covers, stego, bits)
        update(self.optimiser, torch.stack([weight * loss for weight, loss in terms.values()]).sum())
        return losses | {name: loss.detach() for name, (_, loss) in terms.items()}

    def _terms(self, covers: Tensor, stego: Tensor, bits: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Return weight and loss of each term of embedder and extractor."""
        config = self.config
        change = (stego - covers) / (max(self.embedder.strength, 1) * GREY_LEVEL)
        terms = {
            "bits": (1.0, F.binary_cross_entropy_with_logits(self.extractor(stego).float(), bits)),
            "residual": (config.residual_weight, change.square().mean()),
        }
        # Adversaries against an embedder that cannot write yet make it hide nothing, for good: they come in gradually.
        ramp = min(1.0, self.epoch / max(1.0, 0.5 * config.epochs))
        if config.identity_weight:
            terms["identity"] = (ramp * config.identity_weight, distance_to_uniform(self.identity_adversary(stego)))
        if config.steganalysis_weight:
            loss = F.softplus(self.steganalyser(stego).float()).mean()
            terms["steganalysis"] = (ramp * config.steganalysis_weight, loss)
        return terms

    def _adversaries_step(self, covers: Tensor, stego: Tensor, identity: Tensor) -> dict[str, Tensor]:
        losses = {}
        with reduced_precision(covers.device):
            if self.config.identity_weight:
                losses["identity_adversary"] = F.cross_entropy(self.identity_adversary(stego).float(), identity)
            if self.config.steganalysis_weight:
                on_covers, on_stego = self.steganalyser(covers).float(), self.steganalyser(stego).float()
                losses["steganalyser"] = 0.5 * (F.softplus(on_covers).mean() + F.softplus(-on_stego).mean())
        if losses:
            self._update_adversaries(torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def _update_adversaries(self, loss: Tensor) -> None:
        self.adversaries_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.adversaries_optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue: networks, optimisers and the epoch."""
        modules = {name: getattr(self, name).state_dict() for name in _MODULES}
        return {**modules, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        for name in _MODULES:
            getattr(self, name).load_state_dict(state[name])
        self.epoch = state["epoch"]


_MODULES = ("embedder", "extractor", "identity_adversary", "steganalyser", "optimiser", "adversaries_optimiser")


def embed(embedder: Embedder, covers: Tensor, bits: np.ndarray) -> Tensor:
    """Return stego images of covers (n, 3, size, size) uint8 and bits (n, bits) uint8 in {0, 1}; uint8, rounded."""
    embedder.eval()
    device = next(embedder.parameters()).device
    given = torch.from_numpy(bits.astype(np.float32))
    chunks = zip(covers.split(500), given.split(500), strict=True)
    with torch.no_grad():
        return torch.cat(
            [to_uint8(embedder(to_float(c.to(device)), b.to(device))).to(covers.device) for c, b in chunks]
        )


def extract(extractor: Extractor, released: Tensor) -> np.ndarray:
    """Return the probability of each bit being 1, (n, bits) float32, read from images (n, 3, size, size) uint8."""
    extractor.eval()
    device = next(extractor.parameters()).device
    with torch.no_grad():
        logits = torch.cat([extractor(to_float(chunk.to(device))) for chunk in released.split(500)])
    return torch.sigmoid(logits).cpu().numpy()


def _identity_adversary(identities: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(64, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64 * (size // 8) ** 2, identities),
    )  # fmt: skip


def _steganalyser() -> nn.Sequential:
    return nn.Sequential(
        SecondDifferences(),
        nn.Conv2d(9, 24, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(24, 48, 3, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(48, 48, 3, 2, 1), nn.LeakyReLU(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 1),
        nn.Flatten(0),
    )  # fmt: skip
