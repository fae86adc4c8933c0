"""Planted leaks with a known right answer, and the rules by which an adversary passes them.

A control shows that this adversary, with this budget, on this sanitiser's images, finds what is known to be there. It
does not show what the adversary would find of anything weaker: a steganalyser that catches changes of half the pixels
may well miss changes of a tenth, and then an AUC near one half means only that.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.checks.config import ControlConfig
from models.checks.material import Release
from models.checks.statistics import Estimate, difference_interval, mean_accuracy
from models.measurement import NAN, Control
from models.randomness import torch_generator


def with_identity_in_lowest_bits(covers: Release, identity: Sequence[Tensor], *, share: float, seed: int) -> Release:
    """Overwrite lowest bits with the identity: the classical embedding, without a key.

    Args:
        covers: Honest images.
        identity: Labels of train, validation and test, (n,) int64 each, >= 0.
        share: Share of the pixel values that carry, in (0, 1].
        seed: Of the carrying positions and of the mask on the message; both the same in every image.

    Returns:
        The same images with the binary digits of the label, repeated over the carrying positions, in their lowest bits.

    Notes:
        The fixed mask makes the bit plane look random without hiding anything: to an adversary that reads bit by bit
        it is a constant. Changes no value by more than one grey level.
    """
    values = covers.train[0].numel()
    digits = max(1, max(int(labels.max()) for labels in identity).bit_length())
    generator = torch_generator(seed, "least_significant_bit")
    carriers = torch.randperm(values, generator=generator)[: max(digits, round(share * values))]
    mask = torch.randint(0, 2, carriers.shape, generator=generator)

    def embed(images: Tensor, labels: Tensor) -> Tensor:
        message = (labels.cpu()[:, None] >> (torch.arange(len(carriers)) % digits)) & 1  # (n, carriers)
        flat = images.flatten(1).clone()
        places = carriers.to(images.device)
        flat[:, places] = (flat[:, places] & 254) | (message ^ mask).to(images.device, torch.uint8)
        return flat.view_as(images)

    train, validation, test = identity
    return Release(embed(covers.train, train), embed(covers.validation, validation), embed(covers.test, test))


def with_independent_changes(covers: Release, *, rate: float, seed: int, levels: int = 1) -> Release:
    """Change pixel values by ``levels`` grey levels, up or down, independently, as an ideal keyed embedding does.

    Args:
        covers: Honest images.
        rate: Expected share of the values that change, in (0, 1]; half the payload, in bits a value, of one who writes
            encrypted bits by least-significant-bit matching.
        seed: Of the changes.
        levels: By how much, 1..127; one level is what lowest bits cause.

    Returns:
        The changed images; a value next to 0 can only rise, one next to 255 only fall.
    """
    generator = torch_generator(seed, "independent_changes")

    def change(images: Tensor) -> Tensor:
        changes = torch.rand(images.shape, generator=generator) < rate
        signs = torch.randint(0, 2, images.shape, generator=generator, dtype=torch.int16) * 2 - 1
        values = images.cpu().to(torch.int16)
        signs[values < levels], signs[values > 255 - levels] = 1, -1
        return (values + levels * signs * changes).to(images.device, torch.uint8)

    return Release(change(covers.train), change(covers.validation), change(covers.test))


def required_accuracy(classes: int, config: ControlConfig) -> float:
    """Return the accuracy that counts as reading a planted leak: ``read_share`` of the way from chance to 1."""
    chance = 1 / classes
    return chance + config.read_share * (1 - chance)


def planted_leak(
    check: str,
    adversary: str,
    control: str,
    found: Estimate,
    baseline: float,
    *,
    classes: int,
    config: ControlConfig,
    how: str = "",
) -> Control:
    """Judge whether an identity adversary caught a leak of the identity.

    Args:
        check: Check that the adversary belongs to.
        adversary: Its name.
        control: Which leak.
        found: Its accuracy on the leaking images.
        baseline: Its accuracy on honest images.
        classes: Number of identities.
        config: What is required.
        how: How the leak was planted, for people.

    Notes:
        Two things are asked: that it reads the leak, and that the bound would be violated by it. Where an honest
        sanitiser already lets nearly everything through, no leak can exceed its baseline by the tolerance; such a
        check can only pass, and therefore must not vote.
    """
    least = required_accuracy(classes, config)
    above = baseline + config.tolerance
    passed = found.value >= least and found.value > above  # False for NaN
    required = f">= {least:.3f} and > {above:.3f} (baseline + {config.tolerance:g})"
    required += f", planted {how}" if how else ""
    return Control(check, adversary, control, found.value, found.low, found.high, required, bool(passed))


def strength_zero(
    check: str, adversary: str, accuracies: Sequence[float], images: int, *, lower_is_worse: bool, config: ControlConfig
) -> Control:
    """Judge whether honest images pass the bound: each honest seed is held against the mean of the others.

    Args:
        check: Check that the adversary belongs to.
        adversary: Its name.
        accuracies: Test accuracies of the same adversary, trained with k >= 2 seeds on honest images.
        images: Number of test images.
        lower_is_worse: True for utility, where falling short of the baseline violates; else exceeding it does.
        config: Its ``tolerance`` is the bound.

    Returns:
        The control; its value is the worst excess over the baseline (or shortfall from it), in points of accuracy.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    if not np.isfinite(values).all():
        return Control(check, adversary, "strength_0", NAN, NAN, NAN, f"<= {config.tolerance:g}", False)
    excesses = []
    for held_out, value in enumerate(values):
        one = mean_accuracy([value], images)
        others = mean_accuracy(np.delete(values, held_out), images)
        excesses.append(difference_interval(others, one) if lower_is_worse else difference_interval(one, others))
    worst = max(excesses, key=lambda excess: excess.value)
    passed = worst.value <= config.tolerance + 1e-9
    required = f"<= {config.tolerance:g}"
    return Control(check, adversary, "strength_0", worst.value, worst.low, worst.high, required, bool(passed))


def planted_steganography(
    adversary: str, found: Estimate, config: ControlConfig, *, planted: str = "noise", levels: int = 1
) -> Control:
    """Judge whether a steganalyser caught what was ``planted`` by ``levels``; ``found`` is its AUC on test pairs."""
    required = f"> {config.noise_auc:g} at change rate {config.noise_rate:g}"
    required += f" of {levels} levels" if levels > 1 else ""
    passed = found.value > config.noise_auc
    return Control("steganalysis", adversary, planted, found.value, found.low, found.high, required, bool(passed))


def readable_expression(found: Estimate, majority: float) -> Control:
    """Judge whether a fresh classifier reads the expression of originals better than a constant answer does."""
    required = f"lower limit > {majority:.3f} (majority class)"
    passed = found.low > majority
    return Control(
        "expression_utility", "plain", "pass_through", found.value, found.low, found.high, required, bool(passed)
    )
