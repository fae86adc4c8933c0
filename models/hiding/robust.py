"""Family ``keyed`` as a whole: payload bits into covers and out of received images, by the settings.

In the lossy modulations the carriers are shared out: some, at keyed positions that are the same in every image, hold
the nonce in a Reed-Muller code; the others, in an order that the nonce gives, hold the coded payload. Each carrier's
bit is encrypted by itself, after coding, so that copies and parities look like independent coins; only the nonce's own
carriers, which must be readable without it, repeat their pattern from image to image.

The extractor knows the settings and the key, and nothing of the channel.
"""

from dataclasses import dataclass

import numpy as np

from models.hiding import coding, keyed, textured
from models.hiding.domains import Domain, domain_of
from models.hiding.key import NONCE_BITS, Key, draw_nonces, nonce_from_bits, nonce_to_bits
from models.hiding.keyed_config import KeyedConfig
from models.hiding.modulation import IndexModulation, Modulation, SpreadSpectrum

NONCE_CODE = "reed_muller"
"""Code of the nonce whatever the payload's: a nonce with one wrong bit loses the whole image."""
NONCE_WEIGHT = 1.0
"""Carriers of a nonce bit against those of a payload bit."""
_CHUNK = 256
"""Images that are worked on at a time, for the memory's sake."""
_ITERATIONS = 8
"""Rounds between the carriers' targets and the pixels' bounds; more win nothing measurable."""
_ASSUMED_FLIPS = 0.05
"""Error rate at which a code believes lowest bits, which come without evidence of their reliability."""


def capacity(size: int, strength: int, config: KeyedConfig) -> int:
    """Return the most payload bits that an image of ``size`` x ``size`` takes, nonce apart.

    It is what fits, not what survives a channel: with an index modulation at this many bits nothing is repeated.
    """
    if config.modulation == "lowest_bits":
        carriers = int(config.carrier_share * keyed.capacity(3 * size**2, strength, config.nonce_bits))
    else:
        carriers = _used(domain_of(config.domain, size, residuals=False), config) - _fewest_nonce_carriers(config)
    return coding.most_bits(config.code, carriers)


def capacity_problem(count: int, size: int, strength: int, config: KeyedConfig) -> str | None:
    """Return why ``count`` payload bits do not fit into an image of ``size`` x ``size``; None if they do."""
    if strength == 0 or count <= (limit := capacity(size, strength, config)):
        return None
    ways = ["lower the payload", "raise data.size"]
    if config.modulation == "lowest_bits":
        ways.append("raise subversion.strength")
    if config.carrier_share < 1:
        ways.append("raise subversion.keyed.carrier_share")
    if config.code != "none":
        ways.append("use subversion.keyed.code=none")
    if config.domain == "dct":
        ways.append("use subversion.keyed.domain=pixels")
    return (
        f"subversion.keyed: {count} payload bits do not fit into the {limit} that an image of {size} x {size} carries "
        f"with modulation={config.modulation}, domain={config.domain}, carrier_share={config.carrier_share:g}, "
        f"code={config.code}, nonce_bits={config.nonce_bits} at subversion.strength={strength}: {', '.join(ways[:-1])} "
        f"or {ways[-1]}"
    )


