"""Error-correcting codes: words come back, from evidence with noise, with probabilities that mean what they say."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from models.hiding.coding import CODES, decode, encode, fewest_carriers, groups, most_bits


def bits(n: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, count), dtype=np.uint8)


def evidence(word: np.ndarray, sigma: float, seed: int = 1) -> np.ndarray:
    """Log-likelihood ratios of a word sent as -1 and +1 through normal noise."""
    received = 2.0 * word - 1 + np.random.default_rng(seed).normal(0, sigma, word.shape)
    return 2 * received / sigma**2


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("count", "spare"), [(1, 0), (3, 0), (3, 50), (13, 7), (64, 333), (300, 0), (300, 111)])
def test_without_noise_every_bit_comes_back_on_any_number_of_carriers(code: str, count: int, spare: int) -> None:
    sent = bits(20, count)
    word = encode(code, sent, fewest_carriers(code, count) + spare)
    assert np.array_equal(decode(code, 20.0 * word - 10, count) > 0.5, sent)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("carriers", [0, 1, 2, 3, 7, 432, 3008])
def test_as_many_bits_fit_as_the_code_says_and_not_one_more(code: str, carriers: int) -> None:
    count = most_bits(code, carriers)
    assert count == 0 or fewest_carriers(code, count) <= carriers
    assert fewest_carriers(code, count + 1) > carriers


@pytest.mark.parametrize(
    ("code", "count", "carriers", "sigma", "bound"),
    # Repetition over r carriers errs at Q(sqrt(r) / sigma); each code must err a third as often, or less.
    [("reed_muller", 16, 64, 1.1, 1 / 3), ("ldpc_1_2", 512, 1024, 0.75, 1 / 3), ("ldpc_3_4", 768, 1024, 0.55, 1 / 3)],
)
def test_a_code_errs_less_than_repetition_of_the_same_energy(
    code: str, count: int, carriers: int, sigma: float, bound: float
) -> None:
    sent = bits(150, count)
    wrong = (decode(code, evidence(encode(code, sent, carriers), sigma), count) > 0.5) != sent
    assert wrong.mean() < bound * norm.sf(np.sqrt(carriers / count) / sigma)


@pytest.mark.parametrize(("code", "sigma"), [("none", 2.0), ("reed_muller", 2.2)])
def test_a_probability_is_the_share_of_bits_that_are_1(code: str, sigma: float) -> None:
    sent = bits(3000, 8)
    probabilities = decode(code, evidence(encode(code, sent, 32), sigma), 8)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (probabilities >= low) & (probabilities < low + 0.2)
        expected = probabilities[inside].mean()
        assert inside.sum() > 200
        # Bits of one block err together: the tolerance is 4.5 standard errors as if only half of them counted.
        assert abs(sent[inside].mean() - expected) < 4.5 * np.sqrt(expected * (1 - expected) / (inside.sum() / 2))


def test_belief_propagation_says_how_sure_it_is_of_each_bit() -> None:
    sent = bits(60, 512)
    probabilities = decode("ldpc_1_2", evidence(encode("ldpc_1_2", sent, 1024), 1.1), 512)
    wrong = (probabilities > 0.5) != sent
    sure = np.abs(probabilities - 0.5) > 0.49
    assert wrong[~sure].mean() > 10 * wrong[sure].mean()


@pytest.mark.parametrize("code", CODES)
def test_groups_name_each_decision_from_0_on(code: str) -> None:
    found = groups(code, 13, 60)
    assert found.shape == (60,)
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1))


def test_coding_leaves_the_global_random_numbers_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    sent = bits(2, 64)
    decode("ldpc_1_2", 1.0 - 2.0 * encode("ldpc_1_2", sent, 128), 64)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
