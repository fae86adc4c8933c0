"""Adversarial training of an encoder for a task, an epoch at a time (Xiao et al. 2020, section 3).

The encoder and the task classifier minimise the task's loss minus the weighted reconstruction errors of an adversary;
the adversary minimises them. Encoder and classifier see private people, the adversary in the loop public ones.

What differs from the paper, each because the published form fails here (see EXPERIMENTS.md): errors are divided by
those of the mean image, so that a weight means the same for every measure; an image's share counts up to 1, since
nothing is gained by making a decoder worse than a guess; the latent is bounded and noisy; a decoder in closed form may
stand beside the trained one; and the weights rise gradually.

References:
    Xiao, Tsai, Sohn, Chandraker, Yang. "Adversarial learning of privacy-preserving and task-oriented representations".
    AAAI 2020.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.image_quality import to_float
from models.losses import require_finite, update
from models.randomness import seeded
from models.representation.closed_form import ridge_reconstruction
from models.representation.config import RepresentationConfig
from models.representation.instruments import Perceptual
from models.representation.networks import Decoder, Encoder, TaskClassifier
from models.representation.tasks import Tasks
from models.runtime import reduced_precision

_LEAST_ERROR = 1e-4  # below this even the mean image is right, and a share of its error says nothing


@dataclass(frozen=True)
class TrainingData:
    """What is trained on, on the device."""

    private: Tensor
    """Images of the private people, (n, 3, size, size), uint8."""
    labels: Tensor
    """(n, tasks), int64."""
    public: Tensor
    """Images of the public people that the adversary has, (m, 3, size, size), uint8."""


class RepresentationTraining:
    """Encoder, classifier, decoder in the loop, and their optimisers."""

    def __init__(
        self, config: RepresentationConfig, data: TrainingData, tasks: Tasks, perceptual: Perceptual, *, seed: int
    ) -> None:
        """Build the networks; ``seed`` determines their weights, the batches and the noise."""
        self.config, self.data, self.tasks, self.perceptual = config, data, tasks, perceptual
        self.seed, self.epoch = seed, 0
        device, size = data.private.device, data.private.shape[-1]
        with seeded(seed, "representation", "weights"):
            self.encoder = Encoder(config).to(device)
            self.classifier = TaskClassifier(config, size, sum(tasks.classes)).to(device)
        ours = [*self.encoder.parameters(), *self.classifier.parameters()]
        self.optimiser = torch.optim.Adam(ours, config.learning_rate)
        self.mean = to_float(data.public).mean(0)
        self._new_decoder()

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be trained."""
        return self.config.epochs - self.epoch

    def _new_decoder(self) -> None:
        config = self.config
        with seeded(self.seed, "representation", "decoder", self.epoch):
            decoder = Decoder(config.latent_channels, config.cut, config.adversary_width, blocks=0)
        self.decoder = decoder.to(self.data.private.device)
        self.decoder_optimiser = torch.optim.Adam(self.decoder.parameters(), config.learning_rate)

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch and return the mean of each loss over its last ten steps.

        ``task`` is in nats; ``decoder.*`` and ``closed_form.*`` are errors of reconstruction in the loop as a share of
        the mean image's. They say how the training goes, not how private the representation is.

        Raises:
            FloatingPointError: If a loss is no longer finite.

        Notes:
            Random numbers follow from seed and epoch alone, so a restored training continues as if never stopped.
        """
        config = self.config
        if config.reset_every and self.epoch and self.epoch % config.reset_every == 0:
            self._new_decoder()
        self.encoder.train()
        self.classifier.train()
        self.decoder.train()
        steps = []
        with seeded(self.seed, "representation", self.epoch):
            for step in range(config.steps_per_epoch):
                progress = (self.epoch + step / config.steps_per_epoch) / config.epochs
                self._set_learning_rate(progress)
                steps.append(self._step(adversarial_strength(config, progress)))
        self.epoch += 1
        last = steps[-10:]
        names = dict.fromkeys(name for losses in last for name in losses)
        losses = {name: float(torch.stack([one[name] for one in last if name in one]).mean()) for name in names}
        require_finite(losses, f"representation, epoch {self.epoch}")
        return losses

    def _set_learning_rate(self, progress: float) -> None:
        factor = 1.0 - 0.9 * max(0.0, 2.0 * progress - 1.0)
        for optimiser in (self.optimiser, self.decoder_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = factor * self.config.learning_rate

    def _step(self, strength: float) -> dict[str, Tensor]:
        """Update the decoder, if there is one, and then encoder and classifier; ``strength`` in [0, 1]."""
        config, losses = self.config, dict[str, Tensor]()
        if config.adversarial and config.adversary in ("plain", "both"):
            for _ in range(config.adversary_steps):
                losses |= self._decoder_step()
        rows = torch.randint(len(self.data.private), (config.batch_size,)).to(self.data.private.device)
        images = to_float(self.data.private[rows])
        latent = self.encoder.release(images)
        task = self.tasks.loss(self.classifier(latent), self.data.labels[rows])
        total = task
        if config.adversarial and strength > 0:
            pixel, perceptual = self._reconstruction_errors(latent, images, losses)
            total = task - strength * (config.pixel_weight * pixel + config.perceptual_weight * perceptual)
        update(self.optimiser, total)
        return losses | {"task": task.detach()}

    def _decoder_step(self) -> dict[str, Tensor]:
        rows = torch.randint(len(self.data.public), (self.config.batch_size,)).to(self.data.public.device)
        images = to_float(self.data.public[rows])
        with torch.no_grad():
            latent = self.encoder.release(images)
        pixel, perceptual = self._errors({"decoder": self._decode(latent)}, images)["decoder"]
        weights = self._decoder_weights()
        update(self.decoder_optimiser, weights[0] * pixel.mean() + weights[1] * perceptual.mean())
        return {"decoder.pixel": pixel.mean().detach(), "decoder.perceptual": perceptual.mean().detach()}

    def _decode(self, latent: Tensor) -> Tensor:
        with reduced_precision(latent.device):
            estimate = self.decoder(latent)
        return estimate.float()

    def _decoder_weights(self) -> tuple[float, float]:
        """Return the decoder's weights: those of the encoder, relative to each other."""
        total = self.config.pixel_weight + self.config.perceptual_weight
        return self.config.pixel_weight / total, self.config.perceptual_weight / total

    def _reconstruction_errors(
        self, latent: Tensor, images: Tensor, losses: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the clipped errors of the adversaries, mean over both, and note them in ``losses``."""
        estimates = {}
        if self.config.adversary in ("plain", "both"):
            estimates["decoder"] = self._decode(latent)
        if self.config.adversary in ("closed_form", "both"):
            estimates["closed_form"] = ridge_reconstruction(latent, images, self.mean)
        pixels, distances = [], []
        for name, errors in self._errors(estimates, images).items():
            pixel, perceptual = (error.clamp(max=1.0).mean() for error in errors)
            losses[f"{name}.pixel_against"], losses[f"{name}.perceptual_against"] = pixel.detach(), perceptual.detach()
            pixels.append(pixel)
            distances.append(perceptual)
        return torch.stack(pixels).mean(), torch.stack(distances).mean()

    def _errors(self, estimates: Mapping[str, Tensor], images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return squared error and distance in features of each image, (n,) each, as shares of the mean image's.

        Args:
            estimates: Reconstructions by adversary, (n, 3, size, size) each.
            images: Their originals.
        """
        of_guess = _mean_square(self.mean - images).clamp(min=_LEAST_ERROR)
        pixels = {name: _mean_square(estimate - images) / of_guess for name, estimate in estimates.items()}
        if self.config.perceptual_weight == 0:
            return {name: (pixel, torch.zeros_like(pixel)) for name, pixel in pixels.items()}
        with torch.no_grad():
            truth = self.perceptual.features(images)
            guess = self.perceptual.between(self.perceptual.features(self.mean[None]), truth).clamp(min=_LEAST_ERROR)
        distances = {
            name: self.perceptual.between(self.perceptual.features(estimate), truth) / guess
            for name, estimate in estimates.items()
        }
        return {name: (pixels[name], distances[name]) for name in estimates}

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue: networks, optimisers and the epoch."""
        return {name: part.state_dict() for name, part in self._parts().items()} | {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch = state["epoch"]

    def _parts(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder,
            "classifier": self.classifier,
            "decoder": self.decoder,
            "optimiser": self.optimiser,
            "decoder_optimiser": self.decoder_optimiser,
        }


def adversarial_strength(config: RepresentationConfig, progress: float) -> float:
    """Return the share of the weights at ``progress`` in [0, 1]: 0 in the warm-up, then a rise to 1."""
    if progress < config.warm_up:
        return 0.0
    if config.ramp == 0:
        return 1.0
    return min(1.0, (progress - config.warm_up) / config.ramp)


def _mean_square(difference: Tensor) -> Tensor:
    return difference.square().flatten(1).mean(1)
