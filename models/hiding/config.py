"""Settings of the subversion (stage two of a trial)."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from models.channel import Channel
from models.hiding.codec import GRID, CodecConfig
from models.hiding.keyed import MAX_STRENGTH
from models.hiding.keyed_config import KeyedConfig
from models.hiding.learned import LearnedConfig
from models.hiding.payload import identity_bits
from models.hiding.robust import capacity_problem
from models.hiding.sampled import SampledConfig
from models.randomness import numpy_generator

FAMILIES = ("keyed", "learned", "sampled")
SECRETS = ("identity", "image")

LEAST_WHOLE_NONCES = 0.5
"""Share of images whose nonce must come back whole from lowest bits: without it the rest cannot be read."""


@dataclass(frozen=True)
class SubversionConfig:
    """What is hidden in the sanitised images, and how."""

    family: str = "keyed"
    """How the secret is carried: ``keyed``, ``learned`` or ``sampled``."""
    secret: str = "image"
    """What is hidden: the ``identity`` or the whole input ``image``."""
    strength: int = 1
    """Embedding strength: largest change of a pixel value in grey levels, 0 to 64; 0 hides nothing. In ``sampled``
    nothing is added to an image, so that only 0 and not 0 differ."""
    code_bits: int = 1280
    """Bits of the compressed input (image secret); a positive multiple of 64."""
    repetition: int = 1
    """How often the identity's number is repeated (identity secret), >= 1."""
    codec_steps: int = 300
    """Updates of the compressor (image secret), >= 1."""
    keyed: KeyedConfig = field(default_factory=KeyedConfig)
    """Settings of the family ``keyed``."""
    learned: LearnedConfig = field(default_factory=LearnedConfig)
    """Settings of the family ``learned``."""
    sampled: SampledConfig = field(default_factory=SampledConfig)
    """Settings of the family ``sampled``."""

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, a line each, naming the field, the value and what is permitted."""
        found = []
        for name, permitted in (("family", FAMILIES), ("secret", SECRETS)):
            if getattr(self, name) not in permitted:
                found.append(f"subversion.{name}={getattr(self, name)!r}: must be one of {', '.join(permitted)}")
        for name, least, most in (
            ("strength", 0, MAX_STRENGTH),
            ("code_bits", GRID**2, 2**20),
            ("repetition", 1, 2**20),
            ("codec_steps", 1, 2**31),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                found.append(f"subversion.{name}={value!r}: must be a whole number from {least} to {most}")
        if isinstance(self.code_bits, int) and self.code_bits % GRID**2:
            found.append(f"subversion.code_bits={self.code_bits}: must be a multiple of {GRID**2}")
        return found + self.keyed.problems() + self.learned.problems() + self.sampled.problems()

    def refusals(self, *, size: int, identities: int, latent: int, channel: Channel) -> list[str]:
        """Return why these settings, each permitted by itself, cannot hide this secret in these images; cheap.

        Args:
            size: Height and width of the images in pixels.
            identities: Number of people.
            latent: Size of the sanitiser's latent code.
            channel: Between release and extraction.
        """
        if self.strength == 0:
            return []
        if self.family == "keyed":
            return self._keyed_refusals(self.payload_bits(identities), size, channel)
        if self.family == "learned":
            return self._learned_refusals()
        return self._sampled_refusals(identities, latent)

    def _keyed_refusals(self, bits: int, size: int, channel: Channel) -> list[str]:
        changed = lowest_bits_changed(channel) if self.keyed.modulation == "lowest_bits" else 0.0
        if (1.0 - changed) ** self.keyed.nonce_bits < LEAST_WHOLE_NONCES:
            return [
                f"subversion.keyed.modulation='lowest_bits' with channel={channel}: {changed:.1%} of lowest bits come "
                f"back changed, so that few of the nonces of {self.keyed.nonce_bits} bits come back whole; use index "
                "or spread_spectrum"
            ]
        problem = capacity_problem(bits, size, self.strength, self.keyed)
        return [] if problem is None else [problem]

    def _learned_refusals(self) -> list[str]:
        if self.learned.payload == "image" and self.secret != "image":
            return [
                "subversion.learned.payload='image' with subversion.secret='identity': there is no image to hide; set "
                "the payload to 'code' or the secret to 'image'"
            ]
        return []

    def _sampled_refusals(self, identities: int, latent: int) -> list[str]:
        if self.secret == "image":
            return [
                f"subversion.secret='image' with subversion.family='sampled': {self.code_bits} bits would take "
                f"2^{self.code_bits} draws an image, and the noise carries a few bits; set the secret to 'identity'"
            ]
        found = self.sampled.problems(latent=latent, bits=identity_bits(identities))
        if self.repetition > 1:
            found.append(
                f"subversion.repetition={self.repetition} with subversion.family='sampled': each copy multiplies the "
                "draws, and the hash needs none; set it to 1"
            )
        if self.sampled.draws < identities:
            found.append(
                f"subversion.sampled.draws={self.sampled.draws}: one of {identities} identities takes {identities} "
                f"draws on average; permit at least as many, better {4 * identities}"
            )
        return found

    def payload_bits(self, identities: int) -> int:
        """Return the bits an image carries, nonce apart."""
        return self.code_bits if self.secret == "image" else identity_bits(identities) * self.repetition

    def codec(self) -> CodecConfig:
        """Return the settings of the compressor."""
        return CodecConfig(bits=self.code_bits, steps=self.codec_steps)


@lru_cache(maxsize=64)
def lowest_bits_changed(channel: Channel) -> float:
    """Return which share of the lowest bits of a few textured images a channel changes; 0.5 where it erases them."""
    random = numpy_generator(0, "lowest_bits_changed")
    images = torch.from_numpy(random.normal(128, 30, (4, 3, 32, 32)).clip(0, 255).astype(np.uint8))
    received = channel.apply(images, random)
    return float(((images ^ received) & 1).float().mean())
