"""Settings of the family ``keyed``: how encrypted bits are put on carriers, and what protects them in a channel."""

from dataclasses import dataclass

from models.hiding.coding import CODES
from models.hiding.key import MIN_NONCE_BITS, NONCE_BITS

MODULATIONS = ("lowest_bits", "index", "spread_spectrum")
DOMAINS = ("pixels", "dct")
PLACEMENTS = ("uniform", "textured")


@dataclass(frozen=True)
class KeyedConfig:
    """How the family ``keyed`` writes bits; the defaults carry most and survive nothing but rounding."""

    modulation: str = "lowest_bits"
    """``lowest_bits``: residues of pixel values, for lossless channels. ``index``: dithered quantisation index
    modulation. ``spread_spectrum``: a keyed sign pattern is added until the extractor's correlation is right."""
    domain: str = "pixels"
    """What the carriers are: ``pixels``, or ``dct``: low-frequency 8 x 8 block DCT coefficients of the luma."""
    carrier_share: float = 1.0
    """Share of the carriers used, above 0 to 1. ``index`` and ``spread_spectrum`` spread the payload over all of them.
    ``lowest_bits`` places each bit once: for it the share limits the capacity only, and the groups of ``textured``."""
    code: str = "none"
    """Error-correcting code of the payload: ``none`` repeats each bit, ``reed_muller`` spreads groups of 8 bits at the
    rate that the carriers leave, ``ldpc_1_2`` and ``ldpc_3_4`` are long codes of that rate, repeated."""
    placement: str = "uniform"
    """Which values ``lowest_bits`` changes: ``uniform`` any, ``textured`` as many, where texture is."""
    nonce_bits: int = NONCE_BITS
    """Bits of the nonce that each image carries, 8 to 64. A short one leaves carriers to the payload, but among n
    images about n^2 / 2^(nonce_bits + 1) pairs then share their key stream."""

    def problems(self) -> list[str]:
        """Return what is wrong with the settings, a line each, naming the field, the value and what is permitted."""
        found = []
        for name, permitted in (
            ("modulation", MODULATIONS),
            ("domain", DOMAINS),
            ("code", CODES),
            ("placement", PLACEMENTS),
        ):
            if getattr(self, name) not in permitted:
                found.append(f"subversion.keyed.{name}={getattr(self, name)!r}: must be one of {', '.join(permitted)}")
        if not (isinstance(self.carrier_share, int | float) and 0 < self.carrier_share <= 1):
            found.append(f"subversion.keyed.carrier_share={self.carrier_share!r}: must be above 0 and at most 1")
        if not (isinstance(self.nonce_bits, int) and MIN_NONCE_BITS <= self.nonce_bits <= NONCE_BITS):
            found.append(
                f"subversion.keyed.nonce_bits={self.nonce_bits!r}: must be a whole number from {MIN_NONCE_BITS} to "
                f"{NONCE_BITS}"
            )
        if self.modulation == "lowest_bits" and self.domain == "dct":
            found.append(
                "subversion.keyed.domain='dct': must be pixels with subversion.keyed.modulation=lowest_bits, since "
                "coefficients have no lowest bits; use pixels, or the modulation index"
            )
        if self.modulation in ("index", "spread_spectrum") and self.placement == "textured":
            found.append(
                "subversion.keyed.placement='textured': must be uniform with subversion.keyed.modulation="
                f"{self.modulation}; use uniform, or the modulation lowest_bits"
            )
        return found
