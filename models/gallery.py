"""The picture of a trial: input, sanitised, released, difference and recovered image side by side."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.image_quality import to_uint8

AMPLIFICATION = 16
"""Factor by which the difference is shown."""


def columns(inputs: Tensor, covers: Tensor, released: Tensor, recovered: Tensor) -> dict[str, Tensor]:
    """Return the columns of a gallery by heading.

    Args:
        inputs: (n, 3, size, size), uint8.
        covers: Sanitised images, same shape, uint8.
        released: Same shape, uint8.
        recovered: Same shape, float32 in [-1, 1].
    """
    difference = (released.int() - covers.int()) * AMPLIFICATION + 128
    return {
        "input": inputs,
        "sanitised": covers,
        "released": released,
        f"difference x{AMPLIFICATION}": difference.clamp(0, 255).to(inputs.dtype),
        "recovered": to_uint8(recovered),
    }


def draw(columns: Mapping[str, Tensor], *, cell: int = 96) -> Image.Image:
    """Draw a gallery, one row an image.

    Args:
        columns: Heading to images (n, 3, size, size), uint8, all of one n.
        cell: Side of a shown image in pixels; images are enlarged without smoothing.
    """
    font = ImageFont.load_default(size=13)
    count = len(next(iter(columns.values())))
    gap, heading = 4, 22
    canvas = Image.new("RGB", (len(columns) * (cell + gap) + gap, count * (cell + gap) + heading), "white")
    pen = ImageDraw.Draw(canvas)
    for column, (title, images) in enumerate(columns.items()):
        left = gap + column * (cell + gap)
        pen.text((left + cell / 2, heading / 2), title, fill="black", font=font, anchor="mm")
        for row, image in enumerate(images):
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
            shown = Image.fromarray(pixels).resize((cell, cell), Image.Resampling.NEAREST)
            canvas.paste(shown, (left, heading + row * (cell + gap)))
    return canvas
