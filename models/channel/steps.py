"""The steps of a channel: their kinds, their numbers, and how they are written."""

import difflib
import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.channel.filters import blur, resize
from models.channel.jpeg import through_codec, through_model
from models.channel.levels import round_levels


@dataclass(frozen=True)
class Kind:
    """A kind of step and the number that it takes."""

    default: float | None
    """The number where none is written; None where one must be."""
    low: float
    """Smallest number; itself permitted only where the number is whole."""
    high: float
    """Largest number, itself permitted."""
    whole: bool
    """Whether the number must be whole."""
    meaning: str

    def permits(self, number: float) -> bool:
        """Say whether the kind takes ``number``."""
        above = number >= self.low if self.whole else number > self.low
        return above and number <= self.high


KINDS = {
    "jpeg": Kind(None, 1, 100, True, "quality"),
    "noise": Kind(1, 0, 64, False, "sigma in grey levels"),
    "blur": Kind(0.5, 0, 8, False, "sigma in pixels"),
    "resize": Kind(75, 10, 99, True, "per cent"),
}


@dataclass(frozen=True)
class Step:
    """One operation on 8-bit images."""

    kind: str
    """One of ``KINDS``."""
    number: float
    """Quality, standard deviation or size, as its kind says."""

    def __str__(self) -> str:
        """Return the step as it is written; a number that is the default is left out."""
        if self.number == KINDS[self.kind].default:
            return self.kind
        return self.kind + np.format_float_positional(self.number, trim="-")

    def apply(self, images: Tensor, random: np.random.Generator) -> Tensor:
        """Return what the step makes of images, (n, 3, size, size) uint8; noise is drawn from ``random``."""
        if self.kind == "jpeg":
            return through_codec(images, int(self.number))
        levels = images.float()
        if self.kind == "noise":
            noise = random.standard_normal(tuple(levels.shape), dtype=np.float32)
            changed = levels + self.number * torch.from_numpy(noise).to(levels.device)
        else:
            changed = self._filter(levels)
        return changed.round().clamp(0, 255).to(torch.uint8)

    def model(self, levels: Tensor) -> Tensor:
        """Return the same of whole grey levels, float32, differentiably; noise is drawn from torch's own generator."""
        if self.kind == "jpeg":
            return through_model(levels, int(self.number))
        if self.kind == "noise":
            return round_levels(levels + self.number * torch.randn_like(levels))
        return round_levels(self._filter(levels))

    def _filter(self, levels: Tensor) -> Tensor:
        return blur(levels, self.number) if self.kind == "blur" else resize(levels, self.number)


def read_step(text: str) -> Step:
    """Read a step as it is written: a kind and, directly after it, its number.

    Raises:
        ValueError: If there is no such kind or it does not take the number; the message says what is permitted.
    """
    name, number = _split(text)
    if name not in KINDS:
        raise ValueError(f"unknown step {text!r}{_near_miss(text)}; permitted: png alone, or {permitted()}")
    kind = KINDS[name]
    if not number and kind.default is not None:
        return Step(name, float(kind.default))
    pattern = r"[0-9]+" if kind.whole else r"[0-9]+(\.[0-9]+)?"
    if not re.fullmatch(pattern, number) or not kind.permits(float(number)):
        raise ValueError(f"step {text!r}: permitted is {_form(name)}")
    return Step(name, float(number))


def _split(text: str) -> tuple[str, str]:
    """Divide a step before its number, which may be missing or malformed."""
    name = text.rstrip("0123456789.+-")
    return name, text[len(name) :]


def permitted() -> str:
    """Return the forms of all steps, for messages."""
    return ", ".join(map(_form, KINDS))


def _form(name: str) -> str:
    kind = KINDS[name]
    numbers = f"{kind.low:g} to {kind.high:g}" if kind.whole else f"above {kind.low:g}, at most {kind.high:g}"
    default = "a number is required" if kind.default is None else f"{kind.default:g} if left out"
    return f"{name}<{kind.meaning}: {'whole, ' if kind.whole else ''}{numbers}; {default}>"


def _near_miss(text: str) -> str:
    name, number = _split(text.strip().lower())
    close = difflib.get_close_matches(name, [*KINDS, "png"], 1)
    return f"; did you mean {close[0] + (number if close[0] in KINDS else '')!r}?" if close else ""
