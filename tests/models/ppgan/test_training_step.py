"""The training step against plain ones: same losses in full precision, near ones in bfloat16, no wait for a device."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.training_reference import PlainTraining
from models import runtime
from models.hiding.learned import training as learned
from models.hiding.learned.config import LearnedConfig
from models.hiding.learned.training import LearnedData, LearnedTraining
from models.image_quality import ssim, to_float
from models.ppgan import training as stage_one
from models.ppgan.config import CRITICS, PPGANConfig
from models.ppgan.generator import kl_divergence
from models.ppgan.training import PPGANTraining, TrainingSet

FULL, HALF = 1e-3, 0.05
"""Largest difference of a loss from the plain step's over three steps, relative or in nats, whichever is larger: in
full precision, in bfloat16."""

Precision = Callable[[torch.device], AbstractContextManager[object]]


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    return contextlib.nullcontext()


def bfloat16(device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16)


def training_set(size: int, n: int = 48) -> TrainingSet:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, size, size), generator=random, dtype=torch.uint8)
    return TrainingSet(images, torch.arange(n) % 3, torch.arange(n) % 7, 3, 7)


def without_dropout(*networks: nn.Module) -> None:
    """Masks are drawn in another order where the layout is another, so that no two steps could be compared."""
    for module in [module for network in networks for module in network.modules()]:
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0


def three_steps(step: Callable[[], dict[str, Any]]) -> list[dict[str, float]]:
    torch.manual_seed(7)
    return [{name: float(loss) for name, loss in step().items()} for _ in range(3)]


@pytest.mark.parametrize(("precision", "tolerance"), [(full_precision, FULL), (bfloat16, HALF)])
def test_a_step_of_the_published_recipe_equals_the_plain_one(
    precision: Precision, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_one, "training_precision", precision)
    data = training_set(64)
    rate = 3e-5  # small: at first RMSprop goes by the sign of a gradient, so by rounding where there is next to none
    config = PPGANConfig(recipe="paper", width=8, latent=16, batch_size=16, learning_rate=rate)
    torch.manual_seed(0)
    ours = PPGANTraining(config, data)
    plain = PlainTraining(
        to_float(data.images), data.identity, data.expression, identities=3, expressions=7, width=8, latent=16
    )
    missing = plain.generator.load_state_dict(ours.generator.state_dict(), strict=False)
    assert all(name.endswith("bias") for name in missing.missing_keys), "only biases that normalisation cancels"
    assert not missing.unexpected_keys
    plain.critic.load_state_dict(ours.critic.state_dict())
    plain.generator_optimiser.param_groups[0]["lr"] = plain.critic_optimiser.param_groups[0]["lr"] = rate
    without_dropout(ours.generator, ours.critic, plain.generator, plain.critic)
    for found, expected in zip(three_steps(ours.step), three_steps(lambda: plain.step(16)), strict=True):
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)


class PlainAnchored:
    """The anchored recipe step by step, on copies of the networks in the ordinary layout, with ordinary Adam."""

    def __init__(self, training: PPGANTraining) -> None:
        self.config, self.data, self.done = training.config, training.data, 0
        networks = copy.deepcopy((training.generator, training.critic, training.adversaries))
        self.generator, self.critic, self.adversaries = (
            part.to(memory_format=torch.contiguous_format) for part in networks
        )  # type: ignore[call-overload]
        adversaries = self.adversaries
        against = [*self.critic.parameters(), *adversaries.on_code.parameters(), *adversaries.on_image.parameters()]
        self.against = torch.optim.Adam(against, betas=(0.5, 0.99), foreach=False)
        ours = [*self.generator.parameters(), *adversaries.expression.parameters()]
        self.ours = torch.optim.Adam(ours, betas=(0.5, 0.99), foreach=False)

    def step(self) -> dict[str, float]:
        config, data, half = self.config, self.data, self.config.batch_size // 2
        for optimiser in (self.ours, self.against):
            optimiser.param_groups[0]["lr"] = config.learning_rate * min(1.0, 2.0 * (1.0 - self.done / config.steps))
        self.done += 1
        rows = torch.randint(len(data.images), (config.batch_size,))
        target = torch.randint(data.identities, (config.batch_size,))
        images, identity, expression = to_float(data.images[rows]), data.identity[rows], data.expression[rows]
        target[:half] = identity[:half]
        mean, log_variance = self.generator.encode(images)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        synthetic = self.generator.decode(code, target)
        smooth = torch.rand(2, config.batch_size, 1) * 0.1
        critic = self._critic_loss(images, synthetic.detach(), identity, expression, target, smooth)
        on_code = F.cross_entropy(self.adversaries.on_code(code.detach()), identity)
        on_image = F.cross_entropy(self.adversaries.on_image(synthetic[half:].detach()), identity[half:])
        self._update(self.against, critic + on_code + on_image)
        judged = self.critic(synthetic)
        reconstructed, original = synthetic[:half], images[:half]
        terms = {
            "kl": (config.kl_weight, kl_divergence(mean, log_variance)),
            "adversarial": (config.adversarial_weight, self.critic.generator_loss(judged.real)),
            "identity": (config.identity_weight, F.cross_entropy(judged.identity, target)),
            "expression": (config.expression_weight, F.cross_entropy(judged.expression, expression)),
            "anchor": (1.0, (reconstructed - original).abs().mean() + 0.5 * (1 - ssim(reconstructed, original)).mean()),
            "expression_code": (1.0, F.cross_entropy(self.adversaries.expression(code), expression)),
            "conceal_code": (1.0, -F.log_softmax(self.adversaries.on_code(code), 1).mean()),
            "conceal_image": (1.0, -F.log_softmax(self.adversaries.on_image(synthetic[half:]), 1).mean()),
        }
        self._update(self.ours, torch.stack([weight * loss for weight, loss in terms.values()]).sum())
        losses = {"critic": critic, "adversary_code": on_code, "adversary_image": on_image}
        return {
            name: loss.item() for name, loss in (losses | {name: loss for name, (_, loss) in terms.items()}).items()
        }

    def _critic_loss(
        self, images: Tensor, synthetic: Tensor, identity: Tensor, expression: Tensor, target: Tensor, smooth: Tensor
    ) -> Tensor:
        config, real, fake = self.config, self.critic(images), self.critic(synthetic)
        shape = (2, -1, *[1] * (real.real.dim() - 1))
        ones, zeros = 1 - smooth.view(shape)[0], smooth.view(shape)[1]
        of_identity = F.cross_entropy(real.identity, identity) + F.cross_entropy(fake.identity, target)
        of_expression = F.cross_entropy(real.expression, expression) + F.cross_entropy(fake.expression, expression)
        loss: Tensor = config.critic_adversarial_weight * self.critic.critic_loss(real.real, fake.real, ones, zeros)
        return loss + 0.5 * (
            config.critic_identity_weight * of_identity + config.critic_expression_weight * of_expression
        )

    @staticmethod
    def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        weights = optimiser.param_groups[0]["params"]
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights, retain_graph=True), strict=True):
            weight.grad = gradient
        optimiser.step()


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize(("precision", "tolerance"), [(full_precision, FULL), (bfloat16, HALF)])
def test_a_step_of_the_anchored_recipe_equals_the_plain_one(
    critic: str, precision: Precision, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_one, "training_precision", precision)
    torch.manual_seed(0)
    config = PPGANConfig(critic=critic, width=8, latent=16, batch_size=16, steps=4)
    ours = PPGANTraining(config, training_set(32))
    without_dropout(ours.critic)
    plain = PlainAnchored(ours)
    for found, expected in zip(three_steps(ours.step), three_steps(plain.step), strict=True):
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize(("precision", "tolerance"), [(full_precision, FULL), (bfloat16, HALF)])
@pytest.mark.parametrize("architecture", ["cells", "residual_unet"])
def test_an_epoch_of_the_embedder_equals_that_in_the_ordinary_layout(
    architecture: str, precision: Precision, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = LearnedConfig(
        architecture=architecture, width=16, batch_size=16, epochs=2, steps_per_epoch=3,
        identity_weight=0.1, steganalysis_weight=0.1,
    )  # fmt: skip
    faces = training_set(32)
    data = LearnedData(faces.images, faces.identity, 3)
    ours, plain = (LearnedTraining(config, data, bits=64, strength=2, seed=0) for _ in range(2))
    for network in (plain.embedder, plain.extractor, plain.adversaries):
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for optimiser in (plain.optimiser, plain.adversaries_optimiser):
        assert optimiser is not None
        optimiser.param_groups[0]["fused"] = False
    monkeypatch.setattr(learned, "training_precision", precision)
    found = [ours.run_epoch() for _ in range(2)]
    monkeypatch.setattr(learned, "training_precision", full_precision)
    for losses, expected in zip(found, [plain.run_epoch() for _ in range(2)], strict=True):
        assert losses == pytest.approx(expected, rel=tolerance, abs=tolerance)


class Waits(TorchDispatchMode):
    """Counts operations that hand a number from the device to the host."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("recipe", ["anchored", "paper"])
def test_no_step_of_the_ppgan_waits_for_the_device(recipe: str) -> None:
    training = PPGANTraining(PPGANConfig(recipe=recipe, width=4, latent=8, batch_size=8), training_set(32))
    training.step()
    with Waits() as waits:
        training.step()
    assert waits.found == 0


def test_no_step_of_the_embedder_waits_for_the_device() -> None:
    faces = training_set(32)
    config = LearnedConfig(width=8, batch_size=8, identity_weight=0.1, steganalysis_weight=0.1)
    training = LearnedTraining(config, LearnedData(faces.images, faces.identity, 3), bits=64, strength=2, seed=0)
    training._step()
    with Waits() as waits:
        training._step()
    assert waits.found == 0


def test_dot_products_of_bfloat16_are_used_to_train_but_not_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    layer, images, device = nn.Linear(4, 2), torch.ones(1, 4), torch.device("cpu")
    with runtime.training_precision(device):
        assert layer(images).dtype == torch.bfloat16
    with runtime.reduced_precision(device):
        assert layer(images).dtype == torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with runtime.training_precision(device):
        assert layer(images).dtype == torch.float32
