"""What all trials of a study share: people, labels, and the networks that everything is measured with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.checkpoints import Saved, cached
from models.data import FaceData
from models.image_quality import to_float
from models.measurement import Control
from models.representation.config import RepresentationConfig, task_names
from models.representation.instruments import (
    Embedding,
    Perceptual,
    fit_embedding,
    fit_perceptual,
    frozen,
    load_vgg,
    perceptual_network,
)
from models.representation.judges import PublicMaterial
from models.representation.judging_config import JudgeConfig
from models.representation.partition import divide, share_of_people
from models.representation.quality import Yardstick, embedding_control
from models.representation.tasks import Tasks, read_tasks
from models.representation.training import TrainingData


@dataclass(frozen=True)
class RepresentationMaterial:
    """Everything a trial starts from."""

    tasks: Tasks
    training: TrainingData
    public: PublicMaterial
    test: Tensor
    """Images of people whom no training saw, (n, 3, size, size), uint8, on the device."""
    test_labels: Tensor
    """(n, tasks), int64."""
    test_identity: np.ndarray
    perceptual: Perceptual
    yardstick: Yardstick
    control: Control
    """Whether the embedding behind identity similarity tells unseen people apart."""


def representation_material(
    config: RepresentationConfig,
    settings: JudgeConfig,
    faces: FaceData,
    *,
    split_seed: int,
    seed: int,
    device: str,
    cache: Path,
    audit: float = 0.0,
    judged: str = "test",
) -> RepresentationMaterial:
    """Divide the people and get the instruments, from the cache or trained now.

    Args:
        config: Says which tasks, which perceptual network and how much public data the adversary has.
        settings: Shares of the people, and how the instruments are trained.
        faces: The data.
        split_seed: Of the division.
        seed: Of the instruments.
        device: "cpu" or "cuda".
        cache: Folder of the cache.
        audit: Share of the people that is kept for an audit.
        judged: "test", or "audit" for an audit.

    Raises:
        ValueError: If the data have too few people or lack a task's column.
        FloatingPointError: If the training of an instrument diverges.
    """
    tasks = read_tasks(faces, task_names(config.tasks))
    rows = divide(faces.identity, settings.people, split_seed, audit=audit, judged=judged)
    images = torch.from_numpy(np.array(faces.images)).to(device)
    everybody = np.concatenate([rows.public, rows.validation])
    key = {"data": faces.fingerprint, "people": asdict(settings.people), "split_seed": split_seed, "seed": seed}
    key |= {"device": device} | ({"audit": audit} if audit else {})
    embedding = _embedding(images, faces.identity, everybody, settings, key, cache)
    perceptual = _perceptual(config, images, faces, everybody, settings, key, cache)
    # Keyed by everything above, a control could be cached as well; it takes a moment.
    control = embedding_control(
        embedding, images[rows.test], faces.identity[rows.test], least=settings.embedding_auc, seed=seed
    )
    had = share_of_people(faces.identity, rows.public, config.public_share, split_seed)
    public = images[had]
    return RepresentationMaterial(
        tasks=tasks,
        training=TrainingData(images[rows.private], tasks.labels[rows.private].to(device), public),
        public=PublicMaterial(public, images[rows.validation]),
        test=images[rows.test],
        test_labels=tasks.labels[rows.test],
        test_identity=faces.identity[rows.test],
        perceptual=perceptual,
        yardstick=Yardstick(perceptual, embedding, to_float(images[rows.public]).mean(0), trusted=control.passed),
        control=control,
    )


def _embedding(
    images: Tensor, identity: np.ndarray, rows: np.ndarray, settings: JudgeConfig, key: Mapping[str, Any], cache: Path
) -> Embedding:
    people, number = np.unique(identity[rows], return_inverse=True)

    def make() -> Saved:
        network = fit_embedding(
            images[rows], torch.from_numpy(number).to(images.device), steps=settings.embedding_steps, seed=key["seed"]
        )
        return Saved(network.state_dict(), {"people": len(people)})

    saved = cached(cache, "embedding", {**key, "steps": settings.embedding_steps}, make)
    network = Embedding(len(people))
    network.load_state_dict(dict(saved.tensors))
    return frozen(network).to(images.device)


def _perceptual(
    config: RepresentationConfig,
    images: Tensor,
    faces: FaceData,
    rows: np.ndarray,
    settings: JudgeConfig,
    key: Mapping[str, Any],
    cache: Path,
) -> Perceptual:
    layers = config.perceptual.layers
    if config.perceptual.network == "vgg16":
        return Perceptual(load_vgg(config.perceptual).to(images.device), layers)
    classes = len(faces.expression_names)

    def make() -> Saved:
        labels = torch.from_numpy(np.array(faces.expression[rows])).to(images.device)
        network = fit_perceptual(images[rows], labels, classes, steps=settings.perceptual_steps, seed=key["seed"])
        return Saved(network.state_dict(), {"classes": classes})

    saved = cached(cache, "perceptual", {**key, "steps": settings.perceptual_steps}, make)
    network = perceptual_network(classes)
    network.load_state_dict(dict(saved.tensors))
    return Perceptual(frozen(network).to(images.device), layers)
