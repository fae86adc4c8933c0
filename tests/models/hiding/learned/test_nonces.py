"""Nonces inside the payload: laid out, repeated, read first."""

import numpy as np
import pytest

from models.hiding.learned import carried_bits, split_nonces, with_nonces


@pytest.mark.parametrize("nonce_bits", [16, 24, 32, 40, 48, 56, 64])
@pytest.mark.parametrize("repetition", [1, 2, 5])
def test_nonce_and_payload_come_back(nonce_bits: int, repetition: int) -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, (7, 10), dtype=np.uint8)
    nonces = random.integers(0, 2, (7, nonce_bits), dtype=np.uint8)
    carried = with_nonces(bits, nonces, repetition=repetition)
    assert carried.shape == (7, carried_bits(10, nonce_bits=nonce_bits, repetition=repetition))
    assert (carried.shape[1] - 10) % 64 == 0  # whole planes, so that the payload's layout is what it was
    read, rest = split_nonces(carried.astype(np.float32), nonce_bits=nonce_bits, repetition=repetition)
    assert np.array_equal(read, nonces)
    assert np.array_equal(rest, bits)


@pytest.mark.parametrize("nonce_bits", [16, 40, 64])
def test_every_bit_of_the_nonce_has_at_least_the_wanted_copies_and_in_several_cells(nonce_bits: int) -> None:
    identity = np.eye(nonce_bits, dtype=np.uint8)
    planes = with_nonces(np.zeros((nonce_bits, 0), dtype=np.uint8), identity, repetition=4).reshape(nonce_bits, -1, 64)
    assert planes.sum((1, 2)).min() >= 4
    assert (planes.sum(1) > 0).sum(1).min() >= 4


def test_copies_add_up_their_evidence() -> None:
    nonces = np.random.default_rng(1).integers(0, 2, (400, 32), dtype=np.uint8)
    carried = with_nonces(np.zeros((400, 0), dtype=np.uint8), nonces, repetition=6)
    # Bits that are wrong 10 % of the time, with a reader that knows how sure it is.
    wrong = np.random.default_rng(2).random(carried.shape) < 0.1
    probabilities = np.where(carried.astype(bool) ^ wrong, 0.9, 0.1)
    once, _ = split_nonces(probabilities[:, :64], nonce_bits=32, repetition=2)
    often, _ = split_nonces(probabilities, nonce_bits=32, repetition=6)
    assert (often != nonces).mean() < 0.02 < (once != nonces).mean()
