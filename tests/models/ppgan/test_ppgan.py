"""The PP-GAN: shapes, sides of the adversarial game, recipes and critics."""

import math

import pytest
import torch

from models.image_quality import to_float
from models.losses import distance_to_uniform
from models.ppgan.config import CRITICS, RECIPES, PPGANConfig
from models.ppgan.critics import build_critic
from models.ppgan.generator import Generator, kl_divergence, sample_code
from models.ppgan.training import PPGANTraining, TrainingSet, train_ppgan

SMALL = {"width": 4, "latent": 8, "steps": 4, "batch_size": 8}


def training_set(n: int = 40, size: int = 32) -> TrainingSet:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, size, size), generator=random, dtype=torch.uint8)
    return TrainingSet(images, torch.arange(n) % 3, torch.arange(n) % 7, 3, 7)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_the_generator_keeps_the_size_and_the_range(recipe: str, size: int) -> None:
    generator = Generator(PPGANConfig(recipe=recipe, width=4, latent=8), size=size, identities=3)
    images = torch.rand(2, 3, size, size) * 2 - 1
    mean, log_variance = generator.encode(images)
    assert mean.shape == log_variance.shape == (2, 8)
    sanitised = generator.decode(mean, torch.tensor([0, 2]))
    assert sanitised.shape == images.shape
    assert sanitised.abs().max() <= 1.0


def test_the_published_network_for_64_pixels_has_the_published_channels() -> None:
    generator = Generator(PPGANConfig(recipe="paper"), size=64, identities=6)
    convolutions = [layer for layer in generator.encoder if isinstance(layer, torch.nn.Conv2d)]
    transposed = [layer for layer in generator.decoder if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 64, 128, 256]
    assert [layer.out_channels for layer in transposed] == [256, 128, 128, 3]
    assert {layer.kernel_size for layer in convolutions} == {(5, 5)}


def test_the_published_noise_is_never_small() -> None:
    generator = Generator(PPGANConfig(recipe="paper", width=4), size=32, identities=3)
    _, log_variance = generator.encode(torch.randn(4, 3, 32, 32) * 10)
    assert log_variance.min() >= 0.0
    assert log_variance.max() <= 1.0


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("size", [32, 64])
def test_every_critic_judges_reality_identity_and_expression(critic: str, size: int) -> None:
    judge = build_critic(PPGANConfig(critic=critic, width=4), size=size, identities=3, expressions=7)
    judgement = judge(torch.rand(5, 3, size, size))
    assert judgement.identity.shape == (5, 3)
    assert judgement.expression.shape == (5, 7)
    assert judgement.real.shape[:2] == (5, 2 if critic == "multi_scale" else 1)
    assert (judgement.real.dim() == 4) == (critic in {"patch", "multi_scale"})


@pytest.mark.parametrize("critic", CRITICS)
def test_a_critics_loss_is_lower_where_it_is_right(critic: str) -> None:
    judge = build_critic(PPGANConfig(critic=critic, width=4), size=32, identities=3, expressions=7)
    high, low = torch.full((4, 1), 0.9), torch.full((4, 1), -0.9)
    ones, zeros = torch.ones(4, 1), torch.zeros(4, 1)
    assert judge.critic_loss(high, low, ones, zeros) < judge.critic_loss(low, high, ones, zeros)
    assert judge.generator_loss(high) < judge.generator_loss(low)


def test_the_hinge_loss_has_its_closed_form() -> None:
    judge = build_critic(PPGANConfig(critic="spectral_hinge", width=4), size=32, identities=3, expressions=7)
    real, synthetic = torch.tensor([[2.0], [0.5]]), torch.tensor([[-2.0], [0.0]])
    loss = judge.critic_loss(real, synthetic, torch.ones(1), torch.zeros(1))
    assert float(loss) == pytest.approx(0.5 * ((0.0 + 0.5) / 2 + (0.0 + 1.0) / 2))


