"""Leaks with known answers, planted in the honest releases of a sanitiser: what each does to the images.

Every plant writes the identity of the input, or a digit of it, and rounds to 8 bits; none changes a value by more than
``levels`` grey levels (the choice of the target identity changes everything, and has no levels). Patterns, positions
and the order in which identities get them are drawn from the seed and are the same in every image: nothing but the
released images and their labels is needed to learn them. ``keyed_bits`` is the exception: without its key stream it is
a coin's noise, and no adversary can read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.randomness import torch_generator

LEVELS = (1, 2, 4, 8)
"""Largest changes, grey levels; powers of two, since the bits of a value are written at one of them."""

_BIT_SHARE = 0.25  # of the values that carry a bit
_LOW = 4  # coefficients a side of the image's DCT that carry; the mean is none of them


@dataclass(frozen=True)
class Secret:
    """What a plant is given."""

    identity: Tensor
    """Of each input, (n,), int64 in 0..classes - 1."""
    classes: int
    levels: int
    """One of ``LEVELS``."""
    seed: int
    """Of what is the same in every image."""
    image_seed: int
    """Of what differs from image to image: dither and key streams."""


def bits(covers: Tensor, secret: Secret) -> Tensor:
    """Overwrite one bit of a quarter of the values with the digits of the identity: bit 0 at 1 level, 1 at 2, ..."""
    return _with_bits(covers, secret, mask=None)


def keyed_bits(covers: Tensor, secret: Secret) -> Tensor:
    """Do what ``bits`` does with the digits encrypted, by a key stream of each image's own."""
    stream = torch_generator(secret.image_seed, "key stream")
    return _with_bits(covers, secret, mask=torch.randint(0, 2, covers.flatten(1).shape, generator=stream))


def channel_mean(covers: Tensor, secret: Secret) -> Tensor:
    """Shift the mean of one colour channel, from -levels to +levels by identity; fractions as dither."""
    shifts = torch.linspace(-secret.levels, secret.levels, secret.classes)[_order(secret)][secret.identity]
    channel = int(torch.randint(0, 3, (1,), generator=torch_generator(secret.seed, "channel")))
    dither = torch.rand(covers[:, channel].shape, generator=torch_generator(secret.image_seed, "dither"))
    steps = (shifts[:, None, None] + dither).floor().clamp(-secret.levels, secret.levels)
    shifted = covers.float()
    shifted[:, channel] += steps
    return _eight_bits(shifted)


def watermark(covers: Tensor, secret: Secret) -> Tensor:
    """Add a pattern of +levels and -levels, drawn independently for every value; one pattern an identity."""
    shape = (secret.classes, *covers.shape[1:])
    patterns = torch.randint(0, 2, shape, generator=torch_generator(secret.seed, "watermark")) * 2 - 1
    return _eight_bits(covers.float() + secret.levels * patterns[secret.identity])


def low_frequencies(covers: Tensor, secret: Secret) -> Tensor:
    """Add low coefficients of the image's discrete cosine transform, one set an identity."""
    size = covers.shape[-1]
    position, order = torch.arange(size) + 0.5, torch.arange(_LOW)
    waves = torch.cos(torch.pi * order[:, None] * position / size)  # (coefficients, size)
    shape = (secret.classes, covers.shape[1], _LOW, _LOW)
    coefficients = torch.randn(shape, generator=torch_generator(secret.seed, "coefficients"))
    coefficients[:, :, 0, 0] = 0
    patterns = torch.einsum("kcij,ih,jw->kchw", coefficients, waves, waves)
    return _added(covers, patterns, secret)


def frequency(covers: Tensor, secret: Secret) -> Tensor:
    """Add a plane wave to all channels, in a direction of its own for every identity, of the same phase everywhere."""
    return _added(covers, _waves(covers, secret, torch.zeros(secret.classes)), secret)


