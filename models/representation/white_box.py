"""White-box inversion: whoever has the encoder seeks the image whose latent is the released one.

Maximum a posteriori with a decoder's reconstruction as the prior's mean: ``|E(x) - z|^2 / d + weight |x - x0|^2 / D``,
means over the latent's d values and the image's D. The weight is chosen on public people, so that a misleading gradient
cannot make the judge much worse than the decoder that it begins with.

References:
    Mahendran, Vedaldi. "Understanding deep image representations by inverting them". CVPR 2015.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.image_quality import ssim, to_float
from models.measurement import Control
from models.representation.judges import CHECK
from models.representation.networks import Encoder

_WEIGHTS = (0.03, 0.3, 3.0)
_LEARNING_RATE = 0.03
_LOOK_EVERY = 20
_PLATEAU = 0.01
_CHOICE_IMAGES = 48


@dataclass(frozen=True)
class Inversion:
    """Inverted images."""

    images: Tensor
    """(n, 3, size, size), float32 in [-1, 1]."""
    converged: bool
    gain: float
    """Share by which the last look was still better than the one before; below 0.01 at a plateau."""

    def control(self) -> Control:
        """Return the plateau as a calibration result."""
        gain = self.gain
        return Control(
            CHECK, "white_box", "plateau", gain, gain, gain, f"relative gain < {_PLATEAU:g}", passed=self.converged
        )


def choose_weight(encoder: Encoder, latents: Tensor, start: Tensor, truth: Tensor, *, steps: int) -> float:
    """Return the weight of the prior that inverts public people best.

    Args:
        encoder: Frozen.
        latents: Released latents of public people, (n, channels, side, side).
        start: What a decoder makes of them, (n, 3, size, size) in [-1, 1].
        truth: Their images, (n, 3, size, size), uint8; the first 48 count.
        steps: Of each inversion.
    """
    chosen = slice(_CHOICE_IMAGES)
    inputs = to_float(truth[chosen])

    def quality(weight: float) -> float:
        return float(ssim(invert(encoder, latents[chosen], start[chosen], weight, steps=steps).images, inputs).mean())

    return max(_WEIGHTS, key=quality)


def invert(encoder: Encoder, latents: Tensor, start: Tensor, weight: float, *, steps: int) -> Inversion:
    """Optimise images until their latents match.

    Args:
        encoder: Frozen; used without its noise.
        latents: (n, channels, side, side), released.
        start: (n, 3, size, size), float32 in [-1, 1]; where to begin, and the mean of the prior.
        weight: Of the prior, > 0.
        steps: Most updates; it ends sooner at a plateau.

    Notes:
        Draws no random numbers.
    """
    images = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([images], _LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=_LEARNING_RATE / 30)
    before, gain, converged = float("inf"), 1.0, False
    for step in range(1, steps + 1):
        loss = (encoder(images) - latents).square().mean() + weight * (images - start).square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward(inputs=[images])
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            images.clamp_(-1.0, 1.0)
        if step % _LOOK_EVERY == 0 or step == steps:
            value = float(loss.detach())
            gain = (before - value) / max(before, 1e-12) if before < float("inf") else 1.0
            before = min(before, value)
            converged = gain < _PLATEAU
            if converged and step >= 3 * _LOOK_EVERY:
                break
    return Inversion(images.detach(), converged, gain)
