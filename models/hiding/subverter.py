"""The subverter of one configuration: payload, carrier and key put together, and what it takes to train them."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.channel import Channel
from models.checkpoints import Saved, cached
from models.hiding.carriers import Carrier, KeyedCarrier, LearnedCarrier, NoCarrier, SampledCarrier, Sanitised
from models.hiding.codec import Codec, train_codec
from models.hiding.config import SubversionConfig
from models.hiding.finished import FinishedSubverter, Handed, Read, carries_image, learned_bits
from models.hiding.key import Key
from models.hiding.learned import LearnedData, LearnedTraining
from models.hiding.learned.fine_tuning import FineTuning
from models.hiding.payload import IdentityPayload, ImagePayload, Payload, identity_prototypes
from models.hiding.sampled import NoiseExtractor, train_extractor
from models.parallel import WHOLE, BatchShare
from models.ppgan.config import PPGANConfig
from models.ppgan.generator import Generator
from models.ppgan.training import TrainingSet


@dataclass(frozen=True)
class Workshop:
    """What every subverter of a study works with and on; shared by trials."""

    train: Sanitised
    """The train split, on the CPU."""
    identities: int
    """Number of people."""
    expression: Tensor
    """Of the train split, (n,), int64."""
    expressions: int
    """Number of expressions."""
    ppgan: PPGANConfig
    """Settings of the sanitiser, for fine-tuning it."""
    generator: Generator
    """The honest sanitiser, in evaluation mode."""
    channel: Channel
    """Between the images that are handed out and those that are read."""
    fingerprint: Mapping[str, Any]
    """What determined the inputs, for keys of the cache."""
    seed: int
    """Of what trials share: the compressor and the extractor of noise."""
    device: str
    """"cpu" or "cuda"."""
    cache: Path
    """Folder of the cache."""
    share: BatchShare = WHOLE
    """Of every batch of a learned embedder's training, where several workers train at once."""


class Subverter:
    """Hides secrets and reveals them. Ready to use once :attr:`epochs_left` is 0."""

    def __init__(self, config: SubversionConfig, workshop: Workshop, *, seed: int):
        """Prepare payload and carrier; what trials share is trained here unless the cache has it.

        Args:
            config: The settings.
            workshop: What it works with.
            seed: Seed of the key, the nonces and the learned networks.

        Raises:
            FloatingPointError: If a training diverges.
        """
        self.config, self.seed, self._workshop = config, seed, workshop
        self.key = Key.from_seed(seed)
        self.training: LearnedTraining | None = None
        self.fine_tuning: FineTuning | None = None
        self.payload: Payload | None = None if carries_image(config) else _payload(config, workshop)
        self.carrier = self._carrier(workshop)

    def _carrier(self, workshop: Workshop) -> Carrier:
        config = self.config
        if config.strength == 0:
            return NoCarrier()
        if config.family == "keyed":
            return KeyedCarrier(self.key, config.strength, config.keyed)
        if config.family == "sampled":
            extractor = _noise_extractor(config, workshop)
            return SampledCarrier(
                workshop.generator, extractor, self.key, workshop.channel, config.sampled, workshop.identities
            )
        lossless = workshop.channel.lossless
        count = learned_bits(config, self.payload, lossless=lossless)
        self.training = LearnedTraining(
            config.learned,
            self._learned_data(workshop),
            bits=count,
            strength=config.strength,
            seed=self.seed,
            channel=None if lossless else workshop.channel,
            share=workshop.share,
        )
        return LearnedCarrier(self.training.embedder, self.training.extractor, self.key, config.learned, lossless)

    def _learned_data(self, workshop: Workshop) -> LearnedData:
        train, device = workshop.train, workshop.device
        covers, identity = train.covers.to(device), train.identity.to(device)
        if self.payload is None:
            return LearnedData(covers, identity, workshop.identities, secrets=train.inputs.to(device))
        bits = None
        if self.config.learned.key == "none":
            encoded = self.payload.encode(train.inputs, train.identity)
            bits = torch.from_numpy(encoded.astype(np.float32)).to(device)
        return LearnedData(covers, identity, workshop.identities, bits=bits)

    @property
    def epochs(self) -> int:
        """Epochs of training so far, those of fine-tuning included."""
        fine_tuned = 0 if self.fine_tuning is None else self.fine_tuning.epoch
        return fine_tuned + (0 if self.training is None else self.training.epoch)

    @property
    def epochs_left(self) -> int:
        """Epochs of training still to run; none but in the learned family."""
        learned_config = self.config.learned
        return 0 if self.training is None else learned_config.epochs + learned_config.fine_tune_epochs - self.epochs

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch and return its losses; only while :attr:`epochs_left` is above 0.

        Raises:
            FloatingPointError: If a loss is no longer finite.
        """
        assert self.training is not None  # no other family has epochs
        if self.training.epoch < self.config.learned.epochs:
            return self.training.run_epoch()
        self.fine_tuning = self.fine_tuning or self._begin_fine_tuning(self.training)
        return self.fine_tuning.run_epoch()

    def _begin_fine_tuning(self, training: LearnedTraining) -> FineTuning:
        workshop, train = self._workshop, self._workshop.train
        images, identity, expression = (
            part.to(workshop.device) for part in (train.inputs, train.identity, workshop.expression)
        )
        training_set = TrainingSet(images, identity, expression, workshop.identities, workshop.expressions)
        return FineTuning(training, workshop.ppgan, training_set, workshop.generator, seed=self.seed)

    def state_dict(self) -> dict[str, Any]:
        """Return what training has made so far; empty where nothing is trained."""
        parts = {"training": self.training, "fine_tuning": self.fine_tuning}
        return {name: part.state_dict() for name, part in parts.items() if part is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        if self.training is not None and "training" in state:
            self.training.load_state_dict(state["training"])
            if "fine_tuning" in state:
                self.fine_tuning = self._begin_fine_tuning(self.training)
                self.fine_tuning.load_state_dict(state["fine_tuning"])

    @property
    def generator(self) -> Generator:
        """The sanitiser that hands out images: the honest one unless it was fine-tuned."""
        return self._workshop.generator if self.fine_tuning is None else self.fine_tuning.generator

    def sanitised(self, honest: Mapping[str, Sanitised]) -> dict[str, Sanitised]:
        """Return what the subverter's own sanitiser makes of the inputs, by name of the set, without a secret."""
        if self.fine_tuning is None:
            return dict(honest)
        inputs = {name: part.inputs for name, part in honest.items()}
        targets = {name: part.target for name, part in honest.items()}
        covers = self.fine_tuning.covers(inputs, targets, seed=self.seed)
        return {name: replace(part, covers=covers[name]) for name, part in honest.items()}

    def embed(self, sanitised: Sanitised, *, name: str) -> Handed:
        """Hide each input's secret in what is handed out in place of its cover.

        Args:
            sanitised: Inputs and covers.
            name: Names the set of images, so that each has random numbers of its own.
        """
        return self.finished.embed(sanitised, name=name)

    def reveal(self, received: Tensor, key: Key | None = None) -> Read:
        """Read what came through the channel, (n, 3, size, size) uint8, with ``key`` or the subverter's own."""
        return self.finished.reveal(received, key)

    @property
    def finished(self) -> FinishedSubverter:
        """What hides and reveals, as far as it is trained."""
        workshop = self._workshop
        return FinishedSubverter(
            config=self.config,
            ppgan=workshop.ppgan,
            channel=workshop.channel,
            key=self.key,
            seed=self.seed,
            data=workshop.fingerprint["data"],
            size=workshop.train.inputs.shape[-1],
            identities=workshop.identities,
            generator=self.generator,
            payload=self.payload,
            carrier=self.carrier,
        )


