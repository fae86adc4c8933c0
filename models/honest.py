"""The honest side of a trial: inputs, labels, the sanitiser's releases, and what every check reads from them.

All trials with the same settings share it, through the cache.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.channel import Channel
from models.checkpoints import Saved, cached
from models.checks.battery import Access, HonestBattery, OriginalsBattery, fit_on_originals, judge_honest
from models.checks.config import CheckConfig
from models.checks.inversion import InversionBaseline, Subject, invert_honest
from models.checks.inversion_controls import blended
from models.checks.material import Codes, Further, Labels, LabelSplits, Release
from models.data import SPLITS, FaceData, Splits
from models.data.tensors import shared_tensor
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.ppgan.release import StageOne, encode, sanitise, stage_one
from models.randomness import numpy_generator, torch_generator


@dataclass(frozen=True)
class Material:
    """Data, honest sanitiser and what checks read from both."""

    inputs: Release
    labels: Labels
    stage: StageOne
    covers: Release
    """What the honest sanitiser makes of the inputs."""
    published: Release
    """The covers as the world sees them: what an honest supplier releases."""
    originals: OriginalsBattery
    honest: HonestBattery
    access: Access
    """What threat models beyond the strong one hold of the honest sanitiser."""
    fingerprint: Mapping[str, Any]
    """What determined the inputs and their split, for keys of the cache."""
    inversion: InversionBaseline | None = None
    """What the inversion check reads from the covers; None where it is switched off."""

    @property
    def subject(self) -> Subject:
        """What the inversion check reconstructs."""
        return Subject(self.inputs, self.labels.identity, self.originals.networks.get("identity"))


def honest_material(
    ppgan: PPGANConfig,
    faces: FaceData,
    splits: Splits,
    checks: CheckConfig,
    *,
    channel: Channel,
    split_settings: Mapping[str, Any],
    seed: int,
    device: str,
    cache: Path,
) -> Material:
    """Return the honest side of these settings, from the cache or computed now.

    Args:
        ppgan: Settings of the sanitiser.
        faces: The data.
        splits: Positions of the images of each split.
        checks: Settings of the battery.
        channel: What images go through when they are published is applied before anything is judged.
        split_settings: What determined ``splits``.
        seed: Seed of everything in it.
        device: "cpu" or "cuda".
        cache: Folder of the cache.

    Raises:
        FloatingPointError: If the PP-GAN's training diverges.
    """
    inputs, labels = inputs_and_labels(faces, splits)
    fingerprint = {"data": faces.fingerprint, "split": dict(split_settings)}
    stage = stage_one(ppgan, faces, splits, fingerprint=fingerprint, seed=seed, device=device, cache=cache)
    covers = Release(**stage.covers)
    published = publish(covers, channel, seed=seed, name="honest")
    settings = _settings(checks, fingerprint, seed=seed, device=device)
    on_originals = originals_battery(
        inputs, labels, checks, fingerprint, channel=channel, seed=seed, device=device, cache=cache
    )

    access = access_to(stage.generator, inputs, labels, checks, channel, seed=seed)

    def honest() -> Saved:
        battery = judge_honest(
            published,
            labels,
            on_originals,
            checks,
            seed=seed,
            device=device,
            access=access,
            unpublished=covers,
            publish=lambda images: publish(images, channel, seed=seed, name="planted"),
        )
        return Saved({}, battery.to_dict())

    def honest_whole(saved: Saved) -> bool:
        read = [value for values in saved.note["accuracies"].values() for value in values]
        return all(map(math.isfinite, read)) and all(math.isfinite(item["value"]) for item in saved.note["controls"])

    # Keyed by the images themselves: trained again, the same sanitiser can differ by a rounding.
    key = {**settings, "covers": _digest(published)}
    battery = HonestBattery.from_dict(cached(cache, "honest", key, honest, keep=honest_whole).note)
    material = Material(inputs, labels, stage, covers, published, on_originals, battery, access, fingerprint)
    if checks.inversion is None:
        return material
    return replace(
        material, inversion=_inversion(material, checks, channel, key, seed=seed, device=device, cache=cache)
    )


def inputs_and_labels(faces: FaceData, splits: Splits) -> tuple[Release, Labels]:
    """Return the images of every split and their true labels."""
    rows = {name: torch.tensor(getattr(splits, name)) for name in SPLITS}
    images = shared_tensor(faces.images)
    labels = Labels(
        _label_splits(torch.tensor(faces.identity), rows, len(faces.identity_names)),
        _label_splits(torch.tensor(faces.expression), rows, len(faces.expression_names)),
    )
    return Release(**{name: images[rows[name]] for name in SPLITS}), labels


def originals_battery(
    inputs: Release,
    labels: Labels,
    checks: CheckConfig,
    fingerprint: Mapping[str, Any],
    *,
    channel: Channel,
    seed: int,
    device: str,
    cache: Path,
) -> OriginalsBattery:
    """Return what is trained on originals with these settings, from the cache or trained now.

    Args:
        inputs: The images.
        labels: Their labels.
        checks: Settings of the battery.
        fingerprint: What determined ``inputs`` and their split.
        channel: Its published part is what controls are planted in.
        seed: Of the trainings.
        device: "cpu" or "cuda".
        cache: Folder of the cache.
    """

    def make() -> Saved:
        shown = None if channel.published.lossless else publish(inputs, channel, seed=seed, name="originals")
        return fit_on_originals(inputs, labels, checks, seed=seed, device=device, published=shown).to_saved()

    def whole(saved: Saved) -> bool:
        return all(math.isfinite(value) for found in saved.note["accuracies"].values() for value in found)

    settings = _settings(checks, fingerprint, seed=seed, device=device)
    if not channel.published.lossless:
        settings |= {"channel": str(channel.published)}
    return OriginalsBattery.from_saved(cached(cache, "originals", settings, make, keep=whole), device)


def _settings(checks: CheckConfig, fingerprint: Mapping[str, Any], *, seed: int, device: str) -> dict[str, Any]:
    """Return what the battery depends on, for the key of the cache; the inversion check has an entry of its own."""
    return {"checks": asdict(replace(checks, inversion=None)), "seed": seed, "device": device, **fingerprint}


def _inversion(
    material: Material,
    checks: CheckConfig,
    channel: Channel,
    key: Mapping[str, Any],
    *,
    seed: int,
    device: str,
    cache: Path,
) -> InversionBaseline:
    """Return the baseline of the inversion check; ``key`` is what determined everything else of the material."""
    config = checks.inversion
    assert config is not None

    def make() -> Saved:
        planted = blended(material.covers, material.inputs, config.planted_share)
        baseline = invert_honest(
            material.published,
            publish(planted, channel, seed=seed, name="planted_input"),
            material.subject,
            config,
            honest_seeds=checks.honest_seeds,
            seed=seed,
            device=device,
        )
        return baseline.to_saved()

    def whole(saved: Saved) -> bool:
        return all(math.isfinite(found["value"]) for found in saved.note["honest"].values())

    return InversionBaseline.from_saved(
        cached(
            cache,
            "inversion",
            {**key, "inversion": asdict(config), "published": str(channel.published)},
            make,
            keep=whole,
        )
    )


def publish(images: Release, channel: Channel, *, seed: int, name: str) -> Release:
    """Return images as they are published: after the steps of ``channel`` up to its last JPEG.

    Args:
        images: As the supplier made them.
        channel: The whole channel.
        seed: Of random steps.
        name: Names the set of images, so that each set has random numbers of its own.
    """
    published = channel.published
    if published.lossless:
        return images
    parts = {
        split: published.apply(getattr(images, split), numpy_generator(seed, "publish", name, split))
        for split in SPLITS
    }
    return Release(**parts)


def access_to(
    generator: Generator, inputs: Release, labels: Labels, checks: CheckConfig, channel: Channel, *, seed: int
) -> Access:
    """Return what the threat models of ``checks`` hold of a sanitiser beside what it releases.

    Args:
        generator: The sanitiser.
        inputs: Original images.
        labels: Their labels.
        checks: Settings of the battery.
        channel: Its publication is applied to further releases.
        seed: Of targets and noise, which are not those of any release under judgement.

    Returns:
        With ``checks.informed``, one more honest release of every train input, with another target and other noise;
        with ``checks.latent``, the codes of all inputs, noise included, as the decoder would be given them.
    """
    further, codes = None, None
    if checks.informed:
        random = torch_generator(seed, "further")
        target = torch.randint(generator.identities, (len(inputs.train),), generator=random)
        images = sanitise(generator, inputs.train, target, random)
        shown = publish(Release(images, images[:1], images[:1]), channel, seed=seed, name="further").train
        further = Further(shown, labels.identity.train)
    if checks.latent:
        random = torch_generator(seed, "codes")
        codes = Codes(**{name: encode(generator, getattr(inputs, name), random) for name in SPLITS})
    return Access(further, codes)


def _label_splits(labels: Tensor, rows: Mapping[str, Tensor], classes: int) -> LabelSplits:
    return LabelSplits(**{name: labels[rows[name]] for name in SPLITS}, classes=classes)


def _digest(release: Release) -> str:
    digest = hashlib.sha256()
    for name in SPLITS:
        digest.update(getattr(release, name).cpu().numpy().tobytes())
    return digest.hexdigest()
