"""One trial of ``subverted_ppgan``, step by step.

First step: the honest PP-GAN with its own battery of checks, and the subverter's compressor or extractor of noise;
trials with the same settings share these, so they are mostly found in the cache. Then a step for each epoch of a
learned embedder and of its fine-tuning together with the sanitiser. Then the secret is hidden in every image, the
images are published, and the secret is read from what arrives after the rest of the channel. Last step: every check
judges what is published. The steps in between report signals of how the trial will end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import gallery
from models.channel import Channel
from models.checks.battery import Access, judge_release
from models.checks.config import CheckConfig
from models.checks.inversion import METRICS as INVERSION_METRICS
from models.checks.inversion import judge_inversion
from models.checks.material import Release
from models.data import SPLITS, load_splits
from models.hiding.carriers import Sanitised
from models.hiding.config import SubversionConfig
from models.hiding.finished import Read
from models.hiding.loading import save_subverter
from models.hiding.reconstruction import bit_errors, cover_quality, reconstruction_quality, secret_accuracy
from models.hiding.subverter import Subverter, Workshop
from models.honest import Material, access_to, honest_material, publish
from models.image_quality import to_float
from models.measurement import Control, Measurement
from models.parallel import WHOLE, BatchShare
from models.ppgan.config import PPGANConfig
from models.randomness import numpy_generator
from models.runtime import keep_freed_memory
from study.evaluation import Context, Stage, StepReport
from study.subversion_signals import SignalProbe, sanitised

GALLERY_ROWS = 8
"""Test images shown in a trial's gallery."""

STATE = "state.pt"
"""File of a checkpoint that holds the learned networks and optimisers, and how far the trial is."""


@dataclass(frozen=True)
class _Hidden:
    """What the checks will judge, and what the subverter reads from it."""

    covers: Release
    """As published without a secret."""
    released: Release
    """As published."""
    recovered: Tensor
    """Images read from the test images, (n, 3, size, size), float32 in [-1, 1]."""
    metrics: Mapping[str, Measurement]
    signals: Mapping[str, float]


