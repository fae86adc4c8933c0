"""A channel: steps in a row, read from a text such as "jpeg90+noise".

Each step has two forms. The real one works on 8-bit images and is what a trial is judged on; its differentiable model
is what an embedder is trained through. The two are held together by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.channel.levels import round_levels
from models.channel.steps import Step, permitted, read_step
from models.image_quality import GREY_LEVEL

_NOTHING = "png"
_CHUNK = 1000  # images at a time: bounds the memory of the float copies


@dataclass(frozen=True)
class Channel:
    """What happens to images from the subverter's hands to the extractor; 8-bit pixels before and after every step."""

    steps: tuple[Step, ...] = ()
    """In order; none where images arrive as they were sent ("png")."""

    @classmethod
    def parse(cls, text: str) -> Channel:
        """Read a channel: "png", or steps joined by "+", each a kind and its number.

        Args:
            text: For example "jpeg90", "jpeg90+noise", "resize50+jpeg75", "noise0.5".

        Raises:
            ValueError: If it is no channel; the message has a line for every problem.
        """
        problems = channel_problems(text)
        if problems:
            raise ValueError("\n".join(problems))
        return cls() if text == _NOTHING else cls(tuple(map(read_step, text.split("+"))))

    def __str__(self) -> str:
        """Return the text that ``parse`` reads, numbers in their shortest form and defaults left out."""
        return "+".join(map(str, self.steps)) or _NOTHING

    @property
    def published(self) -> Channel:
        """The steps up to and including the last JPEG: the file that everybody sees, the checks too."""
        return Channel(self.steps[: self._released])

    @property
    def transit(self) -> Channel:
        """The steps after publication, which only the extractor's copy goes through."""
        return Channel(self.steps[self._released :])

    @property
    def _released(self) -> int:
        return max((number for number, step in enumerate(self.steps, 1) if step.kind == "jpeg"), default=0)

    @property
    def lossless(self) -> bool:
        """Whether images arrive as they were sent."""
        return not self.steps

    @property
    def random(self) -> bool:
        """Whether the channel draws random numbers: it has noise."""
        return any(step.kind == "noise" for step in self.steps)

    def apply(self, images: Tensor, random: np.random.Generator) -> Tensor:
        """Send images through the channel.

        Args:
            images: (n, 3, size, size), uint8.
            random: Draws the noise, anew on every call; left alone by a channel without noise.

        Returns:
            Shape, dtype and device of ``images``.

        Raises:
            ValueError: If ``images`` are not 8-bit images.

        Notes:
            JPEG is libjpeg's, by way of Pillow, with 4:2:0 chroma subsampling; 0.1 to 0.3 ms for an image of
            32 x 32.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (n, 3, size, size) uint8; found {tuple(images.shape)} {images.dtype}")
        if self.lossless:
            return images
        return torch.cat([self._apply(chunk, random) for chunk in images.split(_CHUNK)])

    def _apply(self, images: Tensor, random: np.random.Generator) -> Tensor:
        for step in self.steps:
            images = step.apply(images, random)
        return images

    def surrogate(self, images: Tensor) -> Tensor:
        """Send images through differentiable models of the steps, for training.

        Args:
            images: (n, 3, size, size), float32 in [-1, 1]; rounded to 8 bits first. Any device.

        Returns:
            Shape of ``images``, float32, every value of the form 2 k / 255 - 1 with k = 0..255, within a fraction of a
            grey level of what ``apply`` makes of the rounded images.

        Notes:
            Rounding passes gradients straight through, clipping does not. Noise is drawn from torch's global generator.
            Computed in float32 whatever the precision around it: 8 bits of mantissa would not resolve a grey level.
        """
        with torch.autocast(images.device.type, enabled=False):
            levels = round_levels((images.float() + 1.0) / GREY_LEVEL)
            for step in self.steps:
                levels = step.model(levels)
            return levels * GREY_LEVEL - 1.0


PNG = Channel()
"""The channel that changes nothing."""


def channel_problems(text: object, where: str = "channel") -> list[str]:
    """Return what is wrong with the text of a channel, a line each.

    Args:
        text: What was written.
        where: Name of the setting, as the user knows it.
    """
    start = f"{where}={text!r}: "
    if not isinstance(text, str) or not text:
        return [f"{start}must be a text, such as png or jpeg90+noise; permitted: png alone, or {permitted()}"]
    if text == _NOTHING:
        return []
    found = []
    for part in text.split("+"):
        if part == _NOTHING:
            found.append(f"{start}png stands alone: 8-bit rounding follows every other step anyway")
            continue
        try:
            read_step(part)
        except ValueError as error:
            found.append(start + str(error))
    return found
