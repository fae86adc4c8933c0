"""Controls of the identity adversaries on one sanitiser's honest images: planted leaks, strength 0, convergence.

Leaks are planted before publication, so that a control tells the truth about the channel: an adversary that would not
notice what a subverter can write before a JPEG has no vote behind that JPEG. Which leak each adversary must find
follows from what it looks at; ``models.checks.plants`` makes them only as strong as it takes to survive publication.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.checks import controls as rules
from models.checks import plants
from models.checks.config import CheckConfig
from models.checks.ensemble import ENSEMBLE
from models.checks.material import SPLITS, Codes, LabelSplits, Release
from models.checks.originals import OriginalsBattery
from models.checks.reading import UNREAD, Reading
from models.checks.threats import LATENT, PAIRED, STRONG, Threat, differences, read_threat
from models.measurement import Control
from models.randomness import derive_seed, torch_generator

ON_ORIGINALS = ("plain", "high_pass")
"""Networks whose planted leak is the whole face: originals passed through, in the strong threat model."""

_BITS = ("bit_plane", "bit_planes")
_COLOURS = ("moments",)
_FREQUENCIES = ("spectrum",)
LOWEST_BITS, WATERMARK, FREQUENCY = "least_significant_bit", "watermark", "frequency"
CHANNEL_MEAN, CODE = "channel_mean", "code"
CONVERGENCE = "convergence"
"""Name of the control that says whether a training reached its plateau."""


@dataclass(frozen=True)
class Plantation:
    """Where leaks are planted."""

    covers: Release
    """Honest images before publication."""
    published: Release
    """The same after it."""
    publish: plants.Publish


class Planter:
    """Plants each leak once, when it is first asked for."""

    def __init__(self, where: Plantation, identity: LabelSplits, config: CheckConfig, seed: int) -> None:
        """Keep what to plant in; nothing is planted yet."""
        self._where, self._identity, self._config, self._seed = where, identity, config, seed
        self._planted: dict[str, tuple[Release, str]] = {}

    def kind(self, name: str) -> str:
        """Return the leak that an adversary on images must find."""
        if name in _COLOURS:
            return CHANNEL_MEAN
        if name in _FREQUENCIES:
            return FREQUENCY
        if name in _BITS and plants.lowest_bits_survive(self._where.covers, self._where.publish):
            return LOWEST_BITS
        return WATERMARK  # the lowest bits that a JPEG draws anew are no place to hide anything in

    def planted(self, kind: str) -> tuple[Release, str]:
        """Return published images that carry the identity, and how, for people."""
        if kind not in self._planted:
            self._planted[kind] = self._plant(kind)
        return self._planted[kind]

    def _plant(self, kind: str) -> tuple[Release, str]:
        where, identity, settings = self._where, self._identity, self._config.controls
        if kind == LOWEST_BITS:
            splits = (identity.train, identity.validation, identity.test)
            planted = rules.with_identity_in_lowest_bits(
                where.covers, splits, share=settings.bit_share, seed=derive_seed(self._seed, "lowest_bits")
            )
            return where.publish(planted), f"in {100 * settings.bit_share:g} % of the lowest bits"
        make = plants.tints if kind == CHANNEL_MEAN else plants.waves
        patterns = make(identity.classes, where.covers.train.shape[-1])
        sample, labels = plants.validation_only(where.covers, identity)

        def plant(strength: float) -> Release:
            return plants.with_patterns(sample, labels, strength * patterns)

        levels = plants.surviving_strength(sample, where.publish, plant, settings.levels)
        if kind == FREQUENCY:
            levels *= 2  # where a wave begins is not known, so every frequency competes with what faces have there
            seed = derive_seed(self._seed, "frequency")
            planted = plants.with_drifting_waves(where.covers, identity, levels, seed=seed)
        else:
            planted = plants.with_patterns(where.covers, identity, levels * patterns)
        return where.publish(planted), f"at {levels:g} levels"


def published_changes(where: Plantation, identity: LabelSplits, *, rate: float, seed: int) -> tuple[Release, int]:
    """Return published images of which ``rate`` of the values were changed before publication, and by how many levels.

    By one grey level, as the lowest bit is, where publication changes nothing; otherwise by as many as it takes for the
    changes to survive.

    Args:
        where: Where to plant.
        identity: Labels of the images.
        rate: Share of the values, in (0, 1].
        seed: Of the changes.
    """
    sample, _ = plants.validation_only(where.covers, identity)

    def plant(strength: float) -> Release:
        return rules.with_independent_changes(sample, rate=rate, seed=seed, levels=round(strength))

    levels = round(plants.surviving_strength(sample, where.publish, plant, 1.0))
    changed = rules.with_independent_changes(where.covers, rate=rate, seed=seed, levels=levels)
    return where.publish(changed), levels


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
    seeds |= {name: [derive_seed(seed, "lowest_bits")] for name in _BITS}
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


def converged_control(check: str, name: str, converged: bool, steps: int) -> Control:
    """Return whether an adversary reached its plateau as a calibration result; its value is 1 or 0."""
    value = float(converged)
    return Control(check, name, CONVERGENCE, value, value, value, f"a plateau within {steps} steps", converged)


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
