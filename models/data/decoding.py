"""One image file becomes the pixels that models see. What is decoded for all trials is kept by ``cache``."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


def read_image(source: Path | BinaryIO, size: int) -> np.ndarray:
    """Read one image as the middle square in colour.

    Args:
        source: Image file of a format that Pillow reads; 8 or 16 bits a channel.
        size: Height and width to resize to, pixels.

    Returns:
        uint8 (3, size, size). Grey images get three equal channels, transparent ones lie on white, the middle square
        is cut out and resized with antialiasing.

    Raises:
        OSError: If the file is no image, is truncated or cannot be opened.
        ValueError: If the pixels are numbers without a known range.
    """
    with Image.open(source) as opened:
        picture = ImageOps.exif_transpose(opened)  # decodes the whole file
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {picture.mode} have no known range; save it with 8 bits a channel")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    square = ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.BICUBIC)
    return np.asarray(square).transpose(2, 0, 1).copy()


def reason(error: Exception) -> str:
    """Say for people why ``read_image`` failed.

    Raises:
        Nothing.
    """
    return "not an image" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
