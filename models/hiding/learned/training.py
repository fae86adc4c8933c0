"""Training of embedder and extractor, an epoch at a time, with adversaries in the loop and through a channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.hiding.learned.adversaries import AdversariesInTheLoop
from models.hiding.learned.config import LearnedConfig
from models.hiding.learned.networks import build_pair
from models.image_quality import round_straight_through, ssim, to_float
from models.losses import require_finite, update
from models.parallel import WHOLE, BatchShare
from models.randomness import seeded
from models.runtime import training_precision


class Surrogate(Protocol):
    """A channel as far as a training needs it."""

    @property
    def published(self) -> "Surrogate":
        """The part of the channel that lies before publication: what the checks see."""

    def surrogate(self, images: Tensor) -> Tensor:
        """Return what arrives of images (n, 3, size, size), float32 in [-1, 1]; differentiable."""


@dataclass(frozen=True)
class LearnedData:
    """What embedder and extractor are trained on: the train split, on the device."""

    covers: Tensor
    """(n, 3, size, size), uint8."""
    identity: Tensor
    """(n,), int64."""
    identities: int
    bits: Tensor | None = None
    """(n, bits), float32 in {0, 1}, where embedded as they are; None where encrypted, hence uniform."""
    secrets: Tensor | None = None
    """Shape and type of ``covers``: the images to hide, where the payload is an image."""


class LearnedTraining:
    """Embedder, extractor, adversaries in the loop, and their optimisers; trained an epoch at a time."""

    def __init__(
        self,
        config: LearnedConfig,
        data: LearnedData,
        *,
        bits: int,
        strength: int,
        seed: int,
        channel: Surrogate | None = None,
        share: BatchShare = WHOLE,
    ) -> None:
        """Build the networks.

        Args:
            config: The settings.
            data: The train split.
            bits: Bits an image, nonce included where the embedder carries it; unused where the payload is an image.
            strength: Embedding strength in grey levels, >= 0.
            seed: Of initial weights, batches and noise.
            channel: What stands between released and received images; None for 8-bit rounding alone.
            share: This worker's part of every batch; all workers train at once.

        Raises:
            ValueError: If the payload is an image and ``data`` has no images to hide.
        """
        if config.payload == "image" and data.secrets is None:
            raise ValueError("data.secrets: must hold the images to hide where subversion.learned.payload='image'")
        self.config, self.data, self.seed, self.epoch, self.share = config, data, seed, 0, share
        self.bits = None if config.payload == "image" else bits
        self.channel = channel if config.through_channel else None
        size, device = data.covers.shape[-1], data.covers.device
        with seeded(seed, "learned", "weights"):
            embedder, extractor = build_pair(
                config.architecture, bits=self.bits, size=size, width=config.width, strength=strength
            )
            self.embedder = embedder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.extractor = extractor.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        ours = dict.fromkeys([*self.embedder.parameters(), *self.extractor.parameters()])  # couplings are in both
        self.optimiser = torch.optim.Adam(list(ours), config.learning_rate, fused=True)
        self._new_adversaries()

    def _new_adversaries(self) -> None:
        data = self.data
        with seeded(self.seed, "learned", "adversaries", self.epoch):
            adversaries = AdversariesInTheLoop(self.config, identities=data.identities, size=data.covers.shape[-1])
        self.adversaries = adversaries.to(data.covers.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights, rate = list(self.adversaries.parameters()), self.config.learning_rate
        self.adversaries_optimiser = torch.optim.Adam(weights, rate, fused=True) if weights else None

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch and return the mean of each loss over its last ten steps.

        Raises:
            FloatingPointError: If a loss is no longer finite.

        Notes:
            Random numbers follow from seed and epoch alone, so a restored training continues as if never stopped.
        """
        self.begin_epoch()
        steps: list[dict[str, Tensor]] = []
        with seeded(self.seed, "learned", self.epoch):
            for _ in range(self.config.steps_per_epoch):
                steps.append(self._step())
        return self.end_epoch(steps)

    def begin_epoch(self) -> None:
        """Start the adversaries anew where it is time, and have the networks in training mode."""
        if self.config.reset_every and self.epoch and self.epoch % self.config.reset_every == 0:
            self._new_adversaries()
        self.embedder.train()
        self.extractor.train()

    def end_epoch(self, steps: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
        """Count an epoch whose steps had these losses; returns and raises what :meth:`run_epoch` does."""
        for network in (self.embedder, self.extractor):
            self.share.average_statistics(network)
        self.epoch += 1
        last = steps[-10:]
        losses = {name: float(torch.stack([step[name] for step in last]).mean()) for name in last[0]}
        require_finite(losses, f"learned embedder, epoch {self.epoch}")
        return losses

    def _step(self) -> dict[str, Tensor]:
        rows = torch.randint(len(self.data.covers), (self.config.batch_size,), device=self.data.covers.device)
        with self.share.own_random():
            return self._update_on(self.share.of(rows))

    def _update_on(self, rows: Tensor) -> dict[str, Tensor]:
        covers = to_float(self.data.covers[rows]).contiguous(memory_format=torch.channels_last)
        secret = self.secret(rows)
        with training_precision(covers.device):
            stego = round_straight_through(self.embedder(covers, secret))
        losses = self.adversaries_step(covers, stego.detach(), self.data.identity[rows])
        with training_precision(covers.device):
            terms = self.terms(covers, stego, secret)
        update(self.optimiser, torch.stack([weight * loss for weight, loss in terms.values()]).sum(), self.share)
        return losses | {name: loss.detach() for name, (_, loss) in terms.items()}

    def secret(self, rows: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Return the secrets of a batch: images, given bits, or uniform bits, as encrypted ones are.

        Args:
            rows: Which images of the train split.
            random: Draws the bits, on the device; None: torch's global generator.
        """
        data = self.data
        if self.bits is None:
            assert data.secrets is not None  # checked when built
            return to_float(data.secrets[rows])
        if data.bits is not None:
            return data.bits[rows]
        return torch.randint(2, (len(rows), self.bits), device=rows.device, generator=random).float()

    def terms(self, covers: Tensor, stego: Tensor, secret: Tensor) -> dict[str, tuple[float, Tensor]]:
        """Return weight and loss of each term of embedder and extractor."""
        received = _arriving(stego, self.channel)
        change = (stego - covers) / self.embedder.get_buffer("unit")
        name, loss = self._reading_loss(received, secret)
        losses = {name: loss, "residual": change.square().mean()}
        if self.adversaries_optimiser is not None:
            losses |= self.adversaries.embedder_losses(self.published(covers), self.published(stego))
        weights = self.weights()
        return {name: (weights[name], loss) for name, loss in losses.items()}

    def weights(self) -> dict[str, float]:
        """Return the weight of each term that embedder and extractor can have, in the present epoch."""
        config = self.config
        # Adversaries against an embedder that cannot write yet make it hide nothing, for good: they come in gradually.
        ramp = min(1.0, self.epoch / max(1.0, 0.5 * config.epochs))
        against = {"identity": ramp * config.identity_weight, "steganalysis": ramp * config.steganalysis_weight}
        return {"bits": 1.0, "image": 1.0, "residual": config.residual_weight, **against}

    def _reading_loss(self, received: Tensor, secret: Tensor) -> tuple[str, Tensor]:
        read = self.extractor(received).float()
        if self.bits is None:
            return "image", F.l1_loss(read, secret) + (1.0 - ssim(read, secret)).mean()
        return "bits", F.binary_cross_entropy_with_logits(read, secret)

    def published(self, images: Tensor) -> Tensor:
        """Return images as the world sees them, and hence the adversaries."""
        return _arriving(images, None if self.channel is None else self.channel.published)

    def adversaries_step(self, covers: Tensor, stego: Tensor, identity: Tensor) -> dict[str, Tensor]:
        """Update the adversaries in the loop once and return their losses; ``stego`` without gradients."""
        if self.adversaries_optimiser is None:
            return {}
        with training_precision(covers.device):
            losses = self.adversaries.losses(self.published(covers), self.published(stego), identity)
        update(self.adversaries_optimiser, torch.stack(list(losses.values())).sum(), self.share)
        return {name: loss.detach() for name, loss in losses.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue: networks, optimisers and the epoch."""
        return {name: part.state_dict() for name, part in self._parts().items()} | {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch = state["epoch"]

    def _parts(self) -> dict[str, Any]:
        parts = {"embedder": self.embedder, "extractor": self.extractor, "optimiser": self.optimiser}
        if self.adversaries_optimiser is not None:
            parts |= {"adversaries": self.adversaries, "adversaries_optimiser": self.adversaries_optimiser}
        return parts


def _arriving(images: Tensor, channel: Surrogate | None) -> Tensor:
    if channel is None:
        return images
    with torch.autocast(images.device.type, enabled=False):  # rounding to 8 bits has no meaning in bfloat16
        return channel.surrogate(images)
