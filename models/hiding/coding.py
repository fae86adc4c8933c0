"""Error-correcting codes between payload bits and carriers, all decoded from soft evidence.

Evidence is a log-likelihood ratio, log P(observation | 1) - log P(observation | 0), of each carrier. Three ways to turn
bits into more carriers than bits:

- ``none``: repetition; evidence of the copies adds up.
- ``reed_muller``: blocks of up to 8 bits in the first-order Reed-Muller code RM(1, b - 1), cut or repeated to the
  carriers a block has, decoded by comparing with all of its at most 256 words: exact posterior probabilities. For few
  bits on many carriers, where a block of 8 bits on 64 carriers has distance about 28 against repetition's 8.
- ``ldpc_1_2``, ``ldpc_3_4``: systematic repeat-accumulate codes (Jin, Khandekar, McEliece, "Irregular Repeat-Accumulate
  Codes", 2000) of column weight 3, encoded by running sums, decoded by belief propagation (package ``ldpc``). For
  hundreds of bits and more.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import hadamard
from scipy.sparse import csr_matrix, hstack
from scipy.special import expit, logsumexp

from models.randomness import numpy_generator

CODES = ("none", "reed_muller", "ldpc_1_2", "ldpc_3_4")
BLOCK = 8
"""Most bits of a Reed-Muller block."""
MIN_SPREAD = 2
"""Fewest carriers a bit of a Reed-Muller code: cut shorter it is no better than repetition."""
_PARITY_PER_BIT = {"ldpc_1_2": 1.0, "ldpc_3_4": 1 / 3}
_COLUMN_WEIGHT = 3
_ITERATIONS = 30


def fewest_carriers(code: str, count: int) -> int:
    """Return how many carriers ``count`` bits need at least."""
    if code == "reed_muller":
        return MIN_SPREAD * count
    return count + (_parity_bits(code, count) if code in _PARITY_PER_BIT else 0)


def most_bits(code: str, carriers: int) -> int:
    """Return how many bits fit on so many carriers; the inverse of :func:`fewest_carriers`."""
    count = int(max(0, carriers) / (fewest_carriers(code, 3000) / 3000)) + 1
    while count > 0 and fewest_carriers(code, count) > carriers:
        count -= 1
    return count


def encode(code: str, bits: np.ndarray, carriers: int) -> np.ndarray:
    """Return the bit of each carrier.

    Args:
        code: One of :data:`CODES`.
        bits: (n, count), uint8 in {0, 1}, count >= 1.
        carriers: At least :func:`fewest_carriers`.

    Returns:
        (n, carriers), uint8 in {0, 1}.
    """
    if code != "reed_muller":
        word = _accumulate(code, bits) if code in _PARITY_PER_BIT else bits
        return word[:, np.arange(carriers) % word.shape[1]]
    chips = np.empty((len(bits), carriers), dtype=np.uint8)
    for positions, places in _blocks(bits.shape[1], carriers):
        number = bits[:, positions] @ (1 << np.arange(len(positions)))
        chips[:, places] = _words(len(positions), len(places))[number]
    return chips


def decode(code: str, evidence: np.ndarray, count: int) -> np.ndarray:
    """Return the probability of each of ``count`` bits being 1, (n, count) float32.

    Args:
        code: As encoded.
        evidence: Log-likelihood ratio of each carrier, (n, carriers) float; positive speaks for 1.
        count: Bits.
    """
    if code == "reed_muller":
        probabilities = np.empty((len(evidence), count), dtype=np.float32)
        for positions, places in _blocks(count, evidence.shape[1]):
            probabilities[:, positions] = _posterior(evidence[:, places], len(positions))
        return probabilities
    length = fewest_carriers(code, count)
    padded = np.pad(evidence, ((0, 0), (0, -evidence.shape[1] % length)))
    combined = padded.reshape(len(evidence), -1, length).sum(1)
    if code in _PARITY_PER_BIT:
        combined = _propagate(code, combined, count)
    return expit(combined).astype(np.float32)


def groups(code: str, count: int, carriers: int) -> np.ndarray:
    """Return which decision each carrier takes part in, (carriers,) int64: a bit of the word, or a block."""
    if code != "reed_muller":
        return np.arange(carriers) % fewest_carriers(code, count)
    found = np.empty(carriers, dtype=np.int64)
    for block, (_, places) in enumerate(_blocks(count, carriers)):
        found[places] = block
    return found


def _blocks(count: int, carriers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split bits and carriers into blocks of at most 8 bits, as equal as can be: the indices of each block's."""
    number = -(-count // BLOCK)
    parts = np.array_split(np.arange(count), number)
    # Carriers in proportion to the bits of a block.
    ends = np.cumsum([len(part) for part in parts]) * carriers // count
    return list(zip(parts, np.split(np.arange(carriers), ends[:-1]), strict=True))


@lru_cache(maxsize=64)
def _words(bits: int, length: int) -> np.ndarray:
    """Return all 2^bits words of RM(1, bits - 1) cut or repeated to ``length``, (2^bits, length) uint8."""
    rows = ((1 - hadamard(2 ** (bits - 1))) // 2).astype(np.uint8)
    order = numpy_generator(0, "reed_muller", bits).permutation(rows.shape[1])
    return np.concatenate([rows, 1 - rows])[:, np.resize(order, length)]


def _posterior(evidence: np.ndarray, bits: int) -> np.ndarray:
    score = evidence @ _words(bits, evidence.shape[1]).T.astype(evidence.dtype)
    number = np.arange(2**bits)
    is_one = (number[:, None] >> np.arange(bits)) & 1 == 1
    ones = np.stack([logsumexp(score[:, chosen], axis=1) for chosen in is_one.T], axis=1)
    return expit(ones - np.stack([logsumexp(score[:, ~chosen], axis=1) for chosen in is_one.T], axis=1))


def _parity_bits(code: str, count: int) -> int:
    return max(1, round(count * _PARITY_PER_BIT[code]))


@lru_cache(maxsize=16)
def _connections(code: str, count: int) -> csr_matrix:
    """Return which bits each check adds up, (checks, count): each bit in 3 checks, all checks with as many bits."""
    checks = _parity_bits(code, count)
    weight = min(_COLUMN_WEIGHT, checks)
    random = numpy_generator(0, "ldpc", code, count)
    load = np.zeros(checks)
    rows = []
    for _ in range(count):
        chosen = np.argsort(load + random.random(checks))[:weight]  # the least loaded, ties at random
        load[chosen] += 1
        rows.append(chosen)
    columns = np.repeat(np.arange(count), weight)
    return csr_matrix((np.ones(len(columns), np.uint8), (np.concatenate(rows), columns)), shape=(checks, count))


def _accumulate(code: str, bits: np.ndarray) -> np.ndarray:
    sums = (_connections(code, bits.shape[1]).astype(np.int64) @ bits.T.astype(np.int64)).T
    return np.concatenate([bits, (np.cumsum(sums, axis=1) & 1).astype(np.uint8)], axis=1)


def _propagate(code: str, evidence: np.ndarray, count: int) -> np.ndarray:
    """Return the log-likelihood ratios after belief propagation, (n, count) float64."""
    checks, decoder = _decoder(code, count)
    found = evidence[:, :count].astype(np.float64)
    hard = (evidence > 0).astype(np.uint8)
    doubt = np.clip(expit(-np.abs(evidence)), 1e-9, 0.5).astype(np.float64)
    syndromes = ((checks.astype(np.int64) @ hard.T.astype(np.int64)) & 1).T.astype(np.uint8)
    for row in np.flatnonzero(syndromes.any(1)):  # where all checks hold, nothing is left to correct
        decoder.update_channel_probs(doubt[row])
        decoder.decode(np.ascontiguousarray(syndromes[row]))
        # The decoder's ratio is log P(right) - log P(wrong) of each hard decision.
        certainty = np.asarray(decoder.log_prob_ratios)[:count]
        found[row] = np.where(hard[row, :count] == 1, certainty, -certainty)
    return np.nan_to_num(found, posinf=50.0, neginf=-50.0)


@lru_cache(maxsize=16)
def _decoder(code: str, count: int) -> tuple[csr_matrix, Any]:
    from ldpc import BpDecoder  # takes half a second, which only those who use it shall wait

    connections = _connections(code, count)
    stairs = np.eye(connections.shape[0], dtype=np.uint8) + np.eye(connections.shape[0], k=-1, dtype=np.uint8)
    checks = csr_matrix(hstack([connections, csr_matrix(stairs)]))
    decoder = BpDecoder(
        checks, error_rate=0.1, max_iter=_ITERATIONS, bp_method="product_sum", input_vector_type="syndrome"
    )
    return checks, decoder
