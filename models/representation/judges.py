"""Fresh decoders that judge a frozen encoder: trained on public people to a plateau, measured on people nobody saw.

A decoder that has not reached its plateau shows nothing about what a better-trained one would recover, so it gives no
measurement, which every bound counts as violated.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from models.image_quality import ssim, to_float
from models.losses import require_finite, update
from models.measurement import Control
from models.randomness import seeded, torch_generator
from models.representation.config import RepresentationConfig
from models.representation.instruments import Perceptual, frozen
from models.representation.judging_config import JudgeConfig
from models.representation.networks import Decoder, Encoder, build_decoder, with_noise
from models.runtime import reduced_precision

_AT_ONCE = 256
_LOOK_IMAGES = 400
_DROPS, _DROP = 1, 0.2
_PERCEPTUAL_WEIGHT = 1.0
CHECK = "inversion"
"""Name of the check that the plateaus belong to."""


@dataclass(frozen=True)
class PublicMaterial:
    """What a judge is trained on, on the device."""

    images: Tensor
    """Public people that it learns from, (n, 3, size, size), uint8."""
    validation: Tensor
    """Public people that show when it has reached its plateau, (m, 3, size, size), uint8."""


Network = TypeVar("Network", bound=nn.Module)


class PlateauConfig(Protocol):
    """What ends a training; the fields of ``JudgeConfig`` that say so."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def evaluate_every(self) -> int: ...
    @property
    def patience(self) -> int: ...
    @property
    def tolerance(self) -> float: ...


@dataclass(frozen=True)
class FittedDecoder(Generic[Network]):
    """A judge after its training."""

    decoder: Network
    """As it was at its best look, frozen."""
    converged: bool
    score: float
    """SSIM that it reached on the validation people; what counts is measured on test people."""
    gain: float
    """SSIM on the validation people that the last looks added; at most the tolerance at a plateau."""
    steps: int

    def control(self, name: str, tolerance: float) -> Control:
        """Return the plateau as a calibration result."""
        return Control(
            CHECK, name, "plateau", self.gain, self.gain, self.gain, f"gain < {tolerance:g}", passed=self.converged
        )


def fit_judge(
    name: str,
    encoder: Encoder,
    config: RepresentationConfig,
    material: PublicMaterial,
    perceptual: Perceptual,
    settings: JudgeConfig,
    *,
    seed: int,
) -> FittedDecoder[Decoder]:
    """Train one of ``judging_config.DECODERS`` to its plateau.

    Args:
        name: Which judge. ``noise_free`` reads latents before their noise: what averaging many releases of one image
            comes to.
        encoder: Frozen.
        config: Of the encoder.
        material: Public images; latents are released anew in each step, as one may query a black box again and again.
        perceptual: For the judge ``perceptual``, whose loss it is added to.
        settings: Budget.
        seed: Of weights, batches and noise.

    Raises:
        FloatingPointError: If a loss is no longer finite.
    """
    noise = release_noise(name, encoder)
    with seeded(seed, "judge", name, "weights"):
        decoder = build_decoder(config, "small" if name == "small" else "large").to(material.images.device)
    look = material.validation[torch.randperm(len(material.validation), generator=torch_generator(seed, "look"))]
    truth = to_float(look[:_LOOK_IMAGES])
    latents = latents_of(encoder, look[:_LOOK_IMAGES], noise, torch_generator(seed, "look", name))
    clean = latents_of(encoder, material.images, 0.0, torch_generator(seed))

    def loss() -> Tensor:
        rows = torch.randint(len(material.images), (settings.batch_size,)).to(material.images.device)
        images = to_float(material.images[rows])
        with reduced_precision(images.device):
            estimate = decoder(with_noise(clean[rows], noise))
        estimate = estimate.float()
        value = (estimate - images).abs().mean() + (1.0 - ssim(estimate, images)).mean()
        if name == "perceptual":
            value = value + _PERCEPTUAL_WEIGHT * perceptual.distance(estimate, images).mean()
        return value

    def score() -> float:
        return float(ssim(decode(decoder, latents).to(truth.device), truth).mean())

    with seeded(seed, "judge", name):
        return to_plateau(decoder, loss, score, settings)


def to_plateau(
    decoder: Network, loss: Callable[[], Tensor], score: Callable[[], float], settings: PlateauConfig
) -> FittedDecoder[Network]:
    """Train until looks bring nothing more at two learning rates in turn, or until the steps are used up.

    Args:
        decoder: Trained in place.
        loss: Draws a batch and returns its loss.
        score: Validation score, higher is better.
        settings: Budget and what counts as a gain.

    Returns:
        The best look; converged only if the last plateau was reached within the steps.

    Raises:
        FloatingPointError: If the loss or the score is no longer finite.
    """
    optimiser = torch.optim.Adam(decoder.parameters(), settings.learning_rate)
    best, mark, waited, drops = -math.inf, -math.inf, 0, 0
    best_state = copy.deepcopy(decoder.state_dict())
    looks: list[float] = []
    for step in range(1, settings.steps + 1):
        decoder.train()
        value = loss()
        update(optimiser, value)
        if step % settings.evaluate_every and step != settings.steps:
            continue
        found = score()
        require_finite({"loss": float(value.detach()), "score": found}, f"judge, step {step}")
        mark, waited = (found, 0) if found > mark + settings.tolerance else (mark, waited + 1)
        if found > best:
            best, best_state = found, copy.deepcopy(decoder.state_dict())
        looks.append(best)
        if waited < settings.patience:
            continue
        if drops == _DROPS:
            break
        drops, waited = drops + 1, 0
        for group in optimiser.param_groups:
            group["lr"] *= _DROP
    converged = drops == _DROPS and waited >= settings.patience
    decoder.load_state_dict(best_state)
    before = looks[-1 - settings.patience] if len(looks) > settings.patience else -1.0
    return FittedDecoder(frozen(decoder), converged, best, looks[-1] - before, step)


def release_noise(judge: str, encoder: Encoder) -> float:
    """Return the noise on the latents that a judge reads."""
    return 0.0 if judge == "noise_free" else encoder.noise


@torch.no_grad()
def latents_of(encoder: Encoder, images: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Return one released latent for each image, (n, 3, size, size) uint8, on the encoder's device."""
    clean = torch.cat([encoder(to_float(part)) for part in images.split(_AT_ONCE)])
    return with_noise(clean, noise, generator)


@torch.no_grad()
def decode(decoder: Decoder, latents: Tensor) -> Tensor:
    """Return the reconstructions of latents, (n, 3, size, size) in [-1, 1], on their device."""
    decoder.eval()
    return torch.cat([decoder(part) for part in latents.split(_AT_ONCE)])
