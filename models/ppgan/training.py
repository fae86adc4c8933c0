"""Training of the PP-GAN: one update after the other, nothing of scheduling or storage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.image_quality import ssim, to_float
from models.losses import distance_to_uniform, require_finite, update
from models.parallel import WHOLE, BatchShare
from models.ppgan.config import PPGANConfig
from models.ppgan.critics import Critic, build_critic
from models.ppgan.generator import Generator, kl_divergence, sample_code
from models.randomness import seeded
from models.runtime import training_precision


@dataclass(frozen=True)
class TrainingSet:
    """The train split on the device."""

    images: Tensor
    """(n, 3, size, size), uint8."""
    identity: Tensor
    """(n,), int64 in 0..identities - 1."""
    expression: Tensor
    """(n,), int64 in 0..expressions - 1."""
    identities: int
    expressions: int


@dataclass(frozen=True)
class Batch:
    """A batch with the identities that the generator is asked for."""

    rows: Tensor
    """Which images of the training set."""
    images: Tensor
    identity: Tensor
    expression: Tensor
    target: Tensor
    anchored: int
    """The first so many images have themselves as target and are reconstructed."""


@dataclass(frozen=True)
class Sanitised:
    """What the generator makes of a batch, with gradients."""

    mean: Tensor
    log_variance: Tensor
    code: Tensor
    """(n, latent)."""
    images: Tensor
    """(n, 3, size, size), float32 in [-1, 1]."""


class IdentityAdversaries(nn.Module):
    """What the ``anchored`` recipe conceals the identity from, and an expression head that keeps the code useful."""

    def __init__(self, config: PPGANConfig, training_set: TrainingSet) -> None:
        super().__init__()
        identities, expressions = training_set.identities, training_set.expressions
        self.on_code = nn.Sequential(nn.Linear(config.latent, 128), nn.LeakyReLU(0.2), nn.Linear(128, identities))
        width, size = config.width, training_set.images.shape[-1]
        self.on_image = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * (size // 4) ** 2, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, identities),
        )
        self.expression = nn.Linear(config.latent, expressions)


class PPGANTraining:
    """Networks and optimisers of a training. Draws from torch's global generators, which :func:`train_ppgan` seeds."""

    def __init__(self, config: PPGANConfig, training_set: TrainingSet, share: BatchShare = WHOLE) -> None:
        self.config, self.data, self.share = config, training_set, share
        device = training_set.images.device
        size, identities = training_set.images.shape[-1], training_set.identities
        generator = Generator(config, size=size, identities=identities)
        critic = build_critic(config, size=size, identities=identities, expressions=training_set.expressions)
        adversaries = IdentityAdversaries(config, training_set)
        self.generator = generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic = critic.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adversaries = adversaries.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        kept = list(self.generator.parameters())
        against = list(self.critic.parameters())
        self.generator_optimiser: torch.optim.Optimizer
        self.critic_optimiser: torch.optim.Optimizer
        if config.recipe == "paper":
            self.generator_optimiser = torch.optim.RMSprop(kept, config.learning_rate)
            self.critic_optimiser = torch.optim.RMSprop(against, config.learning_rate)
        else:
            kept += list(self.adversaries.expression.parameters())
            against += [*self.adversaries.on_code.parameters(), *self.adversaries.on_image.parameters()]
            self.generator_optimiser = torch.optim.Adam(kept, config.learning_rate, betas=(0.5, 0.99), fused=True)
            self.critic_optimiser = torch.optim.Adam(against, config.learning_rate, betas=(0.5, 0.99), fused=True)

        self.steps_done = 0

    def step(self) -> dict[str, Tensor]:
        """Update the critic once, then the generator, and return the losses as scalars still on the device."""
        self._set_learning_rate()
        batch = self.draw()
        with self.share.own_random():
            sanitised = self.sanitise(batch)
            losses = self.critic_step(batch, sanitised)
            losses |= self._generator_step(batch, sanitised)
            if self.config.recipe == "paper":  # two generator steps for one of the critic, as published
                losses |= self._generator_step(batch, self.sanitise(batch))
        return losses

    def _set_learning_rate(self) -> None:
        """Lower the rate to nothing over the second half of an anchored training, which otherwise ends at random."""
        if self.config.recipe == "paper":
            return
        share_left = 1.0 - self.steps_done / self.config.steps
        self.steps_done += 1
        for optimiser in (self.generator_optimiser, self.critic_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = self.config.learning_rate * min(1.0, 2.0 * share_left)

    def draw(self) -> Batch:
        """Draw a batch from the training set and the identities to ask for; of several workers each its share."""
        data, config = self.data, self.config
        device, count = data.images.device, data.images.shape[0]
        rows = torch.randint(count, (config.batch_size,), device=device)
        target = torch.randint(data.identities, (config.batch_size,), device=device)
        identity = data.identity[rows]
        anchored = config.batch_size // 2 if config.recipe == "anchored" else 0
        target = torch.cat([identity[:anchored], target[anchored:]])
        rows, target, identity = (self.share.of(part) for part in (rows, target, identity))
        anchored //= self.share.workers
        images = to_float(data.images[rows]).contiguous(memory_format=torch.channels_last)
        return Batch(rows, images, identity, data.expression[rows], target, anchored)

    def sanitise(self, batch: Batch) -> Sanitised:
        """Return what the generator makes of a batch, with noise in the code."""
        with training_precision(batch.images.device):
            mean, log_variance = self.generator.encode(batch.images)
            code = sample_code(mean, log_variance, torch.randn_like(mean))
            return Sanitised(mean, log_variance, code, self.generator.decode(code, batch.target))

    def critic_step(self, batch: Batch, sanitised: Sanitised) -> dict[str, Tensor]:
        """Update the critic and the identity adversaries once and return their losses."""
        images, code = sanitised.images.detach(), sanitised.code.detach()
        with training_precision(images.device):
            losses = {"critic": critic_loss(self.critic, batch, images, self.config)}
            if self.config.recipe == "anchored":
                adversaries, rest = self.adversaries, slice(batch.anchored, None)
                losses["adversary_code"] = F.cross_entropy(adversaries.on_code(code).float(), batch.identity)
                on_image = adversaries.on_image(images[rest]).float()
                losses["adversary_image"] = F.cross_entropy(on_image, batch.identity[rest])
        update(self.critic_optimiser, torch.stack(list(losses.values())).sum(), self.share)
        return {name: loss.detach() for name, loss in losses.items()}

    def _generator_step(self, batch: Batch, sanitised: Sanitised) -> dict[str, Tensor]:
        with training_precision(batch.images.device):
            terms = self.generator_terms(batch, sanitised)
        total = torch.stack([weight * loss for weight, loss in terms.values()]).sum()
        update(self.generator_optimiser, total, self.share)
        return {name: loss.detach() for name, (_, loss) in terms.items()}

    def generator_terms(self, batch: Batch, sanitised: Sanitised) -> dict[str, tuple[float, Tensor]]:
        """Return weight and loss of each term of the generator."""
        config = self.config
        judgement = self.critic(sanitised.images)
        terms = {
            "kl": (config.kl_weight, kl_divergence(sanitised.mean, sanitised.log_variance)),
            "adversarial": (config.adversarial_weight, self.critic.generator_loss(judgement.real)),
            "identity": (config.identity_weight, F.cross_entropy(judgement.identity, batch.target)),
            "expression": (config.expression_weight, F.cross_entropy(judgement.expression, batch.expression)),
        }
        return terms | self._anchor_terms(batch, sanitised) if config.recipe == "anchored" else terms

    def _anchor_terms(self, batch: Batch, sanitised: Sanitised) -> dict[str, tuple[float, Tensor]]:
        half, images = batch.anchored, batch.images
        synthetic, code = sanitised.images, sanitised.code
        anchor = F.l1_loss(synthetic[:half], images[:half]) + 0.5 * (1.0 - ssim(synthetic[:half], images[:half])).mean()
        expression_code = F.cross_entropy(self.adversaries.expression(code).float(), batch.expression)
        conceal_code = distance_to_uniform(self.adversaries.on_code(code))
        conceal_image = distance_to_uniform(self.adversaries.on_image(synthetic[half:]))
        weight = self.config.concealment_weight
        return {
            "anchor": (self.config.anchor_weight, anchor),
            "expression_code": (self.config.code_expression_weight, expression_code),
            "conceal_code": (weight, conceal_code),
            "conceal_image": (weight, conceal_image),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue but the random state: networks, optimisers, steps done."""
        return {name: part.state_dict() for name, part in self._parts().items()} | {"steps_done": self.steps_done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.steps_done = state["steps_done"]

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "adversaries": self.adversaries,
            "generator_optimiser": self.generator_optimiser,
            "critic_optimiser": self.critic_optimiser,
        }


class Snapshots(Protocol):
    """Where a long training keeps its state, to go on after it was lost."""

    def latest(self) -> Mapping[str, Any] | None:
        """Return the newest state, None if there is none."""

    def after(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        """Take note that a step is done; ``state`` makes the state that may be kept."""


def critic_loss(critic: Critic, batch: Batch, synthetic: Tensor, config: PPGANConfig) -> Tensor:
    """Return the sum of the discriminator's three terms under the weights of ``config``, with smoothed labels.

    A choice of this project: the heads of identity and expression learn from real images and from synthetic ones, each
    for half of the weight, the latter with the labels that were asked for; from real images alone the generator can
    please them with noise.
    """
    on_real, on_synthetic = critic(batch.images), critic(synthetic)
    smooth = torch.rand((2, len(synthetic), 1), device=synthetic.device) * 0.1
    labels = smooth.view(2, -1, *[1] * (on_real.real.dim() - 1))
    adversarial = critic.critic_loss(on_real.real, on_synthetic.real, 1.0 - labels[0], labels[1])
    identity = F.cross_entropy(on_real.identity, batch.identity) + F.cross_entropy(on_synthetic.identity, batch.target)
    expression = F.cross_entropy(on_real.expression, batch.expression)
    expression = expression + F.cross_entropy(on_synthetic.expression, batch.expression)
    heads = 0.5 * (config.critic_identity_weight * identity + config.critic_expression_weight * expression)
    return config.critic_adversarial_weight * adversarial + heads


def train_ppgan(
    config: PPGANConfig,
    training_set: TrainingSet,
    *,
    seed: int,
    report_every: int = 50,
    share: BatchShare = WHOLE,
    snapshots: Snapshots | None = None,
) -> tuple[Generator, list[dict[str, float]]]:
    """Train a PP-GAN from scratch.

    Args:
        config: Its settings.
        training_set: The train split, on the device to train on.
        seed: Seed of the initial weights, the batches, the noise and the dropout.
        report_every: Steps between two reports.
        share: This worker's part of every batch; all workers call this at once.
        snapshots: Where to keep the state from time to time, and to take it up from; None: nowhere.

    Returns:
        The generator in evaluation mode, and the losses of each report.

    Raises:
        FloatingPointError: If a loss is no longer finite; the message names it and the step.

    Notes:
        The same seed gives the same weights on the same kind of machine. The global random state is left as it was.
    """
    history: list[dict[str, float]] = []
    with seeded(seed, "ppgan"):
        training = PPGANTraining(config, training_set, share)
        done = 0
        if snapshots is not None and (state := snapshots.latest()) is not None:
            done, history = state["step"], list(state["history"])
            training.load_state_dict(state["training"])
            _set_random_state(state["random"])
        for step in range(done + 1, config.steps + 1):
            losses = training.step()
            if step % report_every == 0 or step == config.steps:
                values = torch.stack(list(losses.values())).tolist()  # the device is waited for once a report
                report = dict(zip(losses, values, strict=True))
                require_finite(report, f"PP-GAN, step {step}")
                history.append({"step": float(step), **report})
            if snapshots is not None:
                snapshots.after(step, lambda: _state(training, step, history))  # noqa: B023 - called at once
        share.average_statistics(training.generator)
    return training.generator.eval(), history


def _state(training: PPGANTraining, step: int, history: list[dict[str, float]]) -> dict[str, Any]:
    random = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    return {"step": step, "history": history, "training": training.state_dict(), "random": random}


def _set_random_state(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
