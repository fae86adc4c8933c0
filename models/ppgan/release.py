"""Stage one of a trial: the honest PP-GAN and what it releases, trained once for all trials that share its settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoints import Saved, cached, entry, save, with_prefix
from models.data import SPLITS, FaceData, Splits
from models.data.tensors import shared_tensor
from models.image_quality import to_float, to_uint8
from models.parallel import WHOLE, BatchShare
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator, sample_code
from models.ppgan.training import Snapshots, TrainingSet, train_ppgan
from models.randomness import torch_generator

_KIND = "ppgan"  # of entries in the cache


@dataclass(frozen=True)
class StageOne:
    """A trained sanitiser and its output for the whole data set."""

    generator: Generator
    covers: Mapping[str, Tensor]
    """Split name to honest releases, (n, 3, size, size), uint8, on the CPU, in the order of the split."""
    targets: Mapping[str, Tensor]
    """Split name to the identity that each release was asked to show, (n,), int64."""
    losses: Mapping[str, float]
    """The losses of the last report of its training."""


def stage_one(
    config: PPGANConfig,
    faces: FaceData,
    splits: Splits,
    *,
    fingerprint: Mapping[str, Any],
    seed: int,
    device: str,
    cache: Path,
) -> StageOne:
    """Return the PP-GAN of these settings, from the cache or trained now.

    Args:
        config: Its settings.
        faces: The data.
        splits: Which images train it.
        fingerprint: What determined ``faces`` and ``splits``, for the key of the cache.
        seed: Seed of its training and of its releases.
        device: "cpu" or "cuda".
        cache: Folder of the cache.

    Raises:
        FloatingPointError: If the training diverges.
    """
    settings = {"config": asdict(config), "seed": seed, "device": device, **fingerprint}
    saved = cached(cache, _KIND, settings, lambda: _train(config, faces, splits, seed=seed, device=device))
    generator = Generator(config, size=faces.images.shape[-1], identities=len(faces.identity_names))
    generator.load_state_dict(saved.part("generator"))
    return StageOne(generator.to(device).eval(), saved.part("covers"), saved.part("targets"), saved.note["losses"])


def train_together(
    config: PPGANConfig,
    faces: FaceData,
    splits: Splits,
    *,
    fingerprint: Mapping[str, Any],
    seed: int,
    device: str,
    cache: Path,
    share: BatchShare,
    snapshots: Snapshots | None = None,
) -> None:
    """Train the PP-GAN of these settings with several workers, so that :func:`stage_one` finds it in the cache.

    Args:
        config: Its settings.
        faces: The data.
        splits: Which images train it.
        fingerprint: As :func:`stage_one`.
        seed: As :func:`stage_one`.
        device: "cpu" or "cuda".
        cache: Folder of the cache, the same for all workers.
        share: This worker's part; all workers call this at once.
        snapshots: Where the training keeps its state.

    Raises:
        FloatingPointError: If the training diverges.
    """
    settings = {"config": asdict(config), "seed": seed, "device": device, **fingerprint}
    path = entry(cache, _KIND, settings)
    if not share.agree(path.exists()):
        saved = _train(config, faces, splits, seed=seed, device=device, share=share, snapshots=snapshots)
        if share.rank == 0:
            save(path, saved)
    share.wait()


def sanitise(generator: Generator, images: Tensor, target: Tensor, random: torch.Generator) -> Tensor:
    """Return the honest releases of images.

    Args:
        generator: In evaluation mode.
        images: (n, 3, size, size), uint8.
        target: Identity that each release shall show, (n,), int64.
        random: Draws the noise of the latent code, on the CPU so that every device draws the same.

    Returns:
        (n, 3, size, size), uint8, on the CPU.
    """
    device = next(generator.parameters()).device
    released = []
    with torch.no_grad():
        for chunk, chosen in zip(images.split(500), target.split(500), strict=True):
            mean, log_variance = generator.encode(to_float(chunk.to(device)))
            noise = torch.randn(mean.shape, generator=random).to(device)
            code = sample_code(mean, log_variance, noise)
            released.append(to_uint8(generator.decode(code, chosen.to(device))).cpu())
    return torch.cat(released)


def encode(generator: Generator, images: Tensor, random: torch.Generator) -> Tensor:
    """Return the latent codes of images with their noise, as the decoder is given them.

    Args:
        generator: In evaluation mode.
        images: (n, 3, size, size), uint8.
        random: Draws the noise, on the CPU.

    Returns:
        (n, latent), float32, on the CPU.
    """
    device = next(generator.parameters()).device
    codes = []
    with torch.no_grad():
        for chunk in images.split(500):
            mean, log_variance = generator.encode(to_float(chunk.to(device)))
            noise = torch.randn(mean.shape, generator=random).to(device)
            codes.append(sample_code(mean, log_variance, noise).float().cpu())
    return torch.cat(codes)


def honest_release(generator: Generator, images: Tensor, *, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Return the honest releases of a set of images as stage one makes them.

    Args:
        generator: In evaluation mode.
        images: (n, 3, size, size), uint8.
        seed: Of stage one.
        name: Of the set, which has random numbers of its own.

    Returns:
        The identity that each release was asked to show, (n,) int64, and the releases, (n, 3, size, size) uint8.
    """
    random = torch_generator(seed, "release", name)
    target = torch.randint(generator.identities, (len(images),), generator=random)
    return target, sanitise(generator, images, target, random)


def _train(
    config: PPGANConfig,
    faces: FaceData,
    splits: Splits,
    *,
    seed: int,
    device: str,
    share: BatchShare = WHOLE,
    snapshots: Snapshots | None = None,
) -> Saved:
    images, identity = shared_tensor(faces.images), torch.tensor(faces.identity)
    train = torch.tensor(splits.train)
    training_set = TrainingSet(
        images[train].to(device),
        identity[train].to(device),
        torch.tensor(faces.expression)[train].to(device),
        len(faces.identity_names),
        len(faces.expression_names),
    )
    generator, history = train_ppgan(config, training_set, seed=seed, share=share, snapshots=snapshots)
    tensors = with_prefix("generator", generator.state_dict())
    for name in SPLITS:
        rows = torch.tensor(getattr(splits, name))
        released = honest_release(generator, images[rows], seed=seed, name=name)
        tensors[f"targets.{name}"], tensors[f"covers.{name}"] = released
    losses = {name: loss for name, loss in history[-1].items() if name != "step"}
    return Saved(tensors, {"losses": losses})
