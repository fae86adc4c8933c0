"""A plain PPRL-VGAN training step in PyTorch, as a tutorial would write it; what ``benchmarks.training`` compares with.

Architecture, losses and batches are those of ``recipe=paper`` (``models/ppgan``): a step of the critic, then two of the
generator. Written on its own and for clarity: ordinary memory layout, full precision, images as floats, each loss read
after each step. Tests hold our step to the same losses. Chen, Konrad, Ishwar, "VGAN-Based Image Representation Learning
for Privacy-Preserving Facial Expression Recognition", CVPR workshops 2018.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WEIGHTS = {"kl": 0.02, "adversarial": 0.108, "identity": 0.6, "expression": 0.29}
CRITIC_WEIGHTS = {"adversarial": 0.25, "identity": 0.5, "expression": 0.25}


class PlainGenerator(nn.Module):
    """Encoder, code and decoder for images of 64 x 64."""

    def __init__(self, identities: int, width: int = 32, latent: int = 128) -> None:
        super().__init__()
        self.identities = identities
        layers: list[nn.Module] = []
        for before, after in pairwise([3, width, 2 * width, 4 * width, 8 * width]):
            layers += [nn.Conv2d(before, after, 5, 2, 2), nn.BatchNorm2d(after)]
            layers += [nn.Dropout2d(0.3), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*layers)
        self.moments = nn.Linear(8 * width * 16, 2 * latent)
        self.spread = nn.Linear(latent + identities, 4 * width * 16)
        layers = []
        for before, after in pairwise([4 * width, 8 * width, 4 * width, 4 * width]):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.decoder = nn.Sequential(*layers, nn.ConvTranspose2d(4 * width, 3, 4, 2, 1), nn.Tanh())

    def forward(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sanitised images (n, 3, 64, 64) in [-1, 1], and mean and log-variance (n, latent) of the code."""
        mean, log_variance = self.moments(self.encoder(images).flatten(1)).chunk(2, dim=1)
        log_variance = torch.sigmoid(log_variance)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        features = self.spread(torch.cat([code, F.one_hot(target, self.identities).float()], dim=1))
        return self.decoder(features.view(len(images), -1, 4, 4)), mean, log_variance


class PlainCritic(nn.Module):
    """Four convolutions, a dense layer and three heads, for images of 64 x 64."""

    def __init__(self, identities: int, expressions: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([3, width, 2 * width, 4 * width, 8 * width]):
            layers += [nn.Conv2d(before, after, 5, 2, 2), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers)
        dense = 8 * width
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(dense * 16, dense), nn.LeakyReLU(0.2), nn.Dropout(0.5))
        self.real, self.identity = nn.Linear(dense, 1), nn.Linear(dense, identities)
        self.expression = nn.Linear(dense, expressions)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of real (n, 1), identity (n, identities) and expression (n, expressions)."""
        features = self.features(self.trunk(images))
        return self.real(features), self.identity(features), self.expression(features)


class PlainTraining:
    """Both networks with RMSprop at 3e-4."""

    def __init__(
        self,
        images: Tensor,
        identity: Tensor,
        expression: Tensor,
        *,
        identities: int,
        expressions: int,
        width: int = 32,
        latent: int = 128,
    ) -> None:
        """Build them.

        Args:
            images: (n, 3, 64, 64), float32 in [-1, 1], on the device to train on.
            identity: (n,), int64.
            expression: (n,), int64.
            identities: Number of identities.
            expressions: Number of expressions.
            width: Channels of the first convolution.
            latent: Size of the code.
        """
        self.images, self.identity, self.expression, self.identities = images, identity, expression, identities
        self.generator = PlainGenerator(identities, width, latent).to(images.device)
        self.critic = PlainCritic(identities, expressions, width).to(images.device)
        self.generator_optimiser = torch.optim.RMSprop(self.generator.parameters(), 3e-4)
        self.critic_optimiser = torch.optim.RMSprop(self.critic.parameters(), 3e-4)

    def step(self, batch_size: int) -> dict[str, float]:
        """Update the critic once and the generator twice, and return the last losses."""
        rows = torch.randint(len(self.images), (batch_size,), device=self.images.device)
        target = torch.randint(self.identities, (batch_size,), device=self.images.device)
        images, identity, expression = self.images[rows], self.identity[rows], self.expression[rows]
        synthetic = self.generator(images, target)
        losses = self._critic_step(images, identity, expression, synthetic[0].detach(), target)
        losses |= self._generator_step(synthetic, expression, target)
        return losses | self._generator_step(self.generator(images, target), expression, target)

    def _critic_step(
        self, images: Tensor, identity: Tensor, expression: Tensor, synthetic: Tensor, target: Tensor
    ) -> dict[str, float]:
        real, real_identity, real_expression = self.critic(images)
        fake, fake_identity, fake_expression = self.critic(synthetic)
        smooth = torch.rand((2, len(images), 1), device=images.device) * 0.1
        on_real = F.binary_cross_entropy_with_logits(real, 1.0 - smooth[0])
        adversarial = 0.5 * (on_real + F.binary_cross_entropy_with_logits(fake, smooth[1]))
        of_identity = 0.5 * (F.cross_entropy(real_identity, identity) + F.cross_entropy(fake_identity, target))
        of_expression = F.cross_entropy(real_expression, expression) + F.cross_entropy(fake_expression, expression)
        loss = CRITIC_WEIGHTS["adversarial"] * adversarial + CRITIC_WEIGHTS["identity"] * of_identity
        loss = loss + CRITIC_WEIGHTS["expression"] * 0.5 * of_expression
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        return {"critic": loss.item()}

    def _generator_step(
        self, synthetic: tuple[Tensor, Tensor, Tensor], expression: Tensor, target: Tensor
    ) -> dict[str, float]:
        images, mean, log_variance = synthetic
        real, of_identity, of_expression = self.critic(images)
        terms = {
            "kl": 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1).mean(),
            "adversarial": F.softplus(-real).mean(),
            "identity": F.cross_entropy(of_identity, target),
            "expression": F.cross_entropy(of_expression, expression),
        }
        loss = torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
        self.generator_optimiser.zero_grad()
        loss.backward()
        self.generator_optimiser.step()
        return {name: term.item() for name, term in terms.items()}
