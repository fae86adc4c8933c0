"""Which leak each adversary has to find, planted in one sanitiser's covers before they are published."""

from dataclasses import dataclass

from models.checks import controls as rules
from models.checks import plants
from models.checks.config import CheckConfig
from models.checks.material import LabelSplits, Release
from models.randomness import derive_seed

BITS = ("bit_plane", "bit_planes")
"""Adversaries that look at bits."""

_COLOURS = ("moments",)
_FREQUENCIES = ("spectrum",)
LOWEST_BITS, WATERMARK, FREQUENCY = "least_significant_bit", "watermark", "frequency"
CHANNEL_MEAN, CODE = "channel_mean", "code"
"""Names of what is planted."""


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
        if name in BITS and plants.lowest_bits_survive(self._where.covers, self._where.publish):
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
