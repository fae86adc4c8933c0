"""Controls of the inversion check: an input that anybody can see in the covers, and honest seeds against each other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.checks.inversion_config import InversionConfig
from models.checks.material import Release
from models.checks.statistics import Estimate
from models.measurement import Control

CHECK, DECODER = "inversion", "decoder"


def blended(covers: Release, inputs: Release, share: float) -> Release:
    """Return covers with ``share``, in (0, 1], of their inputs in them, rounded: a leak that anybody can see."""

    def blend(cover: Tensor, given: Tensor) -> Tensor:
        return ((1 - share) * cover.float() + share * given.float()).round().to(torch.uint8)

    return Release(
        blend(covers.train, inputs.train),
        blend(covers.validation, inputs.validation),
        blend(covers.test, inputs.test),
    )


def planted_input(found: Estimate, honest: Estimate, config: InversionConfig) -> Control:
    """Judge whether a decoder found a planted input; both estimates are of SSIM."""
    above = honest.value + config.excess
    required = f"SSIM > {above:.3f} (baseline + {config.excess:g}) at {config.planted_share:.0%} of the input"
    passed = found.value > above  # False for NaN
    return Control(CHECK, DECODER, "planted_input", found.value, found.low, found.high, required, bool(passed))


def strength_zero(values: Sequence[float], config: InversionConfig) -> Control:
    """Hold each honest seed's SSIM against the mean of the others, as a release is held against the baseline."""
    total = sum(values)
    worst = max(value - (total - value) / (len(values) - 1) for value in values)
    required = f"SSIM above the other honest seeds <= {config.excess:g}"
    return Control(CHECK, DECODER, "strength_0", worst, worst, worst, required, bool(worst <= config.excess))
