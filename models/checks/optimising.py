"""Optimise an adversary until nothing is left to learn, or its steps are used up, and say which of them it was."""

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.checks.config import PLATEAU, FitConfig
from models.losses import require_finite
from models.runtime import reduced_precision

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


def optimise(
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
        loss nor validation score gained anything at the last rate. One whose loss is still a guesser's gets half of its
        steps before a plateau counts: a faint leak may take a thousand of them to be noticed at all.
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
            with autocast(torch.device(device), config.precision):
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
            started = lowest < _GAIN * guess or 2 * step >= config.steps
            if config.schedule == PLATEAU and waited >= config.patience and started:
                if drops == _DROPS:
                    converged = True
                    break
                drops, waited = drops + 1, 0
        else:
            # a rate that falls to 0 leaves little to gain after it, unless the last look was still the best
            converged = config.schedule != PLATEAU and fitted and looks_since > 0
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


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context of a network's precision, as in ``FitConfig``."""
    if precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return reduced_precision(device, enabled=precision == "auto")
