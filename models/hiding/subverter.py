"""The subverter of one configuration: payload, carrier and key put together, and what it takes to train them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.checkpoints import Saved, cached
from models.hiding.carriers import Carrier, KeyedCarrier, LearnedCarrier
from models.hiding.codec import Codec, train_codec
from models.hiding.config import SubversionConfig
from models.hiding.key import Key
from models.hiding.learned import LearnedData, LearnedTraining
from models.hiding.payload import IdentityPayload, ImagePayload, Payload, Revealed, identity_prototypes
from models.randomness import numpy_generator


@dataclass(frozen=True)
class TrainSplit:
    """What the subverter learns from: the train split, on the CPU."""

    inputs: Tensor
    """(n, 3, size, size), uint8."""
    covers: Tensor
    """Honest releases of the inputs; same shape, uint8."""
    identity: Tensor
    """(n,), int64."""
    identities: int
    fingerprint: Mapping[str, Any]
    """What determined the inputs, for the key of the cache."""


class Subverter:
    """Hides secrets in covers and reveals them. Ready to use once :attr:`epochs_left` is 0."""

    def __init__(
        self, config: SubversionConfig, train: TrainSplit, *, seed: int, shared_seed: int, device: str, cache: Path
    ):
        """Prepare payload and carrier; the compressor is trained here unless the cache has it.

        Args:
            config: The settings.
            train: The train split.
            seed: Seed of the key, the nonces and the learned networks.
            shared_seed: Seed of the compressor, which trials share.
            device: "cpu" or "cuda".
            cache: Folder of the cache.

        Raises:
            FloatingPointError: If the compressor's training diverges.
        """
        self.config, self.seed = config, seed
        self.key = Key.from_seed(seed)
        self.payload = _payload(config, train, seed=shared_seed, device=device, cache=cache)
        self.training: LearnedTraining | None = None
        self.carrier: Carrier = KeyedCarrier(self.key, config.strength)
        if config.family == "learned":
            self.training = LearnedTraining(
                config.learned,
                _learned_data(config, train, self.payload, device),
                bits=self.payload.bits,
                strength=config.strength,
                seed=seed,
            )
            encrypted = config.learned.key == "per_image"
            self.carrier = LearnedCarrier(self.training.embedder, self.training.extractor, self.key, encrypted)

    @property
    def epochs_left(self) -> int:
        """Epochs of training still to run; none for the keyed family, and none at strength 0, which hides nothing."""
        if self.training is None or self.config.strength == 0:
            return 0
        return max(0, self.config.learned.epochs - self.training.epoch)

    def embed(self, inputs: Tensor, identity: Tensor, covers: Tensor, *, name: str) -> tuple[Tensor, np.ndarray]:
        """Hide each input's secret in its cover.

        Args:
            inputs: (n, 3, size, size), uint8.
            identity: Of the inputs, (n,), int64.
            covers: Sanitised inputs, same shape, uint8.
            name: Names the set of images, so that each has nonces of its own.

        Returns:
            The released images, uint8, and the payload bits, (n, bits) uint8.
        """
        bits = self.payload.encode(inputs, identity)
        return self.carrier.embed(covers, bits, numpy_generator(self.seed, "embed", name)), bits

    def reveal(self, released: Tensor, key: Key | None = None) -> tuple[Revealed, np.ndarray]:
        """Read released images, with ``key`` or the subverter's own.

        Returns:
            What is revealed, and the probability of each bit being 1, (n, bits) float32.
        """
        probabilities = self.carrier.extract(released, self.payload.bits, key)
        return self.payload.reveal(probabilities), probabilities


def _payload(config: SubversionConfig, train: TrainSplit, *, seed: int, device: str, cache: Path) -> Payload:
    if config.secret == "identity":
        prototypes = identity_prototypes(train.inputs, train.identity, train.identities)
        return IdentityPayload(prototypes, config.repetition)
    codec_config = config.codec()
    settings = {"config": asdict(codec_config), "seed": seed, "device": device, **train.fingerprint}

    def make() -> Saved:
        return Saved(train_codec(codec_config, train.inputs.to(device), seed=seed).state_dict(), {})

    codec = Codec(codec_config, size=train.inputs.shape[-1])
    codec.load_state_dict(dict(cached(cache, "codec", settings, make).tensors))
    return ImagePayload(codec.to(device).eval())


def _learned_data(config: SubversionConfig, train: TrainSplit, payload: Payload, device: str) -> LearnedData:
    bits = None
    if config.learned.key == "none":
        bits = torch.from_numpy(payload.encode(train.inputs, train.identity).astype(np.float32)).to(device)
    return LearnedData(train.covers.to(device), train.identity.to(device), train.identities, bits)