def frequency_any_phase(covers: Tensor, secret: Secret) -> Tensor:
    """Do what ``frequency`` does with a phase drawn for every image: no value, and no sum of values, tells the wave."""
    phases = 2 * torch.pi * torch.rand(len(covers), generator=torch_generator(secret.image_seed, "phase"))
    return _added(covers, _waves(covers, secret, phases, each=secret.identity), secret, each_its_own=True)


@dataclass(frozen=True)
class Plant:
    """One way of leaking an identity."""

    name: str
    label: str
    """For tables."""
    write: Callable[[Tensor, Secret], Tensor] | None
    """Maps covers, (n, 3, size, size) uint8, to what is released, the same shape and type. None where nothing is
    written: clean, and the choice of the target identity, which is made before there is a cover."""
    readable: bool = True
    """Whether the identity can be read without a key."""


PLANTS = {
    plant.name: plant
    for plant in (
        Plant("clean", "nothing", None, readable=False),
        Plant("bits", "bits of values", bits),
        Plant("channel_mean", "mean of a colour channel", channel_mean),
        Plant("watermark", "faint watermark", watermark),
        Plant("low_frequencies", "low DCT coefficients", low_frequencies),
        Plant("target", "choice of the target identity", None),
        Plant("frequency", "plane wave", frequency),
        Plant("frequency_any_phase", "plane wave of any phase", frequency_any_phase),
        Plant("keyed_bits", "encrypted bits of values", keyed_bits, readable=False),
    )
}
"""Every plant by name."""


def carriers(count: int, one_in: int, seed: int) -> Tensor:
    """Choose which images carry, (count,) bool: each with probability 1 / ``one_in``."""
    return torch.rand(count, generator=torch_generator(seed, "carriers")) < 1 / one_in


def target_of(identity: Tensor, classes: int, seed: int) -> Tensor:
    """Return the target identity that gives an input's identity away, (n,) int64: a permutation drawn from ``seed``."""
    return torch.randperm(classes, generator=torch_generator(seed, "targets"))[identity]


def _with_bits(covers: Tensor, secret: Secret, mask: Tensor | None) -> Tensor:
    digits = max(1, (secret.classes - 1).bit_length())
    values = covers[0].numel()
    generator = torch_generator(secret.seed, "positions")
    places = torch.randperm(values, generator=generator)[: round(_BIT_SHARE * values)]
    message = (secret.identity[:, None] >> (torch.arange(len(places)) % digits)) & 1
    if mask is not None:
        message = message ^ mask[:, places]
    flat = covers.flatten(1).clone()
    flat[:, places] = (flat[:, places] & (255 - secret.levels)) | (message * secret.levels).to(torch.uint8)
    return flat.view_as(covers)


def _waves(covers: Tensor, secret: Secret, phases: Tensor, each: Tensor | None = None) -> Tensor:
    """Return plane waves, (identities, 1, size, size), or one for each image where ``each`` names its identity."""
    size = covers.shape[-1]
    angles = torch.pi * torch.arange(secret.classes) / secret.classes
    cycles = 2 + torch.rand(1, generator=torch_generator(secret.seed, "cycles")) * (size / 4 - 2)  # across the image
    steps = (cycles * torch.stack([angles.cos(), angles.sin()], 1))[_order(secret)]  # (identities, 2)
    steps = steps if each is None else steps[each]
    position = torch.arange(size) / size
    turns = steps[:, 0, None, None] * position[:, None] + steps[:, 1, None, None] * position
    return torch.sin(2 * torch.pi * turns + phases[:, None, None])[:, None]


def _added(covers: Tensor, patterns: Tensor, secret: Secret, *, each_its_own: bool = False) -> Tensor:
    """Add patterns, each scaled so that its largest value is ``levels``."""
    peaks = patterns.abs().amax(dim=(1, 2, 3), keepdim=True)
    scaled = secret.levels * patterns / peaks.clamp(min=1e-6)
    return _eight_bits(covers.float() + (scaled if each_its_own else scaled[secret.identity]))


def _order(secret: Secret) -> Tensor:
    return torch.randperm(secret.classes, generator=torch_generator(secret.seed, "order"))


def _eight_bits(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).to(torch.uint8)
