"""Train one adversary: classifiers on labelled images, and the steganalyser on pairs of cover and stego image.

Trained on train images, chosen on validation images; test images never come here. Under-trained adversaries find
nothing and so pass everything, which is why the budget is in steps and why a flat validation curve alone does not end
a training.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checks.adversaries import build_adversary
from models.checks.config import FitConfig
from models.checks.optimising import Fitted, autocast, optimise
from models.checks.statistics import auc
from models.randomness import derive_seed, seeded, torch_generator

_JUDGED_AT_ONCE = 500  # images of one forward pass without gradients: bounds memory at 64 x 64


def fit_classifier(
    name: str,
    train_x: Tensor,
    train_y: Tensor,
    val_x: Tensor,
    val_y: Tensor,
    *,
    classes: int,
    config: FitConfig,
    seed: int,
    device: str | torch.device,
) -> nn.Module:
    """Return the network that :func:`train_classifier` trains."""
    splits = (train_x, train_y, val_x, val_y)
    return train_classifier(name, *splits, classes=classes, config=config, seed=seed, device=device).network


def train_classifier(
    name: str,
    train_x: Tensor,
    train_y: Tensor,
    val_x: Tensor,
    val_y: Tensor,
    *,
    classes: int,
    config: FitConfig,
    seed: int,
    device: str | torch.device,
) -> Fitted:
    """Train an adversary to read a label from images.

    Args:
        name: Adversary, a key of ``models.checks.adversaries.ADVERSARIES``.
        train_x: (n, 3, size, size), uint8, n >= 2.
        train_y: (n,), int64 in 0..classes - 1.
        val_x: (m, 3, size, size), uint8, m >= 1.
        val_y: (m,), int64.
        classes: Number of labels.
        config: Budget and optimiser.
        seed: Of the initial weights and of the batches.
        device: Where to train.

    Returns:
        The network, on ``device``, and whether its training converged.

    Raises:
        ValueError: If images and labels do not match in number or the images are not 8-bit.
        FloatingPointError: If the loss is no longer finite.

    Notes:
        The same seed gives the same network on the same kind of machine; the global random state is left as it was.
    """
    require_images(train_x, val_x)
    if len(train_x) != len(train_y) or len(val_x) != len(val_y):
        raise ValueError(
            f"{name}: as many labels as images are needed; found {len(train_y)} for {len(train_x)} train images and "
            f"{len(val_y)} for {len(val_x)} validation images"
        )
    images, labels = train_x.to(device), train_y.to(device)
    look = _subset(len(val_x), config.interim_images, seed)
    look_x, look_y = val_x[look].to(device), val_y[look].to(device)
    model = _build(name, classes, train_x.shape[-1], config, seed, device)
    batches = _batches(len(images), config.batch_size, seed)

    def loss() -> Tensor:
        rows = next(batches).to(device)
        return F.cross_entropy(model(images[rows]).float(), labels[rows])

    def score() -> tuple[float, float]:
        logits = predict_logits(model, look_x, precision=config.precision).to(device)
        right = (logits.argmax(1) == look_y).float().mean()
        return float(right), -float(F.cross_entropy(logits, look_y))

    return optimise(name, model, config, loss, score, guess=math.log(classes), device=device)


def fit_steganalyser(
    train_covers: Tensor,
    train_stego: Tensor,
    val_covers: Tensor,
    val_stego: Tensor,
    *,
    config: FitConfig,
    seed: int,
    device: str | torch.device,
    name: str = "steganalyser",
) -> Fitted:
    """Train a detector of stego images against their own covers; row i of both comes from the same input.

    Args:
        train_covers: (n, 3, size, size), uint8, n >= 1.
        train_stego: Same shape.
        val_covers: (m, 3, size, size), uint8, m >= 1, from other inputs.
        val_stego: Same shape.
        config: Budget and optimiser.
        seed: Of the initial weights and of the batches.
        device: Where to train.
        name: Network, a key of ``models.checks.adversaries.ADVERSARIES``.

    Returns:
        A network with one output, higher meaning "stego", and whether its training converged.

    Raises:
        ValueError: If covers and stego images do not pair up or are not 8-bit.
        FloatingPointError: If the loss is no longer finite.

    Notes:
        A cover and its stego image are always in the same batch, so that their difference and not their content drives
        the gradient. Images are neither flipped nor turned: a generator's upsampling leaves a texture in fixed phase
        with the pixel grid, and random flips cost half of what the AUC is above 0.5 at this budget.
    """
    require_images(train_covers, train_stego, val_covers, val_stego)
    if train_covers.shape != train_stego.shape or val_covers.shape != val_stego.shape:
        raise ValueError(
            "every cover needs its stego image; found "
            f"{len(train_covers)} and {len(train_stego)} to train, {len(val_covers)} and {len(val_stego)} to validate"
        )
    covers, stego = train_covers.to(device), train_stego.to(device)
    look = _subset(len(val_covers), config.interim_images, seed)
    look_covers, look_stego = val_covers[look].to(device), val_stego[look].to(device)
    model = _build(name, 1, covers.shape[-1], config, seed, device)
    batches = _batches(len(covers), max(config.batch_size // 2, 1), seed)

    def loss() -> Tensor:
        rows = next(batches).to(device)
        scores = model(torch.cat([covers[rows], stego[rows]])).float().squeeze(1)
        truth = torch.arange(len(scores), device=device) >= len(rows)
        return F.binary_cross_entropy_with_logits(scores, truth.float())

    def score() -> tuple[float, float]:
        below = predict_logits(model, look_covers, precision=config.precision).squeeze(1)
        above = predict_logits(model, look_stego, precision=config.precision).squeeze(1)
        return auc(below.numpy(), above.numpy()), -float((F.softplus(below) + F.softplus(-above)).mean())

    return optimise(name, model, config, loss, score, guess=math.log(2), device=device)


@torch.no_grad()
def predict_logits(model: nn.Module, images: Tensor, *, precision: str = "auto") -> Tensor:
    """Return an adversary's logits.

    Args:
        model: On any device; left in evaluation mode.
        images: (n, 3, size, size), uint8, on any device.
        precision: As in ``FitConfig``.

    Returns:
        (n, outputs), float32, on the CPU.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = []
    with autocast(device, precision):
        for part in images.split(_JUDGED_AT_ONCE):
            parts.append(model(part.to(device)).float())
    return torch.cat(parts).cpu()


def require_images(*groups: Tensor) -> None:
    """Raise a ValueError unless each group is (n >= 1, 3, size, size) uint8: what is judged is what is released."""
    for images in groups:
        square = images.dim() == 4 and images.shape[1] == 3 and images.shape[2] == images.shape[3]
        if images.dtype != torch.uint8 or not square or len(images) == 0:
            raise ValueError(
                f"images must be (n >= 1, 3, size, size) uint8; found {tuple(images.shape)} {images.dtype}. "
                "Round to 8 bits before judging (models.image_quality.to_uint8)"
            )


def _build(name: str, classes: int, size: int, config: FitConfig, seed: int, device: str | torch.device) -> nn.Module:
    with seeded(seed, "weights", name):
        return build_adversary(name, classes=classes, size=size, width=config.width).to(device)


def _batches(count: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Yield (batch,) int64 rows for ever: all rows in random order, again and again; a short rest is left out."""
    generator = torch_generator(seed, "batches")
    size = min(batch_size, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % size].split(size)


def _subset(count: int, wanted: int, seed: int) -> Tensor:
    """Return the rows of the interim looks, (min(count, wanted),) int64 on the CPU."""
    return torch.randperm(count, generator=torch_generator(derive_seed(seed, "looks")))[:wanted]