def embed(
    covers: np.ndarray,
    bits: np.ndarray,
    *,
    key: Key,
    strength: int,
    config: KeyedConfig,
    random: np.random.Generator,
) -> np.ndarray:
    """Hide bits in covers.

    Args:
        covers: (n, 3, size, size), uint8; ``size`` a multiple of 8 for the domain dct.
        bits: Payload, (n, count), uint8 in {0, 1}.
        key: Encrypts the bits and places them, with a fresh nonce an image, itself carried in the image.
        strength: Largest change of a pixel value in grey levels, 0 to 64. 0 hides nothing.
        config: The settings.
        random: Draws the nonces and breaks ties.

    Returns:
        Stego images, shape and dtype of ``covers``; at strength 0 a copy of the covers.

    Raises:
        ValueError: If the payload exceeds the capacity or ``strength`` is out of range.
    """
    keyed.bits_per_value(strength)  # refuses a strength that is not permitted
    if strength == 0:
        return covers.copy()
    problem = capacity_problem(bits.shape[1], covers.shape[-1], strength, config)
    if problem:
        raise ValueError(problem)
    if config.modulation == "lowest_bits":
        place = textured.embed if config.placement == "textured" else keyed.embed
        word = coding.encode(config.code, bits, coding.fewest_carriers(config.code, bits.shape[1]))
        share = {"share": config.carrier_share} if config.placement == "textured" else {}
        return place(covers, word, key=key, strength=strength, random=random, nonce_bits=config.nonce_bits, **share)
    plan = _Plan.of(covers.shape[-1], bits.shape[1], strength, config)
    starts = range(0, len(covers), _CHUNK)
    return np.concatenate(
        [_embed(plan, covers[i : i + _CHUNK], bits[i : i + _CHUNK], key, random) for i in starts] or [covers.copy()]
    )


def extract(received: np.ndarray, count: int, *, key: Key, strength: int, config: KeyedConfig) -> np.ndarray:
    """Read ``count`` payload bits from each received image.

    Args:
        received: (n, 3, size, size), uint8.
        count: Payload bits an image.
        key: The subverter's.
        strength: As embedded; at 0, where nothing was hidden, images are read as at strength 1.
        config: As embedded.

    Returns:
        The probability of each bit being 1, (n, count) float32; 0 or 1 for uncoded ``lowest_bits``, which come without
        evidence of their reliability.
    """
    strength = max(strength, 1)
    if config.modulation == "lowest_bits":
        read = textured.extract if config.placement == "textured" else keyed.extract
        length = coding.fewest_carriers(config.code, count)
        share = {"share": config.carrier_share} if config.placement == "textured" else {}
        word = read(received, length, key=key, strength=strength, nonce_bits=config.nonce_bits, **share)
        if config.code == "none":
            return word.astype(np.float32)
        return coding.decode(config.code, (2.0 * word - 1) * np.log(1 / _ASSUMED_FLIPS - 1), count)
    plan = _Plan.of(received.shape[-1], count, strength, config)
    starts = range(0, len(received), _CHUNK)
    return np.concatenate(
        [_extract(plan, received[i : i + _CHUNK], key) for i in starts] or [np.empty((0, count), np.float32)]
    )


@dataclass(frozen=True)
class _Plan:
    """How the carriers of an image are shared out."""

    domain: Domain
    modulation: Modulation
    config: KeyedConfig
    strength: int
    count: int
    """Payload bits."""
    nonce_carriers: int
    payload_carriers: int

    @classmethod
    def of(cls, size: int, count: int, strength: int, config: KeyedConfig) -> "_Plan":
        spread = config.modulation == "spread_spectrum"
        domain = domain_of(config.domain, size, residuals=spread)
        reach = domain.reach(strength)
        used = _used(domain, config)
        fair = round(used * NONCE_WEIGHT * config.nonce_bits / (NONCE_WEIGHT * config.nonce_bits + count))
        most = used - coding.fewest_carriers(config.code, count)
        nonce_carriers = max(_fewest_nonce_carriers(config), min(fair, most))
        modulation = SpreadSpectrum(reach) if spread else IndexModulation(reach)
        return cls(domain, modulation, config, strength, count, nonce_carriers, used - nonce_carriers)

    def positions(self, key: Key, nonces: np.ndarray) -> np.ndarray:
        """Return the positions of all used carriers, the nonce's first, (n, used) int64."""
        total = len(self.domain.bands)
        fixed = np.tile(key.nonce_positions(total, self.nonce_carriers), (len(nonces), 1))
        payload = keyed.payload_positions(key, nonces, total, self.nonce_carriers)[:, : self.payload_carriers]
        return np.concatenate([fixed, payload], axis=1)

    def masks(self, key: Key, nonces: np.ndarray) -> np.ndarray:
        """Return what each used carrier's bit is encrypted with, (n, used) uint8 in {0, 1}."""
        fixed = np.unpackbits(key.fixed_stream("nonce_bits", self.nonce_carriers))[: self.nonce_carriers]
        zeros = np.zeros((len(nonces), self.payload_carriers), dtype=np.uint8)
        return np.concatenate([np.tile(fixed, (len(nonces), 1)), key.encrypt(zeros, nonces)], axis=1)

    def dither(self, key: Key, nonces: np.ndarray) -> np.ndarray:
        """Return the dither of each used carrier, (n, used) uint8."""
        fixed = np.tile(key.fixed_stream("nonce_dither", self.nonce_carriers), (len(nonces), 1))
        return np.concatenate([fixed, key.stream(nonces, "payload_dither", self.payload_carriers)], axis=1)

    def groups(self) -> np.ndarray:
        """Return the decision that each used carrier takes part in, (used,) int64."""
        nonce = coding.groups(NONCE_CODE, self.config.nonce_bits, self.nonce_carriers)
        payload = coding.groups(self.config.code, self.count, self.payload_carriers)
        return np.concatenate([nonce, payload + nonce.max() + 1])


