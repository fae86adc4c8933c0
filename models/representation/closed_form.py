"""The best linear decoder on random features of a latent, in closed form: an adversary that cannot be dodged.

A trained decoder lags behind the encoder, which can make it fail by moving without removing anything. This one is
optimal in every step by construction, and drawn anew in every step, so that nothing but less information raises its
error.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_FEATURES = 64
_RIDGE = 1e-3


def ridge_reconstruction(latent: Tensor, images: Tensor, mean: Tensor) -> Tensor:
    """Reconstruct images from their latents by ridge regression on random convolutional features.

    Args:
        latent: (n, channels, side, side), n >= 2.
        images: (n, 3, size, size), float32 in [-1, 1], size a multiple of side.
        mean: (3, size, size): what is known without the latent.

    Returns:
        Shape of ``images``. Differentiable in ``latent``, through the solution too.

    Notes:
        Every place of the latent predicts its own square of pixels, with weights shared by all places. Fitted and
        judged on the same batch. Draws the random features from torch's global generator.
    """
    side = latent.shape[-1]
    scale = images.shape[-1] // side
    target = F.pixel_unshuffle(images - mean, scale)  # (n, 3 scale^2, side, side)
    features = _random_features(latent)
    rows = _as_rows(features)
    gram = rows.T @ rows
    ridge = _RIDGE * gram.diagonal().mean().detach() * torch.eye(len(gram), device=gram.device)
    weights = torch.linalg.solve(gram + ridge, rows.T @ _as_rows(target))
    predicted = (rows @ weights).view(len(latent), side, side, -1).permute(0, 3, 1, 2)
    return F.pixel_shuffle(predicted, scale) + mean


def _random_features(latent: Tensor) -> Tensor:
    """Return the latent, two layers of random convolutions of it, and a constant, as maps of the same side."""
    channels = latent.shape[1]
    first = torch.randn(_FEATURES, channels, 3, 3, device=latent.device) / (9 * channels) ** 0.5
    shift = 0.5 * torch.randn(_FEATURES, device=latent.device)
    hidden = F.leaky_relu(F.conv2d(latent, first, shift, padding=1), 0.2)
    second = torch.randn(_FEATURES, _FEATURES, 3, 3, device=latent.device) / (9 * _FEATURES) ** 0.5
    deeper = F.leaky_relu(F.conv2d(hidden, second, shift.flip(0), padding=1), 0.2)
    return torch.cat([latent, hidden, deeper, torch.ones_like(latent[:, :1])], dim=1)


def _as_rows(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
