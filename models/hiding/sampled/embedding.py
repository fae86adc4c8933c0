"""Draw until the keyed hash of what will be read equals the secret; read and hash to get it back."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import special
from torch import Tensor

from models.channel import Channel
from models.hiding.key import Key
from models.hiding.sampled.config import SampledConfig
from models.hiding.sampled.extractor import NoiseExtractor, draw, moments
from models.ppgan.generator import Generator

_TABLE_BITS = 16
"""Up to so many signs the hash is a table in which every symbol is equally frequent. Beyond, chance alone makes the
frequencies equal to within 2^((bits - signs) / 2)."""

_UNCERTAIN = 6
"""Signs that the receiver considers flipped, the least certain ones."""


@dataclass(frozen=True)
class Chosen:
    """What the embedder chose for each image."""

    released: Tensor
    """(n, 3, size, size), uint8, on the CPU, before the channel."""
    noise: Tensor
    """The noise behind it, (n, latent), float32."""
    found: Tensor
    """(n,), bool: whether a draw had the secret and kept the margin; where False the draws were exhausted and the best
    was taken: the one with the secret and the largest margin, or the last where none had it."""
    draws: Tensor
    """(n,), int64: how many were made."""


def choose(
    generator: Generator,
    inputs: Tensor,
    target: Tensor,
    bits: np.ndarray,
    *,
    extractor: NoiseExtractor,
    key: Key,
    channel: Channel,
    config: SampledConfig,
    random: np.random.Generator,
    symbols: int | None = None,
) -> Chosen:
    """Draw honest releases of each input until one carries its bits.

    Args:
        generator: The sanitiser, in evaluation mode.
        inputs: (n, 3, size, size), uint8.
        target: Identity that each release shall show, (n,), int64.
        bits: (n, count), uint8 in {0, 1}.
        extractor: Trained for this sanitiser and channel.
        key: Of the hash.
        channel: Between release and extraction. A random one is simulated once a draw, with randomness of its own, so
            that what is read later can differ from what was checked.
        config: ``draws`` and ``margin``.
        random: Draws the noise and the channel's.
        symbols: How many secrets there are, all as frequent; None for 2^count. With fewer than 2^count, what no secret
            asks for must not be missing among the hashes, or released images would lack it.

    Raises:
        ValueError: If there are more bits than signs.

    Notes:
        About as many draws an image as there are secrets; those images that are done are not drawn again.
    """
    count = bits.shape[1]
    _require_fit(count, extractor.hash_bits)
    wanted = torch.from_numpy(bits.astype(np.int64) @ _powers(count))
    mean, log_variance = moments(generator, inputs)
    released, noise = torch.empty_like(inputs, device="cpu"), torch.empty(mean.shape)
    quality = torch.full((len(inputs),), -1.0)  # smallest distance from 0 of a draw with the secret; -1 without it
    draws = torch.zeros(len(inputs), dtype=torch.int64)
    active = torch.arange(len(inputs))
    for _ in range(config.draws):
        there = active.to(mean.device)
        drawn, images = draw(generator, mean[there], log_variance[there], target[active], random)
        values = extractor.read(channel.apply(images, random))
        hashed = hash_symbols(_patterns(values.numpy()), extractor.hash_bits, symbols or 2**count, key)
        found = torch.where(torch.from_numpy(hashed) == wanted[active], values.abs().amin(1), -1.0)
        better = (found > quality[active]) | (quality[active] < 0)
        rows = active[better]
        released[rows], noise[rows], quality[rows] = images[better], drawn[better], found[better]
        draws[active] += 1
        active = active[~_fits(quality[active], config.margin)]
        if len(active) == 0:
            break
    return Chosen(released, noise, _fits(quality, config.margin), draws)


def embed(
    generator: Generator,
    inputs: Tensor,
    target: Tensor,
    bits: np.ndarray,
    *,
    extractor: NoiseExtractor,
    key: Key,
    channel: Channel,
    config: SampledConfig,
    random: np.random.Generator,
    symbols: int | None = None,
) -> Tensor:
    """Return the released images of :func:`choose`, which has the arguments; (n, 3, size, size) uint8 on the CPU."""
    return choose(
        generator,
        inputs,
        target,
        bits,
        extractor=extractor,
        key=key,
        channel=channel,
        config=config,
        random=random,
        symbols=symbols,
    ).released


def extract(
    extractor: NoiseExtractor, received: Tensor, count: int, key: Key, symbols: int | None = None
) -> np.ndarray:
    """Return the probability of each bit being 1, (n, count) float32.

    Args:
        extractor: The embedder's.
        received: What arrived through the channel, (n, 3, size, size), uint8.
        count: Bits an image.
        key: Of the hash.
        symbols: As embedded.

    Raises:
        ValueError: If there are more bits than signs.

    Notes:
        The embedder's readings and these are taken for bivariate Gaussian with the correlation that the extractor
        recorded, which gives the probability that a sign differs. The hashes of all patterns that differ in the least
        certain signs are weighted with it. Under a channel that is not random the probabilities are 0 or 1.
    """
    _require_fit(count, extractor.hash_bits)
    values = extractor.read(received).double().numpy()
    flip = _flip_probabilities(values, extractor.repeatability.double().cpu().numpy())
    uncertain = np.argsort(-flip, axis=1, kind="stable")[:, :_UNCERTAIN]
    chance = np.take_along_axis(flip, uncertain, axis=1)
    flips = (np.arange(2 ** uncertain.shape[1])[:, None] >> np.arange(uncertain.shape[1])) & 1  # (patterns, uncertain)
    weights = np.where(flips == 1, chance[:, None], 1.0 - chance[:, None]).prod(2)  # (n, patterns)
    patterns = _patterns(values)[:, None] ^ ((1 << uncertain)[:, None] * flips).sum(2)
    hashed = hash_symbols(patterns.ravel(), extractor.hash_bits, symbols or 2**count, key).reshape(patterns.shape)
    found = (hashed[:, :, None] // _powers(count)) % 2  # (n, patterns, count)
    return ((weights[:, :, None] * found).sum(1) / weights.sum(1, keepdims=True)).astype(np.float32)


def hash_symbols(patterns: np.ndarray, hash_bits: int, symbols: int, key: Key) -> np.ndarray:
    """Return the symbol in 0..symbols - 1 of each sign pattern in 0..2^hash_bits - 1, both (n,) int64."""
    if hash_bits <= _TABLE_BITS:
        return _table(key.secret, hash_bits, symbols)[patterns]
    distinct, places = np.unique(patterns, return_inverse=True)
    return (_digests(distinct, key.secret) % np.uint64(symbols)).astype(np.int64)[places]


@lru_cache(maxsize=8)
def _table(secret: bytes, hash_bits: int, symbols: int) -> np.ndarray:
    """Return the symbols of all patterns, (2^hash_bits,) int64: ranks of their digests, so that all are as frequent."""
    ranks = np.argsort(np.argsort(_digests(np.arange(2**hash_bits), secret)))
    return ranks % symbols


def _digests(patterns: np.ndarray, secret: bytes) -> np.ndarray:
    """Return the first 64 bits of the keyed BLAKE2b of each pattern, (n,) uint64."""
    keyed = (
        hashlib.blake2b(int(p).to_bytes(8, "little"), digest_size=8, key=secret, person=b"sampled") for p in patterns
    )
    return np.frombuffer(b"".join(digest.digest() for digest in keyed), dtype="<u8")


def _patterns(values: np.ndarray) -> np.ndarray:
    """Return the signs of readings (n, hash_bits) as whole numbers, (n,) int64."""
    return (values > 0).astype(np.int64) @ (1 << np.arange(values.shape[1]))


def _flip_probabilities(values: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Return how likely the embedder read the other sign; values (n, hash_bits), correlations (hash_bits,)."""
    spread = np.sqrt(np.maximum(1.0 - correlation**2, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(spread > 0, correlation * np.abs(values) / spread, np.inf)
    return special.ndtr(-distance)


def _fits(quality: Tensor, margin: float) -> Tensor:
    return (quality >= 0) & (quality >= margin)


def _powers(count: int) -> np.ndarray:
    return 1 << np.arange(count - 1, -1, -1)


def _require_fit(count: int, hash_bits: int) -> None:
    if count > hash_bits:
        raise ValueError(
            f"subversion.sampled.hash_bits={hash_bits}: {count} bits a secret need at least as many signs; raise it"
        )