class SubversionTrial:
    """Evaluation of one configuration; see the module's docstring."""

    def __init__(
        self,
        ppgan: PPGANConfig,
        subversion: SubversionConfig,
        channel: Channel,
        seed: int,
        context: Context,
        share: BatchShare = WHOLE,
    ) -> None:
        """Keep the settings; the work begins with the first step. Several workers ``share`` the epochs' batches."""
        self._share = share
        self._ppgan, self._subversion, self._channel = ppgan, subversion, channel
        self._seed, self._context = seed, context
        self._checks = CheckConfig.from_mapping(context.checks)
        self._material: Material | None = None
        self._subverter: Subverter | None = None
        self._hidden: _Hidden | None = None
        self._probe: SignalProbe | None = None
        keep_freed_memory()

    def step(self) -> StepReport:
        """Do the next of the steps that the module's docstring lists.

        Raises:
            FloatingPointError: If a training diverges.
            ValueError: If the secret does not fit into an image; the message says what would.
        """
        if self._material is None or self._subverter is None:
            self._material, self._subverter = self._prepare()
            losses = {f"stage_one.{name}": loss for name, loss in self._material.stage.losses.items()}
            return StepReport(1, losses, done=False, stage=Stage.SET_UP)
        material, subverter = self._material, self._subverter
        if subverter.epochs_left:
            losses = subverter.run_epoch()
            signals = self._signal_probe(material).in_training(subverter)
            return StepReport(1 + subverter.epochs, losses, done=False, signals=signals)
        if self._hidden is None:
            self._hidden = hidden = self._hide(material, subverter)
            return StepReport(2 + subverter.epochs, {}, done=False, signals=hidden.signals, stage=Stage.RELEASE)
        metrics, controls = self._judge(material, subverter, self._hidden)
        return StepReport(
            3 + subverter.epochs, {}, done=True, stage=Stage.CHECKS, metrics=metrics, controls=tuple(controls)
        )

    @property
    def training_left(self) -> bool:
        """Whether the next step is an epoch of training; False before the first step."""
        return self._subverter is not None and self._subverter.epochs_left > 0

    def save(self, directory: Path) -> None:
        """Write the learned networks; all else is in the cache or follows from the seed."""
        if self._subverter is not None:
            state = {"learned": self._subverter.state_dict(), "hidden": self._hidden is not None}
            torch.save(state, directory / STATE)

    def load(self, directory: Path) -> None:
        """Continue from what :meth:`save` wrote."""
        if (directory / STATE).exists():
            self._material, self._subverter = self._prepare()
            state = torch.load(directory / STATE, weights_only=True, map_location="cpu")
            self._subverter.load_state_dict(state["learned"])
            self._hidden = self._hide(self._material, self._subverter) if state["hidden"] else None

    def _prepare(self) -> tuple[Material, Subverter]:
        context = self._context
        faces, splits = load_splits(context.data, context.cache)
        size, identities = faces.images.shape[-1], len(faces.identity_names)
        if problems := self._subversion.refusals(
            size=size, identities=identities, latent=self._ppgan.latent, channel=self._channel
        ):
            raise ValueError("; ".join(problems))
        material = honest_material(
            self._ppgan,
            faces,
            splits,
            self._checks,
            channel=self._channel,
            split_settings=context.data.get("split", {}),
            seed=context.shared_seed,
            device=context.device,
            cache=context.cache,
        )
        workshop = Workshop(
            train=sanitised(material, "train"),
            identities=identities,
            expression=material.labels.expression.train,
            expressions=material.labels.expression.classes,
            ppgan=self._ppgan,
            generator=material.stage.generator,
            channel=self._channel,
            fingerprint=material.fingerprint,
            seed=context.shared_seed,
            device=context.device,
            cache=context.cache,
            share=self._share,
        )
        return material, Subverter(self._subversion, workshop, seed=self._seed)

    def _signal_probe(self, material: Material) -> SignalProbe:
        if self._probe is None:
            self._probe = SignalProbe(material, self._channel, family=self._subversion.family, seed=self._seed)
        return self._probe

    def _hide(self, material: Material, subverter: Subverter) -> _Hidden:
        """Hide the secret in every image, publish the images, and read it from the test images as they arrive."""
        own = subverter.sanitised({name: sanitised(material, name) for name in SPLITS})
        covers = self._published_covers(material, own)
        handed = {name: subverter.embed(part, name=name) for name, part in own.items()}
        images = Release(**{name: part.images for name, part in handed.items()})
        released = publish(images, self._channel, seed=self._seed, name="released")
        read = subverter.reveal(self._channel.transit.apply(released.test, numpy_generator(self._seed, "transit")))
        metrics = self._quality(material, released, covers, read, handed["test"].bits)
        bits = handed["validation"].bits
        signals = self._signal_probe(material).of_release(subverter, covers, released, bits)
        return _Hidden(covers, released, read.revealed.images.cpu(), metrics, signals)

    def _judge(
        self, material: Material, subverter: Subverter, hidden: _Hidden
    ) -> tuple[dict[str, Measurement], list[Control]]:
        judged, controls = judge_release(
            hidden.released,
            hidden.covers,
            material.labels,
            material.originals,
            material.honest,
            self._checks,
            seed=self._seed,
            device=self._context.device,
            access=self._access(material, subverter),
        )
        if material.inversion is not None and self._checks.inversion is not None:
            judged |= judge_inversion(
                hidden.released,
                material.subject,
                material.inversion,
                self._checks.inversion,
                seed=self._seed,
                device=self._context.device,
            )
            controls += material.inversion.controls
        self._write_artifacts(material, subverter, hidden)
        return {**hidden.metrics, **_switched_off(self._checks), **judged}, controls

    def _access(self, material: Material, subverter: Subverter) -> Access:
        """Return what threat models hold of the trial's own sanitiser, which is the honest one until it is tuned."""
        if subverter.generator is material.stage.generator:
            return material.access
        seed = self._context.shared_seed
        return access_to(subverter.generator, material.inputs, material.labels, self._checks, self._channel, seed=seed)

    def _published_covers(self, material: Material, own: Mapping[str, Sanitised]) -> Release:
        """Return what the trial's own sanitiser would have published without a secret."""
        if all(part.covers is getattr(material.covers, name) for name, part in own.items()):
            return material.published
        covers = Release(**{name: part.covers for name, part in own.items()})
        return publish(covers, self._channel, seed=self._context.shared_seed, name="honest")

    def _quality(
        self, material: Material, released: Release, covers: Release, read: Read, bits: np.ndarray | None
    ) -> dict[str, Measurement]:
        """Return what the subverter gets back, and what it did to the images."""
        inputs = material.inputs
        metrics = reconstruction_quality(read.revealed.images.cpu(), inputs.test, to_float(inputs.train).mean(0))
        if bits is None or read.probabilities is None:
            metrics["bit_error_rate"] = Measurement.not_measured(chance=0.5)  # an image was carried, no bits
        else:
            metrics |= bit_errors(read.probabilities, bits)
        if self._subversion.family == "sampled":
            metrics["cover_psnr"] = Measurement.not_measured()  # another draw, not a change of the cover
        else:
            metrics |= cover_quality(released.test, covers.test)
        reader = material.originals.networks.get("identity")
        metrics["secret_accuracy"] = secret_accuracy(read.revealed, material.labels.identity, reader)
        return metrics

    def _write_artifacts(self, material: Material, subverter: Subverter, hidden: _Hidden) -> None:
        """Write the gallery and every network that the subverter keeps, with the key."""
        # Spread over the split: folders are often sorted by person.
        released = hidden.released.test
        rows = torch.linspace(0, len(released) - 1, min(GALLERY_ROWS, len(released))).long()
        shown = (material.inputs.test, hidden.covers.test, released, hidden.recovered)
        picture = gallery.draw(gallery.columns(*(images[rows] for images in shown)))
        folder = self._context.artifacts
        picture.save(folder / "gallery.png", optimize=True)
        save_subverter(folder, subverter.finished)


def _switched_off(checks: CheckConfig) -> dict[str, Measurement]:
    """Return a measurement without a vote for each metric that the configuration leaves out."""
    absent = replace(Measurement.not_measured(), votes=False)
    return dict.fromkeys(INVERSION_METRICS if checks.inversion is None else (), absent)
