"""The laundering steps by name: 8-bit images in, 8-bit images out, without key or extractor.

Most are ordinary image processing. Two learn from the images that the buyer holds: he renders them anew through an
autoencoder, or buries small changes in noise and has a network remove it.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from scipy.ndimage import median_filter
from torch import Tensor

from models.channel import Channel
from models.laundering.rendering import fit_autoencoder, fit_denoiser, render

LEVELS = (128, 64, 32, 16)
"""Grey levels that re-quantisation leaves; each divides 256."""

CHANNELS = (
    "jpeg95", "jpeg75", "jpeg50", "jpeg25", "blur0.5", "blur1", "noise1", "noise2", "noise4", "noise8", "resize75",
    "resize50",
)  # fmt: skip
"""Steps that are channels as well, as ``models.channel.Channel`` reads them."""

MEDIANS = (3,)
"""Sides of the median filter's window in pixels."""

DENOISED_SIGMA = 8.0
"""Standard deviation of the noise that is added and removed again, in grey levels."""

NONE = "none"
"""The release as it is: what the others are compared with."""

STEPS = (
    NONE, *(f"levels{number}" for number in LEVELS), *CHANNELS, *(f"median{side}" for side in MEDIANS), "autoencoder",
    "denoiser",
)  # fmt: skip
"""Every step, in the order in which they are tried."""

Launder = Callable[[Tensor, np.random.Generator], Tensor]
"""Images (n, 3, size, size) uint8 and a generator in; images of the same shape and type out."""


def launderers(held: Callable[[], Tensor], *, seed: int, device: str) -> dict[str, Launder]:
    """Return every step of ``STEPS`` by name.

    Args:
        held: Returns released images that a step may learn from, (n, 3, size, size) uint8, size a multiple of 4; not
            those that are laundered. Called only if such a step is used, as are its trainings, once.
        seed: Of those trainings.
        device: Where to train, "cpu" or "cuda".

    Notes:
        The trained ones raise FloatingPointError if their loss is no longer finite.
    """
    autoencoder = cache(lambda: fit_autoencoder(held(), seed=seed, device=device))
    denoiser = cache(lambda: fit_denoiser(held(), sigma=DENOISED_SIGMA, seed=seed, device=device))

    noise = Channel.parse(f"noise{DENOISED_SIGMA:g}")

    def denoise(images: Tensor, random: np.random.Generator) -> Tensor:
        return render(denoiser(), noise.apply(images, random))

    found: dict[str, Launder] = {NONE: lambda images, _: images}
    found |= {f"levels{number}": _levels(number) for number in LEVELS}
    found |= {name: Channel.parse(name).apply for name in CHANNELS}
    found |= {f"median{side}": _median(side) for side in MEDIANS}
    found |= {"autoencoder": lambda images, _: render(autoencoder(), images), "denoiser": denoise}
    return found


def requantise(images: Tensor, levels: int) -> Tensor:
    """Keep ``levels`` grey levels, a divisor of 256, each near the middle of the values that it stands for."""
    width = 256 // levels
    return (torch.div(images, width, rounding_mode="floor") * width + width // 2).to(torch.uint8)


def median(images: Tensor, side: int) -> Tensor:
    """Replace every value by the median of its colour in a window of ``side`` pixels, edges repeated."""
    filtered = median_filter(images.cpu().numpy(), size=(1, 1, side, side), mode="nearest")
    return torch.from_numpy(filtered).to(images.device)


def _levels(levels: int) -> Launder:
    return lambda images, _: requantise(images, levels)


def _median(side: int) -> Launder:
    return lambda images, _: median(images, side)
