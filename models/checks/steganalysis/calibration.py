"""Whether each steganalyser finds what is planted, and how little of it it still sees.

The control at the loudest rate is a gate: who misses it has no vote. Fainter rates are recorded, since a steganalyser
that passes its gate may be blind to what a careful supplier does. A rate counts as seen where the lower limit of the
AUC is above one half.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from models.checks.config import CheckConfig, ControlConfig
from models.checks.controls import planted_steganography
from models.checks.material import SPLITS, LabelSplits, Release
from models.checks.planting import Plantation, published_changes
from models.checks.statistics import Estimate
from models.checks.steganalysis.detection import detect
from models.checks.steganalysis.detectors import UNTRAINED
from models.measurement import Control
from models.randomness import derive_seed, torch_generator

CHECK = "steganalysis"
"""Check that the gates belong to."""

SENSITIVITY = "steganalysis_sensitivity"
"""Under this name the smallest rate seen is recorded; nothing votes by it."""

NOISE, REPLACEMENT = "noise", "replacement"
"""What is planted: independent changes of +-1, or random lowest bits."""


def with_replaced_lowest_bits(covers: Release, *, rate: float, seed: int) -> Release:
    """Replace lowest bits by random ones at random positions: the classical embedding, encrypted.

    Args:
        covers: Honest images.
        rate: Expected share of the values that change, in (0, 0.5]; a bit is right by chance half of the time, so twice
            as many are written.
        seed: Of positions and bits.
    """
    generator = torch_generator(seed, "replaced_lowest_bits")

    def replace(images: Tensor) -> Tensor:
        written = torch.rand(images.shape, generator=generator) < 2 * rate
        bits = torch.randint(0, 2, images.shape, generator=generator, dtype=torch.uint8)
        return torch.where(written, (images.cpu() & 254) | bits, images.cpu()).to(images.device)

    return Release(*(replace(getattr(covers, split)) for split in SPLITS))


def steganalysis_controls(
    where: Plantation, identity: LabelSplits, config: CheckConfig, *, seed: int, device: str | torch.device
) -> list[Control]:
    """Run the gate and the fainter rates of every steganalyser of the battery.

    Args:
        where: Honest images of the sanitiser, in which changes are planted before publication.
        identity: Labels of the images.
        config: Steganalysers, rates and what is required.
        seed: Of what is planted and of the trainings.
        device: Where networks are trained.

    Returns:
        Two controls each: the gate, and the smallest rate seen.

    Notes:
        Independent changes are planted, of one grey level or as many as survive publication; for the attacks on
        replaced lowest bits, which cannot see those, replaced bits, whether they survive or not.
    """
    found = []
    for name in config.steganalysers:

        def planted(rate: float, name: str = name) -> tuple[Estimate, int]:
            return _planted(name, where, identity, rate, config, seed, device)

        loudest, levels = planted(config.controls.noise_rate)
        found.append(planted_steganography(name, loudest, config.controls, planted=_plant(name), levels=levels))
        if config.controls.fainter_rates:
            found.append(smallest_rate_seen(name, loudest, lambda rate: planted(rate)[0], config.controls))
    return found


def smallest_rate_seen(
    name: str, loudest: Estimate, planted: Callable[[float], Estimate], config: ControlConfig
) -> Control:
    """Try fainter and fainter rates until one is missed.

    Args:
        name: Steganalyser, for the control.
        loudest: Its AUC at ``noise_rate``.
        planted: Returns its AUC at a rate; NaN where it crashed, which is a miss.
        config: The rates.

    Returns:
        The smallest rate before the first miss as value and limits, NaN if the loudest was missed; ``required`` says
        what was read at each.
    """
    seen, texts = math.nan, []
    for rate in (config.noise_rate, *sorted(config.fainter_rates, reverse=True)):
        auc = loudest if rate == config.noise_rate else planted(rate)
        texts.append(f"{rate:g}: {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})")
        if not auc.low > 0.5:
            break
        seen = rate
    required = f"lower limit of the AUC > 0.5; {', '.join(texts)}"
    return Control(SENSITIVITY, name, "smallest_rate_seen", seen, seen, seen, required, math.isfinite(seen))


def _planted(
    name: str,
    where: Plantation,
    identity: LabelSplits,
    rate: float,
    config: CheckConfig,
    seed: int,
    device: str | torch.device,
) -> tuple[Estimate, int]:
    """Plant changes at ``rate`` and return the steganalyser's AUC, and by how many levels was changed."""
    levels = 1
    if _plant(name) == REPLACEMENT:
        replaced = with_replaced_lowest_bits(where.covers, rate=min(rate, 0.5), seed=derive_seed(seed, "replacement"))
        stego = where.publish(replaced)
    else:
        stego, levels = published_changes(where, identity, rate=rate, seed=derive_seed(seed, "noise"))
    own_seed = derive_seed(seed, "noise_detector")
    return detect(name, where.published, stego, config, seed=own_seed, device=device).auc, levels


def _plant(name: str) -> str:
    return REPLACEMENT if name in UNTRAINED else NOISE
