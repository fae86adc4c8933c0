"""Settings of the subversion (stage two of a trial)."""

from dataclasses import dataclass, field

from models.hiding.codec import GRID, CodecConfig
from models.hiding.keyed import MAX_STRENGTH, capacity
from models.hiding.learned import LearnedConfig
from models.hiding.payload import identity_bits

FAMILIES = ("keyed", "learned")
SECRETS = ("identity", "image")


@dataclass(frozen=True)
class SubversionConfig:
    """What is hidden in the sanitised images, and how."""

    family: str = "keyed"
    """How the secret is carried: ``keyed`` or ``learned``."""
    secret: str = "image"
    """What is hidden: the ``identity`` or the whole input ``image``."""
    strength: int = 1
    """Embedding strength: largest change of a pixel value in grey levels, 0 to 64; 0 hides nothing."""
    code_bits: int = 1280
    """Bits of the compressed input (image secret); a positive multiple of 64."""
    repetition: int = 1
    """How often the identity's number is repeated (identity secret), >= 1."""
    codec_steps: int = 300
    """Updates of the compressor (image secret), >= 1."""
    learned: LearnedConfig = field(default_factory=LearnedConfig)
    """Settings of the family ``learned``."""

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
        return found + self.learned.problems()

    def capacity_problems(self, *, size: int, identities: int) -> list[str]:
        """Return why the secret does not fit into images of ``size`` pixels a side; empty where it does.

        Only the keyed family has a hard limit; a learned embedder that is asked for too much makes bit errors.
        """
        values = 3 * size**2
        if (
            self.family != "keyed"
            or self.strength == 0
            or self.payload_bits(identities) <= capacity(values, self.strength)
        ):
            return []
        setting = "code_bits" if self.secret == "image" else "repetition"
        return [
            f"subversion.{setting}={getattr(self, setting)}: {self.payload_bits(identities)} bits do not fit into the "
            f"{capacity(values, self.strength)} that an image of {size} x {size} carries at subversion.strength="
            f"{self.strength}; lower it, or raise the strength or data.size"
        ]

    def payload_bits(self, identities: int) -> int:
        """Return the bits an image carries, nonce apart."""
        return self.code_bits if self.secret == "image" else identity_bits(identities) * self.repetition

    def codec(self) -> CodecConfig:
        """Return the settings of the compressor."""
        return CodecConfig(bits=self.code_bits, steps=self.codec_steps)
