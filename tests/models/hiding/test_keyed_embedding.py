"""The keyed family: what goes in comes out, within the strength, and only with the key."""

import numpy as np
import pytest
from scipy.stats import binom

from models.hiding.key import Key, draw_nonces
from models.hiding.keyed import bits_per_value, capacity, embed, extract

KEY, WRONG_KEY = Key.from_seed(1), Key.from_seed(2)


def covers(n: int = 40, size: int = 32, low: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, (n, 3, size, size), dtype=np.uint8)


def payload(n: int = 40, count: int = 640) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, (n, count), dtype=np.uint8)


def hide(images: np.ndarray, bits: np.ndarray, strength: int, seed: int = 3) -> np.ndarray:
    return embed(images, bits, key=KEY, strength=strength, random=np.random.default_rng(seed))


@pytest.mark.parametrize("strength", [1, 2, 3, 8, 64])
def test_no_value_changes_by_more_than_the_strength(strength: int) -> None:
    images = covers()
    stego = hide(images, payload(), strength)
    assert np.abs(stego.astype(int) - images).max() <= strength


@pytest.mark.parametrize("strength", [2, 4, 8, 64])
def test_the_bits_come_back_where_no_value_is_near_black_or_white(strength: int) -> None:
    images, bits = covers(low=64, high=192), payload()
    assert np.array_equal(extract(hide(images, bits, strength), 640, key=KEY, strength=strength), bits)


def test_at_strength_1_every_bit_comes_back_even_from_black_and_white() -> None:
    bits = payload()
    for images in (covers(), np.zeros_like(covers()), np.full_like(covers(), 255)):
        assert np.array_equal(extract(hide(images, bits, 1), 640, key=KEY, strength=1), bits)


def test_strength_0_releases_the_cover_bit_for_bit() -> None:
    images = covers()
    assert np.array_equal(hide(images, payload(), 0), images)


def test_with_a_wrong_key_the_bits_are_wrong_at_a_rate_inside_the_exact_interval_around_one_half() -> None:
    bits = payload()
    wrong = int((extract(hide(covers(), bits, 1), 640, key=WRONG_KEY, strength=1) != bits).sum())
    low, high = binom.interval(0.999, bits.size, 0.5)
    assert low <= wrong <= high


def test_matching_adds_and_subtracts_equally_often() -> None:
    images = covers(low=64, high=192)
    change = hide(images, payload(), 1).astype(int) - images
    low, high = binom.interval(0.999, int((change != 0).sum()), 0.5)
    assert low <= int((change == 1).sum()) <= high


def test_the_same_secret_in_the_same_cover_looks_different_under_another_nonce() -> None:
    images, bits = covers(), payload()
    first, second = hide(images, bits, 1, seed=3), hide(images, bits, 1, seed=4)
    assert not np.array_equal(first, second)
    assert np.array_equal(extract(second, 640, key=KEY, strength=1), bits)


def test_the_same_seed_embeds_the_same() -> None:
    assert np.array_equal(hide(covers(), payload(), 1), hide(covers(), payload(), 1))


def test_the_whole_capacity_can_be_used_and_not_one_bit_more() -> None:
    images = covers(n=3)
    limit = capacity(3072, 1)
    bits = payload(3, limit)
    assert np.array_equal(extract(hide(images, bits, 1), limit, key=KEY, strength=1), bits)
    with pytest.raises(ValueError, match="exceeds the capacity of 3008 bits at strength 1"):
        hide(images, payload(3, limit + 1), 1)


def test_a_value_carries_one_bit_more_each_time_the_strength_doubles() -> None:
    assert [bits_per_value(strength) for strength in (0, 1, 2, 3, 4, 8, 64)] == [0, 1, 2, 2, 3, 4, 7]
    for strength in (-1, 65, 1.5):
        with pytest.raises(ValueError, match="whole number of grey levels from 0 to 64"):
            bits_per_value(strength)  # type: ignore[arg-type]


def test_streams_differ_by_nonce_purpose_and_key() -> None:
    nonces = draw_nonces(2, np.random.default_rng(0))
    streams = KEY.stream(nonces, "payload_bits", 64)
    others = [KEY.stream(nonces, "payload_positions", 64), WRONG_KEY.stream(nonces, "payload_bits", 64), streams[::-1]]
    assert all(not np.array_equal(streams, other) for other in others)
    assert np.array_equal(streams, KEY.stream(nonces, "payload_bits", 64))


def test_a_key_that_is_not_32_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, found 3"):
        Key(b"abc")
