"""Controls of the identity adversaries on one sanitiser's honest images: planted leaks, strength 0, convergence.

Leaks are planted before publication, so that a control tells the truth about the channel: an adversary that would not
notice what a subverter can write before a JPEG has no vote behind that JPEG. Which leak each adversary must find
follows from what it looks at; ``models.checks.plants`` makes them only as strong as it takes to survive publication.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from models.checks import controls as rules
from models.checks.config import CheckConfig
from models.checks.ensemble import ENSEMBLE
from models.checks.honest_battery import HonestBattery
from models.checks.material import SPLITS, Codes, Labels, LabelSplits, Release
from models.checks.originals import WEAK, OriginalsBattery
from models.checks.planting import BITS, CODE, WATERMARK, Plantation, Planter
from models.checks.reading import UNREAD, Reading
from models.checks.threats import LATENT, PAIRED, STRONG, Threat, differences, read_threat
from models.measurement import Control
from models.randomness import derive_seed, torch_generator

ON_ORIGINALS = ("plain", "high_pass")
"""Networks whose planted leak is the whole face: originals passed through, in the strong threat model."""

CONVERGENCE = "convergence"
"""Name of the control that says whether a training reached its plateau."""


def identity_controls(
    asked: Sequence[Threat],
    labels: Labels,
    where: Plantation,
    originals: OriginalsBattery,
    honest: HonestBattery,
    config: CheckConfig,
    seed: int,
    device: str | torch.device,
) -> list[Control]:
    """Run the planted leaks and strength 0 of every identity adversary."""
    settings, truth = config.controls, labels.identity
    found, baseline = originals.accuracies["plain"], honest.baseline(WEAK).value
    known = [
        rules.planted_leak(
            "weak_identity", "plain", "pass_through", found, baseline, classes=truth.classes, config=settings
        )
    ]
    planter = Planter(where, truth, config, seed)
    for threat in asked:
        baselines = {name: honest.baseline(f"{threat.metric}.{name}").value for name in threat.names}
        known += planted_controls(threat, truth, where, planter, originals, baselines, config, seed=seed, device=device)
        for name in threat.names:
            accuracies = honest.accuracies[f"{threat.metric}.{name}"]
            known.append(
                rules.strength_zero(
                    threat.check, name, accuracies, honest.test_images, lower_is_worse=False, config=settings
                )
            )
    return known


def convergence_control(metric: str, converged: bool, config: CheckConfig) -> Control:
    """Return whether an identity adversary reached its plateau as a calibration result."""
    check, _, name = metric.partition("_accuracy.")
    steps = config.fits[name].steps if name in config.fits else max(fit.steps for fit in config.fits.values())
    return plateau(check, name, converged, steps)


def plateau(check: str, name: str, converged: bool, steps: int) -> Control:
    """Return whether a training reached its plateau within so many steps as a control, whose value is 1 or 0."""
    value = float(converged)
    return Control(check, name, CONVERGENCE, value, value, value, f"a plateau within {steps} steps", converged)


def planted_controls(
    threat: Threat,
    labels: LabelSplits,
    where: Plantation,
    planter: Planter,
    originals: OriginalsBattery,
    baselines: Mapping[str, float],
    config: CheckConfig,
    *,
    seed: int,
    device: str | torch.device,
) -> list[Control]:
    """Have every adversary of a threat model find its planted leak.

    Args:
        threat: On the sanitiser's honest images.
        labels: True identities.
        where: Where leaks are planted.
        planter: Plants them.
        originals: Has what ``ON_ORIGINALS`` read from originals.
        baselines: What each adversary reads from the honest images, by name.
        config: Settings of the battery.
        seed: Of the trainings.
        device: Where to train.
    """
    groups = _groups(threat, planter)
    seeds = {name: [derive_seed(seed, "planted", threat.check, name)] for name in threat.names}
    seeds |= {name: [derive_seed(seed, "lowest_bits")] for name in BITS}
    controls = []

    def control(name: str, kind: str, found: Reading, how: str = "") -> None:
        controls.append(
            rules.planted_leak(
                threat.check, name, kind, found.estimate, baselines[name],
                classes=labels.classes, config=config.controls, how=how,
            )
        )  # fmt: skip

    if threat.check == STRONG:
        for name in threat.names:
            if name in ON_ORIGINALS:
                found = originals.accuracies.get(f"published.{name}", originals.accuracies.get(name))
                control(name, "pass_through", UNREAD if found is None else Reading(found))
    for kind, names in groups.items():
        if threat.check == LATENT:
            assert isinstance(threat.release, Codes)
            planted: Release | Codes = _with_identity_in_codes(threat.release, labels, seed)
            how = ""
        else:
            planted, how = planter.planted(kind)
        if threat.check == PAIRED:
            assert isinstance(planted, Release)
            planted = differences(planted, where.published)
        again = threat._replace(names=names, release=planted)
        readings = read_threat(again, labels, config, seeds=seeds.__getitem__, device=device)
        for name, reading in readings.items():
            if name == ENSEMBLE or ENSEMBLE not in names or planter.kind(name) == kind:
                control(name, kind, reading, how)
    return controls


def _groups(threat: Threat, planter: Planter) -> dict[str, tuple[str, ...]]:
    """Return which adversaries read which plant; the ensemble is of those that read the watermark, or of all."""
    if threat.check == LATENT:
        return {CODE: threat.names}
    members = [name for name in threat.names if name != ENSEMBLE]
    kinds = {name: planter.kind(name) for name in members if not (threat.check == STRONG and name in ON_ORIGINALS)}
    groups = {kind: tuple(name for name in kinds if kinds[name] == kind) for kind in dict.fromkeys(kinds.values())}
    if ENSEMBLE in threat.names:
        groups[WATERMARK] = (*(groups.get(WATERMARK) or members), ENSEMBLE)
    return groups


def _with_identity_in_codes(codes: Codes, labels: LabelSplits, seed: int) -> Codes:
    """Move each code by a vector of its identity, as long in every direction as the codes spread."""
    generator = torch_generator(seed, "planted_code")
    spread = codes.train.std(0, correction=0).mean().cpu()
    moves = torch.randn((labels.classes, codes.train.shape[1]), generator=generator) * spread

    def moved(split: str) -> Tensor:
        values = getattr(codes, split)
        return values + moves[getattr(labels, split).cpu()].to(values.device)

    return Codes(**{split: moved(split) for split in SPLITS})
