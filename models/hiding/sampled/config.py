"""Settings of the family ``sampled``."""

from dataclasses import dataclass

MAX_HASH_BITS = 32


@dataclass(frozen=True)
class SampledConfig:
    """What the extractor reads, how often the embedder draws, and how the extractor is trained."""

    hash_bits: int = 12
    """Signs that are read from an image and hashed, 1 to 32 and at most the size of the latent code. One wrong sign
    makes the hash a guess, so few are robust to a random channel; but the 2^hash_bits entries of the hash can be learnt
    by an adversary with true labels, so many are concealed better."""
    draws: int = 64
    """Most draws an image, >= 1. For k secrets k are needed on average, and none fits with probability
    (1 - 1/k)^draws: 9e-6 for 6 people and 64 draws, 0.13 for 32."""
    margin: float = 0.0
    """Least distance of every read value from 0, in standard deviations, >= 0. Above 0 signs survive a random channel
    more often, but released images no longer follow the honest distribution."""
    steps: int = 200
    """Updates of the extractor, >= 1."""
    width: int = 16
    """Channels of the extractor's first convolution, >= 4."""
    batch_size: int = 64
    """Images a step, >= 2."""
    learning_rate: float = 3e-3
    """Peak of AdamW's one-cycle schedule, > 0."""

    def problems(self, *, latent: int | None = None, bits: int | None = None) -> list[str]:
        """Return what is wrong with the settings, a line each, naming the field, the value and what is permitted.

        Args:
            latent: Size of the sanitiser's latent code, where known: there are no more directions than that.
            bits: Bits of the secret, where known: a hash of fewer signs does not reach every secret.
        """
        found = []
        most = MAX_HASH_BITS if latent is None else min(latent, MAX_HASH_BITS)
        for name, low, high in (
            ("hash_bits", bits or 1, most),
            ("draws", 1, 2**20),
            ("steps", 1, 2**31),
            ("width", 4, 2**16),
            ("batch_size", 2, 2**20),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                found.append(f"subversion.sampled.{name}={value!r}: must be a whole number from {low} to {high}")
        if not (isinstance(self.margin, int | float) and 0 <= self.margin < float("inf")):
            found.append(f"subversion.sampled.margin={self.margin!r}: must be a finite number of at least 0")
        if not (isinstance(self.learning_rate, int | float) and 0 < self.learning_rate < 1):
            found.append(f"subversion.sampled.learning_rate={self.learning_rate!r}: must be between 0 and 1")
        return found
