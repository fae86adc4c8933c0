"""A pack of embedders: an epoch of several :class:`LearnedTraining` at once, by ``torch.func``.

Their networks are stacked, advanced together, and handed back, so that between two epochs each is a training like any
other: it is saved, judged and stopped on its own, and whoever stops is left out of the next pack. Each member has its
own data, weights of losses, learning rate, strength, optimiser state and random numbers, and gets what it would get
alone up to rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from models.hiding.learned.config import LearnedConfig
from models.hiding.learned.training import LearnedTraining
from models.image_quality import round_straight_through, to_float
from models.packs.adam import StackedAdam
from models.randomness import derive_seed
from models.runtime import training_precision

NUMBERS = frozenset({
    "learning_rate", "residual_weight", "identity_weight", "steganalysis_weight", "epochs", "reset_every",
    "fine_tune_epochs", "sanitiser_weight", "nonce_bits", "nonce_repetition", "key",
})  # fmt: skip
"""Settings in which members may differ; those of the nonce matter here only through the number of bits."""

Outcome = dict[str, float] | FloatingPointError


def why_not(trainings: Sequence[LearnedTraining]) -> list[str]:
    """Return why these trainings cannot be one pack, a line each; empty if they can.

    Args:
        trainings: The members, at least one, each at the beginning of an epoch.
    """
    first, found = trainings[0], []
    if getattr(first.channel, "random", False):
        found.append("the channel draws noise, which members of a pack cannot draw for themselves; train them alone")
    for number, other in enumerate(trainings[1:], 1):
        for field in fields(LearnedConfig):
            ours, theirs = getattr(first.config, field.name), getattr(other.config, field.name)
            if field.name not in NUMBERS and ours != theirs:
                found.append(f"member {number}: {field.name}={theirs!r}, member 0 has {ours!r}; these must be equal")
        for name, of in _SHAPES.items():
            if of(first) != of(other):
                found.append(f"member {number}: {name} {of(other)}, member 0 has {of(first)}; these must be equal")
    return found


_SHAPES: dict[str, Callable[[LearnedTraining], Any]] = {
    "bits": lambda training: training.bits,
    "image shape": lambda training: tuple(training.data.covers.shape[1:]),
    "identities": lambda training: training.data.identities,
    "device": lambda training: training.data.covers.device,
    "channel": lambda training: None if training.channel is None else str(training.channel),
    "adversaries": lambda training: [name for name, _ in training.adversaries.named_parameters()],
}


def run_epoch(trainings: Sequence[LearnedTraining]) -> list[Outcome]:
    """Train every member for one epoch.

    Args:
        trainings: The members, at least one; changed as by their own ``run_epoch``.

    Returns:
        For each member what its own ``run_epoch`` would return, or the error it would raise: a member that diverges
        leaves the others as they are.

    Raises:
        ValueError: If they cannot be one pack; the message says why, a line each.

    Notes:
        Equal to the members' own epochs up to the order of additions: within 1e-3 of each loss after ten steps in full
        precision (``tests/models/packs``).
    """
    if problems := why_not(trainings):
        raise ValueError("not a pack:\n" + "\n".join(problems))
    for training in trainings:
        training.begin_epoch()
    pack = _Pack(trainings)
    steps = [pack.step() for _ in range(trainings[0].config.steps_per_epoch)]
    pack.hand_back()
    return [_outcome(training, member, steps) for member, training in enumerate(trainings)]


def _outcome(training: LearnedTraining, member: int, steps: list[dict[str, Tensor]]) -> Outcome:
    own = [{name: losses[member] for name, losses in step.items()} for step in steps]
    try:
        return training.end_epoch(own)
    except FloatingPointError as error:
        return error


class _Stack:
    """The same part of every member, stacked: parameters, buffers and Adam."""

    def __init__(self, parts: Sequence[nn.Module], optimisers: Sequence[torch.optim.Optimizer]) -> None:
        self.parts, self.template = parts, parts[0]
        self.parameters, self.buffers = stack_module_state(list(parts))
        self.weights = list(self.parameters.values())
        self.optimiser = StackedAdam(optimisers, self.weights)

    def update(self, loss: Tensor) -> None:
        self.optimiser.step(torch.autograd.grad(loss, self.weights, allow_unused=True))

    @torch.no_grad()
    def hand_back(self) -> None:
        for member, part in enumerate(self.parts):
            for name, parameter in part.named_parameters():
                parameter.copy_(self.parameters[name][member])
            for name, buffer in part.named_buffers():
                buffer.copy_(self.buffers[name][member])
        self.optimiser.hand_back()


class _Method(nn.Module):
    """Calls a function of networks that ``functional_call`` gives their weights for the time of the call."""

    def __init__(self, part: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.part, self.function = part, function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


class _Pack:
    """The members of one epoch, stacked."""

    def __init__(self, trainings: Sequence[LearnedTraining]) -> None:
        self.trainings, self.first = trainings, trainings[0]
        self.device = self.first.data.covers.device
        pairs = [nn.ModuleList([training.embedder, training.extractor]) for training in trainings]
        self.pairs = _Stack(pairs, [training.optimiser for training in trainings])
        against = [training.adversaries_optimiser for training in trainings]
        optimisers = [optimiser for optimiser in against if optimiser is not None]
        self.adversaries = _Stack([training.adversaries for training in trainings], optimisers) if optimisers else None
        self.random = [
            torch.Generator(self.device).manual_seed(derive_seed(training.seed, "learned", training.epoch))
            for training in trainings
        ]
        weights = [training.weights() for training in trainings]
        self.loss_weights = {
            name: torch.tensor([own[name] for own in weights], device=self.device) for name in weights[0]
        }

    def step(self) -> dict[str, Tensor]:
        """Update every member once and return the losses, (members,) each, still on the device."""
        covers, secret, identity = self._draw()
        with training_precision(self.device):
            stego = self._call(self._embed, covers, secret)
        losses = self._adversaries_step(covers, stego.detach(), identity)
        with training_precision(self.device):
            terms = self._call(self._terms, covers, stego, secret)
        weighted = [self.loss_weights[name] * loss for name, loss in terms.items()]
        self.pairs.update(torch.stack(weighted).sum())
        return losses | {name: loss.detach() for name, loss in terms.items()}

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return covers, secrets and identities, (members, batch, ...), each drawn as the member alone would."""
        drawn = []
        for training, random in zip(self.trainings, self.random, strict=True):
            data, batch = training.data, (training.config.batch_size,)
            rows = torch.randint(len(data.covers), batch, device=self.device, generator=random)
            drawn.append((to_float(data.covers[rows]), training.secret(rows, random), data.identity[rows]))
        covers, secret, identity = (torch.stack(part) for part in zip(*drawn, strict=True))
        return covers, secret, identity

    def _embed(self, covers: Tensor, secret: Tensor) -> Tensor:
        return round_straight_through(self.first.embedder(covers, secret))

    def _terms(self, covers: Tensor, stego: Tensor, secret: Tensor) -> dict[str, Tensor]:
        return {name: loss for name, (_, loss) in self.first.terms(covers, stego, secret).items()}

    def _against(self, covers: Tensor, stego: Tensor, identity: Tensor) -> dict[str, Tensor]:
        first = self.first
        return first.adversaries.losses(first.published(covers), first.published(stego), identity)

    def _adversaries_step(self, covers: Tensor, stego: Tensor, identity: Tensor) -> dict[str, Tensor]:
        if self.adversaries is None:
            return {}
        with training_precision(self.device):
            losses = self._call(self._against, covers, stego, identity)
        self.adversaries.update(torch.stack(list(losses.values())).sum())
        return {name: loss.detach() for name, loss in losses.items()}

    def _call(self, function: Callable[..., Any], *inputs: Tensor) -> Any:
        """Return what a function of the first member's networks gives with each member's weights and inputs."""
        stacks = [self.pairs] if self.adversaries is None else [self.pairs, self.adversaries]
        method = _Method(nn.ModuleList(stack.template for stack in stacks), function)
        state = {
            f"part.{number}.{name}": values
            for number, stack in enumerate(stacks)
            for name, values in {**stack.parameters, **stack.buffers}.items()
        }

        def of_member(own: dict[str, Tensor], *given: Tensor) -> Any:
            # What an invertible pair shares are modules, reached by each of their names: tied, they would be set twice.
            return functional_call(method, own, given, tie_weights=False)

        return vmap(of_member)(state, *inputs)

    def hand_back(self) -> None:
        """Give every member its networks and optimiser states as they are now."""
        for stack in filter(None, (self.pairs, self.adversaries)):
            stack.hand_back()
