"""Settings of the family ``learned``."""

from dataclasses import dataclass

KEYS = ("per_image", "none")
ARCHITECTURES = ("cells", "residual_unet", "invertible")
PAYLOADS = ("code", "image")
IDENTITY_ADVERSARIES = ("none", "plain", "high_pass", "ensemble")
STEGANALYSERS = ("none", "high_pass", "srnet")


@dataclass(frozen=True)
class LearnedConfig:
    """Settings of the embedder, the extractor and their training."""

    key: str = "per_image"
    """``per_image``: bits are encrypted under a key stream that each image has for itself. ``none``: as they are."""
    architecture: str = "cells"
    """Of embedder and extractor: ``cells`` (convolutions over 8 x 8 cells), ``residual_unet`` (a residual U-Net at full
    resolution, a residual convolutional extractor) or ``invertible`` (affine couplings, read by running them back)."""
    payload: str = "code"
    """What the embedder is handed: ``code`` (bits) or ``image`` (the whole input as an image, without encryption)."""
    through_channel: bool = True
    """Train through the channel's surrogate; otherwise as if images arrived as they were released."""
    nonce_bits: int = 32
    """Bits of the nonce where the embedder carries it, which is behind a lossy channel: a multiple of 8 from 16 to 64.
    The fewer, the oftener two images share a key stream: among 1,000, two at least with probability 1e-4 at 32."""
    nonce_repetition: int = 2
    """How often the embedder writes the nonce, >= 1; one wrong bit of it loses the whole image."""
    epochs: int = 5
    """Reports (and possible checkpoints) of the training, >= 1."""
    steps_per_epoch: int = 40
    """Updates an epoch, >= 1."""
    batch_size: int = 64
    """Images a step, >= 2."""
    width: int = 96
    """Channels at 8 x 8 of both networks, >= 4."""
    learning_rate: float = 2e-3
    """Adam's, > 0."""
    residual_weight: float = 0.03
    """Weight of the mean squared change, in units of the embedding strength, >= 0. The secret's own loss has weight
    1, to which all weights are relative."""
    identity_adversary: str = "plain"
    """Identity adversary in the loop: ``none``, ``plain``, ``high_pass`` or ``ensemble`` (both; the worse counts)."""
    identity_weight: float = 0.0
    """Weight of concealing the identity from the adversary in the loop, >= 0; 0 trains none."""
    steganalyser: str = "high_pass"
    """Steganalyser in the loop: ``none``, ``high_pass`` or ``srnet`` (residual layers at full resolution first)."""
    steganalysis_weight: float = 0.0
    """Weight of deceiving the steganalyser in the loop, >= 0; 0 trains none."""
    reset_every: int = 0
    """Epochs after which the adversaries in the loop start anew, >= 0; 0: never."""
    fine_tune_epochs: int = 0
    """Epochs in which the sanitiser's decoder is trained on together with embedder and extractor, >= 0."""
    sanitiser_weight: float = 1.0
    """Weight of the sanitiser's own loss in those epochs, >= 0."""

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, a line each, naming the field, the value and what is permitted."""
        return self._wrong_choices() + self._wrong_numbers() + self._contradictions()

    def _wrong_choices(self) -> list[str]:
        choices = {
            "key": KEYS,
            "architecture": ARCHITECTURES,
            "payload": PAYLOADS,
            "through_channel": (True, False),
            "identity_adversary": IDENTITY_ADVERSARIES,
            "steganalyser": STEGANALYSERS,
        }
        return [
            f"subversion.learned.{name}={getattr(self, name)!r}: must be one of {', '.join(map(str, permitted))}"
            for name, permitted in choices.items()
            if getattr(self, name) not in permitted
        ]

    def _wrong_numbers(self) -> list[str]:
        found = []
        least = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "width": 4, "nonce_repetition": 1}
        for name, lowest in {**least, "reset_every": 0, "fine_tune_epochs": 0}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                found.append(f"subversion.learned.{name}={value!r}: must be a whole number of at least {lowest}")
        if not isinstance(self.nonce_bits, int) or not 16 <= self.nonce_bits <= 64 or self.nonce_bits % 8:
            found.append(f"subversion.learned.nonce_bits={self.nonce_bits!r}: must be a multiple of 8 from 16 to 64")
        for name in ("residual_weight", "identity_weight", "steganalysis_weight", "sanitiser_weight"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0 <= value < float("inf")):
                found.append(f"subversion.learned.{name}={value!r}: must be a finite number of at least 0")
        if not (isinstance(self.learning_rate, int | float) and 0 < self.learning_rate < 1):
            found.append(f"subversion.learned.learning_rate={self.learning_rate!r}: must be between 0 and 1")
        return found

    def _contradictions(self) -> list[str]:
        if self.payload == "image" and self.key == "per_image":
            return [
                "subversion.learned.key='per_image': must be none where subversion.learned.payload='image', since an "
                "image that is carried as an image cannot be encrypted bit by bit; or carry it as a code"
            ]
        return []