def test_spectral_normalisation_brings_the_top_singular_value_to_one() -> None:
    judge = build_critic(PPGANConfig(critic="spectral_hinge", width=8), size=32, identities=3, expressions=7)
    for _ in range(50):  # each forward pass in training is one step of the power iteration
        judge(torch.rand(2, 3, 32, 32))
    weight = judge.trunk[0].weight.flatten(1)  # type: ignore[index,union-attr]
    assert float(torch.linalg.svdvals(weight.detach())[0]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_each_side_of_the_game_updates_its_own_weights_only(recipe: str, critic: str) -> None:
    training = PPGANTraining(PPGANConfig(recipe=recipe, critic=critic, **SMALL), training_set())
    batch = training.draw()
    sanitised = training.sanitise(batch)
    generator = {name: value.clone() for name, value in training.generator.named_parameters()}
    training.critic_step(batch, sanitised)
    assert all(torch.equal(value, generator[name]) for name, value in training.generator.named_parameters())
    critic_weights = {name: value.clone() for name, value in training.critic.named_parameters()}
    image_adversary = {n: v.clone() for n, v in training.adversaries.on_image.named_parameters()}
    training._generator_step(batch, sanitised)
    assert all(torch.equal(value, critic_weights[name]) for name, value in training.critic.named_parameters())
    assert all(torch.equal(v, image_adversary[n]) for n, v in training.adversaries.on_image.named_parameters())
    assert any(not torch.equal(value, generator[name]) for name, value in training.generator.named_parameters())


def test_only_the_anchored_recipe_reconstructs() -> None:
    anchored = PPGANTraining(PPGANConfig(recipe="anchored", **SMALL), training_set())
    paper = PPGANTraining(PPGANConfig(recipe="paper", **SMALL), training_set())
    assert "anchor" in anchored.step()
    assert set(paper.step()) == {"critic", "kl", "adversarial", "identity", "expression"}
    batch = anchored.draw()
    assert torch.equal(batch.target[:4], batch.identity[:4])


def test_the_same_seed_trains_the_same_network_and_another_seed_another() -> None:
    config = PPGANConfig(**SMALL)
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    first, again, other = (train_ppgan(config, training_set(), seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_training_that_diverges_says_so_with_the_step() -> None:
    config = PPGANConfig(kl_weight=1e39, **(SMALL | {"steps": 200}))
    with pytest.raises(FloatingPointError, match=r"PP-GAN, step \d+: training diverged"):
        train_ppgan(config, training_set(), seed=0, report_every=5)


def test_kl_divergence_of_gaussians_has_its_closed_form() -> None:
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, math.log(4.0)]])
    expected = 0.5 * 1.0 + 0.5 * (4.0 + 4.0 - 1.0 - math.log(4.0))
    assert float(kl_divergence(mean, log_variance)) == pytest.approx(expected)


def test_noise_of_zero_gives_the_mean_code() -> None:
    mean = torch.randn(3, 4)
    assert torch.equal(sample_code(mean, torch.zeros(3, 4), torch.zeros(3, 4)), mean)


def test_an_adversary_that_knows_nothing_is_the_least_distance_to_uniform() -> None:
    assert float(distance_to_uniform(torch.zeros(2, 6))) == pytest.approx(math.log(6))
    assert distance_to_uniform(torch.tensor([[5.0, 0, 0]])) > distance_to_uniform(torch.zeros(1, 3))


def test_impossible_settings_are_all_named_at_once() -> None:
    problems = PPGANConfig(recipe="mine", critic="loud", width=1, kl_weight=-1.0).problems()
    assert len(problems) == 4
    assert (
        "stage_one.critic='loud': must be one of three_headed, patch, spectral_hinge, residual, multi_scale" in problems
    )
    assert not PPGANConfig().problems()


def test_training_reads_8_bit_images_as_minus_one_to_one() -> None:
    data = training_set()
    training = PPGANTraining(PPGANConfig(**SMALL), data)
    images = training.draw().images
    assert images.min() >= -1.0
    assert images.max() <= 1.0
    known = {float(value) for value in to_float(torch.arange(256, dtype=torch.uint8))}
    assert {float(value) for value in images.flatten()[:100]} <= known
