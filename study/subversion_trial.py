"""One trial of ``subverted_ppgan``, step by step.

First step: the honest PP-GAN with its own battery of checks, and the subverter's compressor; trials with the same
settings share these, so they are mostly found in the cache. Then a step for each epoch of a learned embedder. Last
step: the secret is hidden in every image, read back, and every check judges what is released.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from models import gallery
from models.checkpoints import Saved, save, with_prefix
from models.checks.adversaries import IDENTITY_ADVERSARIES
from models.checks.battery import STRONG, judge_release
from models.checks.config import CheckConfig
from models.checks.fitting import predict_logits
from models.checks.material import Release
from models.checks.statistics import accuracy, majority_share
from models.data import SPLITS, load_splits
from models.hiding.config import SubversionConfig
from models.hiding.payload import ImagePayload, Revealed
from models.hiding.reconstruction import bit_errors, cover_quality, reconstruction_quality
from models.hiding.subverter import Subverter, TrainSplit
from models.honest import Material, honest_material
from models.image_quality import to_float, to_uint8
from models.measurement import Control, Measurement
from models.ppgan.config import PPGANConfig
from models.runtime import keep_freed_memory
from study.evaluation import Context, StepReport

GALLERY_ROWS = 8
"""Test images shown in a trial's gallery."""

STATE = "learned.pt"
"""File of a checkpoint that holds the learned networks and optimisers."""


class SubversionTrial:
    """Evaluation of one configuration; see the module's docstring."""

    def __init__(self, ppgan: PPGANConfig, subversion: SubversionConfig, seed: int, context: Context) -> None:
        """Keep the settings; the work begins with the first step."""
        self._ppgan, self._subversion, self._seed, self._context = ppgan, subversion, seed, context
        self._checks = CheckConfig.from_mapping(context.checks)
        self._material: Material | None = None
        self._subverter: Subverter | None = None
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
            return StepReport(1, losses, done=False)
        if self._subverter.epochs_left and self._subverter.training is not None:
            losses = self._subverter.training.run_epoch()
            return StepReport(1 + self._subverter.training.epoch, losses, done=False)
        metrics, controls = self._judge(self._material, self._subverter)
        epochs = 0 if self._subverter.training is None else self._subverter.training.epoch
        return StepReport(2 + epochs, {}, done=True, metrics=metrics, controls=tuple(controls))

    def save(self, directory: Path) -> None:
        """Write the learned networks; all else is in the cache or follows from the seed."""
        training = None if self._subverter is None else self._subverter.training
        if training is not None:
            torch.save(training.state_dict(), directory / STATE)

    def load(self, directory: Path) -> None:
        """Continue from what :meth:`save` wrote."""
        if (directory / STATE).exists():
            self._material, self._subverter = self._prepare()
            if self._subverter.training is not None:
                device = self._context.device
                state = torch.load(directory / STATE, weights_only=True, map_location=device)
                self._subverter.training.load_state_dict(state)

    def _prepare(self) -> tuple[Material, Subverter]:
        context = self._context
        faces, splits = load_splits(context.data)
        size, identities = faces.images.shape[-1], len(faces.identity_names)
        if problems := self._subversion.capacity_problems(size=size, identities=identities):
            raise ValueError("; ".join(problems))
        material = honest_material(
            self._ppgan,
            faces,
            splits,
            self._checks,
            split_settings=context.data.get("split", {}),
            seed=context.shared_seed,
            device=context.device,
            cache=context.cache,
        )
        identity = material.labels.identity
        fingerprint = material.fingerprint
        train = TrainSplit(material.inputs.train, material.covers.train, identity.train, identity.classes, fingerprint)
        subverter = Subverter(
            self._subversion,
            train,
            seed=self._seed,
            shared_seed=context.shared_seed,
            device=context.device,
            cache=context.cache,
        )
        return material, subverter

    def _judge(self, material: Material, subverter: Subverter) -> tuple[dict[str, Measurement], list[Control]]:
        inputs, covers, identity = material.inputs, material.covers, material.labels.identity
        parts, bits = {}, {}
        for name in SPLITS:
            images, people = getattr(inputs, name), getattr(identity, name)
            parts[name], bits[name] = subverter.embed(images, people, getattr(covers, name), name=name)
        released = Release(**parts)
        revealed, probabilities = subverter.reveal(released.test)
        recovered = revealed.images.cpu()
        mean_face = to_float(inputs.train).mean(0)
        metrics = reconstruction_quality(recovered, inputs.test, mean_face)
        metrics |= bit_errors(probabilities, bits["test"]) | cover_quality(released.test, covers.test)
        metrics["secret_accuracy"] = _secret_accuracy(revealed, material)
        context = self._context
        judged, controls = judge_release(
            released,
            covers,
            material.labels,
            material.originals,
            material.honest,
            self._checks,
            seed=self._seed,
            device=context.device,
        )
        self._write_artifacts(material, subverter, released.test, recovered)
        return metrics | _switched_off(self._checks) | judged, controls

    def _write_artifacts(self, material: Material, subverter: Subverter, released: Tensor, recovered: Tensor) -> None:
        """Write the gallery and every network that the subverter keeps, with the key."""
        # Spread over the split: folders are often sorted by person.
        rows = torch.linspace(0, len(released) - 1, min(GALLERY_ROWS, len(released))).long()
        inputs, covers = material.inputs.test[rows], material.covers.test[rows]
        picture = gallery.draw(gallery.columns(inputs, covers, released[rows], recovered[rows]))
        folder = self._context.artifacts
        picture.save(folder / "gallery.png", optimize=True)
        tensors = with_prefix("generator", material.stage.generator.state_dict())
        if isinstance(subverter.payload, ImagePayload):
            tensors |= with_prefix("codec", subverter.payload.codec.state_dict())
        if subverter.training is not None:
            tensors |= with_prefix("embedder", subverter.training.embedder.state_dict())
            tensors |= with_prefix("extractor", subverter.training.extractor.state_dict())
        settings = {"stage_one": asdict(self._ppgan), "subversion": asdict(self._subversion)}
        note = {**settings, "key": subverter.key.secret.hex(), "data": material.fingerprint["data"]}
        save(folder / "weights.safetensors", Saved(tensors, note))


def _switched_off(checks: CheckConfig) -> dict[str, Measurement]:
    """Return a measurement without a vote for each strong adversary that the configuration leaves out."""
    absent = replace(Measurement.not_measured(), votes=False)
    return {f"{STRONG}.{name}": absent for name in IDENTITY_ADVERSARIES if name not in checks.strong}


def _secret_accuracy(revealed: Revealed, material: Material) -> Measurement:
    """Return how often the revealed secret names the right person.

    An image secret is read by the adversary that was trained on original images, since a person would look at it.
    """
    truth = material.labels.identity
    read = revealed.identity
    if read is None:
        network = material.originals.networks.get("identity")
        if network is None:
            return Measurement.not_measured(chance=1 / truth.classes)
        read = predict_logits(network, to_uint8(revealed.images.cpu())).argmax(1)
    found = accuracy((read.cpu() == truth.test).numpy())
    majority = majority_share(truth.test.numpy())
    return Measurement(found.value, found.low, found.high, chance=1 / truth.classes, majority=majority)
