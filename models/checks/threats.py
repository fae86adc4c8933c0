"""Threat models: who holds what when the identity is read.

strong     released images with their true labels;
informed   further honest releases of the same sanitiser as well, of other inputs or other noise;
paired     the difference of each release from the honest one of the same input and noise. Nobody but the supplier has
           both, so this is a worst case and is called one;
latent     the code from which the sanitiser draws its images: what there is of the identity before anything is hidden.

The weak threat model, of adversaries trained on originals, is in ``models.checks.originals``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.checks.adversaries import CLOSED_FORM
from models.checks.config import CheckConfig
from models.checks.ensemble import ENSEMBLE
from models.checks.material import SPLITS, Codes, Further, LabelSplits, Release
from models.checks.reading import Reading, ask, ask_together

STRONG, INFORMED, PAIRED, LATENT = "strong_identity", "informed_identity", "paired_identity", "latent_identity"
"""Checks of the threat models."""


@dataclass(frozen=True)
class Access:
    """What adversaries hold of a sanitiser beside what it released."""

    further: Further | None = None
    """For the informed adversaries."""
    codes: Codes | None = None
    """For those on the latent code."""


NO_ACCESS = Access()


class Threat(NamedTuple):
    """One threat model, and what its adversaries hold of a release."""

    check: str
    names: tuple[str, ...]
    """Adversaries, the ensemble of the others among them or not."""
    release: Release | Codes
    further: Further | None = None

    @property
    def metric(self) -> str:
        """What its adversaries measure."""
        return metric_of(self.check)


def metric_of(check: str) -> str:
    """Return the metric of a check of the identity."""
    return f"{check}_accuracy"


def threats(released: Release, covers: Release, config: CheckConfig, access: Access) -> list[Threat]:
    """Return the threat models that the settings ask for.

    Args:
        released: Images as published.
        covers: What the same sanitiser would have published of the same inputs without a secret.
        config: Settings of the battery.
        access: What there is beside.

    Raises:
        ValueError: If a threat model is asked for and what it holds is not given.
    """
    found = [Threat(STRONG, config.strong, released)]
    if config.informed:
        if access.further is None:
            raise ValueError("adversaries.informed is not empty, so further honest releases are needed; found none")
        found.append(Threat(INFORMED, config.informed, released, access.further))
    if config.paired:
        found.append(Threat(PAIRED, config.paired, differences(released, covers)))
    if config.latent:
        if access.codes is None:
            raise ValueError("adversaries.latent is not empty, so the latent codes are needed; found none")
        found.append(Threat(LATENT, config.latent, access.codes))
    return found


def differences(released: Release, covers: Release) -> Release:
    """Return released less honest images, as 8-bit images around a grey of 128; larger differences are cut."""

    def less(split: str) -> Tensor:
        own, honest = (getattr(images, split).to(torch.int16) for images in (released, covers))
        return (own - honest.to(own.device) + 128).clamp(0, 255).to(torch.uint8)

    return Release(**{split: less(split) for split in SPLITS})


def read_threat(
    threat: Threat,
    labels: LabelSplits,
    config: CheckConfig,
    *,
    seeds: Callable[[str], Sequence[int]],
    device: str | torch.device,
    known: Mapping[str, Reading] | None = None,
) -> dict[str, Reading]:
    """Return what each adversary of a threat model reads, by name.

    Args:
        threat: Who reads what.
        labels: True identities.
        config: Settings of the battery.
        seeds: From the name of an adversary to the seeds of its trainings.
        device: Where to train.
        known: Readings that are known already.
    """
    found = dict(known or {})
    for name in threat.names:
        if name not in found and name != ENSEMBLE:
            found[name] = ask(
                name,
                config.fits.get(name),
                threat.release,
                labels,
                seeds=seeds(name),
                device=device,
                further=threat.further,
            )
    members = [found[name] for name in threat.names if name != ENSEMBLE]
    if ENSEMBLE in threat.names:
        found[ENSEMBLE] = ask_together(members, labels)
    return {name: found[name] for name in threat.names}


def same_for_every_seed(readings: Mapping[str, Reading]) -> dict[str, Reading]:
    """Return the readings that another seed would not change: those in closed form."""
    return {name: reading for name, reading in readings.items() if name in CLOSED_FORM}
