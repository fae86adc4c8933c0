"""Joint fine-tuning: the sanitiser's decoder is trained on together with an embedder and extractor that can write.

The sanitiser keeps its own losses, against a critic and adversaries that are trained anew, and helps the embedder with
the secret's. Its covers change with it, and they are the only ones that what is released can be compared with: against
those of the sanitiser as it was, a steganalyser would tell two sanitisers apart. The encoder, hence the distribution of
the latent code, stays.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.hiding.learned.training import LearnedTraining
from models.image_quality import round_straight_through
from models.losses import require_finite
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.ppgan.release import sanitise
from models.ppgan.training import Batch, PPGANTraining, TrainingSet
from models.randomness import seeded, torch_generator
from models.runtime import training_precision

_SHARE_OF_RATE = 0.1  # of stage one's learning rate: the decoder is to move, not to forget
_OWN_TERMS = ("adversarial", "identity", "expression", "anchor", "conceal_image")  # those that reach the decoder


class FineTuning:
    """Decoder, embedder and extractor in one training, an epoch at a time."""

    def __init__(
        self,
        training: LearnedTraining,
        ppgan: PPGANConfig,
        training_set: TrainingSet,
        generator: Generator,
        *,
        seed: int,
    ) -> None:
        """Begin where both trainings ended.

        Args:
            training: Embedder and extractor, trained; they go on being trained in place.
            ppgan: Settings of the sanitiser.
            training_set: The inputs of ``training``'s covers, row by row, on the same device.
            generator: The sanitiser, trained; a copy of it is trained.
            seed: Of the new critic, batches and noise.
        """
        self.training, self.seed, self.epoch = training, seed, 0
        with seeded(seed, "fine_tuning", "weights"):
            self.stage = PPGANTraining(ppgan, training_set, training.share)
        self.generator.load_state_dict(generator.state_dict())
        self.generator.eval()
        self.decoder = [*self.generator.spread.parameters(), *self.generator.decoder.parameters()]
        self.optimiser = torch.optim.Adam(
            self.decoder, _SHARE_OF_RATE * ppgan.learning_rate, betas=(0.5, 0.99), fused=True
        )

    @property
    def generator(self) -> Generator:
        """The sanitiser as fine-tuned so far."""
        return self.stage.generator

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch and return the losses of its last step, the sanitiser's own as ``sanitiser.*``.

        Raises:
            FloatingPointError: If a loss is no longer finite.

        Notes:
            Before the first one the new critic and adversaries learn for as many steps, while all else stands still.
            Random numbers follow from seed and epoch alone.
        """
        self.generator.train()
        self.generator.encoder.eval()
        self.training.embedder.train()
        self.training.extractor.train()
        steps = self.training.config.steps_per_epoch
        with seeded(self.seed, "fine_tuning", self.epoch):
            for _ in range(0 if self.epoch else steps):
                batch = self.stage.draw()
                with self.training.share.own_random():
                    with torch.no_grad():
                        sanitised = self.stage.sanitise(batch)
                    self.stage.critic_step(batch, sanitised)
            for _ in range(steps):
                losses = self._step()
        self.generator.eval()
        self.training.share.average_statistics(self.generator)
        self.epoch += 1
        found = {name: float(loss) for name, loss in losses.items()}
        require_finite(found, f"joint fine-tuning, epoch {self.epoch}")
        return found

    def _step(self) -> dict[str, Tensor]:
        batch = self.stage.draw()
        with self.training.share.own_random():
            return self._update_on(batch)

    def _update_on(self, batch: Batch) -> dict[str, Tensor]:
        training = self.training
        secret = training.secret(batch.rows)
        sanitised = self.stage.sanitise(batch)
        self.stage.critic_step(batch, sanitised)
        with training_precision(batch.images.device):
            covers = round_straight_through(sanitised.images)
            stego = round_straight_through(training.embedder(covers, secret))
        against = training.adversaries_step(covers.detach(), stego.detach(), batch.identity)
        with training_precision(batch.images.device):
            hidden = training.terms(covers, stego, secret)
            own = {
                name: term for name, term in self.stage.generator_terms(batch, sanitised).items() if name in _OWN_TERMS
            }
        terms = hidden | {
            f"sanitiser.{name}": (training.config.sanitiser_weight * weight, loss)
            for name, (weight, loss) in own.items()
        }
        self._update(torch.stack([weight * loss for weight, loss in terms.values()]).sum())
        return against | {name: loss.detach() for name, (_, loss) in terms.items()}

    def _update(self, loss: Tensor) -> None:
        optimisers = (self.optimiser, self.training.optimiser)
        weights = [weight for optimiser in optimisers for group in optimiser.param_groups for weight in group["params"]]
        for weight in weights:
            weight.grad = None
        loss.backward(inputs=weights)
        self.training.share.average_gradients(weights)
        for optimiser in optimisers:
            optimiser.step()

    def covers(self, inputs: Mapping[str, Tensor], targets: Mapping[str, Tensor], *, seed: int) -> dict[str, Tensor]:
        """Return the honest releases of the fine-tuned sanitiser, without a secret.

        Args:
            inputs: Split name to images, (n, 3, size, size), uint8.
            targets: Split name to the identities to show, (n,), int64.
            seed: Of the noise of the latent code.

        Returns:
            Split name to covers, (n, 3, size, size), uint8, on the CPU.
        """
        return {
            name: sanitise(self.generator, images, targets[name], torch_generator(seed, "fine_tuning", "release", name))
            for name, images in inputs.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to continue, apart from what :class:`LearnedTraining` keeps in its own."""
        return {name: part.state_dict() for name, part in self._parts().items()} | {"epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned; the state of the :class:`LearnedTraining` is loaded apart."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.epoch = state["epoch"]

    def _parts(self) -> dict[str, Any]:
        stage = self.stage
        return {
            "generator": stage.generator,
            "critic": stage.critic,
            "adversaries": stage.adversaries,
            "critic_optimiser": stage.critic_optimiser,
            "optimiser": self.optimiser,
        }