def _embed(plan: _Plan, covers: np.ndarray, bits: np.ndarray, key: Key, random: np.random.Generator) -> np.ndarray:
    nonces = draw_nonces(len(covers), random, plan.config.nonce_bits)
    coded = [
        coding.encode(NONCE_CODE, nonce_to_bits(nonces, plan.config.nonce_bits), plan.nonce_carriers),
        coding.encode(plan.config.code, bits, plan.payload_carriers),
    ]
    wanted = np.concatenate(coded, axis=1) ^ plan.masks(key, nonces)
    positions, originals = plan.positions(key, nonces), covers.astype(np.float32)
    low, high = np.maximum(-plan.strength, -originals), np.minimum(plan.strength, 255 - originals)
    before = plan.domain.analyse(originals)
    chosen = np.take_along_axis(before, positions, axis=1)
    bands = plan.domain.bands[positions]
    target = plan.modulation.target(chosen, wanted, plan.dither(key, nonces), plan.groups(), bands)
    change, missing = np.zeros_like(originals), np.zeros_like(before)
    # Alternating projections onto the carriers' targets and the box of permitted pixel changes.
    for _ in range(_ITERATIONS):
        now = np.take_along_axis(plan.domain.analyse(originals + change), positions, axis=1)
        np.put_along_axis(missing, positions, target - now, axis=1)
        change = np.clip(change + plan.domain.synthesise(missing), low, high)
    return (originals + plan.domain.round(change)).astype(np.uint8)


def _extract(plan: _Plan, received: np.ndarray, key: Key) -> np.ndarray:
    carriers = plan.domain.analyse(received.astype(np.float32))
    split = plan.nonce_carriers
    unknown = np.zeros((len(received), NONCE_BITS // 8), dtype=np.uint8)
    nonce_bits = coding.decode(
        NONCE_CODE, _evidence(plan, carriers, key, unknown, slice(split)), plan.config.nonce_bits
    )
    nonces = nonce_from_bits((nonce_bits > 0.5).astype(np.uint8))
    return coding.decode(plan.config.code, _evidence(plan, carriers, key, nonces, slice(split, None)), plan.count)


def _evidence(plan: _Plan, carriers: np.ndarray, key: Key, nonces: np.ndarray, part: slice) -> np.ndarray:
    """Return the decrypted evidence of a part of the used carriers; the other part may be under an unknown nonce."""
    positions = plan.positions(key, nonces)[:, part]
    chosen = np.take_along_axis(carriers, positions, axis=1)
    evidence = plan.modulation.evidence(chosen, plan.dither(key, nonces)[:, part], plan.domain.bands[positions])
    return np.where(plan.masks(key, nonces)[:, part] == 1, -evidence, evidence)


def _used(domain: Domain, config: KeyedConfig) -> int:
    return int(config.carrier_share * len(domain.bands))


def _fewest_nonce_carriers(config: KeyedConfig) -> int:
    return coding.fewest_carriers(NONCE_CODE, config.nonce_bits)
