"""One trial of ``adversarial_representation``, step by step.

A step for each epoch of the adversarial training; then the encoder is frozen, and each judge takes a step: a fresh
decoder trained to its plateau on public people, or an inversion by the encoder's own gradients. The last step measures
utility and what the judges recovered, on people whom no training saw.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models import gallery
from models.checkpoints import Saved, save, with_prefix
from models.data import load_faces
from models.image_quality import to_float, to_uint8
from models.measurement import Control, Measurement
from models.randomness import torch_generator
from models.representation.config import RepresentationConfig
from models.representation.instruments import frozen
from models.representation.judges import FittedDecoder, decode, fit_judge, latents_of, release_noise
from models.representation.judging_config import JUDGES, JudgeConfig
from models.representation.material import RepresentationMaterial, representation_material
from models.representation.networks import build_decoder
from models.representation.quality import not_measured, under
from models.representation.tasks import task_quality
from models.representation.training import RepresentationTraining
from models.representation.white_box import Inversion, choose_weight, invert
from models.runtime import keep_freed_memory
from study.evaluation import Context, StepReport

GALLERY_ROWS = 8
STATE = "representation.pt"
"""File of a checkpoint."""
WHITE_BOX = "white_box"


class RepresentationTrial:
    """Evaluation of one configuration; see the module's docstring."""

    def __init__(self, config: RepresentationConfig, seed: int, context: Context) -> None:
        """Keep the settings; the work begins with the first step."""
        self._config, self._seed, self._context = config, seed, context
        self._settings = JudgeConfig.from_mapping(context.checks)
        self._material: RepresentationMaterial | None = None
        self._training: RepresentationTraining | None = None
        self._fitted: dict[str, FittedDecoder] = {}
        self._inversion: Inversion | None = None
        keep_freed_memory()

    def step(self) -> StepReport:
        """Do the next of the steps that the module's docstring lists.

        Raises:
            FloatingPointError: If a training diverges.
            ValueError: If the data have too few people or lack a task's column.
        """
        material, training = self._prepared()
        if training.epochs_left:
            losses = training.run_epoch()
            return StepReport(training.epoch, losses, done=False)
        frozen(training.encoder)
        frozen(training.classifier)
        if waiting := self._waiting():
            losses = self._judge(waiting[0], material, training)
            return StepReport(training.epoch + self._judged(), losses, done=False)
        metrics, controls = self._measure(material, training)
        return StepReport(training.epoch + self._judged() + 1, {}, done=True, metrics=metrics, controls=controls)

    def save(self, directory: Path) -> None:
        """Write networks, optimisers and finished judges; the instruments are in the cache."""
        if self._training is None:
            return
        fitted = {name: {**vars(one), "decoder": one.decoder.state_dict()} for name, one in self._fitted.items()}
        state: dict[str, Any] = {"training": self._training.state_dict(), "fitted": fitted}
        if self._inversion is not None:
            state["inversion"] = dict(vars(self._inversion))
        torch.save(state, directory / STATE)

    def load(self, directory: Path) -> None:
        """Continue from what :meth:`save` wrote."""
        if not (directory / STATE).exists():
            return
        _, training = self._prepared()
        state = torch.load(directory / STATE, weights_only=True, map_location="cpu")
        training.load_state_dict(state["training"])
        for name, one in state["fitted"].items():
            decoder = build_decoder(self._config, "small" if name == "small" else "large")
            decoder.load_state_dict(one.pop("decoder"))
            self._fitted[name] = FittedDecoder(frozen(decoder).to(self._context.device), **one)
        if "inversion" in state:
            kept = state["inversion"]
            self._inversion = Inversion(**kept | {"images": kept["images"].to(self._context.device)})

    def _prepared(self) -> tuple[RepresentationMaterial, RepresentationTraining]:
        if self._material is None or self._training is None:
            context = self._context
            split = context.data.get("split", {})
            self._material = representation_material(
                self._config,
                self._settings,
                load_faces(context.data, context.cache),
                split_seed=int(split.get("seed", 0)),
                seed=context.shared_seed,
                device=context.device,
                cache=context.cache,
                audit=float(split.get("audit", 0.0)),
                judged=str(split.get("judged", "test")),
            )
            self._training = RepresentationTraining(
                self._config, self._material.training, self._material.tasks, self._material.perceptual, seed=self._seed
            )
        return self._material, self._training

    def _waiting(self) -> list[str]:
        """Return the judges that have not judged yet, in the order of ``JUDGES``."""
        done = {*self._fitted, *([] if self._inversion is None else [WHITE_BOX])}
        return [name for name in JUDGES if name in self._settings.judges and name not in done]

    def _judged(self) -> int:
        return len(self._fitted) + (self._inversion is not None)

    def _judge(self, name: str, material: RepresentationMaterial, training: RepresentationTraining) -> dict[str, float]:
        encoder = training.encoder
        if name == WHITE_BOX:
            self._inversion = self._invert(material, training)
            return {f"judge.{name}.gain": self._inversion.gain}
        same = "large" in self._fitted and name == "noise_free" and encoder.noise == 0  # reads what ``large`` read
        fitted = (
            self._fitted["large"]
            if same
            else fit_judge(
                name, encoder, self._config, material.public, material.perceptual, self._settings, seed=self._seed
            )
        )
        self._fitted[name] = fitted
        found = {"validation_ssim": fitted.score, "gain": fitted.gain, "steps": float(fitted.steps)}
        return {f"judge.{name}.{kind}": value for kind, value in found.items()}

    def _invert(self, material: RepresentationMaterial, training: RepresentationTraining) -> Inversion:
        """Invert the first test images; the prior's weight is chosen on public people."""
        steps, decoder = self._settings.white_box_steps, self._fitted["large"].decoder
        known = material.public.validation[_spread(len(material.public.validation), 48)]
        latents = latents_of(training.encoder, known, training.encoder.noise, torch_generator(self._seed, "known"))
        weight = choose_weight(training.encoder, latents, decode(decoder, latents), known, steps=steps)
        latents = self._released("large", material, training)[self._inverted_rows(material)]
        return invert(training.encoder, latents, decode(decoder, latents), weight, steps=steps)

    def _inverted_rows(self, material: RepresentationMaterial) -> Tensor:
        return _spread(len(material.test), self._settings.white_box_images)

    def _released(self, judge: str, material: RepresentationMaterial, training: RepresentationTraining) -> Tensor:
        """Return the latents of the test images that a judge reads; all but ``noise_free`` read the same."""
        noise = release_noise(judge, training.encoder)
        return latents_of(training.encoder, material.test, noise, torch_generator(self._seed, "released"))

    def _measure(
        self, material: RepresentationMaterial, training: RepresentationTraining
    ) -> tuple[dict[str, Measurement], tuple[Control, ...]]:
        metrics: dict[str, Measurement] = {}
        controls = [material.control]
        shown: dict[str, Tensor] = {}
        everybody, some = torch.arange(len(material.test)), self._inverted_rows(material)
        for name in JUDGES:
            if name not in self._settings.judges:
                metrics |= not_measured(name, votes=False)
                continue
            rows = some if name == WHITE_BOX else everybody
            if name == WHITE_BOX:
                assert self._inversion is not None  # no judge is waiting
                judge: FittedDecoder | Inversion = self._inversion
                estimates = self._inversion.images
                controls.append(self._inversion.control())
            else:
                judge = self._fitted[name]
                estimates = decode(judge.decoder, self._released(name, material, training))
                controls.append(judge.control(name, self._settings.tolerance))
            shown[name] = estimates if name == WHITE_BOX else estimates[some]
            identity = material.test_identity[rows.numpy()]
            measured = material.yardstick.measure(_as_released(estimates), material.test[rows], identity)
            metrics |= under(name, measured) if judge.converged else not_measured(name)
        metrics |= self._utility(material, training)
        self._write_artifacts(material, training, shown)
        return metrics, tuple(controls)

    @torch.no_grad()
    def _utility(self, material: RepresentationMaterial, training: RepresentationTraining) -> dict[str, Measurement]:
        logits = training.classifier(self._released("large", material, training))
        return task_quality(material.tasks, logits, material.test_labels, material.test_identity, self._seed)

    def _write_artifacts(
        self, material: RepresentationMaterial, training: RepresentationTraining, shown: dict[str, Tensor]
    ) -> None:
        """Write the gallery, and encoder, classifier and judges."""
        some = self._inverted_rows(material)
        rows = _spread(len(some), GALLERY_ROWS)
        columns = {"input": material.test[some][rows]}
        columns |= {name.replace("_", " "): to_uint8(images[rows]) for name, images in shown.items()}
        folder = self._context.artifacts
        gallery.draw(columns).save(folder / "gallery.png", optimize=True)
        tensors = with_prefix("encoder", training.encoder.state_dict())
        tensors |= with_prefix("classifier", training.classifier.state_dict())
        for name, fitted in self._fitted.items():
            tensors |= with_prefix(f"judge.{name}", fitted.decoder.state_dict())
        tasks = dict(zip(material.tasks.names, material.tasks.classes, strict=True))
        save(folder / "weights.safetensors", Saved(tensors, {"trial": asdict(self._config), "tasks": tasks}))


def _as_released(images: Tensor) -> Tensor:
    """Round reconstructions to 8 bits, as anybody would look at them."""
    return to_float(to_uint8(images))


def _spread(count: int, wanted: int) -> Tensor:
    """Return rows spread over ``count``: folders are often sorted by person."""
    return torch.linspace(0, count - 1, min(wanted, count)).long()
