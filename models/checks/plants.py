"""Leaks of the identity that controls plant in honest covers, before these are published.

A control says whether an adversary would notice what a subverter can write *before* publication. So patterns are made
as strong as it takes to survive it, and no stronger: where a JPEG wipes out two grey levels, a plant of two levels that
nobody finds is no fault of the adversary.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from models.checks.material import SPLITS, LabelSplits, Release
from models.randomness import torch_generator

Publish = Callable[[Release], Release]
"""What publication makes of images; the same images give the same result."""

SURVIVES = 0.5
"""Share of the energy of what a plant changes in published images that has to be the plant; of bits, see below."""

STRONGEST = 32.0
"""Grey levels at which a plant is given as it is, whether it survives or not."""


def with_patterns(covers: Release, identity: LabelSplits, patterns: Tensor) -> Release:
    """Add to each image the pattern of its identity and round to 8 bits.

    Args:
        covers: Honest images.
        identity: Their labels.
        patterns: Grey levels, (classes, 3, size, size) float32.
    """
    marked = {}
    for split in SPLITS:
        images, labels = getattr(covers, split), getattr(identity, split).cpu()
        added = patterns[labels].to(images.device)
        marked[split] = (images.float() + added).round().clamp(0, 255).to(torch.uint8)
    return Release(**marked)


def waves(classes: int, size: int, *, shift: float = 0.0) -> Tensor:
    """Return a faint watermark for each identity: a plane wave of its own frequency, of amplitude 1 in every colour.

    Args:
        classes: Number of identities.
        size: Height and width of the images, pixels.
        shift: Share of a period by which all waves are moved.

    Returns:
        (classes, 3, size, size), float32.

    Notes:
        Frequencies of 3 to size / 4 periods an image: JPEG keeps them longer than finer ones, and faces have less there
        than in coarser ones. With more identities than frequencies, the same ones return in other phases.
    """
    across = range(-(size // 4), size // 4 + 1)
    found = [(down, right) for down in range(size // 4 + 1) for right in across if down or right > 0]
    fitting = [pair for pair in found if 3 <= math.hypot(*pair) <= size / 4]
    place = torch.arange(size) / size
    patterns = []
    for label in range(classes):
        # spread over the list, so that few identities do not all get the coarsest
        down, right = fitting[label * len(fitting) // min(classes, len(fitting)) % len(fitting)]
        start = shift + (label // len(fitting)) / math.ceil(classes / len(fitting))
        phase = 2 * math.pi * (down * place[:, None] + right * place[None, :] + start)
        patterns.append(torch.cos(phase).expand(3, -1, -1))
    return torch.stack(patterns)


def with_drifting_waves(covers: Release, identity: LabelSplits, levels: float, *, seed: int) -> Release:
    """Add to each image the wave of its identity from a random place on, so that only its frequency tells.

    Args:
        covers: Honest images.
        identity: Their labels.
        levels: Amplitude in grey levels.
        seed: Of the places.
    """
    size = covers.train.shape[-1]
    sine, cosine = (waves(identity.classes, size, shift=shift) * levels for shift in (0.25, 0.0))
    marked = {}
    for split in SPLITS:
        images, labels = getattr(covers, split), getattr(identity, split).cpu()
        angle = 2 * math.pi * torch.rand((len(labels), 1, 1, 1), generator=torch_generator(seed, "places", split))
        added = angle.cos() * cosine[labels] + angle.sin() * sine[labels]
        marked[split] = (images.float() + added.to(images.device)).round().clamp(0, 255).to(torch.uint8)
    return Release(**marked)


def tints(classes: int, size: int) -> Tensor:
    """Return a shift of the three channel means for each identity, neighbouring shifts 2 apart in one channel.

    Returns:
        (classes, 3, size, size), float32; at most 1 in size with up to 8 identities.
    """
    steps = max(2, math.ceil(classes ** (1 / 3) - 1e-9))
    labels = torch.arange(classes)
    digits = torch.stack([labels // steps**channel % steps for channel in range(3)], 1).float()
    return (2 * digits - (steps - 1))[:, :, None, None].expand(-1, -1, size, size).clone()


def surviving_strength(sample: Release, publish: Publish, plant: Callable[[float], Release], levels: float) -> float:
    """Return the strength, in grey levels, at which a plant survives publication.

    Args:
        sample: Honest images before publication; those of validation count.
        publish: What publication makes of images.
        plant: Plants in the sample at a strength.
        levels: The strength to begin with, > 0; doubled until ``SURVIVES`` is met, as far as ``STRONGEST``.
    """
    before = publish(sample).validation.float()
    while levels < STRONGEST:
        planted = plant(levels)
        own = planted.validation.float() - sample.validation.float()
        change = publish(planted).validation.float() - before
        # not the projection alone: quantisation keeps what is faint on average, buried in what it adds
        share = float((change * own).sum().square() / (change.square().sum() * own.square().sum()).clamp(min=1))
        if share >= SURVIVES:
            break
        levels = min(2 * levels, STRONGEST)
    return levels


def lowest_bits_survive(covers: Release, publish: Publish) -> bool:
    """Whether the lowest bits of validation images are still there after publication, most of them.

    Of bits that come through with probability q, 2 q - 1 is compared with ``SURVIVES``: 0 where they are drawn anew.
    """
    one = covers.validation[:1]
    before = Release(one, covers.validation, one)
    same = ((publish(before).validation ^ covers.validation) & 1) == 0
    return 2 * float(same.float().mean()) - 1 >= SURVIVES


def validation_only(covers: Release, identity: LabelSplits) -> tuple[Release, LabelSplits]:
    """Return the validation images in the place of all, with one image in those of the others: publication costs."""
    one, labels = covers.validation[:1], identity.validation[:1]
    return Release(one, covers.validation, one), LabelSplits(labels, identity.validation, labels, identity.classes)