def _payload(config: SubversionConfig, workshop: Workshop) -> Payload:
    train, device = workshop.train, workshop.device
    if config.secret == "identity":
        prototypes = identity_prototypes(train.inputs, train.identity, workshop.identities)
        return IdentityPayload(prototypes, config.repetition)
    codec_config = config.codec()
    settings = {"config": asdict(codec_config), "seed": workshop.seed, "device": device, **workshop.fingerprint}

    def make() -> Saved:
        return Saved(train_codec(codec_config, train.inputs.to(device), seed=workshop.seed).state_dict(), {})

    codec = Codec(codec_config, size=train.inputs.shape[-1])
    codec.load_state_dict(dict(cached(workshop.cache, "codec", settings, make).tensors))
    return ImagePayload(codec.to(device).eval())


def _noise_extractor(config: SubversionConfig, workshop: Workshop) -> NoiseExtractor:
    """Return the extractor of the sanitiser's noise; trials with the same sanitiser, channel and settings share it."""
    sampled, generator, inputs = config.sampled, workshop.generator, workshop.train.inputs
    covers = hashlib.sha256(workshop.train.covers.numpy().tobytes()).hexdigest()
    trained_with = {name: value for name, value in asdict(sampled).items() if name not in ("draws", "margin")}
    settings: dict[str, Any] = {"config": trained_with, "channel": str(workshop.channel), "covers": covers}
    settings |= {"seed": workshop.seed, "device": workshop.device, **workshop.fingerprint}

    def make() -> Saved:
        extractor = train_extractor(sampled, generator, inputs, channel=workshop.channel, seed=workshop.seed)
        return Saved(extractor.state_dict(), {})

    saved = cached(workshop.cache, "noise_extractor", settings, make)
    extractor = NoiseExtractor(
        latent=generator.latent, size=inputs.shape[-1], width=sampled.width, hash_bits=sampled.hash_bits
    )
    extractor.load_state_dict(dict(saved.tensors))
    return extractor.to(workshop.device).eval()
