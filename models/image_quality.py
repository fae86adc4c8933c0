"""Pixel formats and full-reference image quality: 8-bit rounding, PSNR and SSIM.

Images are float32 in [-1, 1] inside networks and uint8 once released; the conversions between the two are here.

References:
    Wang, Bovik, Sheikh, Simoncelli. "Image quality assessment: from error visibility to structural similarity".
    IEEE Transactions on Image Processing 13(4), 2004.
"""

import torch
from torch import Tensor

GREY_LEVEL = 2.0 / 255.0
"""One 8-bit grey level on the [-1, 1] scale."""


def to_float(images: Tensor) -> Tensor:
    """Map uint8 images onto float32 in [-1, 1]; any shape."""
    return images.to(torch.float32) * GREY_LEVEL - 1.0


def to_uint8(images: Tensor) -> Tensor:
    """Round float images in [-1, 1] to the nearest of the 256 grey levels; values outside are clipped; any shape."""
    return ((images + 1.0) / GREY_LEVEL).round().clamp(0, 255).to(torch.uint8)


def round_straight_through(images: Tensor) -> Tensor:
    """Round float images to released 8-bit values, passing gradients through unchanged.

    Args:
        images: Any shape, float32.

    Returns:
        Same shape, every value of the form 2 k / 255 - 1 with k = 0..255.
    """
    return images + (to_float(to_uint8(images.detach())) - images.detach())


def psnr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image.

    Args:
        estimate: (n, channels, height, width), float32 in [-1, 1].
        reference: Same shape and range.

    Returns:
        (n,) decibels; infinite where the two are equal.

    Raises:
        ValueError: If the shapes differ.
    """
    _require_same_shape(estimate, reference)
    mean_square = (estimate - reference).square().flatten(1).mean(1)
    return 10.0 * torch.log10(4.0 / mean_square)


def ssim(estimate: Tensor, reference: Tensor, *, window: int = 7, sigma: float = 1.5) -> Tensor:
    """Structural similarity of each image, mean over channels and valid windows (Wang et al. 2004, eq. 13).

    Args:
        estimate: (n, channels, height, width), float32 in [-1, 1].
        reference: Same shape and range.
        window: Side of the Gaussian window in pixels, odd. 7 instead of the paper's 11, for faces as small as 32 x 32.
        sigma: Standard deviation of the window in pixels.

    Returns:
        (n,) values in [-1, 1]; 1 for equal images. Differentiable.

    Raises:
        ValueError: If the shapes differ or an image is smaller than the window.
    """
    _require_same_shape(estimate, reference)
    with torch.autocast(estimate.device.type, enabled=False):  # variances are small differences of large moments
        return _ssim(estimate.float(), reference.float(), window, sigma)


def _ssim(estimate: Tensor, reference: Tensor, window: int, sigma: float) -> Tensor:
    height, width = estimate.shape[-2:]
    if min(height, width) < window:
        raise ValueError(f"ssim: images of {height} x {width} are smaller than the window of {window} pixels")
    c1, c2 = (0.01 * 2.0) ** 2, (0.03 * 2.0) ** 2  # the value range is 2
    rows, columns = (_window_matrix(side, window, sigma, estimate) for side in (height, width))
    moments = torch.stack([estimate, reference, estimate * estimate, reference * reference, estimate * reference])
    moments = rows.T @ moments @ columns  # the window is separable, and products are faster than one-plane convolutions
    mean_e, mean_r = moments[0], moments[1]
    variance_e = moments[2] - mean_e.square()
    variance_r = moments[3] - mean_r.square()
    covariance = moments[4] - mean_e * mean_r
    similarity = (2 * mean_e * mean_r + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_e.square() + mean_r.square() + c1) * (variance_e + variance_r + c2))
    return similarity.flatten(1).mean(1)


def _require_same_shape(estimate: Tensor, reference: Tensor) -> None:
    if estimate.shape != reference.shape:
        raise ValueError(
            f"estimate and reference must have one shape; found {tuple(estimate.shape)} and {tuple(reference.shape)}"
        )


def _window_matrix(side: int, window: int, sigma: float, like: Tensor) -> Tensor:
    """Return the (side, side - window + 1) matrix whose column i weighs the pixels of the i-th valid window."""
    positions = torch.arange(side, dtype=like.dtype, device=like.device)
    starts = torch.arange(side - window + 1, dtype=like.dtype, device=like.device)
    offset = positions[:, None] - starts[None, :] - (window - 1) / 2
    profile = torch.exp(-offset.square() / (2 * sigma**2)) * (offset.abs() <= (window - 1) / 2)
    return profile / profile.sum(0, keepdim=True)
