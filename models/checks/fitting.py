"""Train one adversary: classifiers on labelled images, and the steganalyser on pairs of cover and stego image.

Trained on train images, chosen on validation images; test images never come here. Under-trained adversaries find
nothing and so pass everything, which is why the budget is in steps and why a flat validation curve alone does not end
a training.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checks.adversaries import build_adversary
from models.checks.config import PLATEAU, FitConfig
from models.checks.statistics import auc
from models.losses import require_finite
from models.randomness import derive_seed, seeded, torch_generator
from models.runtime import reduced_precision

_JUDGED_AT_ONCE = 500  # images of one forward pass without gradients: bounds memory at 64 x 64
_WARM_UP = (
    0.2  # share of the steps over which a cycle's learning rate rises; that of plateaus rises until the first look
)
_DROP = 0.2  # what the learning rate is multiplied by at a plateau
_DROPS = 1  # plateaus at which it falls; at the next one training has converged
_GAIN = 0.98  # a training loss counts as lower if it is below this share of the lowest so far


class Fitted(NamedTuple):
    """A trained adversary."""

    network: nn.Module
    """As it was at its best look at the validation images, in evaluation mode."""
    converged: bool
    """Whether training had nothing left to learn when it ended, so that more steps would not have found more."""
    steps: int
    """Updates that were made."""


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

    return _optimise(name, model, config, loss, score, guess=math.log(classes), device=device)


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
) -> nn.Module:
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
        A network with one output, higher meaning "stego", as it was at its best look at the validation pairs.

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

    return _optimise(name, model, config, loss, score, guess=math.log(2), device=device).network


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
    with _autocast(device, precision):
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


def _optimise(
    name: str,
    model: nn.Module,
    config: FitConfig,
    loss: Callable[[], Tensor],
    score: Callable[[], tuple[float, float]],
    *,
    guess: float,
    device: str | torch.device,
) -> Fitted:
    """Train until the steps are used up or nothing is left to learn; return the best of the looks.

    Args:
        name: For messages.
        model: In any mode.
        config: Budget and optimiser.
        loss: Draws a batch and returns its mean loss in nats.
        score: Returns (validation score, at most 1; a tie-breaker), higher is better.
        guess: Loss of someone who knows nothing, nats.
        device: Of the model.

    Notes:
        Converged is a training that ended for want of anything to learn: the training images are fitted and the
        validation score has stopped growing (or is perfect), or, where the rate falls at plateaus, neither training
        loss nor validation score gained anything at the last rate.
    """
    optimiser = torch.optim.AdamW(
        model.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    best, best_state, looks_since = (-math.inf, -math.inf), None, 0
    lowest, waited, drops, converged = math.inf, 0, 0, False
    total = torch.zeros((), device=device)
    deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with deterministic:
        for step in range(1, config.steps + 1):
            model.train()
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * _rate(config, step, drops)
            with _autocast(torch.device(device), config.precision):
                value = loss()
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            total += value.detach()
            if step % config.evaluate_every and step != config.steps:
                continue
            mean = float(total) / ((step - 1) % config.evaluate_every + 1)
            total.zero_()
            require_finite({"loss": mean}, f"adversary {name}, step {step}")
            found = score()
            gained = found[0] > best[0] or mean < _GAIN * lowest
            looks_since, waited = (0 if found[0] > best[0] else looks_since + 1), (0 if gained else waited + 1)
            lowest = min(lowest, mean)
            if found > best:
                best, best_state = found, copy.deepcopy(model.state_dict())
            fitted = mean < config.fitted * guess
            if fitted and (looks_since >= config.patience or best[0] >= 1.0):
                converged = True
                break
            if config.schedule == PLATEAU and waited >= config.patience:
                if drops == _DROPS:
                    converged = True
                    break
                drops, waited = drops + 1, 0
        else:
            converged = fitted and config.schedule != PLATEAU  # a rate that falls to 0 leaves nothing to gain after it
    if best_state is None:
        raise FloatingPointError(f"adversary {name}: no look at the validation images gave a number")
    model.load_state_dict(best_state)
    return Fitted(model.eval(), converged, step)


def _rate(config: FitConfig, step: int, drops: int) -> float:
    """Return the share of the peak learning rate at a step, counted from 1, after so many falls at plateaus."""
    if config.schedule == PLATEAU:
        return min(1.0, step / max(1, config.evaluate_every)) * _DROP**drops
    return _schedule((step - 0.5) / config.steps)


def _schedule(progress: float) -> float:
    """Return the share of the peak learning rate at ``progress`` in (0, 1): linear warm-up, then a half cosine to 0."""
    if progress < _WARM_UP:
        return progress / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


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


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    if precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return reduced_precision(device, enabled=precision == "auto")
